"""The page of losses: its curves, its tables, and where its costs are from."""

import json
import types

from matplotlib import pyplot as plt
import numpy as np
import pytest

from experiments.paper import loss_curves, losses
from experiments.report import page
from sce_jax import methods


def test_weights_by_hand():
  names = ('ce', 'mae', 'unhinged')
  found = loss_curves.measure(names, 'tiny')
  p, value, weight = found['ce']
  np.testing.assert_allclose(p, np.arange(1, 20) / 20)
  np.testing.assert_allclose(value, -np.log(p), rtol=1e-5)
  np.testing.assert_allclose(weight, 1, rtol=1e-5)
  np.testing.assert_allclose(found['mae'][2], 2 * p, rtol=1e-5)
  # Its slope is 1 - 1/K everywhere.
  np.testing.assert_allclose(found['unhinged'][2], 0.9 / (1 - p), rtol=1e-5)


def test_given_settings_stand_in_place_of_those_of_the_curves():
  """SL's weight is alpha - beta * log_zero * p_y; here log_zero is -4."""
  p, _, weight = loss_curves.measure(['sl'], 'tiny')['sl']
  np.testing.assert_allclose(weight, 0.1 + 4 * p, rtol=1e-5)
  settings = {'sl': {'alpha': 3.0, 'beta': 0.5}, 'nls': {'smoothing': -2.0}}
  found = loss_curves.measure(['sl', 'nls'], 'tiny', settings)
  np.testing.assert_allclose(found['sl'][2], 3 + 2 * p, rtol=1e-5)
  # (1 - s) CE + s mean(-log p): its slope in the label's logit is
  # -(1 - s) (1 - p) + s (p - 1/K), over p - 1, with s = -2 and K = 10.
  slope = -3 * (1 - p) - 2 * (p - 0.1)
  np.testing.assert_allclose(found['nls'][2], slope / (p - 1), rtol=1e-4)


def test_weights_of_what_is_made_of_losses_by_hand():
  names = ('sl_annealed', 'dal', 'nce_mae', 'anl_ce')
  weights = {'alpha': 2.0, 'beta': 3.0}
  settings = {'nce_mae': weights, 'anl_ce': {**weights, 'l1': 5.0}}
  found = loss_curves.measure(names, 'tiny', settings)
  late = loss_curves.measure(names, 'tiny', settings, epoch=60)
  p = found['dal'][0]
  # q is 0.6 at first and 1.05 after half of the epochs, when a tenth of the
  # entropy over q log K counts. Its slope in the label's logit is
  # -p (log p + H), with H the entropy of p and nine equal rests.
  np.testing.assert_allclose(found['dal'][2], p**0.6, rtol=1e-5)
  rest = (1 - p) / 9
  entropy = -p * np.log(p) - 9 * rest * np.log(rest)
  slope = -p * (np.log(p) + entropy) * 0.1 / (1.05 * np.log(10))
  np.testing.assert_allclose(
    late['dal'][2], p**1.05 + slope / (p - 1), rtol=1e-4
  )
  np.testing.assert_allclose(found['sl_annealed'][2], 0.1 + 4 * p, rtol=1e-5)
  np.testing.assert_allclose(late['sl_annealed'][2], 0.05 + 4 * p, rtol=1e-5)
  # The penalty on parameters has none to be on.
  normalised = np.log(p) / (np.log(p) + 9 * np.log(rest))
  np.testing.assert_allclose(
    found['nce_mae'][1], 2 * normalised + 6 * (1 - p), rtol=1e-5
  )
  assert np.all(np.isfinite(found['anl_ce'][2]))


@pytest.fixture(scope='module')
def blocks():
  made = losses.report(types.SimpleNamespace(scale='tiny'), None)
  plt.close('all')
  return made


@pytest.mark.landing
def test_every_loss_has_a_row_and_a_curve(blocks):
  tables = {b.name: b for b in blocks if isinstance(b, page.Table)}
  rows = {
    row[0]: row
    for name, table in tables.items()
    if name.startswith('losses-')
    for row in table.rows
  }
  with_loss = {k: v for k, v in methods.SPECS.items() if v.loss is not None}
  assert set(rows) == set(with_loss)
  assert rows['gce'][1:8] == [
    'generalized cross entropy',
    '(1 - p_y**q) / q',
    '0',
    '1 / q',
    'at q = 1, where it is half of MAE',
    'q (0.7)',
    'no',
  ]
  assert rows['gce'][8].link == 'https://arxiv.org/abs/1805.07836'
  assert rows['js'][7] == 'yes'
  assert rows['sgce'][7] == '?'
  assert ', jax 0.' in blocks[0].text
  assert rows['taylor'][8].link == ''
  drawn = [label for group in _drawn(blocks)[:-3] for label in group]
  assert sorted(drawn) == sorted(
    spec.short
    for spec in with_loss.values()
    if 'transition_matrix' not in spec.hparams
  )


def _drawn(blocks):
  figures = [b.drawing for b in blocks if isinstance(b, page.Figure)]
  return [[line.get_label() for line in f.axes[0].lines] for f in figures]


@pytest.mark.landing
def test_what_is_made_of_losses(blocks):
  (table,) = [b for b in blocks if getattr(b, 'name', '') == 'made']
  made = {row[0] for row in table.rows}
  tuned = {row[0]: row[4] for row in table.rows}
  assert tuned['nce_rce'] == 'no' and tuned['ce_lc'] == 'yes'
  assert tuned['ce_sr'] == 'per kind of noise'
  assert {'dal', 'anl_ce', 'eps_fl_mae', 'ce_lc', 'ce_sr', 'mixup'} < made
  # A state, two networks, two views.
  assert not made & {'ce', 'elr', 'co_teaching', 'gjs', 'd2l', 't_revision'}
  drawn = {label for group in _drawn(blocks)[-3:] for label in group}
  shorts = {methods.SPECS[name].short for name in made}
  # One has a partner in the batch, one the mean of its predictions.
  apart = {'Peer loss', 'Mixup', 'ANL-CE-ER', 'CE+SR', 'GCE+SR'}
  change = {'DAL, last epoch', 'SL annealed, last epoch'}
  assert drawn == (shorts - apart) | change


@pytest.mark.landing
def test_settings_are_those_published(blocks):
  (table,) = [b for b in blocks if getattr(b, 'name', '') == 'settings']
  rows = {row[0]: row[1:] for row in table.rows}
  assert rows['jal_ce'] == [
    'alpha 1, beta 1, a 30, l1 5e-05',
    'alpha 1, beta 1, a 30, l1 5e-05',
    'alpha 5, beta 1, a 20, l1 5e-06',
  ]
  assert rows['taylor'] == ['-', '-', 'order 18']
  assert 'mae' not in rows


def test_costs_are_read_from_a_benchmark(tmp_path):
  file = tmp_path / 'loss_cost.json'
  assert losses.costs(file) == {}
  rows = [
    {'K': k, 'loss': name, 'ms': 1.0, 'over optax CE': value}
    for k, name, value in [(10, 'ce', 1.1), (10, 'gce', 1.2), (1000, 'ce', 2.0)]
  ]
  file.write_text(json.dumps({'rows': rows}))
  assert losses.costs(file) == {'ce': 1.1, 'gce': 1.2}
