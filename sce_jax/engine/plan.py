"""How an epoch is cut into steps, and steps into dispatches."""

import dataclasses
import itertools
import math

from sce_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class TrainConfig:
  """The `train` section of a config; config/base.py explains each field."""

  epochs: int
  batch_size: int
  drop_remainder: bool
  balanced_batches: int | None
  steps_per_dispatch: int | None
  runner: str
  record_averages: bool
  record_margins: bool


@dataclasses.dataclass(frozen=True)
class Plan:
  """How an epoch is cut into steps and dispatches.

  Attributes:
    batch_size: examples of a full batch, over all devices.
    full_steps: number of full batches.
    remainder_size: examples of the last, partial batch that is trained on; 0 if
      there is none or it is dropped.
    dispatches: the sizes of an epoch's dispatches, in steps, where they are not
      cut shorter; the partial batch is a separate dispatch, the last.
    is_balanced: whether an epoch draws as many examples of each class, instead
      of taking each example once.
    block: how many steps the program takes before it looks whether it is done;
      it divides all dispatches of full batches.
  """

  batch_size: int
  full_steps: int
  remainder_size: int
  dispatches: tuple[int, ...]
  is_balanced: bool = False
  block: int = 1

  @property
  def steps(self) -> int:
    """Number of steps of an epoch."""
    return sum(self.dispatches)

  @property
  def images(self) -> int:
    """Number of examples that are trained on in an epoch."""
    return self.batch_size * self.full_steps + self.remainder_size

  def filled(self, is_partial: bool, num_devices: int) -> int:
    """Size of a batch with what fills it up for all devices to share it."""
    size = self.remainder_size if is_partial else self.batch_size
    return -(-size // num_devices) * num_devices

  def in_blocks(self, most: int) -> 'Plan':
    """The same plan in the largest blocks of at most so many steps."""
    full = self.dispatches[: len(self.dispatches) - bool(self.remainder_size)]
    whole = math.gcd(*full)
    block = max(n for n in range(1, most + 1) if whole % n == 0)
    return dataclasses.replace(self, block=block)

  def next_boundary(self, step: int, most: int | None = None) -> int:
    """Where the dispatch that begins at (or contains) a step ends.

    Args:
      step: the step.
      most: how many steps it has at most, rounded to blocks; None: any number.
    """
    epoch, within = divmod(step, self.steps)
    ends = itertools.accumulate(self.dispatches)
    end = next(end for end in ends if end > within)
    if most is not None:
      # To the end of a block, or whole blocks.
      size = self.block - within % self.block
      if size == self.block:
        size *= max(most // self.block, 1)
      end = min(end, within + size)
    return epoch * self.steps + end

  def dispatch(self, step: int, most: int | None = None) -> 'Dispatch':
    """The dispatch from a step on, up to its end; see `next_boundary`."""
    end = self.next_boundary(step, most)
    is_partial = step % self.steps == self.full_steps
    size = end - step
    blocks = not (is_partial or size % self.block or step % self.block)
    return Dispatch(
      size, is_partial, end % self.steps == 0, self.block if blocks else 1
    )


@dataclasses.dataclass(frozen=True)
class Dispatch:
  """Some steps in one dispatch; all but their number is compiled in.

  Attributes:
    num_steps: number of steps.
    is_partial: whether it is the one step on the epoch's partial batch.
    ends_epoch: whether it ends an epoch.
    block: how many steps it takes before it looks whether it is done.
  """

  num_steps: int
  is_partial: bool
  ends_epoch: bool
  block: int = 1


def make_plan(
  train_config: TrainConfig, num_examples: int, most_steps: int | None = None
) -> Plan:
  """The plan of an epoch over num_examples.

  Args:
    train_config: the `train` section of a config.
    num_examples: number of training examples.
    most_steps: of a dispatch, where the config names no number; None: an epoch.

  Raises:
    UserError: there are fewer examples than an epoch is to draw.
  """
  full, rest = divmod(num_examples, train_config.batch_size)
  balanced = train_config.balanced_batches
  if balanced is not None:
    if balanced > full:
      raise UserError(
        f'config.train.balanced_batches is {balanced}, but {num_examples}'
        f' examples are only {full} batches of {train_config.batch_size}: make'
        ' it smaller'
      )
    full, rest = balanced, 0
  last = 0 if train_config.drop_remainder else rest
  limit = train_config.steps_per_dispatch or min(full, most_steps or full)
  dispatches = [limit] * (full // limit)
  if full % limit:
    dispatches.append(full % limit)
  if last:
    dispatches.append(1)
  return Plan(
    train_config.batch_size,
    full,
    last,
    tuple(dispatches),
    balanced is not None,
  )
