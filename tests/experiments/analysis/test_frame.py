"""Figures of runs that tables show."""

import math
import types

import pandas as pd
import pytest

from experiments.analysis import frame, statistics


def run(*accuracies, result=True):
  """A run whose test accuracy was so in each epoch."""
  ended = {'test_accuracy': accuracies[-1] if accuracies else None}
  return types.SimpleNamespace(
    result=ended if result else None,
    metrics=[{'test': {'accuracy': accuracy}} for accuracy in accuracies],
  )


@pytest.mark.parametrize(
  ('accuracies', 'lost'), [((0.4, 0.9, 0.7), 0.2), ((0.4, 0.9), 0.0)]
)
def test_a_run_has_lost_what_it_had_in_its_best_epoch(accuracies, lost):
  assert frame.lost(run(*accuracies)) == pytest.approx(lost)


def test_nobody_knows_before_the_end_or_without_a_test_split():
  assert math.isnan(frame.lost(run(0.9, 0.7, result=False)))
  assert math.isnan(frame.lost(run()))


def test_a_seed_that_diverged_is_none_that_a_method_has():
  nan = math.nan
  by_seed = {
    'a': [0.9, 0.8, 0.7, 0.6],
    'b': [0.9, 0.9, 0.9, nan],
    'c': [nan] * 4,
  }
  runs = pd.DataFrame(
    [
      {'method': method, 'seed': seed, 'test_accuracy': value}
      for method, values in by_seed.items()
      for seed, value in enumerate(values)
    ]
  )
  scores = frame.scores(runs, 'method')
  assert [list(x.index) for x in scores.values()] == [
    [0, 1, 2, 3],
    [0, 1, 2],
    [],
  ]
  cells = statistics.mark_best(scores)
  assert cells['a'].bold and not cells['b'].bold
  assert cells['b'].text == '90.0 ± 0.0' and cells['c'].text == '-'
