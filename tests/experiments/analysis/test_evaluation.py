"""Figures of predictions, worked out by hand."""

import numpy as np
import pytest

from experiments.analysis import evaluation

# Predicted 0, 0, 1, 2 with certainties 0.6, 0.9, 0.9, 0.5.
PROBABILITY = np.array(
  [[0.6, 0.4, 0.0], [0.9, 0.1, 0.0], [0.1, 0.9, 0.0], [0.3, 0.2, 0.5]]
)


def test_figures():
  labels = np.array([0, 1, 1, 0])
  found = evaluation.figures(labels, PROBABILITY, ['a', 'b', 'c'])
  assert found['examples'] == 4
  assert found['accuracy'] == 0.5
  # Recall is 1/2 of a, 1/2 of b; there is no c.
  assert found['balanced_accuracy'] == 0.5
  assert found['top5_accuracy'] is None
  assert found['confusion'] == [[1, 0, 1], [1, 1, 0], [0, 0, 0]]
  assert found['classes'] == [
    {'name': 'a', 'examples': 2, 'precision': 0.5, 'recall': 0.5},
    {'name': 'b', 'examples': 2, 'precision': 1.0, 'recall': 0.5},
    {'name': 'c', 'examples': 0, 'precision': 0.0, 'recall': None},
  ]
  # Bins: 0.5 (wrong), 0.6 (right), and 0.9 twice (one of two right):
  # (0.5 - 0) / 4 + (1 - 0.6) / 4 + 2 (0.9 - 0.5) / 4.
  assert found['ece'] == pytest.approx(0.125 + 0.1 + 0.2)


def test_balanced_accuracy_is_not_accuracy():
  # 3 of 3 of a, 0 of 1 of b.
  labels = np.array([0, 0, 0, 1])
  probability = np.tile([0.8, 0.2], (4, 1))
  found = evaluation.figures(labels, probability, ['a', 'b'])
  assert found['accuracy'] == 0.75 and found['balanced_accuracy'] == 0.5
  # No example is predicted as b.
  assert found['classes'][1]['precision'] is None
  assert found['ece'] == pytest.approx(0.05)


def test_what_is_not_known_does_not_count():
  labels = np.array([0, -1, 1, -1])
  found = evaluation.figures(labels, PROBABILITY, ['a', 'b', 'c'])
  assert found['examples'] == 2 and found['accuracy'] == 1.0
  with pytest.raises(ValueError, match='no label is known'):
    evaluation.figures(np.array([-1] * 4), PROBABILITY, ['a', 'b', 'c'])


def test_top_5_of_many_classes():
  # Class k has rank k: the first five of eleven are right.
  probability = np.tile(np.arange(11, 0, -1) / 66, (11, 1))
  found = evaluation.figures(
    np.arange(11), probability, [str(k) for k in range(11)]
  )
  assert found['top5_accuracy'] == pytest.approx(5 / 11)
  assert found['accuracy'] == pytest.approx(1 / 11)


def test_an_upper_end_belongs_to_its_bin():
  # 3/15, the end of the third bin, and just above it.
  [third, fourth] = evaluation.reliability(
    np.array([0.2, 0.201]), np.array([True, False])
  )
  assert third['to'] == pytest.approx(0.2) and third['accuracy'] == 1
  assert fourth['from'] == pytest.approx(0.2) and fourth['accuracy'] == 0
