"""A figure of the last epoch by method and noise."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from experiments.analysis import frame, statistics
from experiments.report.page import Cell, Table

if TYPE_CHECKING:  # Sweeps are planned without pandas.
  import pandas as pd


def memorised(runs: 'pd.DataFrame', methods: Mapping[str, str]) -> Table:
  """The share of wrong labels that each method has learnt; see `table`."""
  return table(
    'memorised',
    'Wrongly labelled training examples predicted as their wrong label',
    runs,
    methods,
  )


def table(
  name: str,
  title: str,
  runs: 'pd.DataFrame',
  methods: Mapping[str, str],
  note: str = '',
) -> Table:
  """A row for each method, a column for each noise.

  Args:
    name: the column of `runs` that is shown, and what the table is called.
    title: what it is; 'mean ± standard deviation over seeds' is added.
    runs: as experiments.analysis.frame.from_runs gives them.
    methods: what the table calls each method, by its name in `runs`.
    note: what stands below the table.
  """
  diverged = frame.diverged(runs, ['method', 'noise'])
  cells: dict[object, Cell | str] = {
    key: statistics.format_mean_std(values, diverged=diverged[key])
    for key, values in runs.groupby(['method', 'noise'])[name]
  }
  noises = list(dict.fromkeys(runs.noise))
  return Table(
    name,
    f'{title}, per cent, mean ± standard deviation over seeds',
    ['method', *noises],
    [
      [shown, *(cells.get((method, noise), '-') for noise in noises)]
      for method, shown in methods.items()
    ],
    note,
  )
