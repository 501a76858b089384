"""Cells worked out by hand, and which of them count as the best."""

import numpy as np
import pandas as pd
import pytest

from experiments.analysis import statistics


def test_a_cell_is_mean_and_deviation_in_per_cent():
  cell = statistics.format_mean_std([0.5, 0.6, 0.7])
  assert cell.text == '60.0 ± 10.0'
  assert cell.value == pytest.approx(60.0)
  assert statistics.format_mean_std([0.25]).text == '25.0'
  assert statistics.format_mean_std([]).text == '-'
  assert statistics.format_mean_std([None, np.nan]).text == '-'
  assert statistics.format_mean_std([0.5, np.nan, 0.7]).text == '60.0 ± 14.1'
  assert statistics.format_mean_std([0.1], sign=True).text == '+10.0'
  assert statistics.format_mean_std([-0.1], sign=True).text == '-10.0'
  assert (
    statistics.format_mean_std([1.0, 2.0], percent=False).text
    == '1.500 ± 0.707'
  )


def test_the_deviation_is_that_of_a_sample():
  # Of 1, 2 and 6: mean 3, deviation sqrt((4 + 1 + 9) / 2).
  mean, deviation = statistics.mean_std([[1, 0], [2, 0], [6, 0]])
  assert mean == pytest.approx([3, 0])
  assert deviation == pytest.approx([np.sqrt(7), 0])
  assert np.isnan(statistics.mean_std([1.0])[1])
  assert np.isnan(statistics.mean_std([])).all()


def test_a_cell_says_how_many_seeds_diverged():
  cell = statistics.format_mean_std([0.5, np.nan, 0.7, np.nan], diverged=2)
  assert cell.text == '60.0 ± 14.1, 2 diverged'
  assert cell.value == pytest.approx(60.0)
  cell = statistics.format_mean_std([np.nan], diverged=1)
  assert (cell.text, cell.value) == ('diverged', None)


def seeds(*values):
  return pd.Series(values, dtype=float)


def test_what_pairs_cannot_tell_apart_is_tied():
  # Differences .01, .03, -.01, .01: mean .01, their deviation sqrt(8/3) / 100,
  # so t = .01 / (.0163 / 2) = 1.22 with 3 degrees of freedom: p is 0.31.
  cells = statistics.mark_best(
    {
      'first': seeds(0.80, 0.82, 0.79, 0.81),
      'second': seeds(0.79, 0.79, 0.80, 0.80),
      'worse': seeds(0.70, 0.71, 0.70, 0.69),
    }
  )
  assert cells['first'].bold and not cells['first'].tied
  assert cells['second'].tied == 4 and not cells['second'].bold
  assert cells['second'].note == 'n = 4, p = 0.31'
  assert not cells['worse'].tied and not cells['worse'].bold


@pytest.mark.parametrize(('mean', 'p'), [(0.028, 0.04), (0.0225, 0.06)])
def test_rows_are_told_apart_below_five_per_cent(mean, p):
  # Of differences mean - 0.01, mean and mean + 0.01, t is mean sqrt(3) / 0.01,
  # and with 2 degrees of freedom p is 1 - t / sqrt(2 + t^2).
  t = mean * np.sqrt(3) / 0.01
  assert 1 - t / np.sqrt(2 + t**2) == pytest.approx(p, abs=1e-4)
  behind = seeds(0.5, 0.6, 0.7)
  cells = statistics.mark_best(
    {'best': behind + mean + seeds(-0.01, 0, 0.01), 'other': behind}
  )
  assert cells['best'].bold
  assert cells['other'].tied == (3 if p > 0.05 else 0)
  assert cells['other'].note == ('n = 3, p = 0.06' if p > 0.05 else '')


def test_the_test_is_paired():
  # Seeds differ by far more than methods, which every seed ranks alike.
  base = np.array([0.2, 0.5, 0.8])
  cells = statistics.mark_best(
    {'better': seeds(*(base + 0.01)), 'worse': seeds(0.2, 0.5001, 0.8)}
  )
  assert cells['better'].bold
  assert not cells['worse'].tied


def test_equal_rows_are_tied_and_a_constant_gap_is_not():
  first = seeds(0.5, 0.6, 0.5)
  cells = statistics.mark_best({'a': first, 'b': first})
  assert cells['a'].bold and cells['b'].tied == 3
  cells = statistics.mark_best({'a': first, 'b': first - 0.1})
  assert cells['a'].bold and not cells['b'].tied


def test_two_seeds_are_too_few_to_call_any_alike():
  cells = statistics.mark_best({'a': seeds(0.5, 0.6), 'b': seeds(0.5, 0.6)})
  assert cells['a'].bold and not cells['b'].tied


def test_one_seed_or_none_tells_nothing():
  cells = statistics.mark_best({'a': seeds(0.5), 'b': seeds(0.5), 'c': seeds()})
  assert cells['a'].bold and not cells['b'].tied
  assert cells['c'].text == '-'
  assert statistics.mark_best({'c': seeds()})['c'].text == '-'


def test_who_lacks_a_seed_is_neither_best_nor_tied():
  cells = statistics.mark_best(
    {
      'a': pd.Series({0: 0.9, 1: 0.8, 2: 0.7, 3: 0.6}),
      'b': pd.Series({0: 0.9, 1: 0.9, 2: 0.9}),  # The fourth diverged.
      'c': pd.Series({0: 0.8, 1: 0.9, 2: 0.6, 3: 0.7}),
    }
  )
  assert cells['a'].bold and cells['c'].tied == 4
  assert cells['b'].text == '90.0 ± 0.0'
  assert not cells['b'].bold and not cells['b'].tied


def test_the_best_is_one_of_those_with_all_seeds():
  scores = {
    # As many as b has, but not those that b has.
    'a': pd.Series({0: 0.9, 1: 0.8}),
    'b': pd.Series({0: 0.7, 2: 0.6}),
  }
  assert not any(cell.bold for cell in statistics.mark_best(scores).values())
  scores = {'a': pd.Series({0: 0.95}), 'b': pd.Series({0: 0.7})}
  cells = statistics.mark_best(scores, diverged={'a': 2, 'b': 0})
  assert cells['a'].text == '95.0, 2 diverged' and not cells['a'].bold
  assert cells['b'].text == '70.0' and cells['b'].bold
