"""A method that also records what the network makes of each example.

Of every training example the probabilities are summed over the epochs, and the
margins of the logits, z_y - max_{k != y} z_k. The network learns right labels
early and wrong ones late, if at all, so the averages tell them apart although
the network was trained on them.

The mean margin is AUM, the area under the margin: Pleiss et al., "Identifying
Mislabeled Data using the Area Under the Margin Ranking", NeurIPS 2020
(arXiv:2001.10528). They stop before the learning rate falls for the first time;
here all epochs count. Their threshold, the 99th percentile of examples that are
given the label of a class K + 1 of their own, needs a network with that class
and is left out. experiments/audit/README.md compares the two averages.
"""

import typing
from typing import Any

from flax import struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from sce_jax.methods.base import Method


@struct.dataclass
@typing.no_type_check  # A pytree holds whatever jax maps it to.
class Recorded:
  """The state of a method that `averaged` has wrapped.

  Attributes:
    base: the state of that method.
    count: how often each training example was seen.
    probability: sums of softmax(z).
  """

  base: Any
  count: Float[Array, ' N']
  probability: Float[Array, 'N K']


@struct.dataclass
@typing.no_type_check
class WithMargins(Recorded):
  """The state where margins are recorded, too.

  Attributes:
    margin: sums of z_y - max_{k != y} z_k.
  """

  margin: Float[Array, ' N']


def averaged(base: Method, *, margins: bool) -> Method:
  """A method that trains as another one does, and has `Recorded` as state.

  Args:
    base: that method.
    margins: whether margins are recorded, too.
  """

  def init(key, num_examples, num_classes):
    recorded = (
      base.init(key, num_examples, num_classes),
      jnp.zeros(num_examples),
      jnp.zeros((num_examples, num_classes)),
    )
    if margins:
      return WithMargins(*recorded, jnp.zeros(num_examples))
    return Recorded(*recorded)

  def loss(apply, params, batch, state, hparams, context):
    losses, aux = base.loss(apply, params, batch, state.base, hparams, context)
    state = state.replace(base=aux.state)
    if not context.training:
      return losses, aux.replace(state=state)
    logits = jax.lax.stop_gradient(aux.logits)
    probability = jax.nn.softmax(logits)
    position = context.places(batch)

    def add(sums, values):
      return sums.at[position].add(context.gather(values), mode='drop')

    state = state.replace(
      count=add(state.count, jnp.ones_like(probability[:, 0])),
      probability=add(state.probability, probability),
    )
    if margins:
      margin = _margin(logits, batch.label)
      state = state.replace(margin=add(state.margin, margin))
    return losses, aux.replace(state=state)

  def end_epoch(state, features, hparams, context):
    inner, figures = base.end_epoch(state.base, features, hparams, context)
    return state.replace(base=inner), figures

  def transition(state, hparams):
    return base.transition(state.base, hparams)

  return base._replace(
    init=init,
    loss=loss,
    end_epoch=None if base.end_epoch is None else end_epoch,
    transition=None if base.transition is None else transition,
  )


def _margin(
  logits: Float[Array, 'N K'], label: Int[Array, ' N']
) -> Float[Array, ' N']:
  given = jax.nn.one_hot(label, logits.shape[1], dtype=bool)
  own = jnp.sum(logits, axis=1, where=given)
  return own - jnp.max(logits, axis=1, where=~given, initial=-jnp.inf)
