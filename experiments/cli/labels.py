"""Shows the labels of a run, their fingerprint, and how two sets differ.

python launch.py labels --workdir=runs/mine --other=theirs.npz

A run's noise.npz says which labels it was trained on. Labels of the same
fingerprint are the same, whatever the order or the file they stand in.
"""

from absl import flags

from experiments.cli import command_line, common_flags
from sce_jax.errors import UserError


def define_flags(values: flags.FlagValues, argv: list[str]) -> None:
  """Defines the flags."""
  del argv
  common_flags.define_workdir(
    values, 'Folder of a run; or a file of labels, .npz or .csv.'
  )
  for name, text in (
    ('other', 'Another, to compare the labels of. None: none.'),
    ('picture', 'A .png to draw the transition matrix into. None: none.'),
  ):
    flags.DEFINE_string(name, None, text, flag_values=values)


IMPORTS = ('experiments.analysis.label_card',)


def opening(values: flags.FlagValues, arguments: list[str]) -> str:
  """Says what will be done."""
  command_line.no_arguments(arguments)
  if not values.workdir:
    raise UserError(
      'labels needs the folder of a run, or a file of labels: --workdir=PATH'
    )
  other = f', and compares them with {values.other}' if values.other else ''
  return f'Reads the labels of {values.workdir}{other}'


def main(values: flags.FlagValues, arguments: list[str]) -> None:
  """Prints the card, or two cards and how they differ."""
  from experiments.analysis import label_card  # noqa: PLC0415

  del arguments
  mine = label_card.read(values.workdir)
  other = label_card.read(values.other) if values.other else None
  if values.picture:
    label_card.draw(mine, values.picture)
  print(label_card.card(mine))
  if other is not None:
    print(f'\n{label_card.card(other)}\n\n{label_card.compare(mine, other)}')
