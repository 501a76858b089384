"""Shares of a sweep, and runs packed into one process."""

import json
import re
import subprocess

import pytest

from experiments.paper import scales
from experiments.sweeps import manifest, task
from sce_jax import errors
from tests import conftest


def entry(seed, loss='sl', data_dir=None):
  config = scales.config('digits', 'tiny', loss=loss, seed=seed)
  return manifest.entry(config, 'runs', data_dir, 'configs/digits.py')


def test_shares_are_all_and_do_not_overlap():
  entries = [entry(seed) for seed in range(7)]
  shares = [task.shard(entries, f'{i}/3') for i in range(3)]
  assert [len(s) for s in shares] == [3, 2, 2]
  ids = [e.id for s in shares for e in s]
  assert sorted(ids) == sorted(e.id for e in entries)
  assert task.shard(entries, '0/1') == entries


@pytest.mark.parametrize('shard', ['3/3', '1', '-1/3', '0/0', 'a/b'])
def test_what_is_no_share_is_refused(shard):
  with pytest.raises(errors.UserError, match='is not understood: give I/N'):
    task.shard([], shard)


def test_only_equal_shapes_are_packed(tmp_path):
  path = tmp_path / 'sweep.jsonl'
  entries = [
    entry(0),
    entry(0, 'ce'),
    entry(1),
    entry(2),
    entry(3, data_dir='/other'),
  ]
  packed = task.pack(entries, 2, path, ['--tracker=wandb'])
  assert [[e.id for e in t.entries] for t in packed] == [
    [entries[0].id, entries[2].id],
    [entries[3].id],
    [entries[1].id],
    [entries[4].id],
  ]
  assert packed[0].command == [
    'launch.py',
    f'--manifest={path}',
    f'--members={entries[0].id},{entries[2].id}',
    '--tracker=wandb',
  ]
  assert packed[1].command == [*entries[3].command, '--tracker=wandb']


CONFIG = """
from configs import digits

def get_config(argument=None):
  c = digits.get_config(argument)
  c.data.limit = 64
  c.train.epochs = 2
  return c

def sweep():
  yield {'seed': 0}
  yield {'seed': 1, 'loss.alpha': 1e30}
  yield {'seed': 2}
"""


@pytest.fixture
def sweep(tmp_path, data_dir):
  """Runs launch.py on a small sweep, or on what it wrote before."""
  (tmp_path / 'small.py').write_text(CONFIG)

  def run(*arguments):
    return subprocess.run(
      conftest.command(*arguments),
      env=conftest.environment(data_dir, tmp_path),
      cwd=conftest.REPOSITORY,
      capture_output=True,
      text=True,
      timeout=300,
      check=False,
    )

  return run


def test_a_packed_sweep_and_its_manifest(sweep, tmp_path):
  folder = tmp_path / 'runs'
  first = sweep(
    f'--config={tmp_path / "small.py"}:sl,symmetric,0.4',
    '--sweep',
    '--pack=3',
    f'--workdir={folder}',
  )
  assert first.returncode == 4, first.stderr
  assert '2 of 3 runs have ended well' in first.stdout
  (failure,) = re.findall('^failed: .*', first.stderr, re.MULTILINE)[-1:]
  assert 'seed1' in failure and 'not finite' in failure
  (log,) = folder.glob('sweep-small.logs/*.log')
  assert 'sl, 3 runs' in log.read_text()
  results = [
    json.loads(path.read_text()) for path in folder.glob('*/result.json')
  ]
  assert sorted(r['seed'] for r in results) == [0, 2]

  path = folder / 'sweep-small.jsonl'
  again = sweep(f'--manifest={path}', '--shard=0/2')
  assert again.returncode == 0, again.stderr
  assert '2 of 2 runs have ended well' in again.stdout
  waiting = sweep(f'--manifest={path}', '--shard=1/2', '--executor=print')
  (line,) = waiting.stdout.splitlines()
  assert '--config.seed=1' in line or 'seed=1' in line
  unknown = sweep(f'--manifest={path}', '--members=nope')
  assert unknown.returncode == 2
  assert unknown.stderr == f'error: {path} has no run nope\n'
  both = sweep(f'--manifest={path}', '--sweep')
  assert both.returncode == 2
  assert both.stderr.startswith('error: --manifest has its runs')
