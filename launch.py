"""Trains classifiers on wrongly labelled data with robust losses.

  python launch.py
      Cross entropy and Symmetric Learning on digits with wrong labels, side by
      side: a table and a picture, in about a minute.
  python launch.py --config=configs/mnist.py:sl,symmetric,0.4
      One run; the argument is LOSS,NOISE,RATE and any of recipe=, seed=, tiny.
  python launch.py --config=configs/mnist.py:sl,symmetric,0.4 --mode=compare
      Several losses and seeds on one data set.
  python launch.py --config=configs/digits.py --trials=loss.alpha=0.01,0.1
      Runs that differ in these values, trained together in one program.
  python launch.py --experiment=help
      The paper's tables and figures, each by one command.
  python launch.py --config=configs/digits.py --sweep --executor=local
      Each run of a sweep as a separate process, here or on a cluster.
  python launch.py --mode=report --workdir=runs/...
      A page of tables and figures on any folder of runs.
  python launch.py --mode=evaluate --workdir=runs/...
      A finished or stopped run, evaluated again from its last checkpoint.
  python launch.py --config=... --coordinator=HOST:1234 --num_processes=2 ...
      One of two processes that train as one; see README, Several hosts.

A run that was stopped is resumed when the same command is given again.
"""

import sys

from absl import flags, logging
from ml_collections import config_flags

from experiments import command_line

_CONFIG = config_flags.DEFINE_config_file(
  'config',
  None,
  'configs/DATASET.py:LOSS,NOISE,RATE[,recipe=...][,seed=...][,tiny]; any field'
  ' follows as --config.optim.learning_rate=0.1. All fields: configs/common.py',
  # What a config need not name, such as a loss's hyper-parameters, can be given
  # all the same; names that do not exist are refused when it is checked.
  lock_config=False,
  accept_new_attributes=True,
)
_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'Folder of the run. None: one below runs/, by config.'
)
_DATA_DIR = flags.DEFINE_string(
  'data_dir',
  None,
  "Folder of prepared tfds data. None: $TFDS_DATA_DIR, or tfds's default.",
)
_MODE = flags.DEFINE_enum(
  'mode',
  None,
  ['train', 'evaluate', 'compare', 'report'],
  'None: train where a config or an experiment is given, else compare.',
)
_LOSSES = flags.DEFINE_list('losses', ['ce', 'sl'], 'compare: which losses.')
_SEEDS = flags.DEFINE_integer('seeds', 3, 'compare: how many.', lower_bound=1)
_TRIALS = flags.DEFINE_multi_string(
  'trials',
  [],
  'train: FIELD=VALUES, such as seed=0..9 or loss.alpha=0.01,0.1; all'
  ' combinations are trained, together where they share a program.',
)
_EXPERIMENT = flags.DEFINE_string(
  'experiment', None, 'A table or figure of the paper; help lists them.'
)
_DATASET = flags.DEFINE_string(
  'dataset',
  None,
  'experiment: a config file, or the name of one in configs/; report: the only'
  ' data set shown. None: digits, any.',
)
_SCALE = flags.DEFINE_string(
  'scale',
  'short',
  "experiment: full (the paper's protocol), short (hours on a CPU at most) or"
  ' tiny (seconds, shows nothing).',
)
_COORDINATOR = flags.DEFINE_string(
  'coordinator',
  None,
  'Several processes as one: HOST:PORT of process 0, any free port. Found by'
  ' themselves in a Slurm step and on a Cloud TPU slice.',
)
_NUM_PROCESSES = flags.DEFINE_integer(
  'num_processes',
  None,
  'How many processes there are, usually one per host. 1: only this one, also'
  ' on Slurm and Cloud TPU.',
  lower_bound=1,
)
_PROCESS_ID = flags.DEFINE_integer(
  'process_id',
  None,
  'Which of them this is, from 0 on; 0 writes the folder of the run.',
  lower_bound=0,
)
_CLASS = flags.DEFINE_integer(
  'class', None, 'experiment=confidence: which class to show.', lower_bound=0
)
_SWEEP = flags.DEFINE_string(
  'sweep',
  None,
  "Run each run of the config file's sweep(), or sweep_NAME() with"
  ' --sweep=NAME, or of the experiment as a separate process.',
)
_EXECUTOR = flags.DEFINE_string(
  'executor',
  'local',
  'sweep: local: processes of this machine; ray: a Ray cluster; sky: write'
  ' SkyPilot jobs; print: print the commands.',
)
_DRY_RUN = flags.DEFINE_bool(
  'dry_run',
  False,
  'sweep, experiment: show what would run.',
)
_JOBS = flags.DEFINE_integer(
  'jobs',
  None,
  'sweep: how many at a time. None: local: one an accelerator, or one; ray: as'
  ' many as there is room for.',
  lower_bound=1,
)
_RETRIES = flags.DEFINE_integer(
  'retries', 2, 'sweep: tries more for a run that breaks.', lower_bound=0
)
_PACK = flags.DEFINE_integer(
  'pack',
  1,
  'sweep: how many runs of equal shape train together in a process.',
  lower_bound=1,
)
_MANIFEST = flags.DEFINE_string(
  'manifest', None, 'Run the sweep that was written to this file before.'
)
_SHARD = flags.DEFINE_string(
  'shard', None, 'sweep, manifest: I/N: only the I-th of N shares, from 0 on.'
)
_MEMBERS = flags.DEFINE_list(
  'members', [], 'manifest: train these of its runs together, in this process.'
)
_TRACKER = flags.DEFINE_list(
  'tracker', [], 'wandb: Weights & Biases, beside TensorBoard.'
)
_ADDRESS = flags.DEFINE_string(
  'address',
  None,
  'ray: HOST:PORT of a cluster. None: $RAY_ADDRESS, or one of this machine.',
)
_CPUS = flags.DEFINE_float(
  'cpus', 1, 'ray: CPU cores of each process.', lower_bound=0
)
_GPUS = flags.DEFINE_float(
  'gpus', 0, 'ray: GPUs of each process.', lower_bound=0
)
_TPUS = flags.DEFINE_float(
  'tpus', 0, 'ray: TPU chips of each process.', lower_bound=0
)
_ACCELERATOR = flags.DEFINE_string(
  'accelerator',
  None,
  'sky: what each task gets: tpu-v5e-8, H100:8, L4 and the like; all are in'
  ' experiments/sweeps/accelerators.py.',
)
_SHARDS = flags.DEFINE_integer(
  'shards',
  None,
  'sky: among how many tasks the runs are shared. None: one.',
  lower_bound=1,
)


