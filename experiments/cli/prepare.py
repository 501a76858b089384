"""Prepares a config's data and trains nothing: on a machine without a GPU, say.

python launch.py prepare --config=configs/own.py --config.data.path=FOLDER
"""

from absl import flags

from experiments.cli import command_line, common_flags, runtime
from sce_jax.errors import UserError
from sce_jax.runs import progress


def define_flags(values: flags.FlagValues, argv: list[str]) -> None:
  """Defines the flags."""
  common_flags.define_config(values, argv)
  common_flags.define_run_flags(values)


IMPORTS = ('sce_jax.data.dataset',)


def opening(values: flags.FlagValues, arguments: list[str]) -> str:
  """Says what will be done."""
  command_line.no_arguments(arguments)
  if values.config is None:
    raise UserError(
      'prepare needs a config: --config=configs/clothing1m.py, say'
    )
  command_line.refuse_unused(values, ['tracker'], 'nothing is trained')
  return f'Prepares {values.config.data.name}; trains nothing'


def main(values: flags.FlagValues, arguments: list[str]) -> None:
  """Prepares."""
  del arguments
  from sce_jax.config import check  # noqa: PLC0415
  from sce_jax.data import dataset  # noqa: PLC0415
  from sce_jax.data.sources import summary  # noqa: PLC0415

  runtime.start(values)
  # Weights to begin from are not looked at.
  values.config.model.init_from = None
  config = check.check_config(values.config)
  with progress.phase('data'):
    found = dataset.load_on_all_processes(config.data, values.data_dir)
  for line in summary.lines(found.summary):
    print(line)
  print(f'prepared: {found.info.num_train:,} training examples')
