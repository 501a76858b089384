"""Runs as a pandas DataFrame: what experiments report on."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
import math
from typing import TYPE_CHECKING, Any

from experiments.analysis import statistics
from experiments.report.page import Cell
from sce_jax.runs import read
from sce_jax.runs.read import Run

if TYPE_CHECKING:  # Sweeps are planned without pandas.
  import pandas as pd


def from_runs(runs: Iterable[Run]) -> 'pd.DataFrame':
  """One row per run, finished or not.

  Returns:
    A data frame with a column for each of the runs' labels (in an experiment
    method, noise and so on), seed as a number, status, the figures of
    read.figures and `lost` (nan where a run has not finished), noisy_test as
    in read.frame, and `run`, the Run itself.
  """
  import pandas as pd  # noqa: PLC0415  Sweeps are planned without it.

  return pd.DataFrame(
    [
      {
        **run.labels,
        'seed': run.config['seed'],
        'status': run.status,
        **read.figures(run),
        'lost': lost(run),
        'noisy_test': run.noisy_test,
        'run': run,
      }
      for run in runs
    ]
  )


def finished(runs: 'pd.DataFrame') -> 'pd.DataFrame':
  """The rows of the runs that ended well."""
  return runs[runs.status == 'finished'] if len(runs) else runs


def ended(runs: 'pd.DataFrame') -> 'pd.DataFrame':
  """The rows of the runs that ended well or diverged."""
  return runs[runs.status.isin(('finished', 'failed'))] if len(runs) else runs


# What tables say of `lost`.
LOST_NOTE = (
  'Lost since its best epoch: how far a run has overfitted; the best epoch'
  " itself is nobody's to choose."
)


def lost(run: Run) -> float:
  """How far a run's test accuracy has fallen since its best epoch.

  nan where it has not finished, or has no test split.
  """
  if run.result is None or run.result.get('test_accuracy') is None:
    return math.nan
  best = max(record['test']['accuracy'] for record in run.metrics)
  return best - run.result['test_accuracy']


def metrics(
  runs: 'pd.DataFrame', by: str | list[str]
) -> dict[Any, list[Sequence[Mapping[str, Any]]]]:
  """The epochs of finished runs, by the values of one or more columns.

  Values of which no run has finished have an empty list.
  """
  return {
    key: [run.metrics for run in finished(group).run]
    for key, group in runs.groupby(by, sort=False)
  }


def class_accuracy(runs: Iterable[Run]) -> 'pd.DataFrame':
  """Test accuracy of each class in the last epoch, [runs, classes], per cent.

  nan where a class has no test example.

  Args:
    runs: finished runs that have a test split.
  """
  import pandas as pd  # noqa: PLC0415  Sweeps are planned without it.

  return 100 * pd.DataFrame(
    [run.result['test']['class_accuracy'] for run in runs if run.result],
    dtype=float,
  )


def diverged(runs: 'pd.DataFrame', by: str | list[str]) -> dict[Hashable, int]:
  """How many runs of each group diverged.

  Args:
    runs: a row per run.
    by: the columns whose values make a group.
  """
  return {
    key: int((group.status == 'failed').sum())
    for key, group in runs.groupby(by, sort=False)
  }


def scores(
  runs: 'pd.DataFrame', by: str | list[str], figure: str = 'test_accuracy'
) -> dict[Hashable, 'pd.Series']:
  """A figure of each group of runs, by seed, in order of appearance.

  Args:
    runs: a row per run.
    by: the columns whose values make a group.
    figure: the column that is wanted.
  """
  return {
    key: group.set_index('seed')[figure].dropna()
    for key, group in runs.groupby(by, sort=False)
  }


def best(runs: 'pd.DataFrame', by: str | list[str]) -> dict[Hashable, Cell]:
  """A column of test accuracies, its best marked, see `statistics.mark_best`.

  Args:
    runs: a row per run.
    by: as in `scores`, the column's rows.
  """
  return statistics.mark_best(scores(runs, by), diverged=diverged(runs, by))
