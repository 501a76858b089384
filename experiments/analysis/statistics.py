"""Means over seeds as cells of a table, and which are really the best."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from experiments.report.page import Cell

# Above this a difference over paired seeds is taken for chance.
_SIGNIFICANCE = 0.05


def format_mean_std(values: Sequence[float], *, percent: bool = True) -> Cell:
  """Mean and standard deviation over seeds; '-' for no value.

  Args:
    values: one of each seed.
    percent: whether they are shares, shown in per cent.
  """
  if not len(values):
    return Cell('-')
  scale, digits = (100, 1) if percent else (1, 3)
  mean = scale * float(np.mean(values))
  text = f'{mean:.{digits}f}'
  if len(values) > 1:
    text += f' ± {scale * np.std(values, ddof=1):.{digits}f}'
  return Cell(text, value=mean)


def mark_best(
  column: Mapping[str, Mapping[int, float]], *, percent: bool = True
) -> dict[str, Cell]:
  """A column of a table, its best in bold, those within its noise marked.

  A row is tied with the best if a two-sided paired t-test over the seeds that
  both have does not tell them apart at the 5 % level. With fewer than two
  common seeds nothing can be told and nothing is marked.

  Args:
    column: by row, the value of each seed; higher is better.
    percent: as in `cell`.
  """
  cells = {
    row: format_mean_std(list(values.values()), percent=percent)
    for row, values in column.items()
  }
  means = {
    row: float(np.mean(list(values.values())))
    for row, values in column.items()
    if values
  }
  if not means:
    return cells
  top = max(means, key=lambda row: means[row])
  for row, values in column.items():
    old = cells[row]
    if row == top:
      cells[row] = Cell(old.text, old.value, bold=True)
    elif _tied(column[top], values):
      cells[row] = Cell(old.text, old.value, tied=True)
  return cells


def _tied(first: Mapping[int, float], second: Mapping[int, float]) -> bool:
  seeds = sorted(first.keys() & second.keys())
  if len(seeds) < 2:
    return False
  differences = np.array([first[seed] - second[seed] for seed in seeds])
  if np.ptp(differences) < 1e-12:  # The test divides by their spread.
    return bool(abs(differences[0]) < 1e-12)
  test = stats.ttest_1samp(differences, 0.0)
  return bool(test.pvalue >= _SIGNIFICANCE)
