"""What a network says of examples: logits and the last hidden layer."""

from collections.abc import Mapping
import typing
from typing import Any

from flax import linen as nn
from flax import struct
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from sce_jax.data import batches
from sce_jax.engine.train_state import TrainState


@struct.dataclass
@typing.no_type_check  # A pytree holds whatever jax maps it to.
class Outputs:
  """A network's outputs on N examples.

  Attributes:
    logits: float32.
    hidden: the last hidden layer's activations, float32.
  """

  logits: Float[Array, 'N K']
  hidden: Float[Array, 'N D']


def predict(
  state: TrainState,
  split: batches.DeviceSplit,
  positions: Int[Array, ' N'],
  *,
  config: Mapping[str, Any],
  model: nn.Module,
) -> Outputs:
  """The outputs on some examples of a split, in one dispatch.

  Every device computes all of them: this serves analyses, not training.

  Args:
    state: the run.
    split: where the examples are.
    positions: which of its examples.
    config: the whole config.
    model: the network.
  """
  size = min(config['eval']['batch_size'], len(positions))
  filled = jnp.resize(positions, -(-len(positions) // size) * size)
  variables = {'params': state.params, 'batch_stats': state.batch_stats}

  def body(_, which):
    batch = batches.take(split, which, None, config['data'])
    logits, hidden = model.apply(variables, batch['image'], return_hidden=True)
    return None, Outputs(logits, hidden)

  _, outputs = lax.scan(body, None, filled.reshape(-1, size))
  return Outputs(
    *(
      x.reshape(-1, x.shape[-1])[: len(positions)]
      for x in (outputs.logits, outputs.hidden)
    )
  )
