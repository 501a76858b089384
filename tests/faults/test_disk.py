"""Disks that are full or read-only, folders that go, caches that are no use."""

import contextlib
import errno
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import jax
import numpy as np
import pytest

from experiments.cli import runtime
from sce_jax import loop, train
from sce_jax.errors import UserError
from sce_jax.exit_codes import ExitCode
from sce_jax.runs import restore
from sce_jax.runs.checkpointing import Checkpoints
from sce_jax.runs.run import TrainingRun
from sce_jax.storage import lock
from tests import conftest, synthetic
from tests.data.reading import told
from tests.faults import inject

pytestmark = [
  pytest.mark.faults,
  # Of a save that has failed tensorstore writes on when orbax has given up.
  pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning'),
]
SHORT = ('--config=configs/digits.py:sl,symmetric,0.4,tiny',)


def config():
  made = synthetic.config()
  made.model.name = 'digits_cnn'
  return made


@pytest.fixture(scope='module')
def state(small_network):
  trainer, inputs, _ = synthetic.program([config()])
  return jax.device_get(trainer.init(inputs)), trainer.abstract_state()


def at(state, step):
  return state.replace(step=np.int32(step))


def leave(path):
  """Writes a file as a save that failed leaves it."""
  path.parent.mkdir()
  path.write_bytes(b'')


def committed(folder):
  """What there is but for the save that fails.

  Its threads write on in this process: when its files are gone is not known.
  """
  return {
    name: content
    for name, content in inject.contents(folder).items()
    if not name.startswith('6.orbax-checkpoint-tmp')
  }


@pytest.mark.parametrize('told_by', ['wait', 'next save'])
def test_a_save_that_fails_leaves_the_older_ones(told_by, state, tmp_path):
  first, like = state
  checkpoints = Checkpoints(tmp_path, 1)
  checkpoints.save(at(first, 3), {'seconds': 1.0})
  checkpoints.wait()
  before = inject.contents(tmp_path)
  leftover = tmp_path / '5.orbax-checkpoint-tmp' / 'manifest.ocdbt'
  leave(leftover)
  with (
    inject.files_no_larger(1000),
    pytest.raises(Exception, match=r'too large|Input/output'),
  ):
    checkpoints.save(at(first, 6), {'seconds': 2.0})
    if told_by == 'wait':
      checkpoints.wait()
    for _ in range(200):
      checkpoints.check_saved()
      time.sleep(0.05)
  # Neither is a half one left, nor is an old one gone.
  assert not leftover.parent.exists()
  assert committed(tmp_path) == before
  leave(leftover)
  with contextlib.suppress(Exception):
    checkpoints.close()
  assert not leftover.parent.exists()
  leave(leftover)
  again = Checkpoints(tmp_path, 1)
  assert not leftover.parent.exists()
  found, _ = again.restore(3, like)
  jax.tree.map(np.testing.assert_array_equal, found, at(first, 3))
  again.save(at(first, 9), {'seconds': 2.0})
  again.close()
  assert {name.split('/')[0] for name in committed(tmp_path)} == {'9'}


@pytest.mark.parametrize('failed_before', [True, False])
def test_a_close_that_fails_hides_no_error_and_releases_all(
  failed_before, small_network, tmp_path, monkeypatch
):
  close = Checkpoints.close

  def fail(self):
    close(self)
    raise OSError(errno.ENOSPC, f'no room for {self.folder.parent.name}')

  def run(self):
    if failed_before:
      raise UserError('the first error')

  monkeypatch.setattr(Checkpoints, 'close', fail)
  monkeypatch.setattr(loop.Loop, 'run', run)
  folders = [tmp_path / 'a', tmp_path / 'b']
  configs = [config(), config()]
  configs[1].seed = 1
  expected = 'the first error' if failed_before else 'no room for b'
  with pytest.raises((UserError, OSError), match=expected):
    train.train_many(configs, folders, dataset=synthetic.data())
  for folder in folders:
    lock.check_free(folder)


def test_space_is_checked_before_the_first_step(
  small_network, tmp_path, monkeypatch
):
  usage = shutil.disk_usage(tmp_path)
  monkeypatch.setattr(
    shutil, 'disk_usage', lambda path: usage._replace(free=1000)
  )
  message = told(
    train.train_and_evaluate, config(), tmp_path / 'run', None, synthetic.data()
  )
  assert 'checkpoints need' in message
  assert '1,000 are free: make room' in message
  assert not list((tmp_path / 'run' / 'checkpoints').glob('*'))


