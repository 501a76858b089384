"""Cluster-based noise against its rule, by all distances."""

import numpy as np
import pytest

from sce_jax import noise
from tests.noise.errors import refuses

# Four classes on a line, of 60 examples around 0, 10, 25 and 45.
MEANS = np.array([0.0, 10.0, 25.0, 45.0])
NEAREST = np.array([1, 0, 1, 2])


def drawn(size=240):
  rng = np.random.default_rng(0)
  labels = np.arange(size) % 4
  pixels = MEANS[labels] + rng.uniform(-2, 2, size)
  return labels, pixels[:, None], rng.choice(10**9, size, replace=False)


def apply(labels, pixels, ids, rate, seed=1, num_classes=4):
  made = noise.NOISE['cluster_based'].apply(
    labels, ids, num_classes, rate, seed, 'exact', noise.Images(pixels)
  )
  assert made.transition is None and made.labels.dtype == np.int32
  return made.labels


def test_what_is_nearest_to_one_of_its_class_gets_the_nearest_other_class():
  labels, pixels, ids = drawn()
  # One cluster for each class of 60: the first to go wrong are the centres.
  first = apply(labels, pixels, ids, 4 / 240) != labels
  centres = {k: pixels[first & (labels == k)] for k in range(4)}
  assert [len(x) for x in centres.values()] == [1] * 4
  away = [
    abs(x - centres[k])[0, 0] for x, k in zip(pixels, labels, strict=True)
  ]
  before = first
  for count in (30, 96, 200):
    noisy = apply(labels, pixels, ids, count / 240)
    wrong = noisy != labels
    assert set(np.flatnonzero(wrong)) == set(np.argsort(away)[:count])
    np.testing.assert_array_equal(noisy[wrong], NEAREST[labels[wrong]])
    assert wrong[before].all()
    before = wrong
  np.testing.assert_array_equal(apply(labels, pixels, ids, 0.0), labels)


def test_the_nearest_class_is_that_of_the_example():
  # Class 0 lies on both sides of class 1 and 2.
  pixels = np.array([-9.0, 9.0, -10.0, -11.0, 10.0, 11.0])[:, None]
  labels = np.array([0, 0, 1, 1, 2, 2])
  noisy = apply(labels, pixels, np.arange(6), 0.99)
  assert noisy[:2].tolist() == [1, 2]


def test_a_class_has_a_cluster_for_each_88_examples():
  # One class is a far heap of copies: only its own clusters reach others.
  labels = np.repeat([0, 1], [880, 88])
  pixels = np.concatenate([1e3 * np.arange(880), np.zeros(88)])[:, None]
  noisy = apply(labels, pixels, np.arange(968), 98 / 968, num_classes=2)
  # All copies have distance 0, and so have ten centres.
  assert np.bincount(labels[noisy != labels]).tolist() == [10, 88]


def test_labels_follow_ids_and_the_seed():
  labels, pixels, ids = drawn()
  noisy = apply(labels, pixels, ids, 0.3)
  order = np.random.default_rng(3).permutation(240)
  np.testing.assert_array_equal(
    apply(labels[order], pixels[order], ids[order], 0.3), noisy[order]
  )
  assert (apply(labels, pixels, ids, 0.3, seed=2) != noisy).any()


def test_what_cannot_be_drawn_is_refused():
  labels, pixels, ids = drawn()
  refuses('needs examples of two classes', apply, 0 * labels, pixels, ids, 0.3)
  refuses('noise rate must be in [0, 1)', apply, labels, pixels, ids, 1.0)
  with pytest.raises(ValueError, match='was given none'):
    noise.cluster_based(labels, ids, 4, 0.3, 0, 'iid')
