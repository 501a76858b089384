"""The order of an epoch's examples."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from sce_jax.engine import randomness
from sce_jax.engine.plan import Plan
from sce_jax.engine.train_state import RunInputs


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
    return jax.random.permutation(key, size)
  first, second = jax.random.split(key)
  shuffled = jax.random.permutation(first, size)
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
  return jax.random.permutation(second, balanced)
