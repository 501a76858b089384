import numpy as np
import pytest
from scipy import stats

from sce_jax import noise


def _counts(clean, noisy, num_classes):
  counts = np.zeros((num_classes, num_classes), int)
  np.add.at(counts, (clean, noisy), 1)
  return counts


@pytest.mark.parametrize('rate', [0.2, 0.4, 0.6, 0.8])
@pytest.mark.parametrize('num_classes, size', [(10, 5000), (100, 500)])
def test_symmetric_on_cifar_corrupts_each_class_exactly(
  rate, num_classes, size
):
  clean = np.repeat(np.arange(num_classes), size)
  matrix = noise.symmetric(num_classes, rate)
  noisy = noise.corrupt(clean, matrix, seed=0, mode='exact')
  counts = _counts(clean, noisy, num_classes)
  assert (np.diag(counts) == round((1 - rate) * size)).all()
  wrong = counts[~np.eye(num_classes, dtype=bool)]
  expected = rate * size / (num_classes - 1)
  assert wrong.min() >= np.floor(expected)
  assert wrong.max() <= np.ceil(expected)
  assert np.mean(noisy != clean) == rate


@pytest.mark.parametrize('rate', [0.2, 0.3, 0.4])
def test_asymmetric_on_cifar10_trades_exact_counts(rate):
  clean = np.repeat(np.arange(10), 5000)
  matrix = noise.asymmetric_cifar10(rate)
  noisy = noise.corrupt(clean, matrix, seed=0, mode='exact')
  counts = _counts(clean, noisy, 10)
  # Drawn from clean labels: no cat turned dog is turned back.
  assert counts[3, 5] == counts[5, 3] == round(5000 * rate)
  np.testing.assert_array_equal(counts, np.rint(5000 * matrix))
  assert np.mean(noisy != clean) == rate / 2


def test_equal_share_of_unequal_classes():
  # MNIST's training digits.
  sizes = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
  clean = np.repeat(np.arange(10), sizes)
  noisy = noise.corrupt(clean, noise.symmetric(10, 0.8), seed=0, mode='exact')
  wrong = np.bincount(clean[noisy != clean])
  assert wrong.tolist() == [round(0.8 * size) for size in sizes]


@pytest.mark.parametrize(
  'num_classes, size, rate, num_wrong',
  [
    (2, 1, 0.4, 0),
    (2, 1, 0.6, 1),
    # Halves go to the even count, those too that the floats of a row's sum
    # miss by a bit: six times 0.1 / 6 is less than 0.1.
    (2, 10, 0.25, 2),
    (2, 15, 0.3, 4),
    (7, 15, 0.1, 2),
  ],
)
def test_rounds_to_the_nearest_count(num_classes, size, rate, num_wrong):
  clean = np.zeros(size, int)
  matrix = noise.symmetric(num_classes, rate)
  noisy = noise.corrupt(clean, matrix, seed=0, mode='exact')
  assert (noisy != 0).sum() == num_wrong


def test_largest_remainders_by_hand():
  # 10 of 20 are wrong: quotas 5.5, 2.8, 1.7; floors 5, 2, 1; 2 left, which go
  # to the remainders .8 and .7.
  matrix = np.eye(4)
  matrix[0] = [0.5, 0.275, 0.14, 0.085]
  noisy = noise.corrupt(np.zeros(20, int), matrix, seed=0, mode='exact')
  assert np.bincount(noisy).tolist() == [10, 5, 3, 2]


def test_random_matrices_are_met_as_nearly_as_integers_can():
  rng = np.random.default_rng(0)
  for seed in range(100):
    num_classes = int(rng.integers(2, 9))
    matrix = rng.dirichlet(np.full(num_classes, 0.7), num_classes)
    sizes = rng.integers(0, 60, num_classes)
    clean = rng.permutation(np.repeat(np.arange(num_classes), sizes))
    noisy = noise.corrupt(clean, matrix, seed=seed, mode='exact')
    counts = _counts(clean, noisy, num_classes)
    np.testing.assert_array_equal(counts.sum(axis=1), sizes)
    for i in range(num_classes):
      num_wrong = sizes[i] - counts[i, i]
      assert abs(num_wrong - sizes[i] * (1 - matrix[i, i])) <= 0.5 + 1e-6
      others = np.arange(num_classes) != i
      quotas = num_wrong * matrix[i, others] / (1 - matrix[i, i])
      excess = counts[i, others] - quotas
      # Moving one example from the fullest target to the emptiest does not
      # help: the very condition of the nearest apportionment.
      assert excess.max() - excess.min() <= 1 + 1e-6


def test_ties_favour_no_class():
  # One example of class 0, surely wrong, and 4 equal targets: 1000 seeds.
  matrix = np.full((5, 5), 0.25)
  np.fill_diagonal(matrix, 0)
  clean = np.arange(5)
  totals = np.zeros((5, 5), int)
  for seed in range(1000):
    noisy = noise.corrupt(clean, matrix, seed=seed, mode='exact')
    totals[clean, noisy] += 1
  off = totals[~np.eye(5, dtype=bool)].reshape(5, 4)
  # 5 rows: below 1e-4 is beyond chance.
  assert stats.chisquare(off, axis=1).pvalue.min() > 1e-4


def test_ties_of_two_classes_are_apart():
  matrix = np.full((5, 5), 0.25)
  np.fill_diagonal(matrix, 0)
  counts = np.zeros((5, 5))
  for seed in range(1000):
    noisy = noise.corrupt(np.arange(5), matrix, seed=seed, mode='exact')
    counts[noisy[0], noisy[1]] += 1
  counts = np.delete(np.delete(counts, 0, axis=0), 1, axis=1)
  assert stats.chisquare(counts, axis=None).pvalue > 1e-4


def test_ties_are_not_for_rounding_to_decide():
  # Quotas 0.5 and 12.5, of which floats make remainders a bit apart.
  matrix = np.eye(3)
  matrix[0] = [0.74, 0.01, 0.25]
  firsts = [
    np.bincount(
      noise.corrupt(np.zeros(50, int), matrix, seed=seed, mode='exact')
    )[1]
    for seed in range(100)
  ]
  # Fair, with a deviation of 5.
  assert 30 < sum(firsts) < 70


def test_every_example_has_its_rows_chances():
  # Over seeds, each of 40 examples gets label j with probability T[0, j]. A
  # seed's counts are fixed, so examples are a little exclusive of each other:
  # the statistic is (39 / 40) of a sum of squares, with 39 * 3 degrees.
  row = np.array([0.4, 0.3, 0.2, 0.1])
  matrix = np.eye(4)
  matrix[0] = row
  clean, num_seeds = np.zeros(40, int), 1000
  counts = np.zeros((40, 4))
  for seed in range(num_seeds):
    noisy = noise.corrupt(clean, matrix, seed=seed, mode='exact')
    counts[np.arange(40), noisy] += 1
  expected = num_seeds * row
  statistic = ((counts - expected) ** 2 / expected).sum() * 39 / 40
  assert 1e-4 < stats.chi2.sf(statistic, 39 * 3) < 1 - 1e-4


def test_classes_do_not_share_their_noise():
  # Another class's examples neither move nor count.
  clean = np.repeat(np.arange(3), 50)
  matrix = noise.symmetric(3, 0.4)
  noisy = noise.corrupt(clean, matrix, seed=0, mode='exact')
  alone = noise.corrupt(
    clean[50:100], matrix, seed=0, mode='exact', ids=np.arange(50, 100)
  )
  np.testing.assert_array_equal(alone, noisy[50:100])
