"""Orderings that papers report, on scores made up by hand."""

import math

import pandas as pd

from experiments.paper import orderings
from experiments.report.page import Table


def table(seeds=3, **scores):
  index = pd.MultiIndex.from_product(
    [('symmetric 0.4', 'pair_flip 0.4'), range(seeds)], names=['noise', 'seed']
  )
  frame = pd.DataFrame(scores, index)
  found = orderings.blocks(frame, {name: name.upper() for name in scores})
  return next((x for x in found if isinstance(x, Table)), None)


def texts(row):
  return [getattr(cell, 'text', cell) for cell in row]


def test_each_noise_is_tested_over_its_seeds():
  found = table(
    # Ahead by 9, 10 and 11 points; by -5, 0 and 8 of another seed each.
    sl=[0.89, 0.80, 0.71, 0.45, 0.50, 0.58],
    ce=[0.80, 0.70, 0.60, 0.50, 0.50, 0.50],
    # Behind SL by 10 points for each seed, and equal to it.
    gce=[0.99, 0.90, 0.81, 0.45, 0.50, 0.58],
  )
  assert list(found.columns) == [
    *('ordering', 'paper', 'symmetric 0.4', 'pair_flip 0.4', 'told apart')
  ]
  assert [texts(row) for row in found.rows] == [
    ['SL over CE', 'SCE', '+10.0 *', '+1.0', '1 ahead'],
    ['SL over GCE', 'SCE', '-10.0 *', '+0.0', '0 ahead, 1 behind'],
  ]
  assert 'no correction for 4 tests' in found.note


def test_a_run_that_diverged_compares_nothing():
  found = table(
    sl=[0.9, -math.inf, 0.9, 0.9, 0.9, 0.9], ce=[0.1, 0.2, 0.3, 0.1, 0.2, 0.3]
  )
  assert texts(found.rows[0])[2:] == ['diverged', '+70.0 *', '1 ahead']
  assert 'no correction for 1 test, of which' in found.note
  assert 'told apart by chance if no methods differed' in found.note


def test_too_few_seeds_are_not_tested():
  found = table(seeds=1, sl=[0.9, 0.7], ce=[0.7, 0.8])
  assert texts(found.rows[0])[2:] == ['+20.0', '-10.0', '-']
  assert found.note.startswith('Nothing is told apart: a paired t-test needs 3')


def test_where_papers_compare_none_of_them_there_is_no_table():
  assert table(sl=[0.5] * 6, mae=[0.4] * 6) is None
