"""Our figures beside published ones, as a table."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from configs.common import GIVEN
from experiments.analysis import frame, statistics
from experiments.paper import methods, published, scales
from experiments.paper.registry import Context
from experiments.report.page import Block, Cell, Table, Text, number

if TYPE_CHECKING:  # Sweeps are planned without pandas.
  import pandas as pd


def blocks(
  context: Context,
  runs: 'pd.DataFrame',
  names: Mapping[str, tuple[str, str]],
  recipe: str | None,
  *,
  others: bool = True,
) -> list[Block]:
  """The table, or a sentence where nothing is known.

  Args:
    context: what the report is made for.
    runs: those that ended well or diverged.
    names: of each method of the runs, what published.py calls it and what the
      table does.
    recipe: the protocol of our runs.
    others: whether figures of other protocols are shown.
  """
  # By the data's own name: a config file may be called otherwise.
  dataset = scales.config(context.dataset, context.scale).data.name
  differs = scales.scale_of(context.dataset, context.scale).note
  rows: list[list[Cell | str]] = []
  sources: dict[str, str] = {}
  by = ['method', 'noise']
  diverged = frame.diverged(runs, by)
  for (method, given), some in runs.groupby(by, sort=False):
    ours = statistics.mean_std(100 * some.test_accuracy.dropna())
    mean, spread = map(float, ours)
    name, shown = names[method]
    noise = methods.noise_of(context.dataset, given)
    for known in published.find(dataset, name, noise):
      # Of labels as given there are few figures, each of another protocol.
      if known.protocol != recipe and not others and given != GIVEN:
        continue
      difference = mean - known.accuracy
      rows.append(
        [
          shown,
          given,
          statistics.format_mean_std(
            some.test_accuracy, diverged=diverged[method, given]
          ),
          number(known.accuracy, '.2f'),
          number(difference, '+.2f'),
          number(difference / spread if spread else None, '+.1f'),
          'the same'
          if known.protocol == recipe and not differs
          else known.protocol,
          known.mark,
        ]
      )
      sources[known.source] = known.mark
  known_names = [name for name, _ in names.values()]
  for method, known in published.others(dataset, known_names):
    rows.append(
      [
        *(method, GIVEN, '-', number(known.accuracy, '.2f'), '-', '-'),
        *(known.protocol, known.mark),
      ]
    )
    sources[known.source] = known.mark
  if not rows:
    return [Text(f'No published figure of {dataset} is known for these runs.')]
  notes = [
    'Standard deviations: of ours over seeds; those of published figures are'
    ' mostly unknown.',
    *(f'{mark}: {source}.' for source, mark in sources.items()),
  ]
  if 'recalled' in sources.values():
    notes.append('recalled figures were found in no source: do not quote them.')
  if differs:
    notes.append(f'Not the published protocol. {differs}')
  return [
    Table(
      'published',
      'Ours and the published test accuracy, per cent',
      [
        *('method', 'noise', 'ours', 'published', 'difference'),
        *('in standard deviations', 'protocol', 'mark'),
      ],
      rows,
      ' '.join(notes),
    )
  ]
