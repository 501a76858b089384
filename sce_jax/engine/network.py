"""Networks and their optimiser, one or several side by side.

A method with M > 1 networks (Co-teaching) has parameters, statistics and an
optimiser's state with a leading axis [M]. This is the only file that knows.
"""

import dataclasses
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
import optax

PyTree = Any


@dataclasses.dataclass(frozen=True)
class Network:
  """M networks of one architecture, trained independently.

  Attributes:
    module: from images [N, H, W, C], or features, to logits [N, K].
    tx: optax chain of one network.
    num: M.
  """

  module: nn.Module
  tx: optax.GradientTransformation
  num: int = 1

  def init(
    self,
    key: jax.Array,
    image_shape: tuple[int, ...],
    initial: PyTree = None,
  ) -> tuple[PyTree, PyTree, PyTree]:
    """Initial parameters, batch statistics and optimiser's state.

    Args:
      key: of what is drawn.
      image_shape: of an image, or of its features.
      initial: 'params' and 'batch_stats' of layers that are not drawn.
    """
    given = initial or {}

    def one(key):
      variables = self.module.init(key, jnp.zeros((1, *image_shape)))
      params, batch_stats = (
        {**variables.get(name, {}), **given.get(name, {})}
        for name in ('params', 'batch_stats')
      )
      return params, batch_stats, self.tx.init(params)

    if self.num == 1:
      return one(key)
    return jax.vmap(one)(jax.random.split(key, self.num))

  def apply_train(
    self,
    params: PyTree,
    batch_stats: PyTree,
    images: Float[Array, 'N ...'],
    mask: Float[Array, ' N'] | None,
  ) -> tuple[Float[Array, '... K'], PyTree]:
    """Logits by the batch's own statistics, and the updated running ones."""

    def one(params, batch_stats):
      logits, updated = self.module.apply(
        {'params': params, 'batch_stats': batch_stats},
        images,
        train=True,
        mask=mask,
        mutable=['batch_stats'],
      )
      return logits, updated.get('batch_stats', {})

    return self._map(one)(params, batch_stats)

  def apply_eval(
    self,
    params: PyTree,
    batch_stats: PyTree,
    images: Float[Array, 'N ...'],
  ) -> Float[Array, '... K']:
    """Logits by the running statistics."""

    def one(params, batch_stats):
      variables = {'params': params, 'batch_stats': batch_stats}
      return self.module.apply(variables, images)

    return self._map(one)(params, batch_stats)

  def apply_first(
    self,
    params: PyTree,
    batch_stats: PyTree,
    images: Float[Array, 'N ...'],
  ) -> tuple[Float[Array, 'N K'], Float[Array, 'N D']]:
    """Logits and last hidden activations of the first network."""
    variables = self.first(params, batch_stats)
    outputs: Any = self.module.apply(variables, images, return_hidden=True)
    return outputs

  def first(self, params: PyTree, batch_stats: PyTree) -> PyTree:
    """The first network's variables, as its module takes them."""
    variables = {'params': params, 'batch_stats': batch_stats}
    if self.num > 1:
      variables = jax.tree.map(lambda x: x[0], variables)
    return variables

  def update(
    self, grads: PyTree, opt_state: PyTree, params: PyTree
  ) -> tuple[PyTree, PyTree]:
    """The optimiser's step: new parameters and its new state."""

    def one(grads, opt_state, params):
      updates, opt_state = self.tx.update(grads, opt_state, params)
      return optax.apply_updates(params, updates), opt_state

    return self._map(one)(grads, opt_state, params)

  def _map(self, fn):
    return fn if self.num == 1 else jax.vmap(fn)
