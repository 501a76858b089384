"""Runs each run of a sweep as a process, here or on a cluster.

  python launch.py sweep --config=configs/digits.py --dry_run
  python launch.py sweep --experiment=comparison --dataset=mnist --jobs=2
  python launch.py sweep --manifest=runs/sweep-digits.jsonl --shard=0/4

The driver needs no jax. The same command resumes.
"""

from absl import flags
from ml_collections import config_flags

from experiments.cli import runtime


def define_flags(values: flags.FlagValues, argv: list[str]) -> None:
  """Defines the flags."""
  runtime.define_config(values, argv, ' Its sweep() says which runs.')
  flags.DEFINE_string(
    'name',
    '',
    "Another of the config file's sweeps: sweep_NAME().",
    flag_values=values,
  )
  flags.DEFINE_string(
    'experiment',
    None,
    'The runs of this experiment, in place of a config.',
    flag_values=values,
  )
  flags.DEFINE_string(
    'dataset', 'digits', 'Data set of the experiment.', flag_values=values
  )
  runtime.define_scale(values)
  flags.DEFINE_string(
    'manifest',
    None,
    'Run the sweep that was written to this file before.',
    flag_values=values,
  )
  flags.DEFINE_string(
    'shard',
    None,
    'I/N: only the I-th of N shares of its runs, from 0 on.',
    flag_values=values,
  )
  runtime.define_workdir(values, 'Folder of all runs. None: runs/.')
  runtime.define_data_dir(values)
  runtime.define_tracker(values)
  flags.DEFINE_bool(
    'dry_run', False, 'Show what would run.', flag_values=values
  )
  flags.DEFINE_string(
    'executor',
    'local',
    'local: processes of this machine; ray: a Ray cluster; sky: write SkyPilot'
    ' jobs; print: print the commands.',
    flag_values=values,
  )
  flags.DEFINE_integer(
    'jobs',
    None,
    'How many at a time. None: local: one an accelerator, or one; ray: as many'
    ' as there is room for.',
    lower_bound=1,
    flag_values=values,
  )
  flags.DEFINE_integer(
    'retries',
    2,
    'How often a run that breaks is tried again.',
    lower_bound=0,
    flag_values=values,
  )
  flags.DEFINE_integer(
    'pack',
    1,
    'How many runs that share a program train together in a process.',
    lower_bound=1,
    flag_values=values,
  )
  flags.DEFINE_string(
    'address',
    None,
    'ray: HOST:PORT of a cluster. None: $RAY_ADDRESS, or this machine.',
    flag_values=values,
  )
  for name, default, what in (
    ('cpus', 1, 'CPU cores'),
    ('gpus', 0, 'GPUs'),
    ('tpus', 0, 'TPU chips'),
  ):
    flags.DEFINE_float(
      name,
      default,
      f'ray: {what} of each process.',
      lower_bound=0,
      flag_values=values,
    )
  flags.DEFINE_string(
    'accelerator', None, 'sky: what each task gets.', flag_values=values
  )
  flags.DEFINE_integer(
    'shards', None, 'sky: among how many tasks.', flag_values=values
  )


def main(values: flags.FlagValues, arguments: list[str]) -> int:
  """Plans and runs, or shows, the sweep."""
  from experiments.sweeps import (  # noqa: PLC0415
    command,
    executors,
    sky_jobs,
  )

  runtime.no_arguments(arguments)
  flag = values['config']
  return command.launch(
    values.name if values.config is not None or values.experiment else None,
    config=config_flags.get_config_filename(flag) if flag.present else None,
    overrides=(config_flags.get_override_values(flag) if flag.present else {}),
    experiment=values.experiment,
    dataset=values.dataset,
    scale=values.scale,
    root=values.workdir or 'runs',
    data_dir=values.data_dir,
    written=values.manifest,
    shard=values.shard,
    executor=values.executor,
    resources=executors.Resources(
      values.jobs, values.address, values.cpus, values.gpus, values.tpus
    ),
    sky=sky_jobs.Request(values.accelerator, values.shards, values.data_dir),
    dry_run=values.dry_run,
    retries=values.retries,
    pack=values.pack,
    flags=[f'--tracker={name}' for name in values.tracker],
  )
