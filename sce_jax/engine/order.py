"""The order of an epoch's examples."""

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Int
import numpy as np

from sce_jax.engine import randomness
from sce_jax.engine.plan import Plan
from sce_jax.engine.train_state import RunInputs

# After so many an example stands in each place with the same chance to 2**-32.
_ROUNDS = 32


def permutation(key: jax.Array, size: int) -> Int[Array, ' {size}']:
  """A random order of the numbers below `size`, made without a sort.

  A sort, as in jax.random.permutation, compiles for 40 s on a TPU, and sorting
  60,000 numbers takes a CPU 50 ms, this 0.4 ms. In each round all numbers are
  paired by a random mirror (x and k - x), and a hash of each pair says whether
  the two are swapped: the swap-or-not shuffle (Hoang, Morris and Rogaway, "An
  Enciphering Scheme Based on a Card Shuffle", CRYPTO 2012). It is arithmetic on
  32-bit integers, so all devices get the same order.

  Args:
    key: a key.
    size: how many, at most 2**31.
  """
  mirror_key, salt_key = jax.random.split(key)
  mirrors = jax.random.randint(mirror_key, (_ROUNDS,), 0, size, jnp.uint32)
  salts = jax.random.bits(salt_key, (_ROUNDS, 2), jnp.uint32)

  def swap(place, xs):
    mirror, salt = xs
    # mirror - place, modulo size.
    other = jnp.where(place > mirror, mirror + size, mirror) - place
    # Both of a pair have the same hash. It is MurmurHash3's last step, salted.
    mixed = (jnp.maximum(place, other) + salt[0]) * jnp.uint32(0x9E3779B1)
    mixed = (mixed ^ (mixed >> 15) ^ salt[1]) * jnp.uint32(0x85EBCA6B)
    mixed = (mixed ^ (mixed >> 13)) * jnp.uint32(0xC2B2AE35)
    return jnp.where(mixed >> 31, other, place), None

  places = jnp.arange(size, dtype=jnp.uint32)
  return lax.scan(swap, places, (mirrors, salts))[0].astype(jnp.int32)


def epoch_order(
  inputs: RunInputs, epoch: Int[Array, ''], plan: Plan, num_classes: int
) -> Int[Array, ' M']:
  """Which of a run's examples an epoch takes, in order.

  Args:
    inputs: the run's key and labels.
    epoch: from 0 on.
    plan: whether classes are balanced, and how many examples an epoch then has.
    num_classes: number of classes.

  Returns:
    Places among the run's examples: all, or `plan.images` of them.
  """
  key = randomness.shuffle_key(inputs.key, epoch)
  size = inputs.labels.shape[0]
  if not plan.is_balanced:
    return permutation(key, size)
  first, second = jax.random.split(key)
  shuffled = permutation(first, size)
  labels = inputs.labels[shuffled]
  # Of each example: how many of its class stand before it. In the order of
  # these numbers the classes take turns.
  by_class = jnp.argsort(labels, stable=True)
  counts = jnp.bincount(labels, length=num_classes)
  starts = jnp.cumsum(counts) - counts
  turns = jnp.arange(size, dtype=jnp.int32) - starts[labels[by_class]]
  turn = jnp.zeros(size, jnp.int32).at[by_class].set(turns.astype(jnp.int32))
  balanced = shuffled[jnp.argsort(turn, stable=True)[: plan.images]]
  # Else each batch would have the classes' own order.
  return balanced[permutation(second, plan.images)]


def batch_rows(
  key: Array,
  labels: Int[Array, ' P'],
  step: int,
  plan: Plan,
  num_classes: int,
) -> Int[np.ndarray, ' B']:
  """Which of a run's examples a step trains on.

  Args:
    key: the run's.
    labels: the run's.
    step: from 0 on.
    plan: how epochs are cut into steps.
    num_classes: number of classes.
  """
  epoch, number = divmod(step, plan.steps)
  inputs = RunInputs(key, jnp.arange(len(labels)), labels, {})
  order = np.asarray(epoch_order(inputs, jnp.int32(epoch), plan, num_classes))
  return order[number * plan.batch_size :][: plan.batch_size]
