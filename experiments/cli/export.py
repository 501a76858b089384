"""Writes a run's network to a folder that needs neither run nor data.

python launch.py export --workdir=runs/... --out=FOLDER
"""

from absl import flags

from experiments.cli import command_line, common_flags, runtime
from sce_jax.errors import UserError


def define_flags(values: flags.FlagValues, argv: list[str]) -> None:
  """Defines the flags."""
  common_flags.define_workdir(values, 'Folder of the run.')
  flags.DEFINE_string(
    'out',
    None,
    'Folder to write; one that holds an earlier export is replaced.',
    flag_values=values,
  )


def main(values: flags.FlagValues, arguments: list[str]) -> None:
  """Exports and says how it is used."""
  from sce_jax import export, inference  # noqa: PLC0415

  command_line.no_arguments(arguments)
  if not values.workdir or not values.out:
    raise UserError(
      'export needs the folder of a run and one to write:'
      ' --workdir=runs/... --out=FOLDER'
    )
  runtime.start_alone()
  folder = export.export(values.workdir, values.out)
  run = inference.read_description(folder)['run']
  print(f'{values.workdir}, epoch {run["epoch"]} of {run["epochs"]}: {folder}')
  print(f'  python launch.py predict --model={values.out} --images=PATH')
  print(f'  sce_jax.load({values.out!r})')
