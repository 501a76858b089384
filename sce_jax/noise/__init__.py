"""Label noise: transition matrices, and labels corrupted by them.

`T[i, j] = P(noisy = j | clean = i)` says what noise there is; `corrupt` draws
it, each example's wrong label a pure function of (seed, example id). NumPy
only.

>>> import numpy as np
>>> from sce_jax import noise
>>> clean = np.arange(1000) % 10
>>> T = noise.transition_matrix('symmetric', num_classes=10, rate=0.4)
>>> noisy = noise.corrupt(clean, T, seed=1, mode='exact')
>>> noise.empirical_transition_matrix(clean, noisy, num_classes=10)[1]
0.4
"""

from sce_jax.noise.asymmetric import asymmetric_cifar10, asymmetric_mnist
from sce_jax.noise.base import (
  Images,
  Noise,
  NoiseSpec,
  NoisyLabels,
  TransitionFn,
  followed_by,
  from_labels,
  from_transition,
  matched_to,
  rows_of,
)
from sce_jax.noise.cifar100 import (
  CIFAR100_SUPERCLASS,
  asymmetric_cifar100,
  asymmetric_cifar100_block_circular,
  asymmetric_cifar100_block_pair,
)
from sce_jax.noise.clusters import cluster_based
from sce_jax.noise.corruption import corrupt
from sce_jax.noise.imbalance import PROFILES, imbalanced, shares
from sce_jax.noise.instance import (
  instance_dependent_sigmoid,
  part_dependent,
  part_dependent_exact,
  part_dependent_shared,
)
from sce_jax.noise.measures import empirical_transition_matrix, fingerprint
from sce_jax.noise.open_set import Replaced, replace
from sce_jax.noise.posterior import pmd, pmd_factor, seal
from sce_jax.noise.random_matrices import random_matrix
from sce_jax.noise.table import (
  FROM_PROBABILITIES,
  NOISE,
  PosteriorSpec,
  check_fits,
  transition_matrix,
)
from sce_jax.noise.transitions import (
  clean,
  pair_flip,
  symmetric,
  symmetric_including_self,
)

__all__ = [
  'CIFAR100_SUPERCLASS',
  'FROM_PROBABILITIES',
  'NOISE',
  'PROFILES',
  'Images',
  'Noise',
  'NoiseSpec',
  'NoisyLabels',
  'PosteriorSpec',
  'Replaced',
  'TransitionFn',
  'asymmetric_cifar10',
  'asymmetric_cifar100',
  'asymmetric_cifar100_block_circular',
  'asymmetric_cifar100_block_pair',
  'asymmetric_mnist',
  'check_fits',
  'clean',
  'cluster_based',
  'corrupt',
  'empirical_transition_matrix',
  'fingerprint',
  'followed_by',
  'from_labels',
  'from_transition',
  'imbalanced',
  'instance_dependent_sigmoid',
  'matched_to',
  'pair_flip',
  'part_dependent',
  'part_dependent_exact',
  'part_dependent_shared',
  'pmd',
  'pmd_factor',
  'random_matrix',
  'replace',
  'rows_of',
  'seal',
  'shares',
  'symmetric',
  'symmetric_including_self',
  'transition_matrix',
]
