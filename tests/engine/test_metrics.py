"""Sums worked out by hand, and what they are divided into."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax.data.batches import Batch
from sce_jax.engine import metrics

# Predicted 0, 1, 1, 2, 0; the last one only fills up the batch.
LOGITS = jnp.eye(3)[jnp.array([0, 1, 1, 2, 0])]
LOSSES = jnp.array([1.0, 2.0, 3.0, 4.0, jnp.nan])
LABEL = jnp.array([0, 1, 2, 2, 0])
CLEAN = jnp.array([0, 0, 1, 2, 0])
COUNTED = jnp.array([True, True, True, True, False])


def batch(label=LABEL, clean=CLEAN, mask=COUNTED):
  rows = jnp.arange(len(label), dtype=jnp.int32)
  images = jnp.zeros((len(label), 1, 1, 1))
  return Batch(images, label, clean, rows, mask)


@pytest.fixture
def sums():
  return metrics.sums(LOGITS, LOSSES, batch())


def test_counts_by_hand(sums):
  assert sums.loss == 10.0
  assert sums.count == 4
  np.testing.assert_array_equal(sums.clean.class_count, [2, 1, 1])
  np.testing.assert_array_equal(sums.clean.class_correct, [1, 1, 1])
  assert sums.noisy_correct == 3  # All but the third.
  assert sums.clean.wrong == 2  # The second and the third.
  # The second is predicted as its wrong label.
  assert sums.clean.memorised == 1


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
  sums = metrics.sums(LOGITS * jnp.log(2.0), LOSSES, batch(), confidence=True)
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
  assert sums.clean.confidence is None
  assert 'class_confidence' not in metrics.summarise(sums)


def test_sums_add_up(sums):
  halves = [
    metrics.sums(LOGITS[i], LOSSES[i], batch(LABEL[i], CLEAN[i], COUNTED[i]))
    for i in (slice(0, 2), slice(2, 5))
  ]
  jax.tree.map(np.testing.assert_array_equal, halves[0] + halves[1], sums)


def test_nothing_to_divide_by_is_none():
  figures = metrics.summarise(metrics.zeros(2))
  assert figures['loss'] is figures['memorised'] is None
  assert figures['class_accuracy'] == [None, None]


def test_a_non_finite_loss_stays_visible():
  sums = metrics.sums(LOGITS, LOSSES, batch(mask=None))
  assert np.isnan(sums.loss)


@pytest.mark.parametrize('outside', [-1, 3, 99])
def test_a_clean_label_that_is_no_class_is_counted_against_nothing(outside):
  # The third is not known, or of none of the classes: its loss and its noisy
  # label count, and nothing else.
  clean = CLEAN.at[2].set(outside)
  sums = metrics.sums(
    LOGITS * jnp.log(2.0), LOSSES, batch(clean=clean), confidence=True
  )
  figures = metrics.summarise(sums)
  assert figures['loss'] == 2.5
  assert figures['examples'] == 4
  assert figures['accuracy_noisy'] == 0.75
  assert figures['accuracy'] == pytest.approx(2 / 3)
  assert figures['memorised'] == 1.0
  assert figures['class_accuracy'] == [0.5, None, 1.0]
  assert figures['class_confidence'] == {
    'right': [0.5, None, 0.5],
    'wrong_clean': [0.25, None, None],
    'wrong_given': [0.5, None, None],
  }


def test_figures_of_the_method_are_means_over_unmasked_examples():
  own = {'weight': jnp.array([1.0, 2.0, 3.0, 4.0, 1e9])}
  sums = metrics.sums(LOGITS, LOSSES, batch(), figures=own)
  assert metrics.method_figures(sums + sums) == {'weight': 2.5}


def test_without_clean_labels_there_are_no_clean_sums():
  sums = metrics.sums(LOGITS, LOSSES, batch(clean=None), confidence=True)
  assert sums.clean is None
  assert metrics.summarise(sums) == {
    'loss': 2.5,
    'accuracy_noisy': 0.75,
    'examples': 4,
  }
