"""The theorem's numbers by hand, and where it holds and does not."""

import types

from matplotlib import pyplot as plt
import numpy as np
import pytest

from experiments.paper import theory
from experiments.report import page
from sce_jax import noise


def test_risk_by_hand():
  # One classifier, two inputs of classes 0 and 1, three classes.
  losses = np.array([[[0.0, 3.0, 6.0], [2.0, 1.0, 4.0]]])
  risk = theory.risks(losses, np.array([0, 1]), noise.symmetric(3, 0.5))
  # (0.5 * 0 + 0.25 * 9 + 0.5 * 1 + 0.25 * 6) / 2
  np.testing.assert_allclose(risk, [2.125])
  risk = theory.risks(losses, np.array([0, 1]), noise.pair_flip(3, 0.25))
  # (0.75 * 0 + 0.25 * 3 + 0.75 * 1 + 0.25 * 4) / 2
  np.testing.assert_allclose(risk, [1.25])


def test_comparison_by_hand():
  clean = np.array([0.0, 0.5, 1.0])
  # MAE, C = 18: 0.4 of noise makes 1 - 4 / 9 of the slope and adds 0.8.
  off, slope, rank = theory.compare(clean, 0.8 + 5 / 9 * clean, 0.4, 18.0)
  assert off < 1e-12
  np.testing.assert_allclose([slope, rank], [5 / 9, 1])
  off, _, rank = theory.compare(clean, np.array([0.88, 1.3, 1.2]), 0.4, 18.0)
  # 0.88 for 0.8 and 1.2 for 0.8 + 5 / 9 are off by less than 1.3 for this.
  np.testing.assert_allclose(off, 1.3 / (0.8 + 5 / 18) - 1)
  np.testing.assert_allclose(rank, 0.5)


@pytest.fixture(scope='module')
def tables():
  assert theory.sweep('digits', 'tiny') == []
  context = types.SimpleNamespace(dataset='digits', scale='tiny')
  blocks = theory.report(context, [])
  plt.close('all')
  return {
    b.name: {
      (row[0], row[1].value): [cell.value for cell in row[2:]] for row in b.rows
    }
    for b in blocks
    if isinstance(b, page.Table)
  }


@pytest.mark.parametrize(('name', 'total'), [('MAE', 18.0), ('RCE', 36.0)])
def test_theorem_holds_for_symmetric_losses(tables, name, total):
  for rate, rank in ((0.2, 1), (0.8, 1), (0.9, None), (0.95, -1)):
    row = tables['noisy-risk-law'][name, rate]
    off, slope, expected, found, low, high = row
    assert off < 1e-4  # Per cent.
    np.testing.assert_allclose([slope, expected], 1 - rate / 0.9, atol=1e-6)
    assert found is None if rank is None else abs(found - rank) < 1e-6
    # MAE's sum is 2 (K - 1), RCE's -A (K - 1) at A = -4.
    np.testing.assert_allclose([low, high], total, rtol=1e-6)


def test_theorem_does_not_hold_for_cross_entropy(tables):
  for rate in (0.2, 0.8, 0.95):
    off, _, _, rank, low, high = tables['noisy-risk-law']['CE', rate]
    assert off > 50 and abs(rank) < 0.9 and high > 2 * low


def test_pair_flips_leave_the_perfect_classifier_the_best(tables):
  lower = {key: row[0] for key, row in tables['noisy-risk-pair'].items()}
  assert lower['RCE', 0.45] == lower['MAE', 0.45] == 0
  assert lower['RCE', 0.6] > 0
  assert lower['CE', 0.45] > 0
