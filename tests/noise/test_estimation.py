"""Estimators of the transition matrix, by hand and from planted noise."""

import numpy as np
import pytest
from scipy import optimize

from sce_jax import noise
from sce_jax.noise import consensus, estimation

# Four examples, two classes: the surest of class 0 is the second, of class 1
# the third.
P = np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.5, 0.5]], np.float32)


def test_the_surest_examples_are_the_anchors():
  t = estimation.anchors(P, percentile=100)
  # float32 inputs, normalised in float64.
  np.testing.assert_allclose(t, [[0.9, 0.1], [0.2, 0.8]], rtol=1e-6)


def test_a_percentile_passes_over_the_surest():
  # Three steps of 100/3 from the lowest to the highest of four.
  t = estimation.anchors(P, percentile=70)
  np.testing.assert_allclose(t, [[0.6, 0.4], [0.5, 0.5]], rtol=1e-6)
  t = estimation.anchors(P, percentile=0)
  np.testing.assert_allclose(t, [[0.2, 0.8], [0.9, 0.1]], rtol=1e-6)


def test_anchors_of_many_classes_are_of_their_class():
  """At 97 % of all examples there is none of a class that has 1 % of them."""
  matrix = noise.symmetric(100, 0.4)
  clean = np.arange(2000) % 100
  estimate = estimation.anchors(matrix[clean])
  np.testing.assert_allclose(estimate, matrix)
  # Nor of a class that has 2 % of them, of ten.
  clean = np.concatenate([np.arange(980) % 9, np.full(20, 9)])
  matrix = noise.symmetric(10, 0.4)
  np.testing.assert_allclose(estimation.anchors(matrix[clean]), matrix)


def test_of_a_rare_class_as_many_are_passed_over_as_it_is_rare():
  # Of 101 examples four are taken for class 1, so that 0.1 * 10 * 4 / 101 of
  # its order's 100 steps are passed over, rounded up: four. Of class 0 ten are.
  second = np.concatenate([[0.9, 0.8, 0.7, 0.6], 0.49 - 0.004 * np.arange(97)])
  p = np.stack([1 - second, second], axis=1)
  t = estimation.anchors(p, percentile=90)
  np.testing.assert_allclose(t, [[0.854, 0.146], [0.51, 0.49]], rtol=1e-12)


def test_a_network_that_predicts_the_noise_gives_it_back():
  true = np.array([[0.7, 0.2, 0.1], [0.0, 0.6, 0.4], [0.3, 0.2, 0.5]])
  clean = np.random.default_rng(0).dirichlet(np.full(3, 0.3), 500)
  clean[:3] = np.eye(3)  # Anchor points.
  np.testing.assert_allclose(
    estimation.anchors(clean @ true, 100),
    true,
    atol=1e-12,
  )


def test_what_is_no_probability_is_refused():
  with pytest.raises(ValueError, match='finite probabilities'):
    estimation.anchors(np.full((3, 2), np.nan))
  with pytest.raises(ValueError, match='finite probabilities'):
    estimation.anchors(np.zeros((0, 2)))


def test_dual_t_by_hand():
  # Predicted are classes 0, 0, 1 and 0: of class 0 two labels are 0 and one is
  # 1, of class 1 the only one is 1.
  labels = np.array([0, 1, 1, 0])
  t = estimation.dual_t(P, labels, percentile=100)
  second = np.array([[2 / 3, 1 / 3], [0, 1]])
  np.testing.assert_allclose(
    t, np.array([[0.9, 0.1], [0.2, 0.8]]) @ second, rtol=1e-6
  )
  # A class that is never predicted has its own labels.
  t = estimation.dual_t(P[[0, 1]], labels[:2], percentile=100)
  np.testing.assert_allclose(
    t, np.array([[0.9, 0.1], [0.6, 0.4]]) @ [[0.5, 0.5], [0, 1]], rtol=1e-6
  )


def test_total_variation_by_hand():
  estimated = np.array([[0.5, 0.5, 0], [0, 1, 0], [0.2, 0.2, 0.6]])
  true = np.array([[0.7, 0.2, 0.1], [0, 1, 0], [0.3, 0.3, 0.4]])
  np.testing.assert_allclose(
    estimation.total_variation(estimated, true), [0.3, 0, 0.2], atol=1e-12
  )


