"""Runs each run of a sweep as a process, here or on a cluster.

  python launch.py sweep --config=configs/digits.py --dry_run
  python launch.py sweep --experiment=comparison --dataset=mnist --jobs=2
  python launch.py sweep --manifest=runs/sweep-digits.jsonl --shard=0/4

The driver needs no jax. The same command resumes.
"""

import dataclasses

from absl import flags
from ml_collections import config_flags

from experiments.cli import command_line, common_flags
from experiments.paper.registry import Choice
from experiments.sweeps import request
from experiments.sweeps.ray_cluster import Resources
from sce_jax import signals


def define_flags(values: flags.FlagValues, argv: list[str]) -> None:
  """Defines the flags."""

  def text(name: str, default: str | None, what: str) -> None:
    flags.DEFINE_string(name, default, what, flag_values=values)

  def integer(name: str, default: int | None, low: int, what: str) -> None:
    flags.DEFINE_integer(
      name, default, what, lower_bound=low, flag_values=values
    )

  common_flags.define_config(values, argv, ' Its sweep() says which runs.')
  text('name', '', "Another of the config file's sweeps: sweep_NAME().")
  text('experiment', None, 'The runs of this experiment, not of a config.')
  text('dataset', 'digits', 'Data set of the experiment.')
  common_flags.define_scale(values)
  common_flags.define_choice(values)
  text('manifest', None, 'Run the sweep that was written to this file before.')
  text('shard', None, 'I/N: only the I-th of N shares of the runs, from 0 on.')
  common_flags.define_workdir(
    values, "Folder of all runs. None: the manifest's, or runs/."
  )
  common_flags.define_data_dir(values)
  common_flags.define_tracker(values)
  common_flags.define_config_change(values)
  flags.DEFINE_bool(
    'dry_run', False, 'Show what would run.', flag_values=values
  )
  flags.DEFINE_enum(
    'executor',
    'local',
    request.EXECUTORS,
    'local: processes of this machine; ray: a Ray cluster; print: print the'
    ' commands. SkyPilot: experiments/cloud/sweep.sky.yaml.',
    flag_values=values,
  )
  integer(
    'jobs',
    None,
    1,
    'How many at a time. None: local: one an accelerator, or one; ray: as many'
    ' as there is room for.',
  )
  integer('retries', 2, 0, 'How often a run that breaks is tried again.')
  integer('pack', 1, 1, 'How many runs of one program share a process.')
  text(
    'address',
    None,
    'ray: HOST:PORT of a cluster. None: $RAY_ADDRESS, or this machine.',
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


def opening(values: flags.FlagValues, arguments: list[str]) -> str | None:
  """Says what will be done."""
  command_line.no_arguments(arguments)
  unused = command_line.refuse_unused
  if values.experiment is None:
    names = ['dataset', 'scale', *(x.name for x in dataclasses.fields(Choice))]
    unused(values, names, 'it belongs to --experiment')
  if values.executor != 'ray':
    names = ['address', 'cpus', 'gpus', 'tpus']
    unused(values, names, 'it belongs to --executor=ray')
  if values.executor == 'print':
    unused(values, ['jobs', 'retries'], 'commands are only printed')
    return None  # Other programs read them.
  what = values.manifest or values.experiment
  if values['config'].present:
    what = command_line.config_file(values)
  verb = 'Plans' if values.dry_run else 'Runs'
  return f'{verb} the sweep of {what}' if what else None


def main(values: flags.FlagValues, arguments: list[str]) -> int:
  """Plans and runs, or shows, the sweep."""
  del arguments
  signals.raise_exceptions()
  flag = values['config']
  return request.run(
    request.SweepRequest(
      config=config_flags.get_config_filename(flag) if flag.present else None,
      name=values.name,
      overrides=config_flags.get_override_values(flag) if flag.present else {},
      experiment=values.experiment,
      dataset=values.dataset,
      scale=values.scale,
      choice=common_flags.choice(values),
      manifest=values.manifest,
      root=values.workdir,
      data_dir=values.data_dir,
      shard=values.shard,
      executor=values.executor,
      jobs=values.jobs,
      resources=Resources(
        values.address, values.cpus, values.gpus, values.tpus
      ),
      dry_run=values.dry_run,
      retries=values.retries,
      pack=values.pack,
      allow_config_change=values.allow_config_change,
      flags=[f'--tracker={name}' for name in values.tracker],
    )
  )