def main(argv: list[str]) -> None:
  if len(argv) > 1:
    sys.exit(f'error: {argv[1]!r} is not a flag: flags begin with --')
  # Silence JAX's warnings about missing backends.
  logging.set_verbosity(logging.WARNING)
  if _EXPERIMENT.value == 'help':
    sys.exit(_experiment_help())
  is_sweep = _SWEEP.value is not None or (
    _MANIFEST.value is not None and not _MEMBERS.value
  )
  if is_sweep or (_DRY_RUN.value and _EXPERIMENT.value):
    sys.exit(_sweep())
  if _DRY_RUN.value:
    sys.exit('error: --dry_run goes with --sweep, --manifest or --experiment')
  # Imported late: --help and a mistyped flag need not wait for jax.
  from experiments import commands  # noqa: PLC0415

  given = _CONFIG.value or _EXPERIMENT.value
  mode = _MODE.value or ('train' if given else 'compare')
  sys.exit(
    commands.run(
      mode,
      config=_CONFIG.value,
      workdir=_WORKDIR.value,
      data_dir=_DATA_DIR.value,
      losses=_LOSSES.value,
      seeds=_SEEDS.value,
      trials=_TRIALS.value,
      experiment_name=_EXPERIMENT.value,
      dataset=_DATASET.value,
      scale=_SCALE.value,
      named_class=_CLASS.value,
      coordinator=_COORDINATOR.value,
      num_processes=_NUM_PROCESSES.value,
      process_id=_PROCESS_ID.value,
      manifest_path=_MANIFEST.value,
      members=_MEMBERS.value,
      tracked_by=_TRACKER.value,
      config_file=_config_file(),
    )
  )


def _config_file() -> str | None:
  flag = flags.FLAGS['config']
  if not flag.present:
    return None
  return config_flags.get_config_filename(flag).partition(':')[0]


def _experiment_help() -> str | None:
  from experiments.paper import registry  # noqa: PLC0415  Not needed for anything else.
  from sce_jax.errors import UserError  # noqa: PLC0415

  try:
    print(registry.describe())
  except UserError as error:
    return f'error: {error}'
  return None


def _sweep() -> int:
  # Imported late, and without jax: a sweep's driver only hands out commands.
  from experiments.sweeps import (  # noqa: PLC0415
    command,
    executors,
    sky_jobs,
  )

  flag = flags.FLAGS['config']
  return command.launch(
    _SWEEP.value,
    config=config_flags.get_config_filename(flag) if flag.present else None,
    overrides=(config_flags.get_override_values(flag) if flag.present else {}),
    experiment=_EXPERIMENT.value,
    dataset=_DATASET.value or 'digits',
    scale=_SCALE.value,
    root=_WORKDIR.value or 'runs',
    data_dir=_DATA_DIR.value,
    written=_MANIFEST.value,
    shard=_SHARD.value,
    executor=_EXECUTOR.value,
    resources=executors.Resources(
      _JOBS.value, _ADDRESS.value, _CPUS.value, _GPUS.value, _TPUS.value
    ),
    sky=sky_jobs.Request(_ACCELERATOR.value, _SHARDS.value, _DATA_DIR.value),
    dry_run=_DRY_RUN.value,
    retries=_RETRIES.value,
    pack=_PACK.value,
    flags=[f'--tracker={name}' for name in _TRACKER.value],
  )


if __name__ == '__main__':
  command_line.run(main)
