"""Batches that the host prepares: which examples, and which pixels of them."""

import itertools
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from sce_jax import errors
from sce_jax.data import stream
from tests import conftest
from tests.data import jpegs

SIZE = 16


@pytest.fixture(scope='module')
def images(tmp_path_factory):
  """Ten images of several sizes, whose blue tells which one it is."""
  rng = np.random.default_rng(0)
  folder = tmp_path_factory.mktemp('records')
  sizes = rng.integers(20, 40, (10, 2)).tolist()
  return jpegs.write(
    folder, [jpegs.smooth(*size, blue=20 * i) for i, size in enumerate(sizes)]
  )


@pytest.fixture
def order(tmp_path):
  """Two epochs, 3 and 4, of the examples 9, 7, 5, 3, 1: batches of 2 and 1."""
  file = tmp_path / 'order.npy'
  np.save(file, np.array([[4, 3, 2, 1, 0], [0, 2, 4, 1, 3]], np.int32))
  return make_order(str(file), positions=np.array([9, 7, 5, 3, 1]))


def make_order(file, **changes):
  values = {
    'positions': np.arange(10),
    'first_epoch': 3,
    'batch_size': 2,
    'sizes': (2, 2),
    'num_batches': 3,
    'share': (0, 1, 1),
  }
  return stream.Order(order=file, **(values | changes))


def read(pixels, order, first, stop, workers=0):
  made = stream.batches(pixels, order, first, stop, workers)
  try:
    return list(itertools.islice(made, 20))
  finally:
    made.close()


def which(batch):
  return np.rint(batch['image'][:, 0, 0, 2] / 20).astype(int).tolist()


def test_an_epoch_has_its_order(order, images):
  batches = read(stream.Pixels(images, SIZE), order, 9, 15)
  places = [b['place'].tolist() for b in batches]
  # The last batch is filled up with the last example.
  assert places == [[4, 3], [2, 1], [0, 0], [0, 2], [4, 1], [3, 3]]
  assert [which(b) for b in batches] == [
    [1, 3],
    [5, 7],
    [9, 9],
    [9, 5],
    [1, 7],
    [3, 3],
  ]


def test_an_evaluation_has_every_example_once_again_and_again(images):
  order = make_order(
    None, first_epoch=0, batch_size=4, sizes=(4, 4), num_batches=3
  )
  batches = read(stream.Pixels(images, SIZE), order, 0, 6)
  places = np.concatenate([b['place'] for b in batches])
  # Places from 10 on only fill up, and are masked out by the program.
  assert places.tolist() == list(range(12)) * 2
  seen = np.concatenate([which(b) for b in batches])
  assert seen.tolist() == [*range(10), 9, 9] * 2


def test_hosts_read_disjoint_shares(order, images):
  pixels = stream.Pixels(images, SIZE)
  (whole,) = read(pixels, order, 9, 10)
  parts = [
    read(pixels, stream.dataclasses.replace(order, share=share), 9, 10)[0]
    for share in ((0, 1, 2), (1, 2, 2))
  ]
  assert [len(part['place']) for part in parts] == [1, 1]
  for name in whole:
    np.testing.assert_array_equal(
      np.concatenate([part[name] for part in parts]), whole[name]
    )


def random_pixels(images, **changes):
  values = {'crop': 'random', 'seed': 7, 'views': 2}
  return stream.Pixels(images, SIZE, **(values | changes))


@pytest.fixture
def undisturbed(order, images):
  return read(random_pixels(images), order, 9, 15)


def check_same(batches, expected):
  assert len(batches) == len(expected)
  for batch, other in zip(batches, expected, strict=True):
    assert batch.keys() == other.keys()
    for name, values in batch.items():
      np.testing.assert_array_equal(values, other[name])


def test_from_any_batch_on_they_are_the_same(order, images, undisturbed):
  for first in range(10, 15):
    check_same(
      read(random_pixels(images), order, first, 15), undisturbed[first - 9 :]
    )


@pytest.mark.process
def test_any_number_of_workers_makes_the_same(order, images, undisturbed):
  # Begun by this process's threads, continued by two others.
  batches = read(random_pixels(images), order, 10, 15, workers=2)
  check_same(batches, undisturbed[1:])


_KILLED = """
import multiprocessing, os, signal
import numpy as np
from sce_jax.data import stream
order = stream.Order(np.arange(4), None, 0, 4, (4, 4), 1, (0, 1, 1))
if __name__ == '__main__':
  images = np.zeros((4, 8, 8, 1), np.uint8)
  made = stream.batches(stream.Pixels(images, 8), order, workers=2)
  next(made), next(made)  # Both have begun.
  workers = multiprocessing.active_children()
  for worker in workers:  # As a signal to a whole group reaches them.
    os.kill(worker.pid, signal.SIGTERM)
    os.kill(worker.pid, signal.SIGINT)
  for _ in range(8):
    next(made)
  print(*(worker.pid for worker in workers), flush=True)
  os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.process
def test_workers_outlive_signals_but_not_their_parent(tmp_path):
  script = tmp_path / 'script.py'
  script.write_text(_KILLED)
  done = subprocess.run(
    [sys.executable, str(script)],
    env={**os.environ, 'PYTHONPATH': str(conftest.REPOSITORY)},
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == -signal.SIGKILL, done.stderr
  pids = [int(pid) for pid in done.stdout.split()]
  assert len(pids) == 2
  folders = [pathlib.Path('/proc', str(pid)) for pid in pids]
  for _ in range(1200):
    if not any(folder.exists() for folder in folders):
      return
    time.sleep(0.1)
  pytest.fail('the workers are left')


def test_crops_belong_to_seed_epoch_example_and_view(order, images):
  def crop(row, epoch, **changes):
    return random_pixels(images, **changes).take(np.array([row]), epoch)

  first, second = crop(5, 3)
  beside = random_pixels(images).take(np.array([2, 5, 8]), 3)
  np.testing.assert_array_equal(beside[0][1], first[0])
  np.testing.assert_array_equal(beside[1][1], second[0])
  others = [second, crop(5, 4)[0], crop(5, 3, seed=8)[0]]
  assert not any(np.array_equal(first, other) for other in others)


def test_arrays_are_taken_as_they_are(order):
  array = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
  batches = read(stream.Pixels(array, 3), order, 9, 12)
  np.testing.assert_array_equal(batches[1]['image'], array[[5, 7]])


def test_evaluated_images_come_in_order_and_pieces(images):
  pieces = list(stream.evaluated(images, SIZE, 4))
  assert [len(piece) for piece in pieces] == [4, 4, 2]
  assert which({'image': np.concatenate(pieces)}) == list(range(10))


@pytest.mark.faults
@pytest.mark.parametrize('workers', [0, 1])
def test_an_image_that_cannot_be_decoded_is_named(workers, tmp_path):
  broken = jpegs.write(tmp_path, [jpegs.smooth(20, 20), b'no JPEG'])
  order = make_order(None, positions=np.arange(2), first_epoch=0)
  with pytest.raises(errors.UserError, match=r'0\.array_record.*record 1'):
    read(stream.Pixels(broken, SIZE), order, 0, 1, workers)
