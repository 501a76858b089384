"""What figures and tables of experiments show, worked out by hand."""

import types

from matplotlib import pyplot as plt
import numpy as np
import pandas as pd
import pytest

from experiments.paper import (
  classwise,
  comparison,
  confidence,
  easy_hard,
  parameters,
)
from experiments.report.page import Heading
from sce_jax.runs import restore

CONFIG = {
  'data': {'name': 'digits'},
  'noise': {'name': 'symmetric', 'rate': 0.4},
  'seed': 0,
}


def run(classes, accuracies=(0.5,), confidences=None):
  """A run that has ended; `classes` are the accuracies of its last epoch."""
  metrics = [
    {
      'epoch': e,
      'test': {'accuracy': x, 'class_accuracy': classes},
      'train_eval': {'class_confidence': confidences},
    }
    for e, x in enumerate(accuracies, 1)
  ]
  return types.SimpleNamespace(
    config=CONFIG,
    metrics=metrics,
    result={'test_accuracy': accuracies[-1], 'test': metrics[-1]['test']},
    folder=None,
    info=types.SimpleNamespace(class_titles=('a', 'b', 'c')),
  )


def runs_of(*rows):
  """A frame of (method, run)."""
  return pd.DataFrame(
    [
      {
        'method': method,
        'noise': 'symmetric 0.4',
        'seed': 0,
        'status': 'finished',
        'run': one,
      }
      for method, one in rows
    ]
  )


def test_bars_are_what_a_class_is_predicted_as_rightly_and_wrongly_labelled():
  split = types.SimpleNamespace(
    clean_label=np.array([1, 1, 1, 1, 1, 1, 0]),
    label=np.array([1, 1, 1, 1, 2, 0, 1]),
  )
  ce, sl = ([1, 1, 0, 2, 2, 2, 0], [1, 1, 1, 2, 1, 0, 0])
  made = {
    name: types.SimpleNamespace(split=split, probability=np.eye(3)[predicted])
    for name, predicted in (('CE', ce), ('SL', sl))
  }
  figure = confidence._distribution(1, made, 'about').drawing
  heights = [
    [[bar.get_height() for bar in bars] for bars in ax.containers]
    for ax in figure.axes
  ]
  # Of the four examples with the right label, then of the two with a wrong one.
  np.testing.assert_allclose(heights[0], [[25, 50, 25], [0, 75, 25]])
  np.testing.assert_allclose(heights[1], [[0, 0, 100], [50, 50, 0]])


def test_confidence_is_shown_for_the_classes_that_ce_learns_worst_and_best(
  monkeypatch,
):
  kinds = {
    'right': [0.9, 0.3, 0.6],
    'wrong_clean': [0.8, 0.2, 0.5],
    'wrong_given': [0.1, 0.4, 0.2],
  }
  runs = runs_of(
    ('CE', run([0.9, 0.2, 0.5], confidences=kinds)),
    ('SL', run([0.1, 0.9, 0.5], confidences=kinds)),
  )
  split = types.SimpleNamespace(label=np.arange(3), clean_label=np.arange(3))
  made = types.SimpleNamespace(split=split, probability=np.eye(3))
  monkeypatch.setattr(restore, 'predict_run', lambda *_: made)
  context = types.SimpleNamespace(named_class=None, data_dir=None)
  blocks = confidence.report(context, runs)
  assert [x.text for x in blocks if isinstance(x, Heading)] == [
    'The hardest for CE, class 1',
    'The easiest for CE, class 0',
  ]
  table, curves = blocks[1:3]
  assert [[str(getattr(x, 'text', x)) for x in row] for row in table.rows] == [
    ['CE', '30.0', '20.0', '40.0', '20.0'],
    ['SL', '30.0', '20.0', '40.0', '90.0'],
  ]
  drawn = [
    [line.get_ydata() for line in ax.lines] for ax in curves.drawing.axes
  ]
  np.testing.assert_allclose(drawn, [[[30], [30]], [[20], [20]], [[40], [40]]])


