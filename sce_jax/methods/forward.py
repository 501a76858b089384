"""Loss correction with a transition matrix, given or estimated (Patrini).

The matrix is computed once, before training. `transition`='true': the one that
the labels were drawn from, or where they were not drawn, the one counted from
true and noisy labels. Other values name an estimator of noise/estimation.py,
which looks at a network that is first trained with cross entropy on the same
labels, for a share of the run's epochs: one that has memorised its labels shows
no noise.
"""

from collections.abc import Callable, Sequence

from jaxtyping import Array, Float
import numpy as np

from sce_jax.errors import UserError
from sce_jax.methods.base import (
  Fit,
  Hparams,
  Method,
  PrepareContext,
  from_loss,
)
from sce_jax.noise.estimation import ESTIMATORS

TRANSITIONS = ('true', *ESTIMATORS)


def corrected(loss: Callable[..., Float[Array, '']]) -> Method:
  """A method from a loss with the hyper-parameter `transition_matrix`.

  Its own hyper-parameters are those of `prepare`.
  """
  return from_loss(loss)._replace(prepare=prepare)


def prepare(
  fit: Fit, contexts: Sequence[PrepareContext]
) -> list[Hparams | None]:
  """Computes `transition_matrix` for each run.

  The hyper-parameters are `transition`, one of TRANSITIONS, the `percentile` of
  the anchor points, and `fit_share`, of a run's epochs.

  Raises:
    UserError: the true matrix is asked for, and not known; or an estimate has a
      class that nothing is taken for.
  """
  kinds = [context.hparams['transition'] for context in contexts]
  if any(
    kind == 'true' and context.transition is None
    for kind, context in zip(kinds, contexts, strict=True)
  ):
    others = ', '.join(ESTIMATORS)
    raise UserError(
      'config.loss.transition is true, but the true labels of this data set are'
      f' not known: use another config.loss.transition, one of {others}'
    )
  made: list[Hparams | None] = [
    {'transition_matrix': context.transition} for context in contexts
  ]
  estimated: dict[float, list[int]] = {}
  for i, (kind, context) in enumerate(zip(kinds, contexts, strict=True)):
    if kind != 'true':
      estimated.setdefault(context.hparams['fit_share'], []).append(i)
  for share, runs in estimated.items():
    for i, evidence in zip(runs, fit('ce', runs, share), strict=True):
      made[i] = None
      if evidence is not None:
        estimate = ESTIMATORS[kinds[i]]
        matrix = estimate(evidence, contexts[i].hparams['percentile'])
        empty = np.flatnonzero(~matrix.any(axis=0))
        if empty.size:
          raise UserError(
            f'config.loss.transition={kinds[i]} estimates that no example has'
            f' the label {empty[0]}, as that of too few does: use another of'
            f' {", ".join(ESTIMATORS)}'
          )
        made[i] = {'transition_matrix': matrix}
  return made
