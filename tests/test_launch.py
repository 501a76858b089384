"""What a user types and sees."""

import csv
import os
import subprocess
import sys

from PIL import Image
import pytest

from configs import cifar100, digits
from experiments import commands
from sce_jax import train
from sce_jax.runs import files
from tests import conftest
from tests.conftest import REPOSITORY

SHORT = (
  '--config=configs/digits.py:sl,symmetric,0.4',
  '--config.train.epochs=2',
  '--config.data.limit=128',
)


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    (['--nope=1'], 'nope'),
    (['more'], "'more' is not a flag"),
    (['--mode=nope'], 'train|evaluate|compare'),
    (['--seeds=0'], 'positive'),
    (['--config=configs/nope.py'], 'configs/nope.py'),
    (['--config=configs/digits.py:sl,nope=1'], 'nope=1'),
    (['--config=configs/digits.py', '--config.los.alpha=1'], 'Did you mean'),
    (
      ['--config=configs/digits.py', '--config.loss.q=1'],
      "no hyper-parameter 'q'",
    ),
    (['--config=configs/digits.py', '--config.train.epochs=x'], 'epochs=x'),
  ],
)
def test_a_bad_command_line_gets_one_line(arguments, message, tmp_path):
  done = subprocess.run(
    conftest.command(*arguments, f'--workdir={tmp_path / "run"}'),
    cwd=conftest.REPOSITORY,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode in (1, 2)
  assert message in done.stderr
  assert len(done.stderr.splitlines()) == 1
  assert not (tmp_path / 'run').exists()


def test_help_names_the_modes_without_jax():
  code = (
    'import runpy, sys; sys.argv = ["launch.py", "--help"]\n'
    'try: runpy.run_path("launch.py", run_name="__main__")\n'
    'except SystemExit: pass\n'
    'sys.exit("jax" in sys.modules)'
  )
  done = subprocess.run(
    [sys.executable, '-c', code],
    cwd=conftest.REPOSITORY,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  assert '--mode: <train|evaluate|compare|report>' in done.stdout


def run(mode='train', **changes):
  """launch.py's call into the code, in this process."""
  arguments = {
    'config': None,
    'workdir': None,
    'data_dir': None,
    'losses': ['ce', 'sl'],
    'seeds': 1,
    'trials': [],
  }
  return commands.run(mode, **(arguments | changes))


def test_an_unwritable_workdir_gets_one_line(data_dir, tmp_path, capsys):
  (tmp_path / 'file').write_text('')
  code = run(
    config=digits.get_config('sl'),
    workdir=str(tmp_path / 'file' / 'run'),
    data_dir=data_dir,
  )
  assert code == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert 'cannot be written' in line


def test_missing_data_get_one_line(tmp_path, capsys, monkeypatch):
  # Whether or not this machine has TensorFlow and the network.
  monkeypatch.setenv('PYTHONPATH', str(tmp_path))
  (tmp_path / 'tensorflow').mkdir()
  (tmp_path / 'socket.py').write_text(
    'AF_INET = 2\ndef getaddrinfo(*_): raise OSError'
  )
  code = run(
    config=cifar100.get_config('sl'),
    workdir=str(tmp_path / 'run'),
    data_dir=str(tmp_path / 'empty'),
  )
  assert code == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert 'cifar100' in line
  assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'mode': 'train'}, 'needs a config'),
    ({'mode': 'evaluate'}, '--workdir'),
    ({'mode': 'evaluate', 'workdir': 'no/such/run'}, 'holds no run'),
    ({'mode': 'compare', 'losses': ['ce', 'nope']}, "'nope' is not known"),
    ({'mode': 'compare', 'trials': ['seed=0,1']}, '--trials goes with'),
    ({'mode': 'train', 'trials': ['seed=0,1']}, 'needs a config'),
  ],
)
def test_what_is_missing_is_named(changes, message, capsys):
  assert run(**changes) == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert message in line


def test_a_loss_that_is_not_finite_stops_the_run(launch, tmp_path):
  folder = tmp_path / 'run'
  done = launch(
    '--config=configs/digits.py:ce,symmetric,0.4',
    '--config.optim.learning_rate=1e30',
    f'--workdir={folder}',
  )
  assert done.returncode == 3
  assert 'the loss is not finite at step ' in done.stderr
  assert 'optim.learning_rate=1e+30' in done.stderr
  assert files.read_metrics(folder) == []
  assert not list(files.checkpoints(folder).iterdir())


def test_one_that_is_not_finite_leaves_the_others(data_dir, tmp_path):
  good, bad = (digits.get_config(f'sl,seed={seed}') for seed in (0, 1))
  for config in (good, bad):
    config.data.limit = 64
    config.train.epochs = 2
  bad.loss.beta = 1e38
  first, second = train.train_many(
    [good, bad], [tmp_path / 'good', tmp_path / 'bad'], data_dir
  )
  assert first['epochs'] == 2
  assert 'not finite at step' in second['failed']
  assert not (tmp_path / 'bad' / 'result.json').exists()


@pytest.fixture(scope='module')
def comparison(data_dir, tmp_path_factory):
  """What compare mode leaves, on a few digits."""
  folder = tmp_path_factory.mktemp('compare')
  done = subprocess.run(
    conftest.command(
      *SHORT,
      '--mode=compare',
      '--losses=ce,sl,gce',
      '--seeds=2',
      f'--workdir={folder / "runs"}',
    ),
    env=conftest.environment(data_dir, folder),
    cwd=conftest.REPOSITORY,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  return folder / 'runs', done.stdout


def test_compare_prints_a_table_and_what_to_try_next(comparison):
  # As a user types it: below the working folder the path is relative.
  relative = os.path.relpath(sys.executable, REPOSITORY)
  interpreter = sys.executable if relative.startswith('..') else relative
  folder, output = comparison
  assert 'cross entropy (CE)' in output
  assert 'symmetric learning (SL)' in output
  assert '+-' in output
  assert str(folder / 'comparison.png') in output
  suggestions = output.split('To try next:')[1].strip().splitlines()
  assert len(suggestions) == 3
  assert all(f'{interpreter} launch.py' in line for line in suggestions)


def test_compare_leaves_a_line_a_run_and_a_picture(comparison):
  folder, _ = comparison
  with open(folder / 'results.csv') as file:
    rows = list(csv.DictReader(file))
  names = [
    f'{loss}-seed{seed}' for loss in ('ce', 'sl', 'gce') for seed in (0, 1)
  ]
  assert [row['run'] for row in rows] == names
  for row in rows:
    last = files.read_metrics(folder / row['run'])[-1]
    assert float(row['test_accuracy']) == last['test']['accuracy']
    assert int(row['epochs']) == 2
  with Image.open(folder / 'comparison.png') as picture:
    assert picture.width > 2 * picture.height


def test_compared_runs_differ_in_loss_and_seed_only(comparison):
  folder, _ = comparison
  first = files.read_config(folder / 'ce-seed0')
  other = files.read_config(folder / 'sl-seed1')
  del first['loss'], other['loss'], first['seed'], other['seed']
  assert first == other
