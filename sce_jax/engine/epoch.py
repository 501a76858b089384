"""Many training steps in one dispatch: shuffling, augmenting, stepping."""

import dataclasses

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Int

from sce_jax.data import augment, batches
from sce_jax.engine import metrics, randomness, step
from sce_jax.engine.order import epoch_order
from sce_jax.engine.plan import Dispatch
from sce_jax.engine.predict import activations
from sce_jax.engine.recipe import Recipe
from sce_jax.engine.train_state import RunInputs, TrainState


def train_steps(
  state: TrainState,
  inputs: RunInputs,
  given: tuple[batches.DeviceSplit, Int[Array, '']],
  fed: batches.Fed | None = None,
  *,
  dispatch: Dispatch,
  recipe: Recipe,
) -> tuple[TrainState, tuple[metrics.Sums, dict[str, jax.Array]]]:
  """Takes the next steps of a run; they must lie in one epoch.

  Args:
    state: the run.
    inputs: its key, examples, labels and hyper-parameters.
    given: the training split, and how many blocks of steps to take.
    fed: this device's share of each step's pixels, where they are streamed;
      behind those of the steps to take there may be others.
    dispatch: the size of a block, and where in the epoch it is.
    recipe: what the program is compiled from.

  Returns:
    The run; what was counted so far in this epoch; and at the end of an epoch
    the method's figures of it.
  """
  (split, num_blocks), plan, runner = given, recipe.plan, recipe.runner
  key = inputs.key
  first = state.step % plan.steps
  order = None
  if fed is None:
    order = epoch_order(
      inputs, state.step // plan.steps, plan, recipe.num_classes
    )
  # A new epoch counts from zero.
  state = dataclasses.replace(
    state,
    sums=jax.tree.map(
      lambda x: jnp.where(first == 0, jnp.zeros_like(x), x), state.sums
    ),
  )
  devices = runner.num_devices
  size = plan.remainder_size if dispatch.is_partial else plan.batch_size
  filled = plan.filled(dispatch.is_partial, devices)

  def body(state, xs):
    number, given = xs
    if given is None:
      place = number * plan.batch_size + jnp.arange(filled, dtype=jnp.int32)
      places = runner.shard(order[jnp.minimum(place, order.size - 1)])
      pixels = second_pixels = None
    else:
      places, pixels = given.place, given.image
      second_pixels = pixels
      if given.second_image is not None:
        second_pixels = given.second_image
    mask = None
    if filled != size:
      mask = runner.shard(jnp.arange(filled, dtype=jnp.int32) < size)

    def take(augment_key, pixels):
      config, augmentation = recipe.augment_config, None
      if config.is_on:
        params = augment.sample_params(
          augment_key, filled, split.pixel_mean.shape, config
        )
        augmentation = jax.tree.map(runner.shard, params), config
      return batches.take(
        split,
        inputs.labels,
        inputs.positions,
        places,
        mask,
        recipe.normalization,
        augmentation,
        pixels,
      )

    batch = take(randomness.augment_key(key, state.step), pixels)
    if recipe.method.two_views:
      second_key = randomness.second_augment_key(key, state.step)
      second = take(second_key, second_pixels)
      batch = batch.replace(second_image=second.image)
    state = step.train_step(
      state,
      batch,
      inputs.hparams,
      recipe.context(key, state.step, split.size),
      network=recipe.network,
      method=recipe.method,
      runner=runner,
    )
    return state, None

  def block(number, state):
    numbers = jnp.arange(dispatch.block, dtype=jnp.int32)
    start = number * dispatch.block
    own = jax.tree.map(
      lambda x: lax.dynamic_slice_in_dim(x, start, dispatch.block), fed
    )
    return lax.scan(body, state, (first + start + numbers, own))[0]

  # Their number is an argument: see pace.py.
  state = lax.fori_loop(jnp.int32(0), num_blocks, block, state)
  figures: dict[str, jax.Array] = {}
  if dispatch.ends_epoch:

    def features(state, num):
      return activations(state, inputs, split, num, recipe=recipe)

    state, figures = step.end_epoch(
      state,
      features,
      inputs.hparams,
      recipe.context(key, state.step, split.size),
      method=recipe.method,
    )
  return state, (state.sums, figures)
