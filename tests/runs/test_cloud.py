"""Runs whose folder is in a cloud: the real program, and local servers."""

import contextlib
import pathlib
import signal
import subprocess
import time

import jax
import numpy as np
import pytest

from configs import digits
from sce_jax.config.check import check_config
from sce_jax.data import dataset as dataset_lib
from sce_jax.data import label_files
from sce_jax.data.sources import prepare
from sce_jax.runs import checkpointing, files, restore
from sce_jax.storage import paths
from tests import conftest
from tests.runs.test_resume import final_state, metrics

pytestmark = pytest.mark.process

SHORT = ('--config=configs/digits.py:sl,symmetric,0.4,tiny',)
EPOCHS = 8
LONGER = (
  '--config=configs/digits.py:sl,symmetric,0.4',
  f'--config.train.epochs={EPOCHS}',
  '--config.train.steps_per_dispatch=5',
  '--config.checkpoint.every=2',
  # Batch norm, so that there are running statistics to restore.
  '--config.model.name=mnist_cnn',
)
SCHEMES = ('s3', 'gs')
DIGITS = check_config(digits.get_config()).data


def check_same(folder, other):
  assert metrics(folder) == metrics(other)
  jax.tree.map(
    np.testing.assert_array_equal, final_state(folder), final_state(other)
  )


@pytest.fixture(scope='module')
def ended(data_dir, tmp_path_factory):
  """A short run in a local folder."""
  folder = tmp_path_factory.mktemp('short') / 'run'
  run(SHORT, folder, data_dir, folder.parent)
  return folder


@pytest.fixture(scope='module')
def undisturbed(data_dir, tmp_path_factory):
  """A longer one."""
  folder = tmp_path_factory.mktemp('undisturbed') / 'run'
  run(LONGER, folder, data_dir, folder.parent)
  return folder


