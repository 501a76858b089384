"""Figures of runs that tables show."""

import math
import types

import pytest

from experiments.analysis import frame


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
