"""Looks at label noise, against numbers by hand."""

import numpy as np
import pytest

from experiments.analysis import noise_plots
from sce_jax import noise
from sce_jax.data.dataset import Split

CLEAN = np.array([0, 0, 0, 0, 1, 1, 2, 2])
GIVEN = np.array([0, 1, 1, 2, 1, 0, 2, 2])
NAMES = ('ape', 'bee', 'cow')


def texts(ax):
  return {t.get_position()[::-1]: t.get_text() for t in ax.texts}


def test_heat_maps():
  matrix = np.array([[0.9505, 0.0495, 0], [0, 1, 0], [0.1, 0.9, 0]])
  figure = noise_plots.heat_maps({'a': matrix, 'b': np.eye(3)}, NAMES, 'More.')
  assert figure.caption.endswith('per cent. More.')
  first, second, *_ = figure.drawing.axes
  assert [first.get_title(), second.get_title()] == ['a', 'b']
  # Rows are true classes: (row, column).
  assert texts(first) == {
    (0, 0): '95',
    (0, 1): '5.0',
    (1, 1): '100',
    (2, 0): '10',
    (2, 1): '90',
  }
  assert [t.get_text() for t in first.get_xticklabels()] == list(NAMES)


def test_heat_maps_of_many_classes_and_several_rows():
  maps = {str(i): noise.symmetric(100, 0.4) for i in range(4)}
  axes = noise_plots.heat_maps(maps).drawing.axes
  assert [bool(ax.axison) for ax in axes[:6]] == [True] * 4 + [False] * 2
  assert not any(ax.texts for ax in axes)


def test_mistaken():
  table = noise_plots.top_confusions(CLEAN, GIVEN, NAMES, count=2)
  rows = [
    [cell if isinstance(cell, str) else cell.text for cell in row]
    for row in table.rows
  ]
  assert table.caption.startswith('2 of 6 ordered pairs')
  # Two of four apes; two of four wrong labels, then a third.
  assert rows == [
    ['ape', 'bee', '2', '50.0', '50.0', '50.0'],
    ['ape', 'cow', '1', '25.0', '25.0', '75.0'],
  ]


def test_class_rates():
  figure = noise_plots.class_rates(CLEAN, {'one': GIVEN, 'none': CLEAN}, NAMES)
  one, none = figure.drawing.axes[0].lines
  np.testing.assert_allclose(one.get_ydata(), [75, 50, 0])
  np.testing.assert_allclose(none.get_ydata(), [0, 0, 0])
  assert 'one 50.0 %, none 0.0 %' in figure.caption


@pytest.mark.parametrize('shape', [(2, 2, 1), (2, 2, 3)])
def test_wrong_images(shape):
  image = np.zeros((8, *shape), np.uint8)
  image += np.arange(8, dtype=np.uint8)[:, None, None, None]
  split = Split(
    image,
    GIVEN.astype(np.int32),
    CLEAN.astype(np.int32),
    np.arange(8),
  )
  figure = noise_plots.wrong_images(split, NAMES, count=9)
  assert figure.caption.startswith('4 of 4 images')
  shown = {
    int(ax.images[0].get_array().flat[0]): ax.get_title()
    for ax in figure.drawing.axes
    if ax.images
  }
  assert shown == {
    1: 'label: bee\ntrue: ape',
    2: 'label: bee\ntrue: ape',
    3: 'label: cow\ntrue: ape',
    5: 'label: ape\ntrue: bee',
  }
