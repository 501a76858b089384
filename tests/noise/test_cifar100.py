import os
import pathlib

import numpy as np
import pytest

from sce_jax import noise
from tests.noise.errors import refuses

# Superclasses whose members the data set's page names, by fine label.
_KNOWN = [
  # beaver, dolphin, otter, seal, whale
  [4, 30, 55, 72, 95],
  # baby, boy, girl, man, woman
  [2, 11, 35, 46, 98],
  # maple, oak, palm, pine, willow
  [47, 52, 56, 59, 96],
]


def _flips(matrix):
  """The wrong class of each class that has one."""
  wrong = matrix - np.diag(np.diag(matrix))
  assert ((wrong > 0).sum(axis=1) <= 1).all()
  return {int(i): int(j) for i, j in np.argwhere(wrong > 0)}


def _num_inside(flips):
  table = noise.CIFAR100_SUPERCLASS
  return sum(table[i] == table[j] for i, j in flips.items())


def test_twenty_superclasses_of_five():
  assert np.bincount(noise.CIFAR100_SUPERCLASS).tolist() == [5] * 20


def test_superclasses_are_those_of_the_data():
  repository = pathlib.Path(__file__).resolve().parents[2]
  folder = os.environ.get('SCE_SHARED_DATA', repository / '../shared/data')
  path = pathlib.Path(folder, 'cifar_n.npz')
  if not path.exists():
    pytest.skip(f'no {path}: set SCE_SHARED_DATA to the folder that has it')
  with np.load(path) as data:
    fine, coarse = data['cifar100_clean'], data['cifar100_coarse']
  np.testing.assert_array_equal(
    np.array(noise.CIFAR100_SUPERCLASS)[fine], coarse
  )


def test_default_flips_to_the_next_of_the_superclass():
  flips = _flips(noise.asymmetric_cifar100(0.3))
  for members in _KNOWN:
    for i, j in zip(members, members[1:] + members[:1], strict=True):
      assert flips[i] == j
  assert _num_inside(flips) == 100
  # Every class is the wrong class of exactly one.
  assert sorted(flips.values()) == list(range(100))


def test_block_circular_flips_to_the_next_id_of_the_block():
  flips = _flips(noise.asymmetric_cifar100_block_circular(0.3))
  assert [flips[i] for i in range(10)] == [1, 2, 3, 4, 0, 6, 7, 8, 9, 5]
  assert [flips[i] for i in range(95, 100)] == [96, 97, 98, 99, 95]
  assert len(flips) == 100


def test_few_block_flips_stay_in_the_superclass():
  flips = _flips(noise.asymmetric_cifar100_block_circular(0.3))
  assert _num_inside(flips) == 6


def test_block_pair_swaps_one_pair_of_each_block():
  flips = _flips(noise.asymmetric_cifar100_block_pair(0.3))
  assert all(flips[j] == i for i, j in flips.items())
  assert [sum(i // 5 == b for i in flips) for b in range(20)] == [2] * 20
  assert all(i // 5 == j // 5 for i, j in flips.items())


def test_block_pairs_belong_to_their_seed():
  # Golden: runs of different versions must stay comparable.
  pairs = [_flips(noise.asymmetric_cifar100_block_pair(0.3))]
  pairs += [
    _flips(noise.asymmetric_cifar100_block_pair(rate, pair_seed=seed))
    for rate, seed in [(0.6, 0), (0.3, 1)]
  ]
  assert sorted(pairs[0])[:8] == [0, 1, 6, 8, 13, 14, 15, 18]
  assert pairs[0] == pairs[1]
  assert pairs[0] != pairs[2]


def test_every_member_of_a_block_is_picked_at_times():
  picked = np.zeros(100)
  for seed in range(100):
    flips = _flips(noise.asymmetric_cifar100_block_pair(0.3, pair_seed=seed))
    picked[list(flips)] += 1
  # Of 100 seeds 40 pick a class, with a deviation of 5: 5 deviations off.
  assert picked.min() > 15 and picked.max() < 65


def test_block_pair_refuses_bad_seeds():
  refuses(
    'seed must be in [0, 2**64), not -1',
    noise.asymmetric_cifar100_block_pair,
    0.3,
    pair_seed=-1,
  )