@pytest.mark.parametrize('how', ['moved', 'removed', 'replaced'])
def test_a_folder_that_goes_is_not_made_anew(how, small_network, tmp_path):
  folder, elsewhere = tmp_path / 'run', tmp_path / 'elsewhere'
  data = synthetic.data()
  write = TrainingRun.save

  def go(self, state, seconds):
    if int(state.step) == 6:
      self.checkpoints.wait()
      folder.rename(elsewhere)
      if how == 'removed':
        shutil.rmtree(elsewhere)
      if how == 'replaced':
        shutil.copytree(elsewhere, folder)
    write(self, state, seconds)

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(TrainingRun, 'save', go)
    message = told(train.train_and_evaluate, config(), folder, None, data)
  assert message.startswith(f'workdir {folder} was moved, removed or replaced')
  assert folder.exists() == (how == 'replaced')
  if how == 'moved':
    # What is there is a run that can be used.
    assert restore.load(elsewhere).step == 3
    train.train_and_evaluate(config(), elsewhere, dataset=data)
    assert restore.load(elsewhere).step == 6


def in_a_namespace(script, folder, data_dir, home):
  """Runs a script of a shell that may mount disks that only it sees."""
  environment = conftest.environment(data_dir, home)
  command = ['unshare', '--user', '--map-root-user', '--mount']
  try:
    subprocess.run([*command, 'true'], check=True, capture_output=True)
  except (OSError, subprocess.CalledProcessError):
    pytest.skip('no disk can be mounted here (unshare)')
  launch = f'{sys.executable} {conftest.REPOSITORY / "launch.py"}'
  return subprocess.run(
    [*command, 'sh', '-c', script],
    env=environment | {'DISK': str(folder), 'LAUNCH': launch},
    cwd=conftest.REPOSITORY,
    capture_output=True,
    text=True,
    timeout=300,
    check=False,
  )


@pytest.mark.landing
@pytest.mark.process
def test_a_disk_that_is_read_only_and_one_that_is_full(data_dir, tmp_path):
  disk = tmp_path / 'disk'
  disk.mkdir()
  done = in_a_namespace(
    f"""
mount -t tmpfs -o size=64k,ro tmpfs "$DISK"
$LAUNCH {SHORT[0]} --workdir="$DISK/run"; echo code=$?
umount "$DISK"; mount -t tmpfs -o size=64k tmpfs "$DISK"
$LAUNCH {SHORT[0]} --workdir="$DISK/run"; echo code=$?
""",
    disk,
    data_dir,
    tmp_path,
  )
  codes = [x for x in done.stdout.splitlines() if x.startswith('code=')]
  assert codes == [f'code={ExitCode.BAD_INPUT:d}'] * 2, done.stderr
  first, second = done.stderr.splitlines()
  assert 'cannot be written (Read-only file system)' in first
  assert 'checkpoints need' in second


# Before the second save all but 8 KiB of the disk are taken.
FILLED = """
import os, sys
from sce_jax.runs.checkpointing import Checkpoints
save, filler = Checkpoints.save, os.environ['DISK'] + '/filler'
def save_on_a_full_disk(self, state, extra):
  self.wait()
  if self.steps():
    with open(filler, 'wb', buffering=0) as file:
      try:
        while True: file.write(bytes(4096))
      except OSError: pass
      file.truncate(file.tell() - 8192)
  save(self, state, extra)
Checkpoints.save = save_on_a_full_disk
from experiments.cli import runtime
sys.exit(runtime.run(sys.argv))
"""


