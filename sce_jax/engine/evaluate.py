"""Exact evaluation of a split: every example once, whatever the batch size."""

import dataclasses

from jax import lax
import jax.numpy as jnp

from sce_jax.data import batches
from sce_jax.engine import metrics, step
from sce_jax.engine.recipe import Recipe
from sce_jax.engine.train_state import RunInputs, TrainState


@dataclasses.dataclass(frozen=True)
class EvalConfig:
  """The `eval` section of a config; config/base.py explains each field."""

  batch_size: int
  train_every: int | None


def evaluate_split(
  state: TrainState,
  inputs: RunInputs,
  split: batches.DeviceSplit,
  *,
  num_classes: int,
  recipe: Recipe,
) -> metrics.Sums:
  """Sums over examples of a split, on the device, in one dispatch.

  The last batch is filled up with examples that are masked out.

  Args:
    state: the run.
    inputs: which examples with which labels, and the hyper-parameters.
    split: where they lie.
    num_classes: number of classes.
    recipe: what the program is compiled from.
  """
  runner = recipe.runner
  num_examples = inputs.labels.shape[0]
  devices = runner.num_devices
  batch_size = -(-min(recipe.eval_batch_size, num_examples) // devices)
  batch_size *= devices
  num_batches = -(-num_examples // batch_size)
  context = recipe.context(inputs.key, state.step, split.image.shape[0])

  def body(sums, start):
    place = start + jnp.arange(batch_size, dtype=jnp.int32)
    place = runner.shard(place)
    batch = batches.take(
      split,
      inputs.labels,
      inputs.positions,
      jnp.minimum(place, num_examples - 1),
      place < num_examples,
      recipe.normalization,
    )
    seen = step.eval_step(
      state,
      batch,
      inputs.hparams,
      context,
      network=recipe.network,
      method=recipe.method,
    )
    return sums + seen, None

  starts = jnp.arange(num_batches, dtype=jnp.int32) * batch_size
  none = metrics.zeros(
    num_classes, clean=split.clean_label is not None, confidence=True
  )
  sums, _ = lax.scan(body, none, starts)
  return runner.psum(sums)
