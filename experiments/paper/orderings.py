"""Which method papers say is ahead of which, and whether it is so here."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from experiments.analysis import statistics
from experiments.report.page import Block, Cell, Heading, Table, number
from sce_jax.runs import progress

if TYPE_CHECKING:  # Sweeps are planned without pandas.
  import pandas as pd

# The better one first, by the names in configs; whose claim it is.
ORDERINGS = (
  ('sl', 'ce', 'SCE'),
  ('sl', 'gce', 'SCE'),
  ('nce_mae', 'gce', 'APL'),
  ('nce_rce', 'sl', 'APL'),
  ('nce_agce', 'nce_mae', 'ALF'),
  ('agce', 'gce', 'ALF'),
  ('anl_ce', 'nce_agce', 'ANL'),
  ('jal_ce', 'anl_ce', 'JAL'),
  ('eps_ce_mae', 'nce_agce', 'EPS'),
  ('dal', 'gce', 'DAL'),
  ('ce_lc', 'ce', 'LogitClip'),
  ('ce_sr', 'ce', 'SR'),
  ('mixup', 'ce', 'Mixup'),
  ('co_teaching', 'ce', 'Co-teaching'),
  ('jocor', 'co_teaching', 'JoCoR'),
  ('elr', 'ce', 'ELR'),
  ('sop', 'elr', 'SOP'),
)


def blocks(scores: 'pd.DataFrame', names: Mapping[str, str]) -> list[Block]:
  """The table; nothing if no two methods have been compared by a paper.

  Args:
    scores: test accuracy, a row per noise and seed, a column per method.
    names: what tables call each method.
  """
  noises = list(scores.index.unique('noise'))
  rows: list[list[Cell | str]] = []
  tests = 0
  for better, worse, paper in ORDERINGS:
    if not {better, worse} <= set(scores.columns):
      continue
    cells, verdicts = [], []
    for noise in noises:
      some = scores.loc[noise]
      cell, verdict = _compare(some[better] - some[worse])
      cells.append(cell)
      verdicts.append(verdict)
    tests += len(verdicts) - verdicts.count(None)
    title = f'{names[better]} over {names[worse]}'
    rows.append([title, paper, *cells, _told(verdicts)])
  if not rows:
    return []
  return [
    Heading('Orderings that papers report'),
    Table(
      'orderings',
      'Mean difference in test accuracy, in points',
      ['ordering', 'paper', *noises, 'told apart'],
      rows,
      f'{_tested(tests)} The papers have other data, networks and mostly other'
      ' noises.',
    ),
  ]


def _told(verdicts: Sequence[int | None]) -> Cell:
  """Under how many noises a test told methods apart; '-' without any test."""
  if all(verdict is None for verdict in verdicts):
    return Cell('-')
  ahead, behind = verdicts.count(1), verdicts.count(-1)
  text = f'{ahead} ahead' + f', {behind} behind' * bool(behind)
  return Cell(text, value=ahead - behind)


def _tested(tests: int) -> str:
  """What the table says of its tests."""
  if not tests:
    return (
      'Nothing is told apart: a paired t-test needs'
      f' {statistics.LEAST_SEEDS} seeds that both methods have.'
    )
  return (
    '*: told apart by a two-sided paired t-test over seeds, p below'
    f' {statistics.SIGNIFICANCE:g}; no correction for'
    f' {progress.counted(tests, "test")}, of which one in twenty would be told'
    ' apart by chance if no methods differed.'
  )


def _compare(differences: 'pd.Series') -> tuple[Cell, int | None]:
  """A cell, and 1 if the first is told to be ahead, -1 behind, 0 neither.

  None in place of these if no test could be made.
  """
  if not np.isfinite(differences).all():
    return Cell('diverged'), None
  p = statistics.paired_p_value(differences)
  mean = 100 * float(differences.mean())
  if p is None or p >= statistics.SIGNIFICANCE:
    return number(mean, '+.1f'), None if p is None else 0
  return Cell(f'{mean:+.1f} *', value=mean), 1 if mean > 0 else -1
