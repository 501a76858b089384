"""Writes a run's network to a folder that needs neither run nor data.

python launch.py export --workdir=runs/... --out=FOLDER

With --format=onnx also as an ONNX program. That needs an environment of its
own, which need not know the run:

python launch.py export --model=FOLDER --format=onnx
"""

import os

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
  flags.DEFINE_enum(
    'format',
    None,
    ['onnx'],
    'onnx: adds model.onnx, for ONNX Runtime; needs'
    ' sce_jax/requirements-onnx.txt.',
    flag_values=values,
  )
  flags.DEFINE_string(
    'model',
    None,
    'Folder of an exported network, in place of --workdir and --out: what'
    ' --format names is added to it.',
    flag_values=values,
  )


def opening(values: flags.FlagValues, arguments: list[str]) -> str:
  """Says what will be done."""
  command_line.no_arguments(arguments)
  given = [bool(x) for x in (values.workdir, values.out, values.model)]
  if given not in ([True, True, False], [False, False, True]):
    raise UserError(
      'export needs the folder of a run and one to write:'
      ' --workdir=runs/... --out=FOLDER (or, with --format, an exported network'
      ' alone: --model=FOLDER)'
    )
  if values.model and not values.format:
    raise UserError(
      f'{values.model} is to become what? Give --format=onnx, or export a run'
      ' with --workdir and --out'
    )
  return f'Exports {values.workdir or values.model} to {values.out or "itself"}'


def main(values: flags.FlagValues, arguments: list[str]) -> None:
  """Exports and says how it is used."""
  del arguments
  if values.format:
    from sce_jax import onnx  # noqa: PLC0415

    onnx.check_installed()
  runtime.start_alone()
  if values.workdir:
    _export(values.workdir, values.out)
  if values.format:
    folder = values.model or values.out
    file = onnx.add(folder)
    print(f'{file}: ONNX Runtime gives the same probabilities with it')
    print(f'  onnxruntime.InferenceSession({os.fspath(file)!r})')


def _export(workdir: str, out: str) -> None:
  from sce_jax import export, inference  # noqa: PLC0415
  from sce_jax.runs import files  # noqa: PLC0415

  folder = export.export(workdir, out)
  run = inference.read_description(folder)['run']
  print(f'{workdir}, epoch {run["epoch"]} of {run["epochs"]}: {folder}')
  if run.get('initial'):
    print(f'  initial weights: {files.initial_title(run["initial"])}')
  print(f'  python launch.py predict --model={out} --images=PATH')
  print(f'  sce_jax.load({out!r})')
