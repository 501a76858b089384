"""Loss correction with a transition matrix, given or estimated (Patrini).

The matrix is computed once, before training. `transition`='true': the one that
the labels were drawn from, or where they were not drawn, the one counted from
true and noisy labels. 'anchors': estimated from a network that is first trained
with cross entropy on the same labels, see transition_estimation.py.
"""

from collections.abc import Callable, Sequence

from jaxtyping import Array, Float

from sce_jax.errors import UserError
from sce_jax.methods.base import (
  Fit,
  Hparams,
  Method,
  PrepareContext,
  from_loss,
)
from sce_jax.methods.transition_estimation import estimate_transition

TRANSITIONS = ('true', 'anchors')


def corrected(loss: Callable[..., Float[Array, '']]) -> Method:
  """A method from a loss with the hyper-parameter `transition_matrix`.

  Its own hyper-parameters are `transition`, one of TRANSITIONS, and the
  `percentile` of the anchor points.
  """
  return from_loss(loss)._replace(prepare=_prepare)


def _prepare(
  fit: Fit, contexts: Sequence[PrepareContext]
) -> list[Hparams | None]:
  kinds = [context.hparams['transition'] for context in contexts]
  if any(
    kind == 'true' and context.transition is None
    for kind, context in zip(kinds, contexts, strict=True)
  ):
    raise UserError(
      'config.loss.transition is true, but the true labels of this data set are'
      ' not known: use config.loss.transition=anchors'
    )
  made: list[Hparams | None] = [
    {'transition_matrix': context.transition} for context in contexts
  ]
  estimated = [i for i, kind in enumerate(kinds) if kind == 'anchors']
  if not estimated:
    return made
  for i, probabilities in zip(estimated, fit('ce', estimated), strict=True):
    made[i] = None
    if probabilities is not None:
      matrix = estimate_transition(
        probabilities, contexts[i].hparams['percentile']
      )
      made[i] = {'transition_matrix': matrix}
  return made
