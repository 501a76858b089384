import numpy as np
import pytest
from scipy import stats

from sce_jax import noise
from sce_jax.noise import hashing


def test_a_shard_alone_is_the_slice_of_the_whole():
  rng = np.random.default_rng(0)
  labels = rng.integers(0, 10, 5000)
  ids = rng.choice(10**12, 5000, replace=False)
  matrix = noise.symmetric_including_self(10, 0.6)
  whole = noise.corrupt(labels, matrix, seed=4, mode='iid', ids=ids)
  for shard in [
    slice(0, 1),
    slice(0, 128),
    slice(128, 256),
    slice(3, None, 8),
    labels == 7,
  ]:
    np.testing.assert_array_equal(
      noise.corrupt(labels[shard], matrix, seed=4, mode='iid', ids=ids[shard]),
      whole[shard],
    )


def test_only_the_examples_own_row_matters():
  labels = np.arange(3000) % 3
  matrix = noise.symmetric(3, 0.4)
  other = matrix.copy()
  other[1] = [0.9, 0.1, 0.0]
  noisy, changed = (
    noise.corrupt(labels, m, seed=0, mode='iid') for m in (matrix, other)
  )
  same_row = labels != 1
  np.testing.assert_array_equal(changed[same_row], noisy[same_row])
  assert (changed[~same_row] != noisy[~same_row]).any()


@pytest.mark.parametrize('num_classes', [2, 10, 100])
def test_labels_follow_their_rows(num_classes):
  rng = np.random.default_rng(num_classes)
  # Kept off 0 so that every cell expects some counts, as chi-square needs.
  matrix = 0.5 * rng.dirichlet(np.ones(num_classes), num_classes)
  matrix += 0.5 / num_classes
  labels = rng.integers(0, num_classes, 20 * num_classes**2)
  statistic = degrees = 0
  for seed in range(5):
    noisy = noise.corrupt(labels, matrix, seed=seed, mode='iid')
    counts = np.zeros((num_classes, num_classes))
    np.add.at(counts, (labels, noisy), 1)
    expected = matrix * counts.sum(axis=1, keepdims=True)
    statistic += ((counts - expected) ** 2 / expected).sum()
    degrees += num_classes * (num_classes - 1)
  # Two-sided: exact shares, which are not what this mode promises, would fit
  # too well.
  assert 1e-4 < stats.chi2.sf(statistic, degrees) < 1 - 1e-4


@pytest.mark.parametrize('lag', [1, 2, 10, 128])
def test_near_ids_are_independent(lag):
  labels = np.zeros(100_000, int)
  matrix = np.full((5, 5), 0.2)
  noisy = noise.corrupt(labels, matrix, seed=0, mode='iid')
  # Disjoint pairs of ids that lie `lag` apart.
  blocks = noisy[: len(noisy) // (2 * lag) * 2 * lag].reshape(-1, 2, lag)
  counts = np.zeros((5, 5))
  np.add.at(counts, (blocks[:, 0].ravel(), blocks[:, 1].ravel()), 1)
  # Below 1e-4 either way is beyond chance over 4 lags.
  p_value = stats.chisquare(counts, axis=None).pvalue
  assert 1e-4 < p_value < 1 - 1e-4


@pytest.mark.parametrize('rate', [0.2, 0.4, 0.6, 0.8])
def test_number_of_wrong_labels_is_binomial(rate):
  labels = np.arange(2000) % 10
  matrix = noise.symmetric(10, rate)
  wrong = [
    np.sum(noise.corrupt(labels, matrix, seed=seed, mode='iid') != labels)
    for seed in range(200)
  ]
  z = (np.array(wrong) - 2000 * rate) / np.sqrt(2000 * rate * (1 - rate))
  # The sum tells a rate that is off, the squares a spread that is.
  assert abs(z.sum()) / np.sqrt(200) < 4
  assert 1e-4 < stats.chi2.sf((z**2).sum(), 200) < 1 - 1e-4


def test_draws_at_the_edges_fall_on_possible_labels(monkeypatch):
  # Class 0's wrong labels in order: 1 and 3 impossible, 2 below a draw of
  # 0.25. The row's sum is within tolerance, but below the greatest draw.
  matrix = np.eye(4)
  matrix[0] = [0.75 - 5e-10, 0, 0.25, 0]
  matrix[1] = [0.5, 0, 0.5 - 5e-10, 0]
  draws = np.array([0, 0.2, 0.3, 1 - 2**-53, 0, 0.4, 0.6, 1 - 2**-53])
  monkeypatch.setattr(hashing, 'uniform', lambda *words: draws)
  labels = np.repeat([0, 1], 4)
  noisy = noise.corrupt(labels, matrix, seed=0, mode='iid')
  assert noisy.tolist() == [2, 2, 0, 0, 2, 2, 0, 0]