def run(arguments, folder, data_dir, home, more=None):
  done = subprocess.run(
    conftest.command(*arguments, f'--workdir={folder}'),
    env=conftest.environment(data_dir, home) | (more or {}),
    capture_output=True,
    text=True,
    timeout=600,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  return done.stdout


@pytest.fixture
def no_tensorflow(tmp_path):
  """An environment in which TensorFlow is there and must not be imported."""
  folder = tmp_path / 'packages'
  folder.mkdir()
  (folder / 'tensorflow.py').write_text('raise SystemExit("TensorFlow")')
  return {'PYTHONPATH': str(folder)}


def check_record(folder, local):
  """That a folder in a cloud holds what a local one does."""
  check_same(folder, local)
  there = paths.path(folder)
  # But for the lock, which has been given back.
  assert {
    name.split('/')[0].split('.')[0] for name in paths.listing(there)
  } == {path.name.split('.')[0] for path in local.iterdir()} - {''}
  assert there.joinpath('run.png').open('rb').read(4) == b'\x89PNG'
  np.testing.assert_array_equal(
    label_files.read(there / 'noise.npz')[1],
    label_files.read(local / 'noise.npz')[1],
  )
  results = [files.read_result(x) for x in (folder, local)]
  for result in results:
    del result['train_seconds']
  assert results[0] == results[1]


@pytest.mark.landing
def test_a_run_on_s3_ends_as_a_local_one(
  ended, cloud, data_dir, no_tensorflow, tmp_path
):
  folder, server = cloud('s3')
  folder += '/run'
  run(SHORT, folder, data_dir, tmp_path, server | no_tensorflow)
  check_record(folder, ended)


@pytest.mark.slow
@pytest.mark.parametrize('scheme', SCHEMES)
def test_what_is_done_with_a_run(scheme, ended, cloud, launch):
  root, server = cloud(scheme)
  folder = f'{root}/run'
  assert launch(*SHORT, f'--workdir={folder}', more=server).returncode == 0
  check_record(folder, ended)
  before = paths.listing(paths.path(folder))
  again = launch(*SHORT, f'--workdir={folder}', more=server)
  assert 'has already ended' in again.stdout
  evaluated = launch('evaluate', f'--workdir={folder}', more=server)
  figures = metrics(ended)[-1]['test']
  assert f'{100 * figures["accuracy"]:.2f} %' in evaluated.stdout
  after = {
    x for x in paths.listing(paths.path(folder)) if 'evaluation' not in x
  }
  assert after == set(before)
  report = launch('report', f'--workdir={root}', more=server)
  assert f'report:   {root}/report/report.html' in report.stdout, report.stderr
  shown = paths.path(f'{root}/report/report.md').read_text()
  assert 'run/' not in shown.replace('../run/evaluation/', '')
  other = launch(
    *SHORT, '--config.loss.alpha=9', f'--workdir={folder}', more=server
  )
  assert other.returncode == 2
  assert 'holds a run of another config (loss.alpha' in other.stderr


def stop(folder, data_dir, home, server, num_epochs, with_signal):
  """Starts a run and stops it some time after an epoch was recorded."""
  process = subprocess.Popen(
    conftest.command(*LONGER, f'--workdir={folder}'),
    env=conftest.environment(data_dir, home) | server,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  try:
    while len(files.read_metrics(folder)) < num_epochs:
      assert process.poll() is None, process.communicate()
      time.sleep(0.05)
  finally:
    process.send_signal(with_signal)
  process.communicate(timeout=120)
  return process.returncode


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize('scheme', SCHEMES)
@pytest.mark.parametrize(
  ('with_signal', 'num_epochs', 'code'),
  # While a checkpoint is copied up, and inside an epoch.
  [
    (signal.SIGKILL, 4, -signal.SIGKILL),
    (signal.SIGKILL, 5, -signal.SIGKILL),
    (signal.SIGTERM, 3, 75),
  ],
)
def test_another_machine_goes_on(
  scheme,
  with_signal,
  num_epochs,
  code,
  undisturbed,
  cloud,
  data_dir,
  tmp_path,
):
  folder, server = cloud(scheme)
  folder += '/run'
  first, second = tmp_path / 'first', tmp_path / 'second'
  first.mkdir()
  second.mkdir()
  assert stop(folder, data_dir, first, server, num_epochs, with_signal) == code
  assert num_epochs <= len(metrics(folder)) < EPOCHS
  said = run(LONGER, folder, data_dir, second, server)
  # Only who was killed is waited for.
  assert ('to see whether it lives' in said) == (code < 0)
  assert [record['epoch'] for record in metrics(folder)] == [*range(1, 9)]
  check_record(folder, undisturbed)


@pytest.mark.landing
@pytest.mark.faults
def test_a_checkpoint_that_was_cut_is_not_there(ended, cloud):
  folder = paths.path(cloud('s3')[0])
  like = jax.device_get(restore.load(ended).state)
  states = [like.replace(step=np.int32(step)) for step in range(5)]

  def opened():
    return checkpointing.Checkpoints(folder, 2)

  def steps():
    with contextlib.closing(opened()) as checkpoints:
      return checkpoints.steps()

  first = opened()
  for state in states[1:4]:
    first.save(state, {'seconds': float(state.step)})
  first.close()
  assert steps() == [2, 3]
  # As when the machine was lost before the last file was there.
  paths.store(folder).rm(f'{folder}/3/commit_success.txt')
  second = opened()
  assert second.steps() == [2]
  state, extra = second.restore(2, like)
  assert (int(state.step), extra) == (2, {'seconds': 2.0})
  second.save(states[4], {'seconds': 4.0})
  second.close()
  assert {name.split('/')[0] for name in paths.listing(folder)} == {'2', '4'}
  third = opened()
  assert third.steps() == [2, 4]
  assert third.restore(4, like)[1] == {'seconds': 4.0}
  third.close()


def test_reads_a_data_set_from_a_cloud(cloud, data_dir, tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  address = cloud('s3')[0]
  paths.upload(
    pathlib.Path(data_dir, 'digits'),
    paths.path(address) / 'digits',
    last='dataset_info.json',
  )
  local = dataset_lib.read(DIGITS, data_dir)
  read = dataset_lib.read(DIGITS, address)
  np.testing.assert_array_equal(read.train.image, local.train.image)
  np.testing.assert_array_equal(read.test.label, local.test.label)
  # From now on it is read here.
  paths.remove(paths.path(address))
  assert len(dataset_lib.read(DIGITS, address).test) == len(local.test)


@pytest.mark.slow
def test_prepares_a_data_set_for_the_next_machine(
  cloud, data_dir, tmp_path, monkeypatch
):
  address = cloud('gs')[0]
  local = dataset_lib.read(DIGITS, data_dir)
  for home in ('first', 'second'):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / home))
    read = dataset_lib.read(DIGITS, address)
    np.testing.assert_array_equal(read.train.image, local.train.image)
    monkeypatch.setattr(prepare, 'download_and_prepare', None)  # Once only.
