"""What --executor=sky writes; and that SkyPilot understands it."""

import os
import subprocess
import sys

import pytest
import yaml

from experiments.sweeps import command, executors, manifest, sky_jobs, task
from tests import conftest

CLOUD = conftest.REPOSITORY / 'experiments' / 'cloud'


@pytest.fixture
def sweep(monkeypatch, tmp_path, capsys):
  """Writes the jobs of digits' sweep; returns code, stdout and stderr."""
  monkeypatch.chdir(conftest.REPOSITORY)
  monkeypatch.setattr(sky_jobs, 'LOCAL', str(tmp_path / 'runs'))

  def run(
    accelerator='tpu-v5e-8',
    shards=4,
    *,
    root='gs://bucket/runs',
    config='configs/digits.py:',
    data_dir=None,
    executor='sky',
    shard=None,
    pack=1,
    jobs=None,
    written=None,
    dry_run=False,
  ):
    code = command.launch(
      '' if written is None else None,
      config=config if written is None else None,
      overrides={},
      experiment=None,
      dataset='digits',
      scale='tiny',
      root=root,
      data_dir=data_dir,
      written=written,
      shard=shard,
      executor=executor,
      sky=sky_jobs.Request(accelerator, shards, data_dir),
      resources=executors.Resources(jobs=jobs),
      dry_run=dry_run,
      retries=2,
      pack=pack,
    )
    said = capsys.readouterr()
    return code, said.out, said.err

  return run


@pytest.fixture
def written(sweep, tmp_path):
  """The task that is written, as YAML reads it."""

  def write(*arguments, **options):
    code, out, err = sweep(*arguments, **options)
    assert code == 0, err
    (path,) = (tmp_path / 'runs').glob('*.sky.yaml')
    return yaml.safe_load(path.read_text()), out

  return write


def test_a_tpu_task(written, tmp_path):
  job, out = written(pack=8)
  path = tmp_path / 'runs' / 'sweep-digits.jsonl'
  runs = manifest.read(path)
  assert len(runs) == 27
  assert all(run.workdir == f'gs://bucket/runs/{run.id}' for run in runs)
  assert job['name'] == 'sce-jax-sweep-digits'
  assert job['resources'] == {
    'accelerators': 'tpu-v5litepod-8',
    'infra': 'gcp',
    'accelerator_args': {'runtime_version': 'v2-alpha-tpuv5-lite'},
    'use_spot': True,
    'job_recovery': {
      'strategy': 'EAGER_NEXT_REGION',
      'recover_on_exit_codes': [75, 143],
    },
  }
  assert job['file_mounts'] == {'~/sce_jax_sweep/sweep-digits.jsonl': str(path)}
  assert job['workdir'] == str(conftest.REPOSITORY)
  assert "-r requirements.txt 'jax[tpu]' gcsfs\n" in job['setup']
  assert '--pack=8' in job['run']
  yaml_path = path.with_suffix('.sky.yaml')
  assert f'launch with: sky jobs launch --num-jobs=4 {yaml_path}\n' in out
  assert '4 shards of 6 or 7 runs' in out


def test_a_gpu_task_beside_its_bucket(written, tmp_path):
  (tmp_path / 'tfds').mkdir()
  job, out = written(
    'H100:8',
    root='s3://bucket/runs',
    config='configs/mnist.py:',
    data_dir=str(tmp_path / 'tfds'),
    jobs=4,
  )
  assert job['resources']['accelerators'] == 'H100:8'
  assert job['resources']['infra'] == 'aws'
  assert job['file_mounts']['~/tensorflow_datasets'] == str(tmp_path / 'tfds')
  assert "'jax[cuda13]' s3fs\n" in job['setup']
  assert '--jobs=4' in job['run'] and '--pack' not in job['run']
  assert 'hint' not in out
  runs = manifest.read(tmp_path / 'runs' / 'sweep-mnist.jsonl')
  assert all(manifest.data_dir_of(run.command) is None for run in runs)


def test_data_from_a_bucket_or_prepared_there(written):
  job, _ = written(config='configs/mnist.py:', data_dir='gs://bucket/tfds')
  assert job['file_mounts']['~/tensorflow_datasets'] == 'gs://bucket/tfds'
  assert 'tensorflow' not in job['setup']
  job, _ = written(config='configs/mnist.py:')
  assert '~/tensorflow_datasets' not in job['file_mounts']
  assert 'gcsfs tensorflow\n' in job['setup']


