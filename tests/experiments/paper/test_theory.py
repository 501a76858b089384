"""The theorem's numbers by hand, and where it holds and does not."""

import types

import jax.numpy as jnp
from matplotlib import pyplot as plt
import numpy as np
import pytest

from experiments.paper import theory
from experiments.paper.theory import risks, setting, training
from experiments.report import page
from sce_jax import noise

K = setting.K


@pytest.fixture(scope='module')
def random():
  logits, clean, _ = risks.classifiers(20)
  return logits, clean, {n: risks.loss_table(n, logits) for n in setting.LOSSES}


def laws(random, name, rate):
  _, clean, tables = random
  table = tables[name]
  return risks.law(
    risks.risks(table, clean, noise.clean(K)),
    risks.risks(table, clean, noise.symmetric(K, rate)),
    rate,
    table.sum(-1).mean(),
  )


def test_risk_by_hand():
  # One classifier, two inputs of classes 0 and 1, three classes.
  table = np.array([[[0.0, 3.0, 6.0], [2.0, 1.0, 4.0]]])
  risk = risks.risks(table, np.array([0, 1]), noise.symmetric(3, 0.5))
  # (0.5 * 0 + 0.25 * 9 + 0.5 * 1 + 0.25 * 6) / 2
  np.testing.assert_allclose(risk, [2.125])
  risk = risks.risks(table, np.array([0, 1]), noise.pair_flip(3, 0.25))
  # (0.75 * 0 + 0.25 * 3 + 0.75 * 1 + 0.25 * 4) / 2
  np.testing.assert_allclose(risk, [1.25])


def test_law_by_hand():
  clean = np.array([0.0, 0.5, 1.0])
  # MAE, C = 18: 0.4 of noise makes 1 - 4 / 9 of the slope and adds 0.8.
  found = risks.law(clean, 0.8 + 5 / 9 * clean, 0.4, 18.0)
  assert found.deviation < 1e-12
  np.testing.assert_allclose([found.slope, found.rank], [5 / 9, 1])
  found = risks.law(clean, np.array([0.88, 1.0, 1.3]), 0.4, 18.0)
  np.testing.assert_allclose(found.deviation, 0.1)


@pytest.mark.parametrize('name, total', [('MAE', 18.0), ('RCE', 36.0)])
def test_law_holds_for_symmetric_losses(random, name, total):
  np.testing.assert_allclose(random[2][name].sum(-1), total, rtol=1e-6)
  for rate, rank in ((0.2, 1), (0.8, 1), (0.9, None), (0.95, -1)):
    found = laws(random, name, rate)
    assert found.deviation < 1e-6
    np.testing.assert_allclose(found.slope, 1 - rate / 0.9, atol=1e-6)
    assert found.rank is None if rank is None else abs(found.rank - rank) < 1e-6


def test_law_does_not_hold_for_cross_entropy(random):
  for rate in (0.2, 0.8, 0.95):
    found = laws(random, 'CE', rate)
    assert found.deviation > 0.5
    assert abs(found.rank) < 0.9


def test_pair_flips_leave_the_perfect_classifier_the_best(random):
  _, clean, tables = random
  perfect = jnp.asarray(50 * np.eye(K)[clean], jnp.float32)
  lower = {}
  for name in ('RCE', 'CE'):
    for rate in (0.45, 0.6):
      matrix = noise.pair_flip(K, rate)
      best = risks.risks(risks.loss_table(name, perfect), clean, matrix)
      lower[name, rate] = risks.risks(tables[name], clean, matrix) < best
  assert not lower['RCE', 0.45].any()
  assert lower['RCE', 0.6].any()
  assert lower['CE', 0.45].any()


@pytest.mark.parametrize('name', setting.LOSSES)
def test_training_has_the_losses_of_the_package(random, name):
  weights = jnp.asarray(setting.LOSSES[name], jnp.float32)
  np.testing.assert_allclose(
    training.closed_form(random[0], weights),
    random[2][name],
    rtol=2e-5,
    atol=2e-6,
  )


def test_report():
  assert theory.sweep('digits', 'tiny') == []
  context = types.SimpleNamespace(dataset='digits', scale='tiny')
  blocks = theory.report(context, [])
  named = [b for b in blocks if isinstance(b, page.Table | page.Figure)]
  assert len({b.name for b in named}) == len(named)
  tables = {b.name: b for b in blocks if isinstance(b, page.Table)}
  for table in tables.values():
    assert all(len(row) == len(table.columns) for row in table.rows)
  plt.close('all')

  rows = {
    tuple(c if isinstance(c, str) else c.text for c in row[:2]): row
    for row in tables['minimiser-symmetric'].rows
  }
  for name in ('CE', 'RCE', 'SL .1, 1'):
    accuracy = [c.value for c in rows[name, 'accuracy on the clean labels'][2:]]
    # Rates 0, .2, .4, .6, .8, .9, .95: right below the limit, wrong past it.
    assert min(accuracy[:5]) > 80
    assert accuracy[6] < 10
  key = 'probability moved (mean total variation)'
  # Rate 0.6: the noisy posterior is 0.6 away from the clean one.
  assert 50 < rows['CE', key][5].value < 70
  assert rows['RCE', key][5].value < 10
