"""Class imbalance: how many of each class stay, and which."""

import numpy as np
import pytest

from sce_jax import noise
from tests.noise.errors import refuses


# As LDAM's code counts them on CIFAR-10's 5,000 images a class.
@pytest.mark.parametrize(
  ('profile', 'ratio', 'sizes'),
  [
    (
      'exponential',
      100,
      [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50],
    ),
    ('step', 10, [5000] * 5 + [500] * 5),
    ('exponential', 1, [5000] * 10),
  ],
)
def test_sizes_are_those_of_the_papers(profile, ratio, sizes):
  labels = np.arange(50_000) % 10
  rows = noise.imbalanced(labels, np.arange(50_000), 10, profile, ratio, 0)
  assert np.bincount(labels[rows]).tolist() == sizes
  assert (np.diff(rows) > 0).all()


def test_a_class_keeps_one_example_and_one_that_is_empty_none():
  labels = np.array([0, 0, 0, 1, 1, 3, 3, 3, 3])
  rows = noise.imbalanced(labels, np.arange(9), 4, 'step', 100, 0)
  assert np.bincount(labels[rows], minlength=4).tolist() == [3, 2, 0, 1]


def test_the_odd_class_in_the_middle_is_small():
  assert noise.shares('step', 4, 5).tolist() == [1, 1, 0.25, 0.25, 0.25]
  np.testing.assert_allclose(
    noise.shares('exponential', 16, 5), [1, 1 / 2, 1 / 4, 1 / 8, 1 / 16]
  )


def test_which_ones_follows_ids_and_seed_and_a_higher_ratio_keeps_a_part():
  rng = np.random.default_rng(0)
  labels = rng.integers(0, 4, 800)
  ids = rng.choice(10**9, 800, replace=False)

  def chosen(ratio, seed, order=slice(None)):
    own = labels[order], ids[order]
    return set(
      own[1][noise.imbalanced(*own, 4, 'exponential', ratio, seed)].tolist()
    )

  assert chosen(10, 1, rng.permutation(800)) == chosen(10, 1)
  assert chosen(10, 1) != chosen(10, 2)
  assert chosen(50, 1) < chosen(10, 1) < chosen(2, 1)


def test_each_example_of_a_class_is_as_likely_to_stay():
  labels = np.repeat([0, 1], 40)
  counts = np.zeros(80)
  for seed in range(200):
    counts[noise.imbalanced(labels, np.arange(80), 2, 'step', 4, seed)] += 1
  assert (counts[:40] == 200).all()
  # Of 200 draws with probability 1/4 each, corrected for being 10 of 40.
  statistic = ((counts[40:] - 50) ** 2).sum() / (200 / 4 * 3 / 4 * 40 / 39)
  assert 12 < statistic < 79  # 39 degrees of freedom: 1e-4 on either side.


def test_what_there_is_not_is_refused():
  def call(profile='step', ratio=2.0, ids=(1, 2)):
    noise.imbalanced(np.array([0, 1]), np.array(ids), 2, profile, ratio, 0)

  call()
  refuses("imbalance 'linear' is not known", call, profile='linear')
  refuses('ratio must be at least 1, not 0.5', call, ratio=0.5)
  refuses('ratio must be at least 1, not nan', call, ratio=float('nan'))
  refuses('ids must be unique', call, ids=(1, 1))