def test_hints(written):
  job, out = written(root='s3://bucket/runs')
  assert job['resources']['infra'] == 'gcp'
  assert 'tpu-v5litepod-8 is not to be had at aws' in out
  assert '--pack=8 trains as many runs' in out


def test_the_shards_of_a_launch_are_the_sweep(written, tmp_path):
  """The task's script, run as sky does, with a Python that shows its words."""
  job, _ = written()
  python = tmp_path / 'sce_jax_env' / 'bin' / 'python'
  python.parent.mkdir(parents=True)
  python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
  python.chmod(0o755)

  def run(**given):
    return subprocess.run(
      ['bash', '-c', job['run']],
      env={
        'PATH': os.environ['PATH'],
        'HOME': str(tmp_path),
        **job['envs'],
        **given,
      },
      capture_output=True,
      text=True,
      check=False,
    )

  def shard_of(done):
    assert done.returncode == 0, done.stderr
    words = done.stdout.splitlines()
    assert words[:2] == [
      'launch.py',
      f'--manifest={tmp_path}/sce_jax_sweep/sweep-digits.jsonl',
    ]
    assert words[3:] == ['--executor=local', '--retries=2']
    return words[2].removeprefix('--shard=')

  runs = manifest.read(tmp_path / 'runs' / 'sweep-digits.jsonl')
  shares = [
    task.shard(
      runs,
      shard_of(run(SKYPILOT_NUM_JOBS='4', SKYPILOT_JOB_RANK=str(rank))),
    )
    for rank in range(4)
  ]
  assert sorted(one.id for share in shares for one in share) == sorted(
    one.id for one in runs
  )
  # One of them again; its own rank, which is then 0, does not count.
  again = run(SHARD='3', SKYPILOT_NUM_JOBS='1', SKYPILOT_JOB_RANK='0')
  assert shard_of(again) == '3/4'
  # Launched without --num-jobs: most of the sweep would be left out.
  alone = run(SKYPILOT_NUM_JOBS='1', SKYPILOT_JOB_RANK='0')
  assert alone.returncode == 2
  assert 'launch with --num-jobs=4' in alone.stderr


def test_a_dry_run_writes_nothing(sweep, tmp_path):
  code, out, _ = sweep(dry_run=True)
  assert code == 0
  assert '27 runs in 4 shards of 6 or 7, 1620 epochs' in out
  assert 'tpu-v5litepod-8, 8 x 16 GB, spot' in out
  assert not (tmp_path / 'runs').exists()


def test_a_manifest_from_before(sweep, tmp_path):
  sweep(root='gs://bucket/other')
  path = tmp_path / 'runs' / 'sweep-digits.jsonl'
  before = path.read_text()
  code, _, err = sweep('L4', 9, written=str(path), root='runs')
  assert code == 0, err
  job = yaml.safe_load(path.with_suffix('.sky.yaml').read_text())
  assert job['envs']['SHARDS'] == '9'
  assert path.read_text() == before


def test_a_manifest_of_local_runs_is_refused(sweep, tmp_path):
  sweep()
  runs = manifest.read(tmp_path / 'runs' / 'sweep-digits.jsonl')
  path = tmp_path / 'local.jsonl'
  config = manifest.config_of(runs[0].command)
  manifest.write(
    path, [manifest.entry(config, 'runs', None, 'configs/digits.py')]
  )
  code, _, err = sweep(written=str(path), shards=1)
  assert code == 2 and 'lost with its task' in err
  manifest.write(
    path,
    [manifest.entry(config, 'gs://b/r', '/data', 'configs/digits.py')],
  )
  code, _, err = sweep(written=str(path), shards=1)
  assert code == 2 and 'read /data, which no task has' in err


