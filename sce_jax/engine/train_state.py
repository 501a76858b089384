"""What a run is at a step: all that training changes, and nothing else."""

import typing
from typing import Any

from flax import linen as nn
from flax import struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int
import optax

from sce_jax.engine import metrics


@struct.dataclass
@typing.no_type_check  # A pytree holds whatever jax maps it to.
class TrainState:
  """State of a run.

  Attributes:
    step: number of steps done.
    params: parameters, float32.
    batch_stats: batch norm's running statistics, float32.
    opt_state: optax's state.
    finite_steps: number of steps whose loss was finite; less than `step` once
      the run has gone astray, and then the place where it did.
    sums: what was counted in the current epoch; a checkpoint inside an epoch
      carries it, so that a resumed epoch reports what an undisturbed one does.
  """

  step: Int[Array, '']
  params: Any
  batch_stats: Any
  opt_state: Any
  finite_steps: Int[Array, '']
  sums: metrics.Sums


def create(
  model: nn.Module,
  tx: optax.GradientTransformation,
  image_shape: tuple[int, int, int],
  num_classes: int,
  key: jax.Array,
) -> TrainState:
  """The state before the first step.

  Args:
    model: network from images [N, H, W, C] to logits.
    tx: optax chain.
    image_shape: (H, W, C).
    num_classes: number of classes.
    key: PRNG key of the initial parameters.
  """
  variables = model.init(key, jnp.zeros((1, *image_shape), jnp.float32))
  params = variables['params']
  return TrainState(
    step=jnp.zeros((), jnp.int32),
    params=params,
    batch_stats=variables.get('batch_stats', {}),
    opt_state=tx.init(params),
    finite_steps=jnp.zeros((), jnp.int32),
    sums=metrics.zeros(num_classes),
  )
