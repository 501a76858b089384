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
  fed: batches.Fed | None = None,
  *,
  num_classes: int,
  recipe: Recipe,
) -> metrics.Sums:
  """Sums over examples of a split, on the device, in one dispatch.

  The last batch is filled up with examples that are masked out. Of a split that
  is streamed these are the sums over the batches that are fed.

  Args:
    state: the run.
    inputs: which examples with which labels, and the hyper-parameters.
    split: where they lie.
    fed: this device's share of some batches' pixels, where they are streamed.
    num_classes: number of classes.
    recipe: what the program is compiled from.
  """
  runner = recipe.runner
  num_examples = inputs.labels.shape[0]
  batch_size, num_batches = recipe.eval_batches(num_examples)
  context = recipe.context(inputs.key, state.step, split.size)

  def body(sums, xs):
    start, given = xs
    if given is None:
      place = runner.shard(start + jnp.arange(batch_size, dtype=jnp.int32))
      pixels = None
    else:
      place, pixels = given.place, given.image
    batch = batches.take(
      split,
      inputs.labels,
      inputs.positions,
      jnp.minimum(place, num_examples - 1),
      place < num_examples,
      recipe.normalization,
      pixels=pixels,
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

  starts = None
  if fed is None:
    starts = jnp.arange(num_batches, dtype=jnp.int32) * batch_size
  none = metrics.zeros(
    num_classes, clean=split.clean_label is not None, confidence=True
  )
  sums, _ = lax.scan(body, none, (starts, fed))
  return runner.psum(sums)