@pytest.mark.parametrize(
  ('options', 'message'),
  [
    ({'root': 'runs'}, '--workdir=runs: --executor=sky needs one in a bucket'),
    ({'root': 'gs://'}, 'needs one in a bucket'),
    ({'accelerator': None}, 'needs --accelerator, such as'),
    ({'accelerator': 'tpu-v5e-9'}, 'did you mean tpu-v5e-4 or tpu-v5e-8?'),
    ({'accelerator': 'tpu-v5e-16'}, 'are 4 hosts'),
    ({'shards': 28}, '--shards=28 is more than the 27 runs'),
    ({'shard': '0/4'}, 'say how many with --shards'),
    ({'data_dir': '/nowhere'}, '--data_dir=/nowhere is not there'),
    ({'executor': 'local'}, 'go with --executor=sky'),
    ({'config': '{outside}:'}, 'is not shipped with the code'),
  ],
)
def test_refusals(options, message, sweep, tmp_path):
  outside = tmp_path / 'mine.py'
  outside.write_text(
    'from configs import digits\nget_config = digits.get_config\n'
    "def sweep():\n  yield {'seed': 1}\n"
  )
  if 'config' in options:
    options = {'config': f'{outside}:', 'shards': 1}
  code, out, err = sweep(**options)
  assert code == 2 and out == ''
  assert message in err and err.count('\n') == 1
  assert not (tmp_path / 'runs').exists()


