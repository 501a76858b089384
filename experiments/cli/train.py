"""Trains one run: config, checkpoints and figures in one folder.

python launch.py --config=configs/mnist.py:sl,symmetric,0.4
python launch.py train --config=configs/mnist.py:ce --config.optim.momentum=0
"""

from absl import flags

from experiments.cli import (
  command_line,
  common_flags,
  runtime,
)
from experiments.cli import (
  opening as lines,
)
from sce_jax.errors import UserError

IMPORTS = ('experiments.grid', 'sce_jax.train')


def define_flags(values: flags.FlagValues, argv: list[str]) -> None:
  """Defines the flags."""
  common_flags.define_config(values, argv)
  common_flags.define_workdir(values, 'Folder of the run. None: one in runs/.')
  common_flags.define_run_flags(values)
  common_flags.define_config_change(values)
  flags.DEFINE_string(
    'manifest',
    None,
    'Train runs of a sweep, in place of --config; see --ids.',
    flag_values=values,
  )
  flags.DEFINE_list(
    'ids', [], 'Which runs of the manifest.', flag_values=values
  )


def opening(values: flags.FlagValues, arguments: list[str]) -> str:
  """Says what will be done."""
  command_line.no_arguments(arguments)
  if (values.manifest is None) == (values.config is None):
    raise UserError(
      'train needs a config: --config=configs/mnist.py:sl,symmetric,0.4, say;'
      ' or else --manifest and --ids'
    )
  if values.manifest is not None:
    return f'Trains {", ".join(values.ids)} of {values.manifest}'
  command_line.refuse_unused(values, ['ids'], 'it names runs of a --manifest')
  return lines.of_run(values.config, values.workdir)


def main(values: flags.FlagValues, arguments: list[str]) -> None:
  """Trains."""
  from experiments import grid  # noqa: PLC0415
  from experiments.analysis import plots  # noqa: PLC0415
  from sce_jax import train  # noqa: PLC0415
  from sce_jax.config import check  # noqa: PLC0415
  from sce_jax.parallel import processes  # noqa: PLC0415
  from sce_jax.runs import trackers  # noqa: PLC0415
  from sce_jax.storage import paths  # noqa: PLC0415

  runtime.start(values)
  if values.manifest is not None:
    from experiments.sweeps import worker  # noqa: PLC0415

    worker.train(
      values.manifest,
      values.ids,
      values.workdir,
      values.data_dir,
      values.allow_config_change,
    )
    return
  config = values.config
  check.check_config(config)
  folder = paths.path(lines.run_folder(config, values.workdir))
  result = train.train_and_evaluate(
    config,
    folder,
    values.data_dir,
    allow_config_change=values.allow_config_change,
  )
  if processes.is_primary():
    is_new = not (folder / 'run.png').exists()
    label = plots.label(config.loss.name)
    picture = plots.plot_runs({label: [folder]}, folder / 'run.png')
    if is_new:
      trackers.add_picture(
        folder, config.to_dict(), 'run', picture.read_bytes()
      )
    print(grid.table({config.loss.name: [result]}))
    print(f'run:      {folder}\npicture:  {picture}')
