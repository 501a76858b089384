import hashlib

import numpy as np
import pytest

from sce_jax import noise
from tests.noise.errors import refuses


def test_counts_by_hand():
  clean = np.array([0, 0, 0, 0, 1, 1, 3, 3, 3, 3])
  noisy = np.array([0, 0, 1, 3, 1, 0, 3, 3, 3, 3])
  matrix, rate = noise.empirical_transition_matrix(clean, noisy, 4)
  np.testing.assert_array_equal(
    matrix,
    [[0.5, 0.25, 0, 0.25], [0.5, 0.5, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]],
  )
  assert rate == 0.3
  assert type(rate) is float


@pytest.mark.parametrize('dtype', [np.uint8, np.int8, np.uint64])
def test_small_and_unsigned_labels(dtype):
  clean = np.array([99, 98], dtype)
  matrix, rate = noise.empirical_transition_matrix(
    clean, np.array([99, 99]), 100
  )
  assert matrix[99, 99] == matrix[98, 99] == 1
  assert matrix.sum() == 2
  assert rate == 0.5


def test_recovers_what_exact_mode_was_asked_for():
  clean = np.repeat(np.arange(10), 100)
  asked = noise.asymmetric_cifar10(0.3)
  noisy = noise.corrupt(clean, asked, seed=0, mode='exact')
  matrix, rate = noise.empirical_transition_matrix(clean, noisy, 10)
  np.testing.assert_allclose(matrix, asked, atol=1e-15)
  assert rate == 0.15


def test_refuses_bad_labels():
  good = np.array([0, 1])
  measure = noise.empirical_transition_matrix
  refuses('no labels to measure noise on', measure, good[:0], good[:0], 2)
  refuses('noisy labels must be a NumPy', measure, good, good[:1], 2)
  refuses('clean labels must be in [0, 0]', measure, good, good * 0, 1)
  refuses('noisy labels must be in [0, 1]', measure, good, good - 1, 2)


def test_a_fingerprint_is_of_ids_and_labels_whatever_their_order():
  ids = np.array([40, 10, 2**40])
  labels = np.array([2, 0, 1])
  # By struct and sha256sum: '<qqqiii', 10, 40, 2**40, 0, 2, 1.
  expected = '0e7986783e75af17a19c210fbbff8bb03364cd8d8e9e88d7acb1032ab3d187e3'
  for order in ([0, 1, 2], [2, 0, 1]):
    for kind in (np.int64, np.uint8, np.int32):
      found = noise.fingerprint(ids[order], labels[order].astype(kind))
      assert found == expected
  assert noise.fingerprint(ids, np.array([2, 0, 0])) != expected
  assert noise.fingerprint(np.array([40, 11, 2**40]), labels) != expected
  refuses('ids must be unique', noise.fingerprint, ids * 0, labels)
  refuses(
    'labels must be a NumPy array of int', noise.fingerprint, ids, ids[:2]
  )


def test_a_fingerprint_covers_replaced_images():
  ids, labels = np.array([3, 7]), np.array([1, 0])

  def digest(source='cifar100', images=(40, 50), order=(0, 1)):
    order = list(order)
    return noise.fingerprint(
      ids,
      labels,
      noise.Replaced(source, ids[order], np.array(images)[order]),
    )

  content = (
    np.array([3, 7], '<i8').tobytes() + np.array([1, 0], '<i4').tobytes()
  )
  content += b'cifar100' + np.array([3, 7, 40, 50], '<i8').tobytes()
  assert digest() == hashlib.sha256(content).hexdigest()
  assert digest(order=(1, 0)) == digest()
  assert digest(images=(50, 40)) != digest() != digest(source='cifar10')
  none = np.array([], int)
  same = noise.fingerprint(ids, labels, noise.Replaced('cifar100', none, none))
  assert same == noise.fingerprint(ids, labels)
