"""What each noise draws stays what it has been.

No formula says these labels: they are what the library drew when this page was
written, so that a data set's name, noise, rate and seed name the same labels in
every version and on every machine. Where one changes, nobody can repeat earlier
results with it. Hashes are integers, and no example here is so near a tie that
the last bits of a float decide.
"""

import numpy as np
import pytest

from sce_jax import noise

SIZE, SEED = 500, 5
IDS = 7 * np.arange(SIZE) + 3
# Vectors that no generator of NumPy has drawn: those may change.
_PLACES = np.arange(SIZE * 4).reshape(SIZE, 2, 2, 1)
IMAGES = noise.Images(
  (_PLACES**2 % 1999 % 256).astype(np.uint8), (0.5,), (0.25,), 255.0
)
# The true class is the most probable one, by margins that all differ.
LABELS = np.arange(SIZE) * 13 % 10
_MARGIN = (np.arange(SIZE) * 37 % 503 + 1) / 1009
PROBABILITY = np.full((SIZE, 10), 0.1 / 8)
PROBABILITY[np.arange(SIZE), LABELS] = 0.45 + _MARGIN / 2
PROBABILITY[np.arange(SIZE), (LABELS + 1 + IDS % 3) % 10] = 0.45 - _MARGIN / 2

GOLDEN = {
  'clean': 'ab3ae6a8dce8391e',
  'symmetric': '3fa5269f1d7419a7',
  'symmetric_including_self': 'b214ac14b2dd68bc',
  'pair_flip': '003dcb75828eadc7',
  'asymmetric_mnist': '474147f9592fd851',
  'asymmetric_cifar10': '30130b3392474add',
  'asymmetric_cifar100': 'e02578971fd2ebfb',
  'asymmetric_cifar100_block_circular': '37e845c2522519b0',
  'asymmetric_cifar100_block_pair': '6971393138f9e622',
  'random_matrix': 'ca99856266b23497',
  'random_matrix_sparse20': '06f3d16700b7c664',
  'random_matrix_sparse40': '58e139265437bead',
  'random_matrix_sparse60': '5d9bb0d07e921566',
  'part_dependent': '1c827328ecdd57b1',
  'part_dependent_exact': 'a072e47a0734c63c',
  'part_dependent_shared': 'a74c85e187f3855e',
  'instance_dependent_sigmoid': '5f13f71264cd822b',
  'cluster_based': '5935320a470874fb',
  'symmetric, iid': 'b6b8f7c01743b5af',
  'pmd_type1': 'b58aa332ed578f12',
  'pmd_type2': '0e9b36e96b069e84',
  'pmd_type3': '2dab87c94f5d2d3f',
  'seal': '6bc3561bec782967',
  'pair_flip, then symmetric': 'f8a6aa3088f736aa',
}


def of_table(name, mode='exact'):
  spec = noise.NOISE[name]
  classes = spec.num_classes or 10
  labels = np.arange(SIZE) * 13 % classes
  rate = 0.0 if name == 'clean' else 0.4
  return spec.apply(labels, IDS, classes, rate, SEED, mode, IMAGES).labels


def of_probabilities(name, rate=0.3):
  made = {
    'pmd_type1': lambda: noise.pmd(IDS, PROBABILITY, 1),
    'pmd_type2': lambda: noise.pmd(IDS, PROBABILITY, 2),
    'pmd_type3': lambda: noise.pmd(IDS, PROBABILITY, 3),
    'seal': lambda: noise.seal(IDS, PROBABILITY),
  }[name]()
  return made(LABELS, IDS, 10, rate, SEED, 'exact').labels


def hybrid():
  both = noise.followed_by(
    noise.NOISE['pair_flip'].apply, noise.NOISE['symmetric'].apply, 0.3
  )
  return both(LABELS, IDS, 10, 0.2, SEED, 'exact').labels


DRAWN = {
  **{name: (of_table, name) for name in noise.NOISE},
  'symmetric, iid': (of_table, 'symmetric', 'iid'),
  **{name: (of_probabilities, name) for name in noise.FROM_PROBABILITIES},
  'pair_flip, then symmetric': (hybrid,),
}


@pytest.mark.parametrize('name', DRAWN)
def test_labels_are_those_that_have_always_been_drawn(name):
  make, *arguments = DRAWN[name]
  digest = noise.fingerprint(IDS, make(*arguments))[:16]
  assert digest == GOLDEN[name]


def test_the_same_examples_are_kept_and_replaced():
  kept = noise.imbalanced(LABELS, IDS, 10, 'exponential', 25, SEED)
  assert len(kept) == 157
  assert kept[:10].tolist() == [0, 7, 8, 10, 17, 20, 24, 26, 30, 34]
  found = noise.replace(IDS, 11 * np.arange(300) + 1, 'other', 0.02, SEED)
  assert found.ids[:5].tolist() == [1606, 2159, 563, 458, 2663]
  assert found.images[:5].tolist() == [1739, 2443, 2014, 1178, 595]