def test_sl_is_compared_with_ce_on_its_hardest_and_easiest_class():
  runs = runs_of(
    ('CE', run([0.9, 0.2, 0.5])),
    ('SL', run([0.8, 0.6, 0.4])),
    ('SL', run([0.8, 0.6, 0.6])),
  )
  (table,) = classwise._verdict(runs, 'symmetric 0.4')
  assert table.columns == ['', 'CE', 'SL', 'SL less CE']
  # The means are 1.6 / 3 and 1.9 / 3.
  assert [[getattr(x, 'text', x) for x in row] for row in table.rows] == [
    ["CE's hardest class: b", '20.0', '60.0', '+40.0'],
    ["CE's easiest class: a", '90.0', '80.0', '-10.0'],
    ['mean of all classes', '53.3', '63.3', '+10.0'],
  ]


def test_stages_are_of_clean_and_of_noisy_labels():
  epochs = np.arange(1, 11)[:, None]
  clean, noisy = 50 + epochs + [0, 1], 30 + epochs + [0, 5]
  figure = easy_hard._stages(clean, noisy, 'about').drawing
  for ax, epoch in zip(figure.axes, (1, 5, 10), strict=True):
    on_clean, on_noisy = ax.lines
    assert on_clean.get_label() == 'CE, clean labels'
    assert on_clean.get_ydata().tolist() == [50 + epoch, 51 + epoch]
    assert on_noisy.get_label() == 'CE, symmetric 0.4'
    assert on_noisy.get_ydata().tolist() == [30 + epoch, 35 + epoch]


def test_points_are_means_and_bars_deviations_that_no_share_passes():
  runs = pd.DataFrame(
    {
      'alpha': [0.1, 0.1, 1.0, 1.0, 1.0, 9.0],
      'accuracy': [0.5, 0.7, 0.9, 1.0, 1.0, np.nan],
    }
  )
  _, ax = plt.subplots()
  look = {'color': 'black'}
  parameters.draw_line(ax, runs.groupby('alpha').accuracy, look, 'SL')
  ((points, _, (bars,)),) = ax.containers
  # Of 9 there is no run that has not diverged.
  np.testing.assert_allclose(
    points.get_xydata(), [[0.1, 60], [1.0, 290 / 3], [9.0, np.nan]]
  )
  # The deviation of the second is 5.8, which would end at 102.4 %.
  np.testing.assert_allclose(
    [[y for _, y in ends] for ends in bars.get_segments()[:2]],
    [[60 - 200**0.5, 60 + 200**0.5], [290 / 3 - 10 / 3**0.5, 100]],
  )


def test_the_heat_map_is_of_alpha_and_of_beta_times_a():
  alphas, products = parameters.GRID_ALPHAS, parameters.GRID_PRODUCTS
  runs = pd.DataFrame(
    [
      {
        'alpha': alpha,
        'beta': product / 4,
        'A': -4.0,
        'test_accuracy': (10 * i + j) / 100,
        'run': run([0.5]),
      }
      for j, product in enumerate(products)
      for i, alpha in enumerate(alphas)
    ]
  )
  figure = parameters._grid(runs.iloc[1:]).drawing
  (image,) = figure.axes[0].images
  wanted = 10.0 * np.arange(len(alphas))[:, None] + np.arange(len(products))
  wanted[0, 0] = np.nan  # Its run is not there.
  np.testing.assert_allclose(image.get_array().filled(np.nan), wanted)
  shown = [text.get_text() for text in figure.axes[0].texts]
  assert shown[:2] == ['-', '1.0'] and len(shown) == wanted.size


def test_curves_are_test_accuracies_and_only_sl_has_a_band():
  runs = runs_of(
    ('CE', run([0.5], (0.5, 0.7))),
    ('CE', run([0.5], (0.3, 0.5))),
    ('SL', run([0.5], (0.6, 0.8))),
    ('SL', run([0.5], (0.6, 0.9))),
  )
  figure = comparison._curves(runs, ['symmetric 0.4'], ['CE', 'SL']).drawing
  (ax,) = figure.axes
  drawn = {line.get_label(): line.get_ydata() for line in ax.lines}
  np.testing.assert_allclose(drawn['CE'], [40, 60])
  np.testing.assert_allclose(drawn['SL'], [60, 85])
  (band,) = ax.collections
  ends = band.get_paths()[0].vertices
  at_end = ends[ends[:, 0] == 2, 1]
  assert (at_end.min(), at_end.max()) == pytest.approx(
    (85 - 50**0.5, 85 + 50**0.5)
  )