@pytest.mark.slow
@pytest.mark.process
def test_a_disk_that_fills_while_a_checkpoint_is_written(data_dir, tmp_path):
  disk, program = tmp_path / 'disk', tmp_path / 'filled.py'
  disk.mkdir()
  program.write_text(FILLED)
  flags = f'{SHORT[0]} --config.checkpoint.every=1 --workdir="$DISK/run"'
  done = in_a_namespace(
    f"""
mount -t tmpfs -o size=8m tmpfs "$DISK"
PYTHONPATH=. {sys.executable} {program} {flags}; echo code=$?
echo left=$(ls "$DISK/run/checkpoints")
rm "$DISK/filler"; $LAUNCH {flags}; echo code=$?
""",
    disk,
    data_dir,
    tmp_path,
  )
  told = [x for x in done.stdout.splitlines() if x[:5] in ('code=', 'left=')]
  assert told == [f'code={ExitCode.CRASHED:d}', 'left=3', 'code=0'], done.stderr
  # Threads of tensorstore may complain before that: orbax has given up.
  (line,) = (x for x in done.stderr.splitlines() if x.startswith('error: '))
  assert 'the disk is full: make room' in line


@pytest.mark.parametrize(
  ('file', 'workdir', 'named'),
  [
    ('/cache/a', 'runs/a', '/cache/a'),
    (None, 'runs/a', 'runs/a'),
    (None, 's3://b/a', 's3://b/a or the temporary folder /here (TMPDIR)'),
  ],
)
def test_the_disk_that_is_full_is_named(file, workdir, named, monkeypatch):
  monkeypatch.setattr(tempfile, 'tempdir', '/here')
  error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), file)
  line = runtime._explain(error, workdir)
  assert line.startswith(f'{named} cannot be written, the disk is full')


@pytest.mark.slow
@pytest.mark.process
def test_a_cache_that_cannot_be_written_is_no_error(launch, tmp_path):
  """Neither the cache nor the home can be a folder."""
  nothing = tmp_path / 'file'
  nothing.write_text('')
  done = launch(
    *SHORT,
    f'--workdir={tmp_path / "run"}',
    more={'XDG_CACHE_HOME': str(nothing), 'HOME': str(nothing)},
  )
  assert done.returncode == 0, done.stderr
  assert 'Traceback' not in done.stderr


@pytest.mark.landing
@pytest.mark.process
def test_compiled_programs_that_are_damaged_are_compiled_again(tmp_path):
  """Also where jax finds zstandard, whose frames it writes without checksums.

  That is played here by one that leaves everything as it is.
  """
  done = conftest.run_python(f"""
import os, pathlib, random, sys, types, warnings

class Plain:
  compress = decompress = staticmethod(bytes)

sys.modules['zstandard'] = types.SimpleNamespace(
  ZstdCompressor=Plain, ZstdDecompressor=Plain
)
os.environ['XDG_CACHE_HOME'] = {str(tmp_path)!r}
import jax
import jax.numpy as jnp
from sce_jax.engine import compilation_cache

warnings.simplefilter('ignore')
compilation_cache.enable()
f = jax.jit(lambda x: (x @ x.T).sum())
found = [float(f(jnp.eye(8)))]
folder = pathlib.Path({str(tmp_path)!r})
good = {{path: path.read_bytes() for path in folder.rglob('*-cache')}}
assert good
for seed in range(20):
  jax.clear_caches()
  for path, content in good.items():
    content = bytearray(content)
    place = random.Random(seed).randrange(8 * len(content))
    content[place // 8] ^= 1 << place % 8
    path.write_bytes(bytes(content) if seed else b'')
  found.append(float(f(jnp.eye(8))))
print(found == [8.0] * 21)
""")
  assert done == 'True\n'


def test_prepared_data_that_are_damaged_are_named(data_dir, tmp_path):
  from tests.data import reading  # noqa: PLC0415

  there = pathlib.Path(data_dir, 'digits')
  (version,) = there.iterdir()
  for name in inject.files(version):
    if name == 'features.json':
      continue  # Also without it tfds knows what digits has.
    for what in inject.DAMAGES:
      folder = tmp_path / f'{name}-{what}'
      shutil.copytree(there, folder / 'digits')
      inject.damage(folder / 'digits' / version.name / name, what)
      if (name, what) == ('dataset_info.json', 'missing'):
        continue  # Then it is prepared again.
      try:
        found = reading.read('digits', str(folder))
      except UserError as error:
        assert str(folder) in str(error)
      else:
        assert what == 'flipped bit'
        expected = reading.read('digits', data_dir)
        np.testing.assert_array_equal(found.train.image, expected.train.image)
        np.testing.assert_array_equal(found.train.label, expected.train.label)
