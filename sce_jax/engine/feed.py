"""How pixels reach the compiled program where a split is not on the device.

The program scans over `batches.Fed`, a dispatch's batches, beside what lies on
the device of every split: labels are few bytes, pixels are many. While a
dispatch runs, a thread stacks the batches of the next one and hands them to the
devices.
"""

from collections.abc import Iterable
from concurrent import futures
import functools
import itertools
import pathlib
import tempfile
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sce_jax.data import stream
from sce_jax.data.batches import Fed
from sce_jax.data.data_config import DataConfig
from sce_jax.data.dataset import Dataset
from sce_jax.engine import order as order_lib
from sce_jax.engine.recipe import Recipe
from sce_jax.engine.train_state import RunInputs

# About so many bytes of pixels a process hands over in a dispatch, where the
# config does not say how many steps that has. Up to three are under way. Fewer
# steps, see pace.py, leave part of it empty: another size would be compiled.
DISPATCH_BYTES = 2**27


def steps_within(batch_size: int, image_shape: tuple[int, ...]) -> int:
  """How many batches of such images make a dispatch."""
  return max(1, DISPATCH_BYTES // (batch_size * int(np.prod(image_shape))))


class StreamFeed:
  """Streams a data set's splits to the devices.

  Args:
    dataset: the data set.
    data_config: the `data` section of the config.
    recipe: what the program is compiled from.

  Attributes:
    waited: the seconds that devices have waited for input, at most: a dispatch
      was over before the next one's pixels were there.
  """

  def __init__(self, dataset: Dataset, data_config: DataConfig, recipe: Recipe):
    self._dataset = dataset
    self._config = data_config
    self._recipe = recipe
    self._folder = tempfile.TemporaryDirectory(prefix='sce_jax_orders')
    # A run, and what is being prepared for it: at which step, at most how many.
    self._training: tuple[RunInputs, tuple[int, int | None], _Ahead] | None = (
      None
    )
    self._most: int | None = None
    self._evaluations: dict[str, tuple[jax.Array, _Ahead]] = {}
    local = recipe.runner.local_devices
    self._share = local.start, local.stop, recipe.runner.num_devices
    self.waited = 0.0

  def train(
    self,
    inputs: RunInputs,
    step: int,
    before: Any,
    most: int | None = None,
    then: int | None = None,
  ) -> Fed:
    """The pixels of the dispatch at a step.

    Those that follow are being prepared already. Another step than theirs,
    another number of steps or another run begins anew there.

    Args:
      inputs: the run's.
      step: the number of steps done.
      before: a result of the dispatch before, to see whether it is over.
      most: how many steps it has at most; None: any number.
      then: the same of the next dispatch.
    """
    kept = self._training
    if kept is None or kept[0] is not inputs or kept[1] != (step, most):
      if kept is not None:
        kept[2].close()
      self._most = most
      kept = inputs, (step, most), self._start_training(inputs, step)
    after = self._recipe.plan.next_boundary(step, most)
    self._training, self._most = (inputs, (after, then), kept[2]), then
    return self._timed(kept[2], before)

  def num_evaluations(self, inputs: RunInputs) -> int:
    """In how many dispatches some examples are evaluated."""
    return len(self._evaluation_sizes(len(inputs.labels)))

  def evaluate(self, inputs: RunInputs, split: str, before: Any) -> Fed:
    """The pixels of the next dispatch of an evaluation.

    `num_evaluations` of them have each example once, those after them again.

    Args:
      inputs: which examples.
      split: 'train', 'test' or 'validation'.
      before: as in `train`.
    """
    kept = self._evaluations.get(split)
    if kept is None or kept[0] is not inputs.positions:
      if kept is not None:
        kept[1].close()
      # It repeats without end, so that the next evaluation finds its first
      # batches ready.
      kept = inputs.positions, self._start_evaluation(inputs, split)
      self._evaluations[split] = kept
    return self._timed(kept[1], before)

  def close(self) -> None:
    """Ends what is being prepared."""
    ahead = [kept[1] for kept in self._evaluations.values()]
    if self._training is not None:
      ahead.append(self._training[2])
    for each in ahead:
      each.close()
    self._training, self._evaluations = None, {}
    self._folder.cleanup()

  def _timed(self, ahead: '_Ahead', before: Any) -> Fed:
    start = time.monotonic()
    fed = ahead.take()
    if before.is_ready():
      self.waited += time.monotonic() - start
    return fed

  def _start_training(self, inputs: RunInputs, step: int) -> '_Ahead':
    recipe, plan = self._recipe, self._recipe.plan
    first = step // plan.steps
    num_devices = recipe.runner.num_devices
    full, last = (plan.filled(x, num_devices) for x in (False, True))
    order = stream.Order(
      positions=np.asarray(inputs.positions),
      order=self._write_orders(inputs, first),
      first_epoch=first,
      batch_size=plan.batch_size,
      sizes=(full, last if plan.remainder_size else full),
      num_batches=plan.steps,
      share=self._share,
    )
    two = recipe.method.two_views and self._config.augment.crop != 'center'
    pixels = stream.Pixels(
      self._dataset.train.image,
      self._dataset.info.image_shape[0],
      self._config.augment.crop,
      # Of the run's key, which has no other number that lasts.
      int(np.asarray(jax.random.key_data(inputs.key))[-1]),
      views=1 + two,
    )
    stop = recipe.num_epochs * plan.steps

    def sizes():
      at = step
      while at < stop:
        end = plan.next_boundary(at, self._most)
        is_partial = at % plan.steps == plan.full_steps
        yield end - at, 1 if is_partial else plan.dispatches[0]
        at = end

    batches = stream.batches(pixels, order, step, stop, self._config.workers)
    return _Ahead(batches, sizes(), recipe.runner.place_batches)

  def _write_orders(self, inputs: RunInputs, first: int) -> str:
    """The orders of all epochs from one on, in a file."""
    name = f'{time.monotonic_ns()}.npy'
    file = str(pathlib.Path(self._folder.name, name))
    make = jax.jit(
      functools.partial(
        order_lib.epoch_order,
        plan=self._recipe.plan,
        num_classes=self._recipe.num_classes,
      )
    )
    epochs = range(first, self._recipe.num_epochs)
    length = jax.eval_shape(make, inputs, jnp.int32(first)).shape
    orders = np.lib.format.open_memmap(
      file, 'w+', np.int32, (len(epochs), *length)
    )
    for i, epoch in enumerate(epochs):
      orders[i] = make(inputs, jnp.int32(epoch))
    orders.flush()
    return file

  def _start_evaluation(self, inputs: RunInputs, split: str) -> '_Ahead':
    examples = getattr(self._dataset, split)
    size, _ = self._recipe.eval_batches(len(inputs.labels))
    dispatches = self._evaluation_sizes(len(inputs.labels))
    order = stream.Order(
      positions=np.asarray(inputs.positions),
      order=None,
      first_epoch=0,
      batch_size=size,
      sizes=(size, size),
      num_batches=sum(dispatches),
      share=self._share,
    )
    pixels = stream.Pixels(examples.image, self._dataset.info.image_shape[0])
    return _Ahead(
      stream.batches(pixels, order, workers=self._config.workers),
      itertools.cycle((size, size) for size in dispatches),
      self._recipe.runner.place_batches,
    )

  def _evaluation_sizes(self, num_examples: int) -> list[int]:
    """The sizes of an evaluation's dispatches, in batches; all are equal.

    The last may have batches without examples, fewer than there are dispatches.
    """
    size, number = self._recipe.eval_batches(num_examples)
    most = steps_within(size, self._dataset.info.image_shape)
    dispatches = -(-number // most)
    return [-(-number // dispatches)] * dispatches


class _Ahead:
  """Stacks the batches of dispatches, one ahead of the one that is taken.

  Args:
    batches: an iterator over them.
    sizes: of each dispatch how many, and for how many there is room.
    place: hands them to the devices.
  """

  def __init__(
    self, batches: Any, sizes: Iterable[tuple[int, int]], place: Any
  ):
    self._batches = batches
    self._sizes = iter(sizes)
    self._place = place
    self._pool = futures.ThreadPoolExecutor(1)
    self._next: futures.Future | None = self._submit()

  def _submit(self) -> futures.Future | None:
    size = next(self._sizes, None)
    return None if size is None else self._pool.submit(self._make, *size)

  def _make(self, size: int, room: int) -> Fed:
    made = [next(self._batches) for _ in range(size)]
    made += made[:1] * (room - size)  # Which nobody looks at.
    stacked = jax.tree.map(lambda *parts: np.stack(parts), *made)
    return self._place(Fed(**stacked))

  def take(self) -> Fed:
    """The next dispatch; waits for it."""
    assert self._next is not None
    fed = self._next.result()
    self._next = self._submit()
    return fed

  def close(self) -> None:
    """Ends the thread, and what prepares the batches."""
    self._pool.shutdown(cancel_futures=True)
    self._batches.close()
