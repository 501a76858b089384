"""A method that also records what the network makes of each example.

Of every training example, sums over the epochs of the probabilities and of the
margin of its label, z_y - max_{k != y} z_k: the network learns right labels
early and wrong ones late, so the averages tell them apart although the network
was trained on them.

Source: Pleiss et al., "Identifying Mislabeled Data using the Area Under the
Margin Ranking", NeurIPS 2020 (arXiv:2001.10528), equations 1 and 2.
"""

import typing
from typing import Any

from flax import struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sce_jax.methods.base import Method


@struct.dataclass
@typing.no_type_check  # A pytree holds whatever jax maps it to.
class Recorded:
  """The state of a method that `averaged` has wrapped.

  Attributes:
    base: the state of that method.
    count: how often each training example was seen.
    margin: sums of z_y - max_{k != y} z_k.
    probability: sums of softmax(z).
  """

  base: Any
  count: Float[Array, ' N']
  margin: Float[Array, ' N']
  probability: Float[Array, 'N K']


def averaged(base: Method) -> Method:
  """A method that trains as another one does, and has `Recorded` as state."""

  def init(key, num_examples, num_classes):
    zeros = jnp.zeros(num_examples)
    return Recorded(
      base.init(key, num_examples, num_classes),
      zeros,
      zeros,
      jnp.zeros((num_examples, num_classes)),
    )

  def loss(apply, params, batch, state, hparams, context):
    losses, aux = base.loss(apply, params, batch, state.base, hparams, context)
    state = state.replace(base=aux.state)
    if not context.training:
      return losses, aux.replace(state=state)
    logits = jax.lax.stop_gradient(aux.logits)
    # What only fills up the batch is sent past the end, where it is dropped.
    position = context.gather(
      jnp.where(batch.counted, batch.position, context.num_examples)
    )

    def add(sums, values):
      return sums.at[position].add(context.gather(values), mode='drop')

    own = jax.nn.one_hot(batch.label, logits.shape[1], dtype=bool)
    given = jnp.sum(jnp.where(own, logits, 0), axis=1)
    others = jnp.max(jnp.where(own, -jnp.inf, logits), axis=1)
    state = state.replace(
      count=add(state.count, jnp.ones_like(given)),
      margin=add(state.margin, given - others),
      probability=add(state.probability, jax.nn.softmax(logits)),
    )
    return losses, aux.replace(state=state)

  def end_epoch(state, features, hparams, context):
    inner, figures = base.end_epoch(state.base, features, hparams, context)
    return state.replace(base=inner), figures

  return base._replace(
    init=init,
    loss=loss,
    end_epoch=None if base.end_epoch is None else end_epoch,
  )
