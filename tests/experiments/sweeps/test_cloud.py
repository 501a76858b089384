"""The scripts of experiments/cloud, with programs that show their arguments."""

import os
import subprocess

import pytest
import yaml

from experiments.paper import scales
from experiments.sweeps import jobs, manifest
from sce_jax.exit_codes import ExitCode
from tests import conftest

pytestmark = pytest.mark.process

CLOUD = conftest.REPOSITORY / 'experiments' / 'cloud'
SHOW = '#!/bin/sh\nprintf "%s\\n" "$@"\n'


def program(path, text=SHOW):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(text)
  path.chmod(0o755)


def bash(*words, folder, **variables):
  return subprocess.run(
    ['bash', *map(str, words)],
    cwd=folder,
    env={'PATH': f'{folder}/bin:{os.environ["PATH"]}', **variables},
    capture_output=True,
    text=True,
    check=False,
  )


@pytest.mark.parametrize('name', ['run', 'sweep'])
def test_sky_restarts_what_was_preempted(name):
  task = yaml.safe_load((CLOUD / f'{name}.sky.yaml').read_text())
  assert task['resources']['use_spot']
  assert task['resources']['job_recovery']['recover_on_exit_codes'] == [
    ExitCode.PREEMPTED,
    ExitCode.TERMINATED,
  ]


@pytest.fixture
def sky(tmp_path):
  """Runs a task's script as sky does; returns the process."""
  program(tmp_path / 'sce_jax_env' / 'bin' / 'python')

  def run(name, **given):
    task = yaml.safe_load((CLOUD / f'{name}.sky.yaml').read_text())
    envs = {key: value or '' for key, value in task['envs'].items()}
    return bash(
      '-c',
      task['run'],
      folder=tmp_path,
      HOME=str(tmp_path),
      **{**envs, **given},
    )

  return run


def test_sky_run(sky, tmp_path):
  assert sky('run', WORKDIR='gs://b/r').stdout.splitlines() == [
    'launch.py',
    '--config=configs/cifar10.py:sl,symmetric,0.4',
    '--workdir=gs://b/r',
  ]


def test_sky_jobs_share_a_sweep(sky, tmp_path):
  entries = [
    manifest.entry(scales.config('digits', 'tiny', seed=seed), 'runs')
    for seed in range(7)
  ]

  def words(rank, node, **given):
    done = sky(
      'sweep',
      WORKDIR='gs://b/runs',
      SKYPILOT_NUM_JOBS='3',
      SKYPILOT_JOB_RANK=str(rank),
      SKYPILOT_NUM_NODES='2',
      SKYPILOT_NODE_RANK=str(node),
      **given,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()

  # Three jobs of two machines: each run is trained by one of the six.
  trained = [
    entry.id
    for rank in range(3)
    for node in range(2)
    for entry in jobs.shard(
      entries, words(rank, node)[-1].removeprefix('--shard=')
    )
  ]
  assert sorted(trained) == sorted(entry.id for entry in entries)
  assert words(0, 0, SHARD='3/9', FLAGS='--jobs=4 --pack=8') == [
    'launch.py',
    'sweep',
    f'--manifest={tmp_path}/sweep.jsonl',
    '--workdir=gs://b/runs',
    f'--data_dir={tmp_path}/tensorflow_datasets',
    '--shard=3/9',
    '--jobs=4',
    '--pack=8',
  ]


def test_sky_refuses_slices_of_several_hosts(sky):
  ranks = {'SKYPILOT_NUM_JOBS': '1', 'SKYPILOT_JOB_RANK': '0'}
  one = sky('sweep', JAX='jax[tpu]', SKYPILOT_NUM_NODES='1', **ranks)
  assert one.returncode == 0 and '--shard=0/1' in one.stdout
  four = sky('sweep', JAX='jax[tpu]', SKYPILOT_NUM_NODES='4', **ranks)
  assert four.returncode == ExitCode.BAD_INPUT
  assert 'take slices of one host' in four.stderr


@pytest.mark.parametrize(
  'path', sorted(CLOUD.glob('*.sh')), ids=lambda path: path.name
)
def test_scripts_are_bash(path, tmp_path):
  done = bash('-n', path, folder=tmp_path)
  assert done.returncode == 0 and done.stderr == ''
  assert os.access(path, os.X_OK)


def test_slurm_array_runs_its_share(tmp_path):
  program(tmp_path / '.venv' / 'bin' / 'python')

  def run(low):
    return bash(
      CLOUD / 'slurm_array.sh',
      'runs/sweep-a.jsonl',
      '--pack=4',
      folder=tmp_path,
      SLURM_ARRAY_TASK_ID='5',
      SLURM_ARRAY_TASK_MIN=str(low),
      SLURM_ARRAY_TASK_MAX='15',
      SLURM_ARRAY_TASK_COUNT=str(16 - low),
    )

  assert run(0).stdout.splitlines() == [
    'launch.py',
    'sweep',
    '--manifest=runs/sweep-a.jsonl',
    '--shard=5/16',
    '--pack=4',
  ]
  assert run(1).returncode == ExitCode.BAD_INPUT


@pytest.mark.faults
@pytest.mark.parametrize(
  ('code', 'queued'), [(ExitCode.PREEMPTED, True), (ExitCode.DIVERGED, False)]
)
def test_slurm_job_is_queued_again(code, queued, tmp_path):
  program(tmp_path / 'bin' / 'srun', f'#!/bin/sh\necho srun "$@"; exit {code}')
  program(tmp_path / 'bin' / 'scontrol', '#!/bin/sh\necho scontrol "$@"')
  done = bash(
    CLOUD / 'slurm.sh', '--config=a.py:sl', folder=tmp_path, SLURM_JOB_ID='7'
  )
  assert done.returncode == code
  assert done.stdout.splitlines() == [
    'srun .venv/bin/python launch.py --config=a.py:sl',
    *['scontrol requeue 7'] * queued,
  ]
