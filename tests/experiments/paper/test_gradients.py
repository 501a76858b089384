"""Weights and pulls against numbers worked out by hand."""

import types

from matplotlib import pyplot as plt
import numpy as np
import pytest

from experiments.paper import gradients, scales
from experiments.report import page

P = gradients.probabilities('tiny')


@pytest.fixture(scope='module')
def measured():
  curves = gradients.measure(gradients.CURVES, P)
  return {c.name: m for c, m in zip(gradients.CURVES, curves, strict=True)}


def at(p):
  return int(np.argmin(np.abs(P - p)))


def test_weights_by_hand(measured):
  half = at(0.5)
  for name, want in {
    'CE': 1.0,
    'RCE, A=-4': 2.0,
    'MAE': 1.0,
    'GCE, q=.7': 0.6155722,
    'SL .1, 1, A=-4': 2.1,
    'SL .1, 1, A=-6': 3.1,
    'SL 6, .1, A=-9.2': 6.460517,
  }.items():
    np.testing.assert_allclose(measured[name].weight[half], want, rtol=3e-6)


def test_gradients_agree_with_the_closed_forms(measured):
  for one in measured.values():
    assert one.error < 1e-6 * max(one.weight.max(), 1)


def test_a_wrong_closed_form_is_found():
  wrong = gradients.Curve('', 'mae', {}, lambda p: 1.9 * p)
  # 0.1 p (1 - p) at p = 0.5.
  np.testing.assert_allclose(
    gradients.measure([wrong], P)[0].error, 0.025, rtol=1e-4
  )


def test_where_losses_pull_hardest(measured):
  q = 0.7
  for name, want in {
    'RCE, A=-4': 0.5,
    'MAE': 0.5,
    'GCE, q=.7': q / (1 + q),
    'SL .1, 1, A=-4': (4 - 0.1) / (2 * 4),
    'CE': 0.01,  # The lowest there is.
    'SL 6, .1, A=-9.2': 0.01,
  }.items():
    best = P[measured[name].pull.argmax()]
    assert abs(best - want) <= 0.011, name


def test_reverse_term_is_largest_at_a_half(measured):
  extra = measured['SL .1, 1, A=-4'].pull - 0.1 * measured['CE'].pull
  assert P[extra.argmax()] == 0.5
  np.testing.assert_allclose(extra.max(), 1.0, rtol=1e-6)
  steps = np.diff(extra)
  assert (steps[: at(0.5)] > 0).all()
  assert (steps[at(0.5) :] < 0).all()


def test_probabilities_hold_those_of_the_table():
  for scale in scales.SCALES:
    found = set(gradients.probabilities(scale).tolist())
    assert {0.01, 0.1, 0.5, 0.9, 0.99} <= found


def test_report():
  assert gradients.sweep('digits', 'tiny') == []
  context = types.SimpleNamespace(dataset='digits', scale='tiny')
  blocks = gradients.report(context, [])
  (table,) = (b for b in blocks if isinstance(b, page.Table))
  ce, rce = table.rows[0], table.rows[1]
  assert ce[1].text == '0.010 (the lowest looked at)'
  # 4 p (1 - p) in % of its 1.0 at p = 0.5.
  assert [cell.text for cell in rce[1:8]] == [
    '0.500',
    '1.000',
    '4.0',
    '36.0',
    '100.0',
    '36.0',
    '99.00',
  ]
  said = ' '.join(b.text for b in blocks if isinstance(b, page.Text))
  for finding in (
    # 4 p, 2 p and p^0.7.
    'At p_y = 0.01 the weight of RCE is 0.040, of MAE 0.020, of GCE 0.040:',
    # 0.1 + 4 p, and 4 p (1 - p).
    '0.140 at p_y = 0.01, 4.060 at 0.99)',
    'largest (1.000) at p_y = 0.50: below',
    # 6 + 0.921 p.
    'goes from 6.01 to 6.91, a factor of 1.15 between',
    'A=-4 a factor of 29.',
  ):
    assert finding in said
  plt.close('all')
