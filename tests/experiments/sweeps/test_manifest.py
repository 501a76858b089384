"""Manifests: every command means the run that it stands for."""

import dataclasses
import json
import subprocess
import sys

import pytest

from experiments.paper import registry, scales
from experiments.sweeps import expand, manifest
from sce_jax import errors
from sce_jax.config import fields
from sce_jax.config.check import check_config
from sce_jax.runs import read
from tests import conftest


@pytest.mark.parametrize('scale', ['full', 'short'])
@pytest.mark.parametrize(
  ('name', 'dataset'),
  [
    ('comparison', 'digits'),
    ('comparison', 'cifar100'),
    ('parameters', 'mnist'),
    ('ablation', 'cifar10'),
    ('recipe', 'mnist'),
    ('recipe', 'cifar10'),
  ],
)
def test_a_command_means_its_run(name, dataset, scale):
  trials = registry.load(name).sweep(dataset, scale)
  # Of each loss, and of each part of a recipe.
  some = {
    (t.config.loss.name, check_config(t.config).compile_key): t.config
    for t in trials
  }
  for config in some.values():
    file = scales.config_file(dataset)
    entry = manifest.entry(config, 'runs', None, file)
    assert fields.fingerprint(
      manifest.config_of(entry.command)
    ) == fields.fingerprint(config)
    assert entry.id == read.run_name(config)
    assert entry.workdir == f'runs/{entry.id}'


def test_launch_reads_a_command_as_it_is_meant(tmp_path):
  """All kinds of fields, through the real flags."""
  config = scales.config(
    'cifar10',
    'short',
    rate=0.3,
    recipe='apl',
    changes={
      'optim.boundaries': (1, 3),
      'optim.nesterov': True,
      'optim.clip_norm': 2.5,
      'optim.l2_names': '^fc1/',
      'data.limit': 7,
      'optim.weight_decay': 1e-7,
    },
  )
  entry = manifest.entry(config, tmp_path, None, 'configs/cifar10.py')
  code = (
    'import sys; from absl import app, flags\n'
    'import launch; from experiments import command_line\n'
    'from sce_jax.config import fields\n'
    'command_line.parse(sys.argv)\n'
    'print(fields.fingerprint(flags.FLAGS["config"].value))'
  )
  done = subprocess.run(
    [sys.executable, '-c', code, *entry.command[1:]],
    cwd=conftest.REPOSITORY,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.stdout.strip() == entry.fingerprint, done.stderr
  assert (
    fields.fingerprint(manifest.config_of(entry.command)) == entry.fingerprint
  )


def entries():
  return [
    manifest.entry(
      scales.config('digits', 'tiny', seed=seed),
      'runs',
      None,
      'configs/digits.py',
    )
    for seed in (0, 1)
  ]


def test_a_manifest_is_read_as_it_was_written(tmp_path):
  path = tmp_path / 'deep' / 'sweep.jsonl'
  manifest.write(path, entries())
  assert manifest.read(path) == entries()
  first = json.loads(path.read_text().splitlines()[0])
  assert first['command'][0] == 'launch.py'
  assert first['epochs'] == 3
  assert [p.name for p in path.parent.iterdir()] == ['sweep.jsonl']


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    (None, 'is not there: write one with --sweep'),
    ('no json\n', 'is no manifest'),
    ('{"id": 1}\n', 'is no manifest'),
  ],
)
def test_what_is_no_manifest_is_refused(text, message, tmp_path):
  path = tmp_path / 'sweep.jsonl'
  if text is not None:
    path.write_text(text)
  with pytest.raises(errors.UserError, match=message):
    manifest.read(path)


def test_one_from_other_code_is_refused(tmp_path):
  path = tmp_path / 'sweep.jsonl'
  old = dataclasses.replace(entries()[0], fingerprint='00000000')
  manifest.write(path, [old])
  with pytest.raises(errors.UserError, match='another version of the code'):
    manifest.read(path)


