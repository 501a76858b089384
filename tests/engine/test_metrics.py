"""Sums worked out by hand, and what they are divided into."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax.engine import metrics

# Predicted 0, 1, 1, 2, 0; the last one only fills up the batch.
LOGITS = jnp.eye(3)[jnp.array([0, 1, 1, 2, 0])]
LOSSES = jnp.array([1.0, 2.0, 3.0, 4.0, jnp.nan])
LABEL = jnp.array([0, 1, 2, 2, 0])
CLEAN = jnp.array([0, 0, 1, 2, 0])
COUNTED = jnp.array([True, True, True, True, False])


@pytest.fixture
def sums():
  return metrics.sums(LOGITS, LOSSES, LABEL, CLEAN, COUNTED)


def test_counts_by_hand(sums):
  assert sums.loss == 10.0
  np.testing.assert_array_equal(sums.class_count, [2, 1, 1])
  np.testing.assert_array_equal(sums.class_correct, [1, 1, 1])
  assert sums.noisy_correct == 3  # All but the third.
  assert sums.wrong == 2  # The second and the third.
  assert sums.memorised == 1  # The second is predicted as its wrong label.


def test_figures_by_hand(sums):
  assert metrics.summarise(sums) == {
    'loss': 2.5,
    'accuracy': 0.75,
    'accuracy_noisy': 0.75,
    'memorised': 0.5,
    'class_accuracy': [0.5, 1.0, 1.0],
    'examples': 4,
  }


def test_confidence_by_hand():
  # Probabilities 1/2, 1/4, 1/4 of the class that LOGITS has 1 for.
  sums = metrics.sums(
    LOGITS * jnp.log(2.0), LOSSES, LABEL, CLEAN, COUNTED, confidence=True
  )
  assert metrics.summarise(sums)['class_confidence'] == {
    # Rightly labelled: the first, of class 0, and the fourth, of class 2.
    'right': [0.5, None, 0.5],
    # The second is of class 0, labelled and predicted 1; the third is of class
    # 1, labelled 2 and predicted 1.
    'wrong_clean': [0.25, 0.5, None],
    'wrong_given': [0.5, 0.25, None],
  }
  twice = metrics.summarise(sums + sums)
  assert (
    twice['class_confidence'] == metrics.summarise(sums)['class_confidence']
  )


def test_training_sums_no_confidence(sums):
  assert sums.confidence is None
  assert 'class_confidence' not in metrics.summarise(sums)


def test_sums_add_up(sums):
  halves = [
    metrics.sums(LOGITS[i], LOSSES[i], LABEL[i], CLEAN[i], COUNTED[i])
    for i in (slice(0, 2), slice(2, 5))
  ]
  jax.tree.map(np.testing.assert_array_equal, halves[0] + halves[1], sums)


def test_nothing_to_divide_by_is_none():
  figures = metrics.summarise(metrics.zeros(2))
  assert figures['loss'] is figures['memorised'] is None
  assert figures['class_accuracy'] == [None, None]


def test_a_non_finite_loss_stays_visible():
  sums = metrics.sums(LOGITS, LOSSES, LABEL, CLEAN, jnp.ones(5, bool))
  assert np.isnan(sums.loss)
