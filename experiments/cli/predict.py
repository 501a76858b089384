"""Classifies images with an exported network, into a table.

python launch.py predict --model=FOLDER --images=PATH --out=predictions.csv
"""

import csv
import io

from absl import flags

from experiments.cli import command_line, runtime
from sce_jax.errors import UserError, one_line

# Read and classified at a time.
_CHUNK = 1024
# Of the files that cannot be read.
_NAMED = 10


def define_flags(values: flags.FlagValues, argv: list[str]) -> None:
  """Defines the flags."""
  del argv
  for name, default, text in (
    ('model', None, 'Folder of an exported network.'),
    (
      'images',
      None,
      'An image, a folder of images, or as .npy, or as "images" or "x" of an'
      ' .npz, images [N, H, W, C] or feature vectors [N, D] like those that the'
      ' network was trained on, or uint8 images.',
    ),
    ('out', 'predictions.csv', 'File to write; an earlier one is replaced.'),
  ):
    flags.DEFINE_string(name, default, text, flag_values=values)


IMPORTS = ('sce_jax.inference',)


def opening(values: flags.FlagValues, arguments: list[str]) -> str:
  """Says what will be done."""
  command_line.no_arguments(arguments)
  if not values.model or not values.images:
    raise UserError(
      'predict needs an exported network and images: --model=FOLDER'
      ' --images=PATH'
    )
  return f'Classifies {values.images} with {values.model}, into {values.out}'


def main(values: flags.FlagValues, arguments: list[str]) -> None:
  """Predicts and writes the file."""
  import sce_jax  # noqa: PLC0415
  from sce_jax.runs import files  # noqa: PLC0415
  from sce_jax.storage import paths  # noqa: PLC0415

  del arguments
  out = paths.path(values.out)
  if out.is_dir():
    raise UserError(f'{out} is a folder: name a file with --out')
  runtime.start_alone()
  model = sce_jax.load(values.model)
  found = model.images(values.images)
  text = io.StringIO()
  table = csv.writer(text, lineterminator='\n')
  table.writerow([found.key, 'label', 'class_name', 'probability'])
  count = 0
  for names, some in found.chunks(_CHUNK):
    rows = model.predict_proba(some)
    for name, row in zip(names, rows, strict=True):
      label = int(row.argmax())
      table.writerow([name, label, model.classes[label], f'{row[label]:.6f}'])
    count += len(names)
  _tell_unreadable(found.unreadable, count, values.images)
  try:
    paths.make_folder(out.parent)
    # A file's name need not be text.
    paths.write(out, text.getvalue().encode(errors='surrogateescape'))
  except OSError as error:
    raise UserError(
      f'{out} cannot be written ({error.strerror or error}): name another file'
      ' with --out'
    ) from None
  print(f'{count} predictions: {out}')
  initial = model.info.get('run', {}).get('initial')
  if initial:
    print(f'initial weights: {files.initial_title(initial)}')


def _tell_unreadable(
  unreadable: list[tuple[str, str]], count: int, path: str
) -> None:
  """Names the files that were left out.

  Raises:
    UserError: all of them were.
  """
  if not unreadable:
    return
  if not count:
    name, reason = unreadable[0]
    raise UserError(
      f'{path} holds no image that can be read ({name}: {reason}): name others'
      ' with --images'
    )
  print(f'{len(unreadable)} files cannot be read and are left out:')
  for name, reason in unreadable[:_NAMED]:
    print(f'  {one_line(name)}: {reason}')
  if len(unreadable) > _NAMED:
    print(f'  and {len(unreadable) - _NAMED} more')
