"""Exact evaluation of a split: every example once, whatever the batch size."""

from collections.abc import Mapping
from typing import Any

from flax import linen as nn
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array

from sce_jax.data import batches
from sce_jax.engine import metrics
from sce_jax.engine import step as step_lib
from sce_jax.engine.train_state import TrainState
from sce_jax.parallel.runners import Runner


def evaluate_split(
  state: TrainState,
  split: batches.DeviceSplit,
  loss_parameters: Mapping[str, Array],
  *,
  config: Mapping[str, Any],
  model: nn.Module,
  loss: step_lib.Loss,
  runner: Runner,
) -> metrics.Sums:
  """Sums over a whole split, on the device, in one dispatch.

  The last batch is filled up with examples that are masked out.

  Args:
    state: the run.
    split: what to evaluate on.
    loss_parameters: the loss's hyper-parameters.
    config: the whole config.
    model: the network.
    loss: loss of one example.
    runner: the devices.
  """
  num_examples = split.label.shape[0]
  num_classes = state.sums.class_count.shape[0]
  devices = runner.num_devices
  batch_size = -(-min(config['eval']['batch_size'], num_examples) // devices)
  batch_size *= devices
  num_batches = -(-num_examples // batch_size)

  def body(sums, start):
    place = start + jnp.arange(batch_size, dtype=jnp.int32)
    place = runner.shard(place)
    batch = batches.take(
      split,
      jnp.minimum(place, num_examples - 1),
      place < num_examples,
      config['data'],
    )
    seen = step_lib.eval_step(
      state, batch, loss_parameters, model=model, loss=loss
    )
    return sums + seen, None

  starts = jnp.arange(num_batches, dtype=jnp.int32) * batch_size
  sums, _ = lax.scan(body, metrics.zeros(num_classes, confidence=True), starts)
  return runner.psum(sums)
