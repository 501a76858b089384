"""Shares of a sweep, and runs packed into one process."""

import pytest

from experiments.paper import scales
from experiments.sweeps import jobs, manifest
from sce_jax import errors
from tests import conftest


def entry(seed, loss='sl', data_dir=None):
  config = scales.config('digits', 'tiny', loss=loss, seed=seed)
  return manifest.entry(config, 'runs', data_dir)


def test_shares_are_all_and_do_not_overlap():
  entries = [entry(seed) for seed in range(7)]
  shares = [jobs.shard(entries, f'{i}/3') for i in range(3)]
  assert [len(s) for s in shares] == [3, 2, 2]
  ids = [e.id for s in shares for e in s]
  assert sorted(ids) == sorted(e.id for e in entries)
  assert jobs.shard(entries, '0/1') == entries


@pytest.mark.parametrize('shard', ['3/3', '1', '-1/3', '0/0', 'a/b'])
def test_malformed_shares_are_refused(shard):
  with pytest.raises(errors.UserError, match='is not understood: give I/N'):
    jobs.shard([], shard)


def test_only_runs_of_one_program_are_packed():
  entries = [
    entry(0),
    entry(0, 'ce'),
    entry(1),
    entry(2),
    entry(3, data_dir='/other'),
  ]
  packed = jobs.pack(entries, 2, ['--manifest=/m', '--tracker=wandb'])
  assert [[e.id for e in job.entries] for job in packed] == [
    [entries[0].id, entries[2].id],
    [entries[3].id],
    [entries[1].id],
    [entries[4].id],
  ]
  assert packed[0].command == [
    str(conftest.REPOSITORY / 'launch.py'),
    'train',
    '--manifest=/m',
    '--tracker=wandb',
    f'--ids={entries[0].id},{entries[2].id}',
  ]
  assert packed[0].id == f'{entries[0].id}-and-1-more'
  assert [len(j.entries) for j in jobs.pack(entries, 1, [])] == [1] * 5
