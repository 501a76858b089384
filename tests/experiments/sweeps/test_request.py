"""Sweeps from the command line."""

import dataclasses
import json
import pathlib
import re

import pytest

from experiments.paper import registry, scales
from experiments.sweeps import manifest, request
from experiments.sweeps.request import SweepRequest
from sce_jax import errors
from sce_jax.config.check import check_config
from sce_jax.runs import files, read
from sce_jax.storage import lock
from tests import conftest

CONFIG = """
from configs import digits

def get_config(argument=None):
  c = digits.get_config(argument)
  c.data.limit = 64
  c.train.epochs = 2
  c.optim.boundaries = (1, 3)
  return c

def sweep():
  yield {'seed': 0}
  yield {'seed': 1, 'loss.alpha': 1e30}
  yield {'seed': 2}
"""


@pytest.mark.slow  # Three processes train.
def test_sweep_from_another_folder(launch, tmp_path):
  """Packed, with paths as a user types them; then a share of its manifest."""
  (tmp_path / 'small.py').write_text(CONFIG)
  folder = tmp_path / 'runs'  # The home is tmp_path.
  first = launch(
    'sweep',
    '--config=small.py:sl,symmetric,0.4',
    '--pack=3',
    '--workdir=~/runs',
    cwd=tmp_path,
  )
  assert first.returncode == 4, first.stderr
  assert '2 of 3 runs have ended well' in first.stdout
  # Two seeds of one setting.
  assert re.search(r'^1\. .* % ± .* 2$', first.stdout, re.MULTILINE)
  assert (folder / 'sweep-small.png').is_file()
  assert 'launch.py report --workdir=runs' in first.stdout
  failure = first.stderr.splitlines()[-1]
  assert failure.startswith('failed: ')
  assert 'seed1' in failure and 'not finite' in failure
  (log,) = folder.glob('sweep-small.logs/*.log')
  assert 'sl, 3 runs' in log.read_text()
  assert not (tmp_path / '~').exists()

  # Each run has the config that the plain command would give it.
  (path,) = folder.glob('digits-sl-*seed2-*')
  plain = scales.load_module(str(tmp_path / 'small.py')).get_config(
    'sl,symmetric,0.4,seed=2'
  )
  assert files.read_config(path) == json.loads(
    json.dumps(check_config(plain).to_dict())
  )

  before = {p: p.stat().st_mtime_ns for p in folder.glob('*/result.json')}
  assert len(before) == 2
  again = launch('sweep', f'--manifest={folder}/sweep-small.jsonl')
  assert again.returncode == 4, again.stderr
  assert before == {p: p.stat().st_mtime_ns for p in before}


@pytest.mark.process
def test_planning_needs_no_jax(tmp_path):
  code = (
    'import sys\n'
    'from experiments.cli import runtime\n'
    f'more = ["--workdir={tmp_path}/runs"]\n'
    'for line in (\n'
    '  ["--experiment=comparison", "--dry_run"],\n'
    '  ["--config=configs/mnist.py", "--executor=print"],\n'
    '):\n'
    '  assert not runtime.run(["launch.py", "sweep", *line, *more])\n'
    'bad = {"jax", "orbax"} & {m.split(".")[0] for m in sys.modules}\n'
    'sys.exit(f"imported: {bad}" if bad else 0)'
  )
  output = conftest.run_python(code)
  assert [path.name for path in tmp_path.glob('runs/*')] == [
    'sweep-mnist.jsonl'
  ]
  commands = [x for x in output.splitlines() if x.startswith('python ')]
  assert len(commands) == 36
  start = f'python {conftest.REPOSITORY}/launch.py train --manifest={tmp_path}'
  assert all(x.startswith(start) for x in commands)


def planned(tmp_path, **changes):
  values = {
    'config': 'configs/digits.py',
    'root': str(tmp_path / 'runs'),
    'executor': 'print',
  }
  return SweepRequest(**{**values, **changes})


def test_manifest_has_all_shares(tmp_path, capsys):
  assert request.run(planned(tmp_path, shard='1/2')) == 0
  assert len(capsys.readouterr().out.splitlines()) == 13
  path = tmp_path / 'runs' / 'sweep-digits.jsonl'
  moved = planned(
    tmp_path,
    config=None,
    manifest=str(path),
    root=str(tmp_path / 'others'),
    data_dir='~/data',
    flags=['--tracker=wandb'],
  )
  assert request.run(moved) == 0
  lines = capsys.readouterr().out.splitlines()
  assert len(lines) == 27
  assert f' --workdir={tmp_path}/others --data_dir=/' in lines[0]
  assert '/data --tracker=wandb --ids=digits-ce-' in lines[0]


def test_each_choice_of_an_experiment_has_a_manifest(tmp_path):
  """And its runs are in the folders that the experiment itself looks into."""
  whole = planned(tmp_path, config=None, experiment='benchmark')
  names = set()
  for losses, noises, runs in (
    (('ce', 'sl'), (), 20),  # Two seeds under each of five noises.
    (('ce',), ('symmetric 0.3',), 2),
  ):
    choice = registry.Choice(losses, noises, seeds=2)
    asked = dataclasses.replace(whole, choice=choice)
    assert request.run(asked) == 0
    (path,) = {*tmp_path.glob('runs/sweep-*.jsonl')} - names
    names.add(path)
    entries = manifest.load(str(path))
    assert [entry.id for entry in entries] == [
      read.run_name(spec.config)
      for spec in registry.plan('benchmark', 'digits', 'short', choice)
    ]
    assert len(entries) == runs


