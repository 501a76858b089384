"""Trains losses, seeds and other values side by side: a table, a picture.

  python launch.py compare --config=configs/mnist.py:sl --losses=ce,sl,gce
  python launch.py compare --trials=seed=0..9 --trials=loss.name=ce,sl

All combinations are trained; runs that share a program are trained together.
"""

import os
import shlex
import sys

from absl import flags

from experiments.cli import command_line, common_flags, runtime
from sce_jax.parallel import processes


def define_flags(values: flags.FlagValues, argv: list[str]) -> None:
  """Defines the flags."""
  common_flags.define_config(values, argv, ' None: digits.')
  common_flags.define_workdir(
    values, "Folder for the runs' folders. None: one in runs/."
  )
  flags.DEFINE_list(
    'losses',
    None,
    'Which losses. None: ce,sl; with --trials that of the config.',
    flag_values=values,
  )
  flags.DEFINE_integer(
    'seeds',
    None,
    "How many seeds, from the config's on. None: 3; with --trials 1.",
    lower_bound=1,
    flag_values=values,
  )
  flags.DEFINE_multi_string(
    'trials',
    [],
    'FIELD=VALUES, such as seed=0..9 or loss.alpha=0.01,0.1; may be repeated.',
    flag_values=values,
  )
  common_flags.define_run_flags(values)


def main(values: flags.FlagValues, arguments: list[str]) -> None:
  """Trains and compares."""
  from configs import digits  # noqa: PLC0415
  from experiments import grid  # noqa: PLC0415

  command_line.no_arguments(arguments)
  runtime.start(values)
  config, file = values.config, command_line.config_file(values)
  if config is None or file is None:
    config, file = digits.get_config(), 'configs/digits.py'
  losses, seeds = values.losses, values.seeds
  if not values.trials:
    losses, seeds = losses or ['ce', 'sl'], seeds or 3
  request = grid.Grid(config, file, losses or (), seeds, values.trials)
  workdir = values.workdir or request.default_workdir()
  grid.run(request, workdir, values.data_dir)
  if not values.trials and processes.is_primary():
    last = os.path.join(workdir, f'{losses[-1]}-seed{config.seed}')
    print(f'\n{_suggestions(file, last, config.data.path)}')


def _suggestions(file: str, run_folder: str, data: str | None) -> str:
  # With the interpreter in use, and on the data that are there.
  launch = f'{os.path.relpath(sys.executable)} launch.py'
  if launch.startswith('..'):
    launch = f'{sys.executable} launch.py'
  given = f' --config.data.path={shlex.quote(data)}' if data else ''
  return '\n'.join(
    [
      'To try next:',
      f'  {launch} compare --config={file}:sl,symmetric,0.6'
      f' --losses=ce,sl,gce,mae{given}',
      f'  {launch} --config={file}:forward,pair_flip,0.3{given}',
      f'  {launch} evaluate --workdir={run_folder}',
    ]
  )
