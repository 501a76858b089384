import numpy as np
import pytest

from sce_jax import noise
from sce_jax.noise import random_matrices
from tests.noise.errors import refuses

SPARSITY = {
  'random_matrix': 0.0,
  'random_matrix_sparse20': 0.2,
  'random_matrix_sparse40': 0.4,
  'random_matrix_sparse60': 0.6,
}


@pytest.mark.parametrize('sparsity', SPARSITY.values())
@pytest.mark.parametrize(
  ('num_classes', 'rate'), [(3, 0.4), (10, 0.05), (10, 0.6), (100, 0.4)]
)
def test_rate_zeros_and_rows_are_those_asked_for(num_classes, rate, sparsity):
  matrix = noise.random_matrix(num_classes, rate, sparsity, seed=3)
  assert matrix.shape == (num_classes, num_classes)
  assert matrix.min() >= 0 and matrix.max() <= 1
  np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-12)
  diagonal = np.diag(matrix)
  # Entries above 1 by rounding are cut off, by 1e-6 each at most.
  assert diagonal.mean() == pytest.approx(1 - rate, abs=2e-6)
  # P(label i) P(true i) < P(both), of classes of equal size.
  assert (diagonal > matrix.mean(axis=0)).all()
  zeros = matrix == 0
  per_row = zeros.sum(axis=1)
  assert (per_row[diagonal < 1] <= num_classes - 2).all()
  clean_rows = (diagonal == 1).sum()
  asked = int(num_classes * (num_classes - 1) * sparsity)
  most = (num_classes - clean_rows) * (num_classes - 2)
  in_clean = clean_rows * (num_classes - 1)
  assert zeros.sum() == in_clean + min(max(asked - in_clean, 0), most)


class Given:
  """Draws these numbers."""

  def __init__(self, shares, number):
    self.shares, self.number = np.array(shares), number

  def simplex(self, size):
    return self.shares[:size].copy()

  def __call__(self, size):
    return np.full(size, self.number)


def test_what_is_too_large_or_too_small_shares_with_the_other_end():
  # 1.05 gives 0.05 to 0.15, and then a quarter of the 0.8 that may be.
  found = random_matrices._bounded(
    1.5, 3, 1.0, 0.0, Given([0.7, 0.2, 0.1], 1 / 4)
  )
  np.testing.assert_allclose(found, [0.8, 0.3, 0.4])
  # 0.6 gives 0.1 to 0.1, and then 0.4 of the 0.3 that it may.
  found = random_matrices._bounded(
    1.0, 3, 1.0, 0.2, Given([0.6, 0.3, 0.1], 0.4)
  )
  np.testing.assert_allclose(found, [0.38, 0.3, 0.32])


def test_classes_are_alike_over_seeds():
  """By symmetry each entry has the same mean, and is 0 as often."""
  made = np.stack([noise.random_matrix(4, 0.4, 0.25, s) for s in range(400)])
  off = ~np.eye(4, dtype=bool)
  for values, expected in (
    (made[:, off], 0.4 / 3),
    (made[:, ~off], 0.6),
    (made[:, off] == 0, 0.25),
  ):
    error = values.std(axis=0) / np.sqrt(400)
    np.testing.assert_array_less(
      np.abs(values.mean(axis=0) - expected), 4.5 * error
    )
  assert len({x.tobytes() for x in made}) == 400


@pytest.mark.parametrize(('name', 'sparsity'), SPARSITY.items())
def test_a_noise_draws_its_matrix_by_the_seed(name, sparsity):
  clean = np.arange(10_000) % 10
  ids = np.arange(10_000)
  made = noise.NOISE[name].apply(clean, ids, 10, 0.4, 7, 'exact')
  matrix = noise.random_matrix(10, 0.4, sparsity, 7)
  np.testing.assert_array_equal(made.transition, matrix)
  counted, _ = noise.empirical_transition_matrix(clean, made.labels, 10)
  # Of 1000 each, to the next whole number.
  np.testing.assert_allclose(counted, matrix, atol=0.001)
  order = np.random.default_rng(0).permutation(10_000)
  again = noise.NOISE[name].apply(clean[order], ids[order], 10, 0.4, 7, 'exact')
  np.testing.assert_array_equal(again.labels, made.labels[order])
  clean_made = noise.NOISE[name].apply(clean, ids, 10, 0.0, 7, 'exact')
  np.testing.assert_array_equal(clean_made.labels, clean)


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ((2, 0.1, 0.0, 0), 'needs at least 3 classes, not 2'),
    ((10, 0.9, 0.0, 0), 'only at a rate below 0.9, not at 0.9'),
    ((10, 1.0, 0.0, 0), 'noise rate must be in [0, 1), not 1.0'),
    ((10, 0.4, 1.0, 0), 'sparsity must be in [0, 1), not 1.0'),
    ((10, 0.4, 0.0, -1), 'seed must be in [0, 2**64), not -1'),
  ],
)
def test_what_cannot_be_drawn_is_refused(arguments, message):
  refuses(message, noise.random_matrix, *arguments)


def test_where_none_can_be_learned_from_it_says_so(monkeypatch):
  monkeypatch.setattr(random_matrices, '_TRIES', 10)
  refuses(
    'no random matrix of 10 classes at rate 0.89 was found that can be learned'
    ' from: give a lower rate',
    noise.random_matrix,
    10,
    0.89,
    0.0,
    0,
  )
