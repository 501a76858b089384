"""A run that was stopped ends as one that never was: the real program."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

import jax
import numpy as np
import pytest

from sce_jax import errors
from sce_jax.config.check import check_config
from sce_jax.data import dataset as dataset_lib
from sce_jax.data import label_files
from sce_jax.exit_codes import ExitCode
from sce_jax.runs import files, restore
from sce_jax.runs import workdir as workdir_lib
from sce_jax.storage import digests
from tests import conftest
from tests.faults import kills

pytestmark = pytest.mark.process

EPOCHS = 8
ARGUMENTS = (
  '--config=configs/digits.py:sl,symmetric,0.4',
  f'--config.train.epochs={EPOCHS}',
  '--config.train.steps_per_dispatch=5',
  '--config.data.augment.flip=true',  # Randomness inside an epoch, too.
  '--config.checkpoint.every=2',
  # Batch norm, so that there are running statistics to restore.
  '--config.model.name=mnist_cnn',
)
TIMES = ('seconds', 'images_per_second', 'input_wait')


def metrics(folder):
  """All that is recorded but the times, which differ from run to run."""
  return [
    {key: value for key, value in record.items() if key not in TIMES}
    for record in files.read_metrics(folder)
  ]


def final_state(folder):
  return jax.device_get(restore.load(folder).state)


@pytest.fixture(scope='module')
def undisturbed(data_dir, tmp_path_factory):
  folder = tmp_path_factory.mktemp('undisturbed') / 'run'
  home = tmp_path_factory.mktemp('home')
  done = subprocess.run(
    conftest.command(*ARGUMENTS, f'--workdir={folder}'),
    env=conftest.environment(data_dir, home),
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  return folder


def stop(folder, data_dir, home, num_epochs, with_signals, delay, *more):
  """Starts the run and stops it some time after an epoch was recorded."""
  process = subprocess.Popen(
    conftest.command(*ARGUMENTS, *more, f'--workdir={folder}'),
    env=conftest.environment(data_dir, home),
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  try:
    while len(files.read_metrics(folder)) < num_epochs:
      assert process.poll() is None, process.communicate()
      time.sleep(0.002)
    time.sleep(delay)
  finally:
    for number in with_signals:
      process.send_signal(number)
      time.sleep(0.05)
  process.communicate(timeout=120)
  return process.returncode


def check_same(folder, undisturbed):
  assert metrics(folder) == metrics(undisturbed)
  jax.tree.map(
    np.testing.assert_array_equal, final_state(folder), final_state(undisturbed)
  )


@pytest.mark.faults
@pytest.mark.landing
def test_killed_while_a_checkpoint_is_written(
  undisturbed, data_dir, tmp_path, launch
):
  folder = tmp_path / 'run'
  # Before the third file or folder of the second checkpoint, of epoch 4.
  process = kills.start(
    (*ARGUMENTS, f'--workdir={folder}'),
    kills.environment(data_dir, tmp_path),
    ('save', 2, 'writing', 3),
  )
  assert process.returncode == -signal.SIGKILL, process.stderr
  # Epochs 5 and 6 may be trained meanwhile; the third checkpoint waits for it.
  assert 4 <= len(metrics(folder)) <= 6
  done = launch(*ARGUMENTS, f'--workdir={folder}')
  assert done.returncode == 0
  assert 'resumes at step' in done.stdout
  check_same(folder, undisturbed)


@pytest.mark.slow  # At moments of all kinds: tests/faults/test_kills.py.
@pytest.mark.faults
def test_killed_inside_an_epoch(undisturbed, data_dir, tmp_path, launch):
  folder = tmp_path / 'run'
  code = stop(folder, data_dir, tmp_path, 5, [signal.SIGKILL], 0.03)
  assert code == -signal.SIGKILL
  assert len(metrics(folder)) < EPOCHS
  assert launch(*ARGUMENTS, f'--workdir={folder}').returncode == 0
  check_same(folder, undisturbed)


@pytest.mark.slow  # In one process: engine/test_feed.py, data/test_stream.py.
@pytest.mark.faults
def test_streamed_killed_and_resumed_with_other_workers(
  undisturbed, data_dir, tmp_path, launch
):
  """It ends as a run whose images lie on the device."""
  folder = tmp_path / 'run'
  stream = '--config.data.feed=stream'
  code = stop(folder, data_dir, tmp_path, 3, [signal.SIGKILL], 0.0, stream)
  assert code == -signal.SIGKILL
  done = launch(
    *ARGUMENTS, stream, '--config.data.workers=2', f'--workdir={folder}'
  )
  assert done.returncode == 0, done.stderr
  assert all('input_wait' in record for record in files.read_metrics(folder))
  check_same(folder, undisturbed)


@pytest.mark.slow  # Two processes that are asked to stop: test_processes.py.
@pytest.mark.faults
@pytest.mark.parametrize(
  ('signals', 'expected'),
  [
    ([signal.SIGTERM], ExitCode.PREEMPTED),
    # While it saves, and while Python ends.
    ([signal.SIGTERM] * 2, ExitCode.PREEMPTED),
    ([signal.SIGINT], ExitCode.INTERRUPTED),
  ],
)
def test_asked_to_stop_inside_an_epoch(
  signals, expected, undisturbed, data_dir, tmp_path, launch
):
  folder = tmp_path / 'run'
  code = stop(folder, data_dir, tmp_path, 3, signals, 0.02)
  assert code == expected
  saved = max(int(p.name) for p in files.checkpoints(folder).iterdir())
  done = launch(*ARGUMENTS, f'--workdir={folder}')
  assert done.returncode == 0
  assert f'resumes at step {saved}' in done.stdout
  check_same(folder, undisturbed)


def test_a_finished_run_gives_its_result_again(undisturbed, launch_here):
  before = (undisturbed / 'metrics.jsonl').read_text()
  done = launch_here(*ARGUMENTS, f'--workdir={undisturbed}')
  assert done.returncode == 0
  assert 'epoch 1/' not in done.stdout
  accuracy = json.loads((undisturbed / 'result.json').read_text())
  assert f'{100 * accuracy["test_accuracy"]:.1f} %' in done.stdout
  assert (undisturbed / 'metrics.jsonl').read_text() == before


@pytest.mark.faults
def test_another_config_is_refused(undisturbed, launch_here):
  before = listing(undisturbed)
  done = launch_here(
    *ARGUMENTS, '--config.loss.alpha=0.5', f'--workdir={undisturbed}'
  )
  assert done.returncode == 2
  assert 'loss.alpha: 0.01 -> 0.5' in done.stderr
  assert len(done.stderr.splitlines()) == 1
  assert listing(undisturbed) == before


@pytest.mark.faults
def test_a_second_launcher_is_refused(undisturbed, launch_here):
  held = workdir_lib.Workdir(
    undisturbed, check_config(files.read_config(undisturbed))
  )
  try:
    done = launch_here(*ARGUMENTS, f'--workdir={undisturbed}')
  finally:
    held.close()
  assert done.returncode == 2
  assert 'in use by another process' in done.stderr


def test_evaluate_mode_gives_the_last_figures(
  undisturbed, launch_here, tmp_path
):
  folder = tmp_path / 'run'
  shutil.copytree(undisturbed, folder)
  before = listing(folder)
  done = launch_here('evaluate', f'--workdir={folder}')
  assert done.returncode == 0, done.stderr
  last = files.read_metrics(folder)[-1]
  assert f'epoch {EPOCHS}' in done.stdout
  for split in ('test', 'train_eval'):
    assert f'{100 * last[split]["accuracy"]:.2f} %' in done.stdout
  # What is new is the evaluation alone, nothing else is touched.
  after = listing(folder)
  new = after.keys() - before.keys()
  assert {name: after[name] for name in before} == before
  assert all('/run/evaluation' in name for name in new)
  assert f'report:   {folder}/evaluation/report.html' in done.stdout
  record = json.loads((folder / 'evaluation.json').read_text())
  assert record['epoch'] == EPOCHS
  # Predictions of another program: they agree with what training counted.
  found = record['figures']
  for title, split, key in (
    ('test, true labels', 'test', 'accuracy'),
    ('training, true labels', 'train_eval', 'accuracy'),
    ('training, labels trained on', 'train_eval', 'accuracy_noisy'),
  ):
    assert found[title]['accuracy'] == pytest.approx(last[split][key])
    recalls = [c['recall'] for c in found[title]['classes']]
    if key == 'accuracy':
      assert recalls == pytest.approx(last[split]['class_accuracy'])
    total = sum(map(sum, found[title]['confusion']))
    assert total == last[split]['examples']
  page = (folder / 'evaluation' / 'report.md').read_text()
  assert '![' in page and 'confusion.png' in page and 'calibration.png' in page


def test_the_network_needs_no_data(undisturbed, monkeypatch, data_dir):
  monkeypatch.setenv('TFDS_DATA_DIR', '/no/such/folder')
  run = restore.load(undisturbed)
  images = dataset_lib.read(run.config.data, data_dir).test.image
  probability, hidden = run.predict(images)
  recorded = files.read_result(undisturbed)['test']
  labels = dataset_lib.read(run.config.data, data_dir).test.label
  assert np.mean(probability.argmax(1) == labels) == recorded['accuracy']
  assert len(hidden) == len(images)
  with pytest.raises(errors.UserError, match=r'uint8 images \[N, 8, 8, 1\]'):
    run.predict(images[:, :4])


@pytest.mark.faults
def test_a_folder_of_another_version_is_refused(
  undisturbed, tmp_path, launch_here
):
  folder = tmp_path / 'run'
  shutil.copytree(undisturbed, folder)
  described = digests.unseal(json.loads((folder / 'config.json').read_text()))
  del described['format']  # As all were before there was a number.
  (folder / 'config.json').write_text(json.dumps(described))
  before = listing(folder)
  for more in ((), ('evaluate',)):
    done = launch_here(*(more or ARGUMENTS), f'--workdir={folder}')
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert 'written by another version of sce_jax (folder format 1' in line
  assert listing(folder) == before


def test_labels_are_read_back_not_drawn_anew(undisturbed, tmp_path, data_dir):
  folder = tmp_path / 'run'
  shutil.copytree(undisturbed, folder)
  ids, labels = files.read_labels(folder)
  # Other labels than the config's noise would make.
  labels = np.roll(labels, 1)
  label_files.save_npz(folder / 'noise.npz', ids, labels)
  made = restore.predict_run(folder, 'train', data_dir)
  np.testing.assert_array_equal(made.split.label, labels)
  figures = restore.evaluate_run(folder, data_dir)
  recorded = files.read_result(folder)['train_eval']
  assert figures['train_eval']['accuracy_noisy'] != recorded['accuracy_noisy']


def test_the_folder_holds_the_record(undisturbed):
  names = {path.name for path in undisturbed.iterdir()}
  assert {
    'config.json',
    'dataset.json',
    'metrics.jsonl',
    'checkpoints',
    'noise.npz',
    'noise.json',
    'result.json',
    'results.csv',
    'run.png',
  } <= names
  assert any(name.startswith('events.out.tfevents') for name in names)
  record = json.loads((undisturbed / 'config.json').read_text())
  assert {'config', 'versions', 'devices', 'git_commit'} <= set(record)
  noise = json.loads((undisturbed / 'noise.json').read_text())
  # 40 % of each class, rounded to whole examples.
  assert noise['rate'] == pytest.approx(0.4, abs=0.005)
  labels = np.load(undisturbed / 'noise.npz')
  assert np.mean(labels['labels'] != labels['clean_labels']) == noise['rate']
  header, line = (undisturbed / 'results.csv').read_text().splitlines()
  assert header.startswith('run,dataset,loss,noise,noise_rate')
  assert line.startswith('run,digits,sl,symmetric,0.4')


def listing(folder: pathlib.Path) -> dict[str, float]:
  """All files with the time they were last written."""
  return {
    str(path): os.path.getmtime(path)
    for path in sorted(folder.rglob('*'))
    if path.is_file() and path.name != '.lock'
  }
