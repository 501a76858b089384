"""Random numbers that are a function of what they are for.

A generator with a state gives an example the number its place in line earns.
Here the number is a hash of (purpose, seed, example id), so any host finds it
alone, in any order. Integer arithmetic only: the same on every platform and
NumPy version, which np.random's distributions do not promise.
"""

from jaxtyping import Float64, UInt64
import numpy as np

from sce_jax.noise import checks

# First word of a hash: draws for different purposes must not share numbers.
DRAWS = 1
RANKS = 2
TIES = 3
PAIRS = 4
FLIP_RATES = 5
WRONG_CLASSES = 6
DIRECTIONS = 7
MATRICES = 8
POSTERIORS = 9
SECOND = 10
IMBALANCE = 11
REPLACED = 12
REPLACING = 13
CLUSTERS = 14

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FACTORS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31)


def _mix(words: UInt64[np.ndarray, '*S']) -> UInt64[np.ndarray, '*S']:
  """SplitMix64's step (Steele et al. 2014, doi:10.1145/2660193.2660195)."""
  words = words + _STEP
  words = (words ^ (words >> _SHIFTS[0])) * _FACTORS[0]
  words = (words ^ (words >> _SHIFTS[1])) * _FACTORS[1]
  return words ^ (words >> _SHIFTS[2])


def hash_words(*words: int | np.ndarray) -> UInt64[np.ndarray, '...']:
  """Hashes integers, or integer arrays that broadcast, to 64 bits each.

  With the other words fixed it is one-to-one in each word, so distinct ids
  never collide.

  Args:
    *words: integers in [0, 2**64), or integer arrays.

  Returns:
    uint64 of the words' common shape, at least one-dimensional.

  Raises:
    ValueError: an integer is out of range.
  """
  # Arrays throughout, never scalars: NumPy wraps the former without a word
  # and warns of overflow in the latter.
  state = np.zeros(1, np.uint64)
  for word in words:
    if not isinstance(word, np.ndarray):
      word = np.array([checks.check_seed(word)], np.uint64)
    state = _mix(state ^ _mix(word.astype(np.uint64)))
  return state


def uniform(*words: int | np.ndarray) -> Float64[np.ndarray, '...']:
  """`hash_words` as numbers in [0, 1), multiples of 2**-53."""
  return (hash_words(*words) >> np.uint64(11)) * 2.0**-53
