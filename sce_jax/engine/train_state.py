"""The state of a run: all that training changes, and nothing else."""

import typing
from typing import Any

from flax import struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from sce_jax.engine import metrics


@struct.dataclass
@typing.no_type_check  # A pytree holds whatever jax maps it to.
class TrainState:
  """State of a run.

  Attributes:
    step: number of steps done.
    params: parameters, float32; with a leading axis of networks if the method
      has several, like `batch_stats` and `opt_state`.
    batch_stats: batch norm's running statistics, float32.
    opt_state: optax's state.
    method: the method's own state.
    finite_steps: number of steps whose loss was finite; less than `step` once
      the run has diverged, and then the step at which it did.
    sums: what was counted in the current epoch; a checkpoint inside an epoch
      carries it, so that a resumed epoch reports what an undisturbed one does.
  """

  step: Int[Array, '']
  params: Any
  batch_stats: Any
  opt_state: Any
  method: Any
  finite_steps: Int[Array, '']
  sums: metrics.Sums


def is_finite(state: TrainState) -> Bool[Array, '']:
  """Whether all parameters and running statistics of a run are.

  `finite_steps` is of losses before the update, so it does not tell of a last
  step that made them infinite.
  """
  leaves = jax.tree.leaves((state.params, state.batch_stats))
  return jnp.stack([jnp.isfinite(leaf).all() for leaf in leaves]).all()


@struct.dataclass
@typing.no_type_check
class RunInputs:
  """What differs between runs that share a program, beside their state.

  Attributes:
    key: the run's key, from which all its random numbers come.
    positions: the examples it trains on, as rows of the training split.
    labels: their labels.
    hparams: the method's traced hyper-parameters.
  """

  key: Array
  positions: Int[Array, ' P']
  labels: Int[Array, ' P']
  hparams: Any
