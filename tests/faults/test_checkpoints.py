"""Each file of a checkpoint, damaged in each way: never silently wrong."""

import dataclasses
import errno
import importlib
import os
import resource

import jax
import numpy as np
import pytest

from sce_jax.errors import UserError, is_of_machine
from sce_jax.runs.checkpointing import Checkpoints, restore_newest
from sce_jax.storage import paths
from tests import synthetic
from tests.faults import inject

pytestmark = [
  pytest.mark.faults,
  # Of damaged files tensorstore reads on when orbax has given up.
  pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning'),
]


@pytest.fixture(scope='module')
def states(small_network):
  """Two different states of a run with batch norm, and their shapes."""
  config = synthetic.config()
  config.model.name = 'digits_cnn'
  trainer, inputs, _ = synthetic.program([config])
  like = trainer.abstract_state()
  first = jax.device_get(trainer.init(inputs))
  # Of ordinary digits: what compresses to nothing hides where a bit is.
  rng = np.random.default_rng(0)
  first = jax.tree.map(
    lambda x: (
      rng.normal(size=x.shape).astype(x.dtype) if x.dtype == np.float32 else x
    ),
    first,
  )
  return [dataclasses.replace(first, step=np.int32(n)) for n in (3, 6)], like


def save(folder, states):
  checkpoints = Checkpoints(folder, 2)
  for state in states:
    checkpoints.save(state, {'seconds': 1.5 * int(state.step)})
  checkpoints.close()


def newest(folder, like):
  checkpoints = Checkpoints(folder, None)
  try:
    return restore_newest([checkpoints], like)
  finally:
    checkpoints.close()


def check_every_damage(folder, states, like, capsys, kinds):
  """Damages each file of the newest step in turn.

  What is restored then is to the bit what was saved: at that step, or, which is
  said, at the one before.

  Returns:
    The files whose damage some time changed nothing.
  """
  save(folder, states)
  before = inject.contents(folder)
  harmless = set()
  for name in inject.files(folder / '6'):
    for kind in kinds:
      capsys.readouterr()
      content = before[f'6/{name}']
      damaged = before | {f'6/{name}': inject.DAMAGES[kind](content)}
      inject.damage(folder / '6' / name, kind)
      step, [(state, extra)] = newest(folder, like)
      # Reading changes nothing, also if it fails.
      assert inject.contents(folder) == {
        path: left for path, left in damaged.items() if left is not None
      }, (name, kind)
      expected = states[step // 3 - 1]
      jax.tree.map(np.testing.assert_array_equal, state, expected)
      assert extra == {'seconds': 1.5 * step}
      if step == 6:
        harmless.add(name)
      else:
        assert f'{folder / "6"}: the checkpoint is' in capsys.readouterr().out
      paths.write(folder / '6' / name, content)
  return harmless


@pytest.mark.parametrize(
  'kinds',
  [('flipped bit',), pytest.param([*inject.DAMAGES], marks=pytest.mark.slow)],
)
def test_every_file(kinds, states, tmp_path, capsys):
  harmless = check_every_damage(tmp_path, *states, capsys, kinds)
  # Orbax does not need all that it writes, nor every byte of a file: which of
  # those of the state, differs from save to save.
  names = set(inject.files(tmp_path / '6'))
  assert 'extra/metadata' not in harmless
  assert {x for x in names if x.startswith('state/')} - harmless


@pytest.mark.slow
@pytest.mark.parametrize('scheme', ['s3', 'gs'])
def test_every_file_in_a_bucket(scheme, states, cloud, capsys):
  folder = paths.path(cloud(scheme)[0])
  check_every_damage(folder, *states, capsys, inject.DAMAGES)


@pytest.mark.parametrize(
  'where', ['here', pytest.param('s3', marks=pytest.mark.slow)]
)
def test_with_none_whole_it_is_refused(where, states, tmp_path, request):
  folder = tmp_path
  if where == 's3':
    folder = paths.path(request.getfixturevalue('cloud')()[0])
  save(folder, states[0])
  for step in ('3', '6'):
    inject.damage(folder / step / 'extra' / 'metadata', 'flipped bit')
  before = inject.contents(folder)
  with pytest.raises(UserError, match='holds no whole checkpoint'):
    newest(folder, states[1])
  assert inject.contents(folder) == before


@pytest.mark.parametrize(
  ('error', 'is_damage'),
  [
    (FileNotFoundError(errno.ENOENT, 'No such file or directory'), True),
    (
      ValueError('DATA_LOSS: checksum verification failed'),
      True,
    ),
    (OSError(errno.EIO, 'Input/output error'), False),
    # As tensorstore tells of it.
    (ValueError('Error opening "x" [OS error 13: Permission denied]'), False),
    (MemoryError(), False),
  ],
)
def test_what_shows_damage(error, is_damage):
  assert is_of_machine(error) != is_damage


def test_one_that_the_machine_cannot_read_is_not_damaged(states, tmp_path):
  """As few files may be opened as orbax and tensorstore cannot do with."""
  # Pytest imports it for what an object says that is collected, which may be
  # while no file can be opened.
  importlib.import_module('tracemalloc')
  save(tmp_path, states[0])
  before = inject.contents(tmp_path)
  checkpoints = Checkpoints(tmp_path, 2)
  soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
  lowest = os.open(os.devnull, os.O_RDONLY)
  os.close(lowest)
  resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 3, hard))
  try:
    with pytest.raises(
      UserError, match=r'cannot be read .*Too many open files'
    ):
      restore_newest([checkpoints], states[1])
  finally:
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
  checkpoints.set_damaged_aside()
  assert restore_newest([checkpoints], states[1])[0] == 6
  checkpoints.close()
  assert inject.contents(tmp_path) == before


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    (
      lambda x: jax.ShapeDtypeStruct(x.shape, np.float16),
      r'saved as float32\[.*\], and is float16\[.*\] here',
    ),
    (
      lambda x: jax.ShapeDtypeStruct((*x.shape, 1), x.dtype),
      r'saved as float32\[(.*)\], and is float32\[\1(, )?1\] here',
    ),
  ],
)
def test_another_type_or_shape_is_refused(states, tmp_path, change, message):
  saved, like = states
  save(tmp_path, saved)
  other = dataclasses.replace(like, params=jax.tree.map(change, like.params))
  with pytest.raises(UserError, match=message):
    newest(tmp_path, other)


def test_what_failed_saves_have_left_is_removed(states, tmp_path):
  save(tmp_path, states[0])
  left = tmp_path / '9.orbax-checkpoint-tmp'
  left.mkdir()
  assert newest(tmp_path, states[1])[0] == 6
  assert left.exists()  # A reader may run beside the process that saves.
  Checkpoints(tmp_path, 2).close()
  assert not left.exists()
