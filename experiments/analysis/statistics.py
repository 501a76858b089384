"""Means over seeds as cells of a table, and which are really the best."""

from collections.abc import Hashable, Iterable, Mapping
import dataclasses
import types
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import stats

from experiments.report.page import SIGNIFICANCE, Cell

if TYPE_CHECKING:  # Sweeps are planned without pandas.
  import pandas as pd

Row = TypeVar('Row', bound=Hashable)

# What tables say of the row that `mark_best` has in bold.
BEST_NOTE = 'Best: highest mean of those with all seeds.'
# With fewer, nearly everything would be called alike.
LEAST_SEEDS = 3


def mean_std(values: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
  """Mean and standard deviation over runs, as all tables and pictures have.

  The deviation is that of a sample (ddof=1). Of one run it is nan, of none the
  mean is, too.

  Args:
    values: of each run, [runs, ...].

  Returns:
    Both of shape [...].
  """
  values = np.asarray(values, float)
  unknown = np.full(values.shape[1:], np.nan)
  return (
    values.mean(0) if len(values) else unknown,
    values.std(0, ddof=1) if len(values) > 1 else unknown,
  )


def format_mean_std(
  values: Iterable[float | None],
  *,
  percent: bool = True,
  sign: bool = False,
  diverged: int = 0,
) -> Cell:
  """Mean and standard deviation over seeds; '-' for no value.

  Args:
    values: one of each seed; None and nan count as none.
    percent: whether they are shares, shown in per cent.
    sign: whether a mean above 0 has a plus sign.
    diverged: how many further seeds diverged and so have no value, which the
      cell says.
  """
  known = np.array(list(values), float)
  known = known[~np.isnan(known)]
  if not known.size:
    return Cell('diverged' if diverged else '-')
  scale, digits = (100, 1) if percent else (1, 3)
  mean, deviation = (scale * float(x) for x in mean_std(known))
  text = f'{"+" if sign and mean > 0 else ""}{mean:.{digits}f}'
  if known.size > 1:
    text += f' ± {deviation:.{digits}f}'
  if diverged:
    text += f', {diverged} diverged'
  return Cell(text, value=mean)


def mark_best(
  scores: 'Mapping[Row, pd.Series]',
  *,
  percent: bool = True,
  diverged: Mapping[Row, int] = types.MappingProxyType({}),
) -> dict[Row, Cell]:
  """A column of a table, its best in bold, those within its noise marked.

  A row is tied with the best if a two-sided paired t-test over the seeds does
  not tell them apart at the 5 % level. With fewer than three seeds that is not
  claimed of any. A row that lacks a seed which another one has, or of which a
  run diverged, is neither.

  Args:
    scores: by row, a score per seed, indexed by the seed; higher is better.
    percent: as in `format_mean_std`.
    diverged: by row, how many of its runs diverged; none where it is missing.
  """
  cells = {
    row: format_mean_std(values, percent=percent, diverged=diverged.get(row, 0))
    for row, values in scores.items()
  }
  seeds = set().union(*(values.index for values in scores.values()))
  whole = {
    row: values
    for row, values in scores.items()
    if len(values) and seeds == {*values.index} and not diverged.get(row)
  }
  if not whole:
    return cells
  top = max(whole, key=lambda row: whole[row].mean())
  for row, values in whole.items():
    differences = (whole[top] - values).dropna()
    p = paired_p_value(differences)
    tied = row != top and p is not None and p >= SIGNIFICANCE
    cells[row] = dataclasses.replace(
      cells[row],
      bold=row == top,
      tied=len(differences) if tied else 0,
      note=f'n = {len(differences)}, p = {p:.2g}' if tied else '',
    )
  return cells


def paired_p_value(differences: 'pd.Series') -> float | None:
  """Of the hypothesis that the mean difference is 0; None: too few seeds.

  Args:
    differences: of two methods, one for each seed that both have.
  """
  if len(differences) < LEAST_SEEDS:
    return None
  if np.ptp(differences) < 1e-12:  # The test divides by their spread.
    return float(abs(differences.iloc[0]) < 1e-12)
  return float(stats.ttest_1samp(differences, 0.0).pvalue)
