"""The page of losses: its curves, its tables, and where its costs are from."""

import json
import types

from matplotlib import pyplot as plt
import numpy as np
import pytest

from experiments.paper import losses
from experiments.report import page
from sce_jax import methods


def test_weights_by_hand():
  names = ('ce', 'mae', 'unhinged')
  specs = {name: methods.SPECS[name] for name in names}
  found = losses.measure(specs, 'tiny')
  p, value, weight = found['ce']
  np.testing.assert_allclose(p, np.arange(1, 20) / 20)
  np.testing.assert_allclose(value, -np.log(p), rtol=1e-5)
  np.testing.assert_allclose(weight, 1, rtol=1e-5)
  np.testing.assert_allclose(found['mae'][2], 2 * p, rtol=1e-5)
  # Its slope is 1 - 1/K everywhere.
  np.testing.assert_allclose(found['unhinged'][2], 0.9 / (1 - p), rtol=1e-5)


@pytest.fixture(scope='module')
def blocks():
  made = losses.report(types.SimpleNamespace(scale='tiny'), None)
  plt.close('all')
  return made


def test_every_loss_has_a_row_and_a_curve(blocks):
  tables = [b for b in blocks if isinstance(b, page.Table)]
  rows = {row[0]: row for table in tables[1:] for row in table.rows}
  with_loss = {k: v for k, v in methods.SPECS.items() if v.loss is not None}
  assert set(rows) == set(with_loss)
  assert rows['gce'][1:8] == [
    'generalized cross entropy',
    '(1 - p_y**q) / q',
    '0',
    '1 / q',
    'at q = 1, where it is MAE',
    'q (0.7)',
    'no',
  ]
  assert rows['gce'][8].link == 'https://arxiv.org/abs/1805.07836'
  assert rows['js'][7] == 'yes'
  assert rows['sgce'][7] == '?'
  assert ', jax 0.' in blocks[0].text
  assert rows['taylor'][8].link == ''
  figures = [b.drawing for b in blocks if isinstance(b, page.Figure)]
  drawn = {line.get_label() for f in figures for line in f.axes[0].lines}
  assert drawn == {
    spec.short
    for spec in with_loss.values()
    if 'transition_matrix' not in spec.hparams
  }


def test_costs_are_read_from_a_benchmark(tmp_path):
  file = tmp_path / 'loss_cost.json'
  assert losses.costs(file) == {}
  rows = [
    {'K': k, 'loss': name, 'ms': 1.0, 'over optax CE': value}
    for k, name, value in [(10, 'ce', 1.1), (10, 'gce', 1.2), (1000, 'ce', 2.0)]
  ]
  file.write_text(json.dumps({'rows': rows}))
  assert losses.costs(file) == {'ce': 1.1, 'gce': 1.2}
