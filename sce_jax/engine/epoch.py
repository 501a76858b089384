"""Many training steps in one dispatch: shuffling, augmenting, stepping.

Everything random is drawn from (seed, epoch) or (seed, step), so a run that
starts again inside an epoch sees the batches it would have seen.
"""

from collections.abc import Mapping
import dataclasses
import itertools
from typing import Any

from flax import linen as nn
import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Int
import optax

from sce_jax.data import augment, batches
from sce_jax.engine import metrics
from sce_jax.engine import step as step_lib
from sce_jax.engine.train_state import TrainState
from sce_jax.parallel.runners import Runner

# What a run's key is folded with, so that its parts are independent.
_INIT, _SHUFFLE, _AUGMENT, _SUBSET = range(4)


def init_key(key: jax.Array) -> jax.Array:
  """The key of a run's initial parameters."""
  return jax.random.fold_in(key, _INIT)


def subset_key(key: jax.Array) -> jax.Array:
  """The key of the examples on which a run is watched."""
  return jax.random.fold_in(key, _SUBSET)


@dataclasses.dataclass(frozen=True)
class Plan:
  """How an epoch is cut into steps and dispatches.

  Attributes:
    batch_size: examples of a full batch, over all devices.
    full_steps: number of full batches.
    remainder_size: examples of the last, partial batch that is trained on; 0 if
      there is none or it is dropped.
    dispatches: the sizes of an epoch's dispatches, in steps; the partial
      batch is a dispatch of its own, the last.
  """

  batch_size: int
  full_steps: int
  remainder_size: int
  dispatches: tuple[int, ...]

  @property
  def steps(self) -> int:
    """Number of steps of an epoch."""
    return sum(self.dispatches)

  def next_boundary(self, step: int) -> int:
    """Where the dispatch that begins at (or contains) a step ends."""
    epoch, within = divmod(step, self.steps)
    ends = itertools.accumulate(self.dispatches)
    return epoch * self.steps + next(end for end in ends if end > within)

  def is_partial(self, step: int) -> bool:
    """Whether the step is the one on the partial batch."""
    return step % self.steps == self.full_steps


def make_plan(config: Mapping[str, Any], num_examples: int) -> Plan:
  """The plan of an epoch over num_examples.

  Args:
    config: the `train` section of a config.
    num_examples: size of the training split.
  """
  full, rest = divmod(num_examples, config['batch_size'])
  last = rest if config['last_batch'] == 'train' else 0
  limit = config['steps_per_dispatch'] or full
  dispatches = [limit] * (full // limit)
  if full % limit:
    dispatches.append(full % limit)
  if last:
    dispatches.append(1)
  return Plan(config['batch_size'], full, last, tuple(dispatches))


def train_steps(
  state: TrainState,
  key: jax.Array,
  labels: Int[Array, ' M'],
  loss_parameters: Mapping[str, Array],
  split: batches.DeviceSplit,
  *,
  num_steps: int,
  partial: bool,
  plan: Plan,
  config: Mapping[str, Any],
  model: nn.Module,
  loss: step_lib.Loss,
  tx: optax.GradientTransformation,
  runner: Runner,
) -> tuple[TrainState, metrics.Sums]:
  """Takes the next steps of a run; they must lie in one epoch.

  Args:
    state: the run.
    key: the run's key.
    labels: the given labels of the training split.
    loss_parameters: the loss's hyper-parameters.
    split: the training split.
    num_steps: how many steps.
    partial: whether this is the one step on the epoch's partial batch.
    plan: the epoch's plan.
    config: the whole config.
    model: the network.
    loss: loss of one example.
    tx: optax chain.
    runner: the devices.

  Returns:
    The run, and what was counted so far in this epoch.
  """
  num_examples = labels.shape[0]
  epoch = state.step // plan.steps
  first = state.step % plan.steps
  order = jax.random.permutation(
    jax.random.fold_in(jax.random.fold_in(key, _SHUFFLE), epoch), num_examples
  )
  split = dataclasses.replace(split, label=labels)
  # A new epoch counts from nothing.
  state = dataclasses.replace(
    state,
    sums=jax.tree.map(
      lambda x: jnp.where(first == 0, jnp.zeros_like(x), x), state.sums
    ),
  )
  devices = runner.num_devices
  size = plan.remainder_size if partial else plan.batch_size
  # A partial batch is filled up to what the devices can share equally.
  filled = -(-size // devices) * devices

  def body(state, number):
    place = number * plan.batch_size + jnp.arange(filled, dtype=jnp.int32)
    positions = order[jnp.minimum(place, num_examples - 1)]
    mask = None
    if filled != size:
      mask = runner.shard(jnp.arange(filled, dtype=jnp.int32) < size)
    draws = augment.sample_params(
      jax.random.fold_in(jax.random.fold_in(key, _AUGMENT), state.step),
      filled,
      split.image.shape[1:],
      config['data']['augment'],
    )
    batch = batches.take(
      split,
      runner.shard(positions),
      mask,
      config['data'],
      jax.tree.map(runner.shard, draws),
    )
    state = step_lib.train_step(
      state,
      batch,
      loss_parameters,
      model=model,
      loss=loss,
      tx=tx,
      runner=runner,
    )
    return state, None

  numbers = first + jnp.arange(num_steps, dtype=jnp.int32)
  state, _ = lax.scan(body, state, numbers)
  return state, state.sums
