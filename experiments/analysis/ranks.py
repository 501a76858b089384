"""Average ranks of methods, and which differences between them are chance.

Friedman's test says whether there are differences at all, Nemenyi's test which
pairs of methods differ: those whose average ranks lie further apart than the
critical difference (Demsar, JMLR 2006). Wilcoxon's signed-rank test with Holm's
correction, which others use, finds nothing in as few blocks as noises: of five
blocks its smallest p is 0.0625.
"""

from collections.abc import Sequence
import dataclasses
import math
from typing import TYPE_CHECKING, Any

from matplotlib import pyplot as plt
from matplotlib import ticker
from matplotlib.figure import Figure
from scipy import stats

from experiments.analysis import style

if TYPE_CHECKING:  # Sweeps are planned without pandas.
  import pandas as pd

_SIGNIFICANCE = 0.05
# Of more methods than there are colours, these are seen at a glance.
_SEEN = ('SL', 'CE')


@dataclasses.dataclass(frozen=True)
class Ranks:
  """Ranks of methods, each block ranked alone.

  Attributes:
    average: by method, the best, 1, first.
    blocks: how many.
    pvalue: of Friedman's test; nan with fewer than three methods.
    difference: average ranks that lie further apart are told apart at the 5 %
      level (Nemenyi).
  """

  average: 'pd.Series'
  blocks: int
  pvalue: float
  difference: float

  @property
  def tied(self) -> list[str]:
    """Methods that are not told apart from the best, the best first."""
    near = self.average <= self.average.iloc[0] + self.difference
    return list(self.average.index[near])


def rank(scores: 'pd.DataFrame') -> Ranks:
  """Ranks methods.

  Args:
    scores: a row per block, a column per method; higher is better, -inf: the
      method failed. Of equal scores each has the mean of their ranks.
  """
  average = scores.rank(axis=1, ascending=False).mean().sort_values()
  blocks, methods = scores.shape
  pvalue = math.nan
  if methods > 2 and blocks > 1:
    ranks = scores.rank(axis=1)
    pvalue = float(stats.friedmanchisquare(*ranks.to_numpy().T).pvalue)
  return Ranks(average, blocks, pvalue, critical_difference(methods, blocks))


def critical_difference(methods: int, blocks: int) -> float:
  """Nemenyi's, at the 5 % level; inf without two methods and a block."""
  if methods < 2 or not blocks:
    return math.inf
  q = stats.studentized_range.ppf(1 - _SIGNIFICANCE, methods, math.inf)
  return float(q * math.sqrt(methods * (methods + 1) / (12 * blocks)))


def plot(ranks: Ranks, wide: float) -> Figure:
  """The average ranks with their critical difference.

  Args:
    ranks: of the methods, by the names that are drawn.
    wide: a larger difference, for other noises, drawn as a scale.
  """
  names = list(ranks.average.index)
  figure, ax = plt.subplots(
    figsize=(7.2, 1.5 + 0.2 * len(names)), layout='constrained'
  )
  tied = set(ranks.tied)
  half = min(ranks.difference, len(names)) / 2
  for place, (look, (name, value)) in enumerate(
    zip(_looks(names), ranks.average.items(), strict=True)
  ):
    colour = look['color']
    width = look['linewidth']
    ax.plot([value - half, value + half], [place] * 2, color=colour, lw=width)
    ax.plot(
      value,
      place,
      look['marker'],
      color=colour,
      mfc=colour if name in tied else 'white',
      ms=5,
    )
  best = ranks.average.iloc[0]
  ax.axvspan(best - half, best + half, color=style.GREY, alpha=0.15, lw=0)
  ax.set_yticks(range(len(names)), names, fontsize=8)
  ax.set_ylim(len(names) - 0.4, -0.6)
  # Differences reach to where there is no rank.
  ax.xaxis.set_major_locator(
    ticker.FixedLocator(range(1, len(names) + 1), nbins=10)
  )
  if math.isfinite(wide):
    low = 1.0
    end = low + wide
    axis = ax.get_xaxis_transform()
    ax.plot(
      [low, end],
      [1.01] * 2,
      '|-',
      color='black',
      clip_on=False,
      transform=axis,
    )
    ax.text(
      (low + end) / 2,
      1.015,
      f'critical difference for other noises: {wide:.1f}',
      ha='center',
      va='bottom',
      fontsize=8,
      transform=axis,
    )
  ax.set_xlabel('average rank (1 is best), ± half a critical difference')
  ax.grid(axis='x', alpha=0.3)
  return figure


def _looks(names: Sequence[str]) -> list[dict[str, Any]]:
  """The looks of methods; of a crowd only SL and CE have one of their own."""
  looks = style.looks(names)
  if len(names) <= len(style.COLOURS):
    return looks
  return [
    look
    if style.method_of(name) in _SEEN
    else look | {'color': 'black', 'marker': 'o'}
    for name, look in zip(names, looks, strict=True)
  ]