def test_more_epochs_extend_a_sweep(tmp_path, capsys):
  """Its manifest says which folder is whose; the runs are started with it."""
  (tmp_path / 'small.py').write_text(CONFIG)
  path = tmp_path / 'runs' / 'sweep-small.jsonl'
  config = str(tmp_path / 'small.py')

  def plan(epochs, *allowed):
    asked = planned(
      tmp_path,
      config=config,
      overrides={'train.epochs': epochs},
      allow_config_change=allowed,
    )
    capsys.readouterr()
    assert request.run(asked) == 0
    return manifest.load(str(path)), capsys.readouterr().out.splitlines()

  first, _ = plan(2)
  folder = pathlib.Path(first[0].workdir)
  folder.mkdir()
  (folder / 'result.json').write_text(
    '{"epochs": 2, "test_accuracy": 0.5, "test": null}'
  )
  assert [x.ended for x in plan(2)[0]] == ['done', None, None]
  before = path.read_bytes()
  for allowed, changes, message in (
    (['optim.momentum'], {'optim.momentum': 0.5}, 'give more --config.train'),
    (
      ['loss.alpha', 'loss.beta', 'seed'],
      {'loss.beta': 0.5},
      'could continue any of',
    ),
  ):
    with pytest.raises(errors.UserError, match=message):
      request.run(
        planned(
          tmp_path,
          config=config,
          overrides={'train.epochs': 2, **changes},
          allow_config_change=allowed,
        )
      )
    assert path.read_bytes() == before
  longer, lines = plan(3, 'train.epochs')
  assert [x.workdir for x in longer] == [x.workdir for x in first]
  assert [x.ended for x in longer] == [None] * 3
  assert {x.config['train']['epochs'] for x in longer} == {3}
  assert all('--allow_config_change=train.epochs' in line for line in lines)
  # They keep their folders.
  assert plan(3)[0] == longer
  # Without the flag it is another sweep.
  assert not {x.id for x in plan(4)[0]} & {x.id for x in first}


def test_the_data_may_choose_the_epochs(tmp_path, capsys):
  asked = planned(
    tmp_path,
    config=None,
    experiment='ablation',
    dataset='own',
    scale='full',
    dry_run=True,
  )
  assert request.run(asked) == 0
  shown = capsys.readouterr().out.splitlines()[0]
  count = shown.split()[0]
  assert shown.endswith(
    f'{count} to run; the data choose the epochs of {count}'
  )
  # Once it has ended its result says how many they were.
  assert request.run(dataclasses.replace(asked, dry_run=False)) == 0
  (path,) = tmp_path.glob('runs/sweep-*.jsonl')
  first, *_ = manifest.load(str(path))
  assert first.epochs is None and first.ended is None
  folder = pathlib.Path(first.workdir)
  folder.mkdir()
  (folder / 'result.json').write_text(
    '{"epochs": 60, "test_accuracy": 0.5, "test": null}'
  )
  assert first.ended == 'done'
  capsys.readouterr()
  assert request.run(asked) == 0
  assert ' 1 done, 0 failed, ' in capsys.readouterr().out


def test_a_sweep_whose_epochs_the_data_chose_is_extended(tmp_path):
  config = tmp_path / 'mine.py'
  config.write_text(
    'from configs.own import *\ndef sweep():\n  yield {"seed": 0}\n'
  )
  path = tmp_path / 'runs' / 'sweep-mine.jsonl'
  asked = planned(tmp_path, config=str(config))
  request.run(asked)
  (first,) = manifest.load(str(path))
  folder = pathlib.Path(first.workdir)
  folder.mkdir()
  (folder / 'result.json').write_text(
    '{"epochs": 60, "test_accuracy": 0.5, "test": null}'
  )
  request.run(
    dataclasses.replace(
      asked,
      overrides={'train.epochs': 90},
      allow_config_change=['train.epochs'],
    )
  )
  (longer,) = manifest.load(str(path))
  assert (longer.workdir, longer.epochs) == (first.workdir, 90)
  assert longer.ended is None


@pytest.mark.slow
@pytest.mark.usefixtures('small_network')
def test_a_run_of_a_sweep_is_trained_for_longer(launch_here, tmp_path, capsys):
  one, _, _ = CONFIG.partition("  yield {'seed': 1")
  (tmp_path / 'small.py').write_text(one)
  for epochs in (2, 3):
    asked = planned(
      tmp_path,
      config=str(tmp_path / 'small.py'),
      overrides={'train.epochs': epochs},
      allow_config_change=['train.epochs'],
    )
    capsys.readouterr()
    assert request.run(asked) == 0
    _, _, *command = capsys.readouterr().out.split()
    done = launch_here(*command)
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.glob('runs/digits-*')
    assert files.read_result(folder)['epochs'] == epochs
    assert len(files.read_metrics(folder)) == epochs


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'experiment': 'comparison'}, 'needs one of --config, --experiment and'),
    ({'config': None}, 'needs one of --config, --experiment and'),
    ({'config': None, 'experiment': 'theory'}, 'theory trains nothing'),
    ({'config': None, 'manifest': 'a', 'name': 'b'}, '--name is one of'),
    ({'executor': 'local', 'jobs': 9999}, '--jobs=9999: this machine has'),
  ],
)
def test_bad_requests_are_refused(changes, message, tmp_path):
  with pytest.raises(errors.UserError, match=message):
    request.run(planned(tmp_path, **changes))
  assert not list(tmp_path.glob('runs/*.jsonl'))


@pytest.mark.faults
def test_second_driver_of_a_sweep_is_refused(tmp_path):
  logs = tmp_path / 'runs' / 'sweep-digits.logs'
  logs.mkdir(parents=True)
  held = lock.acquire(logs)
  with pytest.raises(errors.UserError, match='another sweep is at work'):
    request.run(planned(tmp_path, executor='local'))
  held.close()
