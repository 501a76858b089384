"""Noises by their one interface: of a matrix, of labels that are given."""

import numpy as np
import pytest
from scipy import stats

from sce_jax import noise
from tests.noise.errors import refuses

_CLEAN = np.array([0, 1, 2, 0], np.int32)
_IDS = np.array([7, 3, 9, 5], np.int32)
_GIVEN = np.array([2, 1, 0, 1], np.int64)


def apply(made, clean=_CLEAN, ids=_IDS, num_classes=3):
  return made(clean, ids, num_classes, 0.4, 1, 'exact', None)


def test_a_matrix_becomes_a_noise():
  made = apply(noise.from_transition(noise.pair_flip))
  matrix = noise.pair_flip(3, 0.4)
  np.testing.assert_array_equal(made.transition, matrix)
  expected = noise.corrupt(_CLEAN, matrix, seed=1, mode='exact', ids=_IDS)
  np.testing.assert_array_equal(made.labels, expected)
  assert made.labels.dtype == np.int32


@pytest.mark.parametrize('order', [[0, 1, 2, 3], [3, 1, 0, 2], [2, 3, 1, 0]])
def test_given_labels_are_found_by_id(order):
  made = apply(noise.from_labels(_IDS[order], _GIVEN[order]))
  np.testing.assert_array_equal(made.labels, _GIVEN)
  assert made.labels.dtype == np.int32
  assert made.transition is None
  made = apply(noise.from_labels(_IDS, _GIVEN), _CLEAN[order], _IDS[order])
  np.testing.assert_array_equal(made.labels, _GIVEN[order])


def test_ids_may_be_of_any_integer_type():
  made = apply(noise.from_labels(_IDS.astype(np.uint64), _GIVEN))
  np.testing.assert_array_equal(made.labels, _GIVEN)
  large = _IDS.astype(np.int64) + 2**40
  made = apply(noise.from_labels(large, _GIVEN), ids=large)
  np.testing.assert_array_equal(made.labels, _GIVEN)


@pytest.mark.parametrize(
  ('ids', 'given', 'message'),
  [
    (_IDS[:3], _GIVEN[:3], '3 labels for 4 training examples: give each'),
    (_IDS[:0], _GIVEN[:0], '0 labels for 4 training examples: give each'),
    (
      np.array([7, 3, 9, 6]),
      _GIVEN,
      'there is no label for example 5, but one for 6: ids must be the data'
      " set's own",
    ),
    (
      np.array([7, 3, 9, 9]),
      _GIVEN,
      "there is no label for example 5: ids must be the data set's own",
    ),
    (_IDS, _GIVEN + 1, 'labels must be in [0, 2] for 3 classes, not in [1, 3]'),
    (
      _IDS,
      _GIVEN - 1,
      'labels must be in [0, 2] for 3 classes, not in [-1, 1]',
    ),
  ],
)
def test_refuses_labels_of_something_else(ids, given, message):
  refuses(message, apply, noise.from_labels(ids, given))
  refuses(
    f'a/b.npz: {message}', apply, noise.from_labels(ids, given, 'a/b.npz')
  )


def test_labels_are_matched_by_the_counts_of_their_confusions():
  # 5 + 3 + 0 of class 0, 2 + 4 + 2 of class 1; class 2 has no example.
  clean = np.repeat([0, 1], 8).astype(np.int32)
  given = np.repeat([0, 1, 0, 1, 2], [5, 3, 2, 4, 2])
  ids = np.arange(16) * 10
  matched = noise.matched_to(ids, given)
  made = apply(matched, clean, ids)
  np.testing.assert_array_equal(
    made.transition, [[5 / 8, 3 / 8, 0], [2 / 8, 4 / 8, 2 / 8], [0, 0, 1]]
  )
  for k, counts in ((0, [5, 3, 0]), (1, [2, 4, 2])):
    assert np.bincount(made.labels[clean == k], minlength=3).tolist() == counts
  # Other examples than those of the given labels.
  assert (made.labels != given).any()
  order = np.random.default_rng(0).permutation(16)
  np.testing.assert_array_equal(
    apply(matched, clean[order], ids[order]).labels, made.labels[order]
  )
  refuses('16 labels for 4 training examples', apply, matched)


def test_the_second_noise_is_drawn_of_the_labels_of_the_first():
  labels, ids = np.arange(9000) % 3, np.arange(9000)
  pair, symmetric = (noise.NOISE[x].apply for x in ('pair_flip', 'symmetric'))
  both = noise.followed_by(pair, symmetric, 0.3)
  made = both(labels, ids, 3, 0.2, 7, 'iid')
  # By hand: 0.8 0.7 + 0.2 0.15, 0.2 0.7 + 0.8 0.15, 0.15.
  np.testing.assert_allclose(made.transition[0], [0.59, 0.26, 0.15])
  for k in range(3):
    counts = np.bincount((made.labels[labels == k] - k) % 3)
    expected = 3000 * np.array([0.59, 0.26, 0.15])
    assert stats.chisquare(counts, expected).pvalue > 1e-4
  # The draws of the two do not go together, although they have one seed.
  first = pair(labels, ids, 3, 0.2, 7, 'iid').labels
  moved = made.labels != first
  shares = [moved[first != labels].mean(), moved[first == labels].mean()]
  np.testing.assert_allclose(shares, 0.3, atol=0.045)


def test_two_noises_without_a_matrix_have_none():
  given = noise.from_labels(np.arange(3), np.array([0, 2, 2]))
  both = noise.followed_by(given, noise.NOISE['clean'].apply, 0.0)
  made = both(np.array([0, 1, 2]), np.arange(3), 3, 0.5, 0, 'exact')
  assert made.labels.tolist() == [0, 2, 2]
  assert made.transition is None


def test_rows_of_ids():
  found = noise.rows_of(np.array([30, 10, 20]), np.array([10, 40, 30, 5]))
  assert found.tolist() == [1, -1, 0, -1]
  assert noise.rows_of(np.array([], int), np.array([1])).tolist() == [-1]
