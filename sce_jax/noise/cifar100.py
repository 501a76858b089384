"""The three noises that papers call asymmetric CIFAR-100.

Papers describe all three as flips "within the superclass", and only the first
is. Many codes take blocks of 5 consecutive class ids for superclasses, but the
ids are alphabetical: a block is apple, aquarium fish, baby, bear, beaver.
"""

from jaxtyping import Float64
import numpy as np

from sce_jax.noise import hashing
from sce_jax.noise.transitions import flip_matrix

_BLOCK = 5

# The superclass (coarse label, 0 to 19) of each of the 100 classes (fine
# labels, in alphabetical order), ten to a row.
# fmt: off
CIFAR100_SUPERCLASS = (
  4, 1, 14, 8, 0, 6, 7, 7, 18, 3,
  3, 14, 9, 18, 7, 11, 3, 9, 7, 11,
  6, 11, 5, 10, 7, 6, 13, 15, 3, 15,
  0, 11, 1, 10, 12, 14, 16, 9, 11, 5,
  5, 19, 8, 8, 15, 13, 14, 17, 18, 10,
  16, 4, 17, 4, 2, 0, 17, 4, 18, 17,
  10, 3, 2, 12, 12, 16, 12, 1, 9, 19,
  2, 10, 0, 1, 16, 12, 9, 13, 15, 13,
  16, 19, 2, 4, 6, 19, 5, 5, 8, 19,
  18, 1, 2, 15, 6, 0, 17, 8, 14, 13,
)
# fmt: on


def asymmetric_cifar100(rate: float | int) -> Float64[np.ndarray, '100 100']:
  """Each class becomes the next one of its true superclass.

  "Next" is by fine label, the last of the five going to the first. As in GJS
  (Englesson & Azizpour 2021, arXiv:2105.04522). Overall rate: `rate`.

  Args:
    rate: share of wrong labels, in [0, 1).

  Returns:
    T, float64[100, 100].

  Raises:
    ValueError: the rate is out of range.
  """
  flips: dict[int, int] = {}
  for superclass in range(20):
    members = np.flatnonzero(np.equal(CIFAR100_SUPERCLASS, superclass))
    flips |= zip(members.tolist(), np.roll(members, -1).tolist(), strict=True)
  return flip_matrix(flips, 100, rate)


def asymmetric_cifar100_block_circular(
  rate: float | int,
) -> Float64[np.ndarray, '100 100']:
  """Each class becomes the next id inside its block of 5 consecutive ids.

  Only 6 of the 100 flips stay in the superclass: use it to compare with tables
  made so, such as APL's (Ma et al. 2020, arXiv:2006.13554). Overall rate:
  `rate`.

  Args:
    rate: share of wrong labels, in [0, 1).

  Returns:
    T, float64[100, 100].

  Raises:
    ValueError: the rate is out of range.
  """
  flips = {i: i - i % _BLOCK + (i + 1) % _BLOCK for i in range(100)}
  return flip_matrix(flips, 100, rate)


def asymmetric_cifar100_block_pair(
  rate: float | int, *, pair_seed: int = 0
) -> Float64[np.ndarray, '100 100']:
  """Two classes of each block of 5 consecutive ids trade examples.

  The kind of noise in the SCE authors' code (arXiv:1908.06112); their very
  pairs are not reproduced. 60 classes stay clean: overall 0.4 * rate.

  Args:
    rate: share of each corrupted class, in [0, 1).
    pair_seed: picks the pairs, at least 0. They belong to the noise, not to
      the draw: keep it fixed over the seeds of an experiment.

  Returns:
    T, float64[100, 100].

  Raises:
    ValueError: the rate or the seed is out of range.
  """
  classes = np.arange(100)
  keys = hashing.hash_words(hashing.PAIRS, pair_seed, classes)
  order = np.argsort(keys.reshape(-1, _BLOCK), axis=1)
  pairs = np.take_along_axis(classes.reshape(-1, _BLOCK), order, axis=1)[:, :2]
  flips = {int(a): int(b) for a, b in [*pairs, *pairs[:, ::-1]]}
  return flip_matrix(flips, 100, rate)