def test_only_what_is_wanted_is_compared(tmp_path):
  path = tmp_path / 'sweep.jsonl'
  good, bad = entries()
  bad = dataclasses.replace(bad, fingerprint='00000000')
  manifest.write(path, [good, bad])
  assert manifest.read(path, lambda runs: runs[:1]) == [good]
  with pytest.raises(errors.UserError, match='another version of the code'):
    manifest.read(path, lambda runs: runs[1:])


CONFIG = """
from configs import digits

get_config = digits.get_config

def sweep():
  for seed in (0, 1):
    yield {'argument': f'ce,symmetric,0.2,seed={seed}'}
    yield {'seed': seed, 'loss.alpha': 0.5}

def sweep_bad():
  yield {'optim.nope': 1}
"""


@pytest.fixture
def config_file(tmp_path):
  path = tmp_path / 'mine.py'
  path.write_text(CONFIG)
  return str(path)


def test_a_config_files_sweep(config_file):
  found = expand.of_config(
    f'{config_file}:sl,symmetric,0.6', '', {'train.epochs': 2}, 'runs', '/data'
  )
  assert len(found) == 4
  assert all(e.epochs == 2 for e in found)
  assert all(e.command[-1] == '--data_dir=/data' for e in found)
  first, second = found[:2]
  assert first.command[1] == f'--config={config_file}:ce,symmetric,0.2,seed=0'
  assert second.command[1] == f'--config={config_file}:sl,symmetric,0.6,seed=0'
  assert '--config.loss.alpha=0.5' in second.command


def test_what_a_config_file_lacks_is_told(config_file):
  with pytest.raises(
    errors.UserError, match=r'no function sweep_nope\(\): use'
  ):
    expand.of_config(config_file, 'nope', {}, 'runs', None)
  with pytest.raises(errors.UserError, match=r'sweep_bad\(\): .*nope'):
    expand.of_config(config_file, 'bad', {}, 'runs', None)
  with pytest.raises(errors.UserError, match='does not exist'):
    expand.of_config('configs/nope.py', '', {}, 'runs', None)


@pytest.mark.parametrize('dataset', ['digits', 'mnist', 'cifar10', 'cifar100'])
def test_every_data_set_has_a_sweep(dataset):
  found = expand.of_config(f'configs/{dataset}.py', '', {}, 'runs', None)
  assert len(found) == len({e.id for e in found}) >= 27


def test_planning_a_sweep_needs_no_jax(tmp_path):
  code = (
    'import runpy, sys\n'
    'try: runpy.run_path("launch.py", run_name="__main__")\n'
    'except SystemExit as end: assert not end.code, end\n'
    'bad = {"jax", "orbax"} & {m.split(".")[0] for m in sys.modules}\n'
    'sys.exit(f"imported: {bad}" if bad else 0)'
  )
  for arguments, written in (
    (['--experiment=comparison', '--sweep', '--dry_run'], []),
    (
      ['--config=configs/mnist.py', '--sweep', '--executor=print'],
      ['sweep-mnist.jsonl'],
    ),
    (['--experiment=help', '--dataset=mnist'], ['sweep-mnist.jsonl']),
  ):
    done = subprocess.run(
      [
        sys.executable,
        '-c',
        code,
        *arguments,
        f'--workdir={tmp_path / "runs"}',
      ],
      cwd=conftest.REPOSITORY,
      capture_output=True,
      text=True,
      check=False,
    )
    assert done.returncode == 0, done.stderr
    assert 'launch.py --' in done.stdout
    assert [path.name for path in tmp_path.glob('runs/*')] == written


def test_a_shard_runs_its_share_alone(launch, tmp_path):
  """Of a manifest whose other share this code would refuse."""
  path = tmp_path / 'sweep.jsonl'
  good, bad = entries()
  manifest.write(path, [good, dataclasses.replace(bad, fingerprint='0')])
  done = launch(f'--manifest={path}', '--shard=0/2', '--dry_run')
  assert done.returncode == 0, done.stderr
  assert '1 runs: 0 done, 0 failed, 1 to run; 3 epochs' in done.stdout
  assert good.id in done.stdout and bad.id not in done.stdout
  done = launch(f'--manifest={path}', '--shard=1/2', '--dry_run')
  assert done.returncode == 2 and 'another version' in done.stderr