def test_neighbours_of_a_circle():
  # Nearest first: 0: 1, 2; 1: 0, 2; 2: 1, 0; 3: 4, 2; 4: 3, 2. Lengths differ
  # and must not matter.
  angle = np.radians([0, 10, 25, 60, 80])
  features = np.stack([np.cos(angle), np.sin(angle)], axis=1)
  features *= np.arange(1, 6)[:, None]
  labels = np.array([0, 1, 1, 0, 1])
  c1, c2, c3 = consensus.consensus(features, labels, 2)
  expected = np.zeros((2, 2, 2))
  for triple in [(0, 1, 1), (1, 0, 1), (1, 1, 0), (0, 1, 1), (1, 0, 1)]:
    expected[triple] += 1 / 5
  np.testing.assert_allclose(c3, expected)
  np.testing.assert_allclose(c2, [[0, 0.4], [0.4, 0.2]])
  np.testing.assert_allclose(c1, [0.4, 0.6])


def exact(shares, matrix):
  """c1, c2 and c3 by their formulas, in loops' order."""
  c3 = np.einsum('i,ij,ik,il->jkl', shares, matrix, matrix, matrix)
  return c3.sum(axis=(1, 2)), c3.sum(axis=2), c3


UNEVEN = np.array([[0.7, 0.2, 0.1], [0.0, 0.6, 0.4], [0.3, 0.2, 0.5]])


def test_the_gradient_of_the_distance():
  counts = exact(np.array([0.2, 0.5, 0.3]), UNEVEN)
  logits = np.random.default_rng(0).normal(size=12)
  value, gradient = consensus.distance(logits, counts)
  numeric = optimize.approx_fprime(
    logits, lambda x: consensus.distance(x, counts)[0], 1e-7
  )
  np.testing.assert_allclose(gradient, numeric, atol=1e-5)
  # At T and p themselves it is 0.
  at = np.concatenate([np.log(UNEVEN + 1e-30).ravel(), np.log([0.2, 0.5, 0.3])])
  assert consensus.distance(at, counts)[0] < 1e-12 < value


@pytest.mark.parametrize(
  'shares, matrix',
  [
    (np.array([0.2, 0.5, 0.3]), UNEVEN),
    (np.full(10, 0.1), noise.symmetric(10, 0.6)),
    # Adam swaps 5 and 6 here.
    (np.full(10, 0.1), noise.asymmetric_mnist(0.4)),
  ],
)
def test_consensus_gives_the_matrix_back(shares, matrix):
  found = consensus.solve(exact(shares, matrix))
  assert estimation.total_variation(found, matrix).max() < 0.01


def test_neighbours_of_one_class_show_the_noise(monkeypatch):
  rng = np.random.default_rng(0)
  clean = np.arange(6000) % 3
  labels = noise.corrupt(clean, UNEVEN, seed=0, mode='exact')
  features = np.eye(3)[clean] + 0.05 * rng.normal(size=(6000, 3))
  found = consensus.hoc(features, labels, 3)
  assert estimation.total_variation(found, UNEVEN).max() < 0.04
  # Of more examples parts are drawn, by the seed.
  monkeypatch.setattr(consensus, '_LARGEST', 2000)
  drawn = consensus.hoc(features, labels, 3)
  assert estimation.total_variation(drawn, UNEVEN).max() < 0.06
  assert not np.array_equal(drawn, found)
  again, other = (
    estimation.ESTIMATORS['hoc'](
      estimation.Evidence(np.eye(3)[labels], labels, features, seed), 97.0
    )
    for seed in (0, 1)
  )
  np.testing.assert_array_equal(drawn, again)
  assert not np.array_equal(drawn, other)


def test_too_few_for_neighbours():
  with pytest.raises(ValueError, match='2 examples have no two neighbours'):
    consensus.hoc(np.eye(2), np.array([0, 1]), 2)


def test_the_cost_of_the_fit_is_bounded():
  with pytest.raises(ValueError, match='at most 100 classes, not to 101: use'):
    consensus.hoc(np.eye(101), np.arange(101), 101)


def test_clusterability_is_the_diagonal_of_the_shares():
  rng = np.random.default_rng(0)
  labels = rng.integers(3, size=50)
  features = rng.normal(size=(50, 3)) + 2 * np.eye(3)[labels]
  *_, c3 = consensus.consensus(features, labels, 3)
  share = consensus.clusterability(features, labels)
  assert 0 < share < 1
  np.testing.assert_allclose(share, sum(c3[k, k, k] for k in range(3)))
