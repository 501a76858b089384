"""Trains losses, seeds and other values side by side: a table, a picture.

  python launch.py compare --config=configs/mnist.py:sl --losses=ce,sl,gce
  python launch.py compare --trials=seed=0..9 --trials=loss.name=ce,sl

All combinations are trained; runs that share a program are trained together.
"""

import os
import shlex
import shutil
import sys

from absl import flags
from ml_collections import config_dict

from experiments.cli import (
  command_line,
  common_flags,
  runtime,
)
from experiments.cli import (
  opening as lines,
)
from sce_jax.parallel import processes
from sce_jax.runs import progress
from sce_jax.storage import paths

IMPORTS = ('experiments.grid',)
_DEFAULT = 'configs/digits.py'
_FORWARD = 'forward,pair_flip,0.3'


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
  common_flags.define_config_change(values)
  common_flags.define_run_flags(values)


def opening(values: flags.FlagValues, arguments: list[str]) -> str:
  """Says what will be done."""
  from configs import digits  # noqa: PLC0415

  command_line.no_arguments(arguments)
  config = values.config or digits.get_config()
  given = [values.losses and ', '.join(values.losses), *values.trials]
  if not values.trials:
    given = [given[0] or 'ce, sl', progress.counted(values.seeds or 3, 'seed')]
  what = '; '.join(filter(None, given))
  where = values.workdir or 'runs/compare-...'
  line = f'Compares {what} on {lines.describe(config)}, in {where}'
  if values.trials:
    return line
  runs = len(values.losses or ('ce', 'sl')) * (values.seeds or 3)
  time = lines.duration(config, runs, values.workdir or 'runs')
  return f'{line}; {time}'


def main(values: flags.FlagValues, arguments: list[str]) -> None:
  """Trains and compares."""
  from configs import digits  # noqa: PLC0415
  from experiments import grid  # noqa: PLC0415

  runtime.start(values)
  config, file = values.config, command_line.config_file(values)
  if config is None:
    config = digits.get_config()
    file = paths.shown(command_line.REPOSITORY / _DEFAULT)
  losses, seeds = values.losses, values.seeds
  if not values.trials:
    losses, seeds = losses or ['ce', 'sl'], seeds or 3
  request = grid.Grid(config, file, losses or (), seeds, values.trials)
  workdir = values.workdir or request.default_workdir()
  grid.run(request, workdir, values.data_dir, values.allow_config_change)
  if file and not values.trials and processes.is_primary():
    last = os.path.join(workdir, f'{losses[-1]}-seed{config.seed}')
    print(f'\n{_suggestions(values, config, file, last)}')


def _suggestions(
  values: flags.FlagValues,
  config: config_dict.ConfigDict,
  file: str,
  run_folder: str,
) -> str:
  from experiments.report import text  # noqa: PLC0415  Imports matplotlib.

  # With the interpreter in use, and on the data that are there.
  python = os.path.relpath(sys.executable)
  if python.startswith('..'):
    found = shutil.which('python')
    is_it = found and os.path.samefile(found, sys.executable)
    python = 'python' if is_it else sys.executable
  name = file
  if os.path.abspath(file) == str(command_line.REPOSITORY / _DEFAULT):
    name = 'digits'
  data = f' --data_dir={shlex.quote(values.data_dir)}' * bool(values.data_dir)
  given = data
  for field in ('data.path', 'model.init_from'):
    section, key = field.split('.')
    if config[section][key]:
      given += f' --config.{field}={shlex.quote(config[section][key])}'
  # Labels that may be wrong as they are get no added noise.
  is_given = config.data.path or not config.data.clean_labels
  noisy, other = ('', 'gce') if is_given else (',symmetric,0.6', _FORWARD)
  commands = [
    f'{python} launch.py compare --config={name}:sl{noisy}'
    f' --losses=ce,sl,gce{given}',
    f'{python} launch.py --config={name}:{other}{given}',
    f'{python} launch.py evaluate --workdir={shlex.quote(run_folder)}{data}',
  ]
  title = progress.styled('To try next:', 'bold')
  return '\n'.join([title, *map(text.command, commands)])
