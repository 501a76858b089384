"""What a user types and sees."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys

from PIL import Image
import pytest

from experiments.cli import command_line, runtime
from sce_jax import train
from sce_jax.exit_codes import ExitCode
from sce_jax.runs import files
from tests import conftest, synthetic
from tests.conftest import REPOSITORY

DIGITS = '--config=configs/digits.py:sl,symmetric,0.4'


def refused(arguments, capsys):
  """The one line that a command line gets."""
  assert runtime.run(['launch.py', *arguments]) == ExitCode.BAD_INPUT
  (line,) = capsys.readouterr().err.splitlines()
  return line


@pytest.mark.parametrize(
  ('arguments', 'line'),
  [
    (['train', DIGITS], 'Trains sl on digits (symmetric 0.4 noise), 60 epochs'),
    (['compare', DIGITS], 'Compares ce, sl; 3 seeds on digits'),
    (['prepare', DIGITS], 'Prepares digits; trains nothing'),
    (['evaluate', '--workdir=x'], 'Evaluates x again'),
    (['audit', DIGITS], 'Trains 5 networks with sl on digits'),
    (['labels', '--workdir=x'], 'Reads the labels of x'),
    (['report'], 'Reads the runs in runs'),
    (['experiment', 'ablation'], 'Experiment ablation on digits, short'),
    (['sweep', DIGITS], 'Runs the sweep of'),
    (['export', '--workdir=x', '--out=y'], 'Exports x to y'),
    (['predict', '--model=x', '--images=y', '--out=z'], 'Classifies y with x'),
  ],
)
def test_the_first_line_comes_before_what_is_slow(
  arguments, line, monkeypatch, capsys, tmp_path
):
  monkeypatch.chdir(tmp_path)
  module = command_line.load(arguments[0])
  monkeypatch.setattr(module, 'IMPORTS', ('not_there',), raising=False)
  assert runtime.run(['launch.py', *arguments]) == ExitCode.CRASHED
  shown = capsys.readouterr()
  assert (shown.out + shown.err).startswith(line)


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    (['trian'], 'did you mean train?'),
    (['more'], "'more' is not a command (commands: train, prepare, compare,"),
    (['train', 'more'], "'more' is not a flag"),
    (['--seeds=2', 'compare'], 'commands come first'),
    (['--nope=1'], "'nope' (see python launch.py compare --help)"),
    (['train', DIGITS, '--losses=ce'], '--losses is a flag of compare'),
    (['--epochs=3'], '--epochs is not a flag: is train.epochs meant?'),
    (['--epochz=3'], '--epochz is not a flag: is train.epochs meant?'),
    (['--workdir='], '--workdir= has no value'),
    (['--config='], '--config= has no value'),
    (['--config_file='], '--config_file= has no value'),
    (['--executor=ray'], 'a flag of sweep, not of compare'),
    (['--config.optim.momentum=0'], '--config.optim.momentum needs a --config'),
    (['--seeds=0'], 'positive'),
    (['--config=configs/nope.py'], 'configs/nope.py'),
    (['--config=configs/digits.py:sl,nope=1'], 'nope=1'),
    ([DIGITS, '--config.los.alpha=1'], 'is loss.alpha meant?'),
    ([DIGITS, '--config.optim.lr=1'], 'is optim.learning_rate meant?'),
    (['--config=configs/digit.py'], 'is configs/digits.py meant?'),
    (['--config=digits:SLL'], "'sll' (is sl meant?)"),
    (['--config=digits:sl,symetric'], '(is symmetric meant?)'),
    (['--config=digits:sl,asymmetric'], '(is asymmetric_mnist or asymmetric_'),
    (['--config=digits', '--config=mnist'], 'give one of them, once'),
    (['--config=digits', '--config_file=x'], 'give one of them, once'),
    (['--config_file=no/run'], 'error: --config_file=no/run cannot be read'),
    (['train', '--config=digits', '--ids=a'], '--ids would change nothing'),
    (['evaluate', '--workdir=x', '--tracker=wandb'], 'would change nothing'),
    (['sweep', '--config=digits', '--scale=tiny'], 'would change nothing'),
    (['sweep', '--config=digits', '--seeds=2'], 'would change nothing'),
    (['sweep', '--config=digits', '--cpus=2'], 'would change nothing'),
    (['sweep', '--config=digits:sl'], "'sl' in --config would change nothing"),
    (
      ['sweep', '--config=digits:seed=3'],
      "'seed=3' in --config would change nothing",
    ),
    (['--print_config'], 'prints a config: name one'),
    ([DIGITS, '--config.loss.q=1'], "no hyper-parameter 'q'"),
    ([DIGITS, '--config.train.epochs=x'], 'epochs=x'),
    ([DIGITS, '--config.loss.alpha 1'], 'give --config.FIELD=VALUE'),
    (['train'], 'needs a config'),
    (['evaluate'], '--workdir'),
    (['evaluate', '--workdir=no/such/run'], 'holds no run'),
    (['compare', '--losses=ce,nope'], "'nope' is not known"),
    (['experiment', 'nope'], "'nope' is not known: use one of comparison"),
    (['experiment', 'theory', 'gradients'], 'one experiment at a time'),
  ],
)
def test_a_bad_command_line_gets_one_line(
  arguments, message, capsys, monkeypatch, tmp_path
):
  monkeypatch.chdir(tmp_path)
  assert message in refused(arguments, capsys)
  assert not list(tmp_path.iterdir())


@pytest.mark.process
def test_help_is_a_screen_of_the_commands_own_flags_and_needs_no_jax():
  code = (
    'import sys\n'
    'from experiments.cli import command_line, runtime\n'
    'for name in command_line.COMMANDS:\n'
    '  assert runtime.run(["launch.py", name, "--help"]) == 0\n'
    'sys.exit("jax" in sys.modules)'
  )
  output = conftest.run_python(code)
  pages = output.split('Flags:')[1:]
  with_losses = ['\n  --losses=' in page for page in pages]
  # Of compare the losses, of the others those of a benchmark.
  having = ('compare', 'experiment', 'sweep')
  expected = [name in having for name in command_line.COMMANDS]
  assert with_losses == expected
  assert all(len(line) < 80 for line in output.splitlines())


def test_a_config_is_found_beside_launch_py_and_at_home(
  capsys, monkeypatch, tmp_path
):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv('HOME', str(tmp_path))
  assert 'epochs=x' in refused([DIGITS, '--config.train.epochs=x'], capsys)
  (tmp_path / 'own.py').write_text('from configs.digits import get_config')
  own = ['--config=~/own.py:sl', '--config.train.epochs=x']
  assert 'epochs=x' in refused(own, capsys)


def test_a_bug_keeps_its_traceback_in_a_file(capsys, monkeypatch, tmp_path):
  def broken(*unused):
    raise ZeroDivisionError('by zero')

  monkeypatch.setattr(command_line.load('report'), 'main', broken)
  arguments = ['launch.py', 'report', f'--workdir={tmp_path}']
  assert runtime.run(arguments) == ExitCode.CRASHED
  *_, last = capsys.readouterr().err.splitlines()
  assert last == 'error: unexpected ZeroDivisionError: by zero'
  assert 'in broken' in (tmp_path / 'crash.log').read_text()


@pytest.mark.parametrize('argument', ['', ':GCE,pair-flip,0.3,Tiny'])
def test_a_printed_config_is_read_again(argument, capsys, tmp_path):
  config = f'--config=Digits{argument}'
  assert runtime.run(['launch.py', config, '--print_config']) == ExitCode.DONE
  printed = capsys.readouterr().out
  assert json.loads(printed)['loss']['name'] == 'gce' if argument else 'sl'
  (tmp_path / 'config.json').write_text(printed)
  for file in (tmp_path, tmp_path / 'config.json'):
    again = ['launch.py', f'--config_file={file}', '--print_config']
    assert runtime.run(again) == ExitCode.DONE
    assert capsys.readouterr().out == printed
  changed = [*again, '--config.seed=7', '--config.optim.clip_norm=2']
  assert runtime.run(changed) == ExitCode.DONE
  made = json.loads(capsys.readouterr().out)
  assert (made['seed'], made['optim']['clip_norm']) == (7, 2.0)


@pytest.mark.faults
def test_an_unwritable_workdir_gets_one_line(data_dir, tmp_path, capsys):
  (tmp_path / 'file').write_text('')
  folder = tmp_path / 'file' / 'run'
  line = refused([DIGITS, f'--workdir={folder}'], capsys)
  assert 'cannot be written' in line


def test_missing_data_get_one_line(tmp_path, capsys, monkeypatch):
  # Whether or not this machine has TensorFlow and the network.
  monkeypatch.setenv('PYTHONPATH', str(tmp_path))
  (tmp_path / 'tensorflow').mkdir()
  (tmp_path / 'socket.py').write_text(
    'AF_INET = 2\ndef getaddrinfo(*_): raise OSError'
  )
  line = refused(
    [
      '--config=configs/cifar100.py:sl',
      f'--workdir={tmp_path / "run"}',
      f'--data_dir={tmp_path / "empty"}',
    ],
    capsys,
  )
  assert 'cifar100' in line
  assert not (tmp_path / 'run').exists()


@pytest.mark.faults
@pytest.mark.usefixtures('small_network')
def test_a_loss_that_is_not_finite_stops_the_run(launch_here, tmp_path):
  folder = tmp_path / 'run'
  done = launch_here(
    '--config=configs/digits.py:ce,symmetric,0.4',
    '--config.optim.learning_rate=1e30',
    f'--workdir={folder}',
  )
  assert done.returncode == ExitCode.DIVERGED
  assert 'the loss is not finite at step ' in done.stderr
  assert re.search(r'on the examples (\d+, ){7}\d+ and \d+ more;', done.stderr)
  assert 'optim.learning_rate=1e+30' in done.stderr
  assert files.read_metrics(folder) == []
  assert not list(files.checkpoints(folder).iterdir())


@pytest.mark.faults
@pytest.mark.usefixtures('small_network')
@pytest.mark.parametrize(
  ('what', 'alpha', 'rate'),
  # Parameters of 1e28, whose products are infinite, and infinite ones.
  [('the loss on the test split', 1, 1e30), ('the network', 1e9, 1e35)],
)
def test_a_last_step_that_explodes_is_not_saved(
  what, alpha, rate, launch_here, tmp_path
):
  done = launch_here(
    '--config=configs/digits.py:sl,symmetric,0.4',
    '--config.data.limit=16',
    '--config.train.batch_size=16',
    '--config.train.epochs=1',
    f'--config.loss.alpha={alpha}',
    f'--config.optim.learning_rate={rate}',
    f'--workdir={tmp_path / "run"}',
  )
  assert done.returncode == ExitCode.DIVERGED
  assert f'{what} is not finite after step 0 (epoch 1), on' in done.stderr
  assert files.read_metrics(tmp_path / 'run') == []
  assert not list(files.checkpoints(tmp_path / 'run').iterdir())


@pytest.mark.faults
def test_one_that_is_not_finite_leaves_the_others(data_dir, tmp_path):
  good, bad = (synthetic.config(f'sl,seed={seed}') for seed in (0, 1))
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
  """What compare leaves, on a few digits."""
  folder = tmp_path_factory.mktemp('compare')
  done = subprocess.run(
    conftest.command(
      'compare',
      DIGITS,
      '--config.train.epochs=2',
      '--config.data.limit=128',
      '--losses=ce,sl',
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


@pytest.mark.landing
def test_compare_prints_a_table_and_what_to_try_next(comparison):
  # As a user types it: below the working folder the path is relative.
  python = shutil.which('python')
  interpreter = os.path.relpath(sys.executable, REPOSITORY)
  if interpreter.startswith('..'):
    is_it = python and os.path.samefile(python, sys.executable)
    interpreter = 'python' if is_it else sys.executable
  folder, output = comparison
  assert 'cross entropy (CE)' in output
  assert 'symmetric learning (SL)' in output
  assert ' ± ' in output
  table = output.split('mean ± ')[1].split('runs:')[0]
  assert all(len(line) <= 80 for line in table.splitlines())
  assert str(folder / 'comparison.png') in output
  suggestions = output.split('To try next:')[1].strip().splitlines()
  assert len(suggestions) == 3
  assert all(f'{interpreter} launch.py' in line for line in suggestions)


@pytest.mark.landing
def test_compare_leaves_a_line_a_run_and_a_picture(comparison):
  folder, _ = comparison
  with open(folder / 'results.csv') as file:
    rows = list(csv.DictReader(file))
  names = [f'{loss}-seed{seed}' for loss in ('ce', 'sl') for seed in (0, 1)]
  assert [row['run'] for row in rows] == names
  for row in rows:
    last = files.read_metrics(folder / row['run'])[-1]
    assert float(row['test_accuracy']) == last['test']['accuracy']
    assert int(row['epochs']) == 2
  with Image.open(folder / 'comparison.png') as picture:
    assert picture.width > 2 * picture.height


@pytest.mark.landing
def test_a_run_is_given_again_by_its_record(comparison, capsys):
  folder, _ = comparison
  run = folder / 'ce-seed1'
  again = ['launch.py', f'--config_file={run}', '--print_config']
  assert runtime.run(again) == ExitCode.DONE
  assert json.loads(capsys.readouterr().out) == files.read_config(run)


@pytest.mark.landing
def test_compared_runs_differ_in_loss_and_seed_only(comparison):
  folder, _ = comparison
  first = files.read_config(folder / 'ce-seed0')
  other = files.read_config(folder / 'sl-seed1')
  del first['loss'], other['loss'], first['seed'], other['seed']
  assert first == other
