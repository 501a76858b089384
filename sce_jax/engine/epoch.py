"""Many training steps in one dispatch: shuffling, augmenting, stepping."""

import dataclasses

import jax
from jax import lax
import jax.numpy as jnp

from sce_jax.data import augment, batches
from sce_jax.engine import metrics, randomness, step
from sce_jax.engine.plan import Dispatch
from sce_jax.engine.predict import activations
from sce_jax.engine.recipe import Recipe
from sce_jax.engine.train_state import RunInputs, TrainState


def train_steps(
  state: TrainState,
  inputs: RunInputs,
  split: batches.DeviceSplit,
  *,
  dispatch: Dispatch,
  recipe: Recipe,
) -> tuple[TrainState, tuple[metrics.Sums, dict[str, jax.Array]]]:
  """Takes the next steps of a run; they must lie in one epoch.

  Args:
    state: the run.
    inputs: its key, examples, labels and hyper-parameters.
    split: the training split.
    dispatch: how many steps, and where in the epoch.
    recipe: what the program is compiled from.

  Returns:
    The run; what was counted so far in this epoch; and at the end of an epoch
    the method's figures of it.
  """
  plan, runner = recipe.plan, recipe.runner
  key, num_examples = inputs.key, inputs.labels.shape[0]
  epoch = state.step // plan.steps
  first = state.step % plan.steps
  order = jax.random.permutation(
    randomness.shuffle_key(key, epoch), num_examples
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
  # A partial batch is filled up to what the devices can share equally.
  filled = -(-size // devices) * devices
  split_size = split.image.shape[0]

  def body(state, number):
    place = number * plan.batch_size + jnp.arange(filled, dtype=jnp.int32)
    places = order[jnp.minimum(place, num_examples - 1)]
    mask = None
    if filled != size:
      mask = runner.shard(jnp.arange(filled, dtype=jnp.int32) < size)

    def take(augment_key):
      config, augmentation = recipe.augment_config, None
      if config.is_on:
        params = augment.sample_params(
          augment_key, filled, split.image.shape[1:], config
        )
        augmentation = jax.tree.map(runner.shard, params), config
      return batches.take(
        split,
        inputs.labels,
        inputs.positions,
        runner.shard(places),
        mask,
        recipe.normalization,
        augmentation,
      )

    batch = take(randomness.augment_key(key, state.step))
    if recipe.method.two_views:
      second = take(randomness.second_augment_key(key, state.step))
      batch = batch.replace(second_image=second.image)
    state = step.train_step(
      state,
      batch,
      inputs.hparams,
      recipe.context(key, state.step, split_size),
      network=recipe.network,
      method=recipe.method,
      runner=runner,
    )
    return state, None

  numbers = first + jnp.arange(dispatch.num_steps, dtype=jnp.int32)
  state, _ = lax.scan(body, state, numbers)
  figures: dict[str, jax.Array] = {}
  if dispatch.ends_epoch:

    def features(state, num):
      return activations(state, inputs, split, num, recipe=recipe)

    state, figures = step.end_epoch(
      state,
      features,
      inputs.hparams,
      recipe.context(key, state.step, split_size),
      method=recipe.method,
    )
  return state, (state.sums, figures)
