"""The order of an epoch's examples."""

import jax
from jaxtyping import Array, Int

from sce_jax.engine import randomness
from sce_jax.engine.train_state import RunInputs


def epoch_order(inputs: RunInputs, epoch: Int[Array, '']) -> Int[Array, ' P']:
  """Which of a run's examples an epoch takes, in order, as their places.

  Args:
    inputs: the run's key and labels.
    epoch: from 0 on.
  """
  return jax.random.permutation(
    randomness.shuffle_key(inputs.key, epoch), inputs.labels.shape[0]
  )