def test_the_command_line():
  """As a user has it; neither jax nor SkyPilot is needed for it."""
  code = (
    'import runpy, sys\n'
    'try: runpy.run_path("launch.py", run_name="__main__")\n'
    'except SystemExit as end: assert not end.code, end\n'
    'sys.exit(repr({"jax", "sky"} & set(sys.modules) or ""))'
  )
  done = subprocess.run(
    [
      sys.executable,
      '-c',
      code,
      '--config=configs/digits.py',
      '--sweep',
      '--executor=sky',
      '--accelerator=H100:8',
      '--shards=3',
      '--workdir=gs://bucket/runs',
      '--dry_run',
    ],
    cwd=conftest.REPOSITORY,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.stderr == "''\n"
  assert '27 runs in 3 shards of 9' in done.stdout


# In a process of its own, with a home of its own: importing sky reads a
# catalogue that it would otherwise download, and warns.
READ = """
import pathlib, sys
catalogue = pathlib.Path.home() / '.sky/catalogs/v8/common'
catalogue.mkdir(parents=True)
(catalogue / 'accelerators.csv').write_text(
  "AcceleratorName,Clouds\\nH100,\\"['AWS', 'GCP']\\"\\n"
)
(catalogue / 'metadata.csv').write_text(
  'GPU,MemoryGB,Manufacturer\\nH100,80,nvidia\\n'
)
import sky
from sky.jobs import recovery_strategy
from sky.utils import dag_utils, registry
path, *envs = sys.argv[1:]
dag = dag_utils.load_chain_dag_from_yaml(
  path, env_overrides=[tuple(env.split('=', 1)) for env in envs]
)
(task,) = dag.tasks
task.expand_and_validate_workdir()
task.expand_and_validate_file_mounts()
(resources,) = task.resources
print(resources.job_recovery)
registry.JOBS_RECOVERY_STRATEGY_REGISTRY.from_str(
  resources.job_recovery['strategy']
)
print(resources.accelerators, resources.accelerator_args, resources.cloud)
print(resources.use_spot, dict(task.envs))
"""


@pytest.fixture
def sky_reads(tmp_path):
  """What SkyPilot makes of a YAML file."""
  pytest.importorskip('sky', reason='SkyPilot is not installed')

  def read(path, *envs):
    home = tmp_path / 'home'
    home.mkdir(exist_ok=True)
    done = subprocess.run(
      [sys.executable, '-c', READ, str(path), *envs],
      cwd=conftest.REPOSITORY,
      env={
        'PATH': os.environ['PATH'],
        'HOME': str(home),
        'SKYPILOT_DISABLE_USAGE_COLLECTION': '1',
      },
      capture_output=True,
      text=True,
      check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout

  return read


@pytest.mark.parametrize('accelerator', ['tpu-v5e-8', 'tpu-v4-8', 'H100:8'])
def test_sky_reads_a_sweep(accelerator, written, tmp_path, sky_reads):
  job, _ = written(accelerator)
  said = sky_reads(tmp_path / 'runs' / 'sweep-digits.sky.yaml')
  assert "'recover_on_exit_codes': [75, 143]" in said
  name = job['resources']['accelerators'].partition(':')[0]
  assert f"{{'{name}': " in said
  assert said.count('GCP') == 1
  assert "True {'SHARD': '', 'SHARDS': '4'}" in said


def test_sky_reads_the_example_of_one_run(tmp_path, sky_reads):
  data = tmp_path / 'tfds'
  data.mkdir()
  said = sky_reads(
    CLOUD / 'run.sky.yaml', 'WORKDIR=gs://bucket/runs/a', f'DATA={data}'
  )
  assert "{'tpu-v5litepod-16': 1}" in said
  assert "'WORKDIR': 'gs://bucket/runs/a'" in said


def test_the_example_of_one_run_is_this_program(tmp_path):
  """Without SkyPilot: its script, run with the launch.py that is here."""
  job = yaml.safe_load((CLOUD / 'run.sky.yaml').read_text())
  assert job['resources']['job_recovery']['recover_on_exit_codes'] == [75, 143]
  python = tmp_path / 'sce_jax_env' / 'bin' / 'python'
  python.parent.mkdir(parents=True)
  python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
  python.chmod(0o755)
  done = subprocess.run(
    ['bash', '-c', job['run']],
    cwd=conftest.REPOSITORY,
    env={
      'PATH': os.environ['PATH'],
      'HOME': str(tmp_path),
      'CONFIG': 'configs/cifar10.py:nope,symmetric,0.4',
      'WORKDIR': str(tmp_path / 'run'),
      'JAX_PLATFORMS': 'cpu',
    },
    capture_output=True,
    text=True,
    check=False,
  )
  # The flags are taken; what is wrong is the loss, on purpose.
  assert done.returncode in (1, 2)
  assert 'nope' in done.stderr and 'Traceback' not in done.stderr


@pytest.mark.parametrize(
  'path', sorted(CLOUD.glob('*.sh')), ids=lambda path: path.name
)
def test_scripts_are_bash(path):
  done = subprocess.run(
    ['bash', '-n', str(path)], capture_output=True, text=True, check=False
  )
  assert done.returncode == 0 and done.stderr == ''
  assert os.access(path, os.X_OK)


def test_a_slurm_array_runs_its_share(tmp_path):
  script = CLOUD / 'slurm_array.sh'
  python = tmp_path / '.venv' / 'bin' / 'python'
  python.parent.mkdir(parents=True)
  python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
  python.chmod(0o755)

  def run(number, low, high):
    return subprocess.run(
      ['bash', str(script), 'runs/sweep-a.jsonl', '--pack=4'],
      cwd=tmp_path,
      env={
        'PATH': os.environ['PATH'],
        'SLURM_ARRAY_TASK_ID': str(number),
        'SLURM_ARRAY_TASK_MIN': str(low),
        'SLURM_ARRAY_TASK_MAX': str(high),
        'SLURM_ARRAY_TASK_COUNT': str(high - low + 1),
      },
      capture_output=True,
      text=True,
      check=False,
    )

  assert run(5, 0, 15).stdout.splitlines() == [
    'launch.py',
    '--manifest=runs/sweep-a.jsonl',
    '--shard=5/16',
    '--pack=4',
  ]
  assert run(5, 1, 15).returncode == 2


def test_a_slurm_job_queues_itself_again(tmp_path):
  """With a srun that ends as launch.py does after a SIGTERM."""
  tools = tmp_path / 'bin'
  tools.mkdir()
  for name, body in (
    ('srun', 'echo srun "$@"; exit $CODE'),
    ('scontrol', 'echo scontrol "$@"'),
  ):
    (tools / name).write_text(f'#!/bin/sh\n{body}\n')
    (tools / name).chmod(0o755)

  def run(code):
    return subprocess.run(
      ['bash', str(CLOUD / 'slurm.sh'), '--config=a.py:sl,symmetric,0.4'],
      env={
        'PATH': f'{tools}:{os.environ["PATH"]}',
        'SLURM_JOB_ID': '7',
        'CODE': str(code),
      },
      capture_output=True,
      text=True,
      check=False,
    )

  preempted = run(75)
  assert preempted.returncode == 75
  assert preempted.stdout.splitlines() == [
    'srun .venv/bin/python launch.py --config=a.py:sl,symmetric,0.4',
    'scontrol requeue 7',
  ]
  assert 'requeue' not in run(0).stdout and 'requeue' not in run(3).stdout
