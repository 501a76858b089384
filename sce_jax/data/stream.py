"""Batches that the host prepares ahead of use: the file that knows grain.

A batch is a pure function of its number: which examples it has, and how their
images are cropped, from (seed, epoch, example). So the number of the next batch
is all the state that reading has. A checkpoint has it, as its step: from there
on the batches are the same again, whatever the number of workers or hosts.
"""

from collections.abc import Iterator
import dataclasses
import functools
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

from absl import flags
from jaxtyping import Int, Int32, Shaped, UInt8
import numpy as np

from sce_jax.data import crops, threads
from sce_jax.data.records import Records
from sce_jax.errors import UserError

if TYPE_CHECKING:  # Which would cost each worker process a second.
  from sce_jax.data.dataset import Split
  from sce_jax.data.info import DatasetInfo

# Kept apart from a generator of the same seed elsewhere.
_CROP = 0x63726F70
# Batches that are ready beside those that are being made.
_READY = 2
# Above so many cores threads wait for each other; then processes decode.
_MOST_THREADS = 8


@dataclasses.dataclass(frozen=True)
class Order:
  """Which examples each batch has.

  Attributes:
    positions: a run's examples, as rows of the split.
    order: an .npy file, [E, M]: of each epoch from `first_epoch` on, their
      places; None: as they stand, epoch after epoch. A file, so that worker
      processes share it.
    first_epoch: of the file.
    batch_size: over all devices.
    sizes: of each batch of an epoch with what fills it up, over all devices:
      that of the full ones and that of the last.
    num_batches: of an epoch.
    share: this process's part of a batch, as a share's (start, stop, of).
  """

  positions: Int[np.ndarray, ' P']
  order: str | None
  first_epoch: int
  batch_size: int
  sizes: tuple[int, int]
  num_batches: int
  share: tuple[int, int, int]

  def batch(
    self, number: int
  ) -> tuple[int, Int32[np.ndarray, ' b'], Int[np.ndarray, ' b']]:
    """Of a batch, counted from the first epoch on: this process's part.

    Returns:
      Its epoch; the examples' places, behind the last one where `order` is None
      and they only fill up; and their rows in the split.
    """
    epoch, within = divmod(number, self.num_batches)
    size = self.sizes[within == self.num_batches - 1]
    start, stop, of = self.share
    place = np.arange(size * start // of, size * stop // of, dtype=np.int32)
    place += within * self.batch_size
    if self.order is None:
      last = len(self.positions) - 1
      return epoch, place, self.positions[np.minimum(place, last)]
    order = _open(self.order)[epoch - self.first_epoch]
    place = np.asarray(order[np.minimum(place, len(order) - 1)])
    return epoch, place, self.positions[place]


@functools.lru_cache(maxsize=2)
def _open(file: str) -> np.ndarray:
  return np.load(file, mmap_mode='r', allow_pickle=False)


@dataclasses.dataclass(frozen=True)
class Pixels:
  """Where pixels come from, and how they are cropped.

  Attributes:
    images: an array, whose rows are taken as they are; or JPEGs.
    size: of the square that JPEGs are cropped to.
    crop: a key of crops.CROPS.
    seed: of random crops.
    views: how often each example is cropped, 1 or 2.
  """

  images: Shaped[np.ndarray, 'N ...'] | Records
  size: int
  crop: str = 'center'
  seed: int = 0
  views: int = 1

  def take(
    self, rows: Int[np.ndarray, ' b'], epoch: int
  ) -> list[Shaped[np.ndarray, 'b ...']]:
    """The pixels of some examples in an epoch, once for each view.

    Raises:
      UserError: an image cannot be decoded.
    """
    if not isinstance(self.images, Records):
      return [self.images[rows]]
    made = np.empty((self.views, len(rows), self.size, self.size, 3), np.uint8)
    contents = self.images.read(rows)
    for i, (row, content) in enumerate(zip(rows, contents, strict=True)):
      for view in range(self.views):
        key = _CROP, self.seed, epoch, int(row), view
        rng = np.random.default_rng(key)
        try:
          made[view, i] = crops.CROPS[self.crop](content, self.size, rng)
        except ValueError as error:
          where = _where(self.images, int(row))
          raise UserError(
            f'{where} is no whole JPEG ({error}): remove this file, so that it'
            ' is prepared again'
          ) from None
    return list(made)


def _where(images: Records, row: int) -> str:
  """The file and record of an example, for messages."""
  record, ends = int(images.record[row]), np.cumsum(images.sizes)
  k = int(np.searchsorted(ends, record, side='right'))
  return f'{images.files[k]}: record {record - int(ends[k]) + images.sizes[k]}'


class _Source:
  """The batches of a run by their numbers, as grain wants them."""

  def __init__(
    self, pixels: Pixels, order: Order, first: int, stop: int | None
  ):
    self._pixels, self._order = pixels, order
    self._first = first
    # grain asks for a length.
    self._stop = 2**40 if stop is None else stop

  def __len__(self) -> int:
    return self._stop - self._first

  def __getitem__(self, index: int) -> dict[str, np.ndarray]:
    epoch, place, rows = self._order.batch(self._first + index)
    image, *second = self._pixels.take(rows, epoch)
    batch = {'place': place, 'image': image}
    return batch | ({'second_image': second[0]} if second else {})


def batches(
  pixels: Pixels,
  order: Order,
  first: int = 0,
  stop: int | None = None,
  workers: int | None = None,
) -> Any:
  """The batches of this process, prepared ahead.

  Args:
    pixels: where pixels come from.
    order: which examples each batch has.
    first: the number of the first batch.
    stop: the number behind the last; None: there is no last.
    workers: processes that prepare them; 0: threads of this process, one for
      each core; None: chosen, see `choose_workers`.

  Returns:
    An iterator over 'place', 'image' and, with two views, 'second_image', to be
    closed by its `close`.
  """
  import grain  # noqa: PLC0415  Takes 0.3 s, and few runs stream.

  if workers is None:
    workers = choose_workers(pixels)
  num_threads = 1 if workers else threads.num_cores()
  dataset: Any = grain.MapDataset.source(
    _Source(pixels, order, first, stop)
  ).to_iter_dataset(
    grain.ReadOptions(
      num_threads=num_threads, prefetch_buffer_size=num_threads + _READY
    )
  )
  if workers:
    if not flags.FLAGS.is_parsed():  # grain reads its own; ours are not these.
      flags.FLAGS.mark_as_parsed()
    dataset = dataset.mp_prefetch(
      grain.MultiprocessingOptions(
        num_workers=workers, per_worker_buffer_size=_READY
      ),
      worker_init_fn=_begin_worker,
    )
  return iter(dataset)


def _begin_worker(index: int, count: int) -> None:
  """A worker ends when its parent does, and not before.

  A signal may reach all processes of a job. The parent answers it: it saves
  after the current dispatch, for which it needs its workers. Should it be
  killed, nobody else would end them.
  """
  del index, count
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  signal.signal(signal.SIGTERM, signal.SIG_IGN)
  threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
  while os.getppid() == parent:
    time.sleep(1)
  os._exit(1)


def choose_workers(pixels: Pixels) -> int:
  """How many processes prepare batches; 0: threads of this one do.

  Threads do where there is nothing to decode, or are few cores: decoders
  release the interpreter's lock, but what remains would hold up many.
  """
  cores = threads.num_cores()
  if not isinstance(pixels.images, Records) or cores <= _MOST_THREADS:
    return 0
  return cores


def evaluated(
  images: Records, size: int, at_a_time: int
) -> Iterator[UInt8[np.ndarray, 'b H W 3']]:
  """Images as evaluations see them, in order, so many at a time."""
  num = len(images)
  order = Order(
    np.arange(num), None, 0, at_a_time, (at_a_time, at_a_time), 1, (0, 1, 1)
  )
  num_batches = -(-num // at_a_time)
  order = dataclasses.replace(order, num_batches=num_batches)
  made = batches(Pixels(images, size), order, stop=num_batches)
  try:
    for number, batch in enumerate(made):
      yield batch['image'][: num - number * at_a_time]
  finally:
    made.close()


def look_at(
  split: 'Split', info: 'DatasetInfo', rows: Int[np.ndarray, ' M']
) -> Shaped[np.ndarray, 'M ...']:
  """Some images of a split as evaluations see them."""
  return Pixels(split.image, info.image_shape[0]).take(rows, 0)[0]
