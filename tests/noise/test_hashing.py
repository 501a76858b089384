import numpy as np
import pytest
from scipy import stats

from sce_jax.noise import hashing
from tests.noise.errors import refuses

_MASK = 2**64 - 1


def _mix(word):
  """SplitMix64's step on Python's integers."""
  word = (word + 0x9E3779B97F4A7C15) & _MASK
  word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
  word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _MASK
  return word ^ (word >> 31)


def test_mix_is_splitmix64():
  # The first outputs of the generator started at 0, as published widely.
  assert _mix(0) == 0xE220A8397B1DCDAF
  assert _mix(0x9E3779B97F4A7C15) == 0x6E789E6AA1B965F4


def test_hash_chains_the_words():
  ids = np.array([0, 1, 2**40, 2**63 - 1])
  for seed in 0, 7, 2**64 - 1:
    expected = [
      _mix(_mix(_mix(_mix(3)) ^ _mix(seed)) ^ _mix(i)) for i in ids.tolist()
    ]
    assert hashing.hash_words(3, seed, ids).tolist() == expected


@pytest.mark.parametrize('dtype', [np.uint8, np.int32, np.uint64])
def test_hash_depends_on_values_not_dtypes(dtype):
  ids = np.arange(100)
  np.testing.assert_array_equal(
    hashing.hash_words(1, 5, ids), hashing.hash_words(1, 5, ids.astype(dtype))
  )


def test_uniform_is_the_top_53_bits():
  ids = np.arange(1000)
  np.testing.assert_array_equal(
    hashing.uniform(1, 5, ids),
    [h / 2**53 for h in (hashing.hash_words(1, 5, ids) >> 11).tolist()],
  )


@pytest.mark.parametrize('step', [1, 2, 10, 128, 1000, 2**20, 2**32])
@pytest.mark.parametrize('seed', [0, 1, 12345])
def test_uniform_in_pairs_of_near_ids_and_seeds(step, seed):
  ids = np.arange(0, 20000 * step, step)
  draws = hashing.uniform(hashing.DRAWS, seed, ids)
  other_seed = hashing.uniform(hashing.DRAWS, seed + 1, ids)
  other_use = hashing.uniform(hashing.RANKS, seed, ids)
  for x, y in [
    # Every draw once, or neighbours would share draws.
    (draws[::2], draws[1::2]),
    (draws, other_seed),
    (draws, other_use),
  ]:
    counts = np.histogram2d(x, y, bins=16, range=[[0, 1], [0, 1]])[0]
    # Below 1e-5 either way is beyond chance over these 63 tables: too uneven,
    # or too even, as a lattice would be.
    p_value = stats.chisquare(counts, axis=None).pvalue
    assert 1e-5 < p_value < 1 - 1e-5


def test_refuses_words_out_of_range():
  refuses('must be in [0, 2**64), not -1', hashing.hash_words, 1, -1)
  refuses(f'must be in [0, 2**64), not {2**64}', hashing.hash_words, 1, 2**64)
