"""Every random number of training: what its key is derived from.

All keys come from a run's key, jax.random.key(seed), and one of these purposes;
what belongs to an epoch or to a step is folded with its number after that. So a
run that is resumed inside an epoch sees the batches that it would have seen.
"""

import jax
from jaxtyping import Array, Int

(
  _INIT,
  _SHUFFLE,
  _AUGMENT,
  _SUBSET,
  _METHOD_INIT,
  _METHOD,
  _SECOND_AUGMENT,
) = range(7)


def init_key(key: jax.Array) -> jax.Array:
  """The key of a run's initial parameters."""
  return jax.random.fold_in(key, _INIT)


def shuffle_key(key: jax.Array, epoch: Int[Array, '']) -> jax.Array:
  """The key of the order of an epoch's examples."""
  return jax.random.fold_in(jax.random.fold_in(key, _SHUFFLE), epoch)


def augment_key(key: jax.Array, step: Int[Array, '']) -> jax.Array:
  """The key of a step's augmentation."""
  return jax.random.fold_in(jax.random.fold_in(key, _AUGMENT), step)


def second_augment_key(key: jax.Array, step: Int[Array, '']) -> jax.Array:
  """The key of a step's second augmentation of the same examples."""
  return jax.random.fold_in(jax.random.fold_in(key, _SECOND_AUGMENT), step)


def subset_key(key: jax.Array) -> jax.Array:
  """The key of the training examples whose activations are observed."""
  return jax.random.fold_in(key, _SUBSET)


def method_init_key(key: jax.Array) -> jax.Array:
  """The key of a method's initial state."""
  return jax.random.fold_in(key, _METHOD_INIT)


def method_key(key: jax.Array, step: Int[Array, '']) -> jax.Array:
  """The key of a method's own random numbers in a step."""
  return jax.random.fold_in(jax.random.fold_in(key, _METHOD), step)
