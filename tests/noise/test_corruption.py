"""What both modes promise; what only one does is in files of their own."""

import numpy as np
import pytest

from sce_jax import noise
from tests.noise.errors import refuses

_MODES = ['exact', 'iid']


def _labels(num=3000, num_classes=10, seed=0):
  return np.random.default_rng(seed).integers(0, num_classes, num)


def _random_matrix(rng, num_classes):
  """A random T with zeros in it, now and then on the diagonal."""
  matrix = rng.dirichlet(np.full(num_classes, 0.5), num_classes)
  matrix *= rng.random(matrix.shape) < 0.7
  matrix[matrix.sum(axis=1) == 0, 0] = 1
  return matrix / matrix.sum(axis=1, keepdims=True)


@pytest.mark.parametrize('mode', _MODES)
def test_order_is_of_no_account(mode):
  rng = np.random.default_rng(1)
  labels = _labels()
  ids = rng.choice(10**9, len(labels), replace=False)
  matrix = noise.symmetric(10, 0.4)
  noisy = noise.corrupt(labels, matrix, seed=3, mode=mode, ids=ids)
  order = rng.permutation(len(labels))
  shuffled = noise.corrupt(
    labels[order], matrix, seed=3, mode=mode, ids=ids[order]
  )
  np.testing.assert_array_equal(shuffled, noisy[order])


@pytest.mark.parametrize('mode', _MODES)
@pytest.mark.parametrize('dtype', [np.uint8, np.int32, np.uint64])
def test_dtypes_are_of_no_account(mode, dtype):
  labels = _labels(200)
  matrix = noise.symmetric(10, 0.4)
  expected = noise.corrupt(labels, matrix, seed=3, mode=mode)
  noisy = noise.corrupt(
    labels.astype(dtype),
    matrix,
    seed=np.int64(3),
    mode=mode,
    ids=np.arange(200).astype(dtype),
  )
  np.testing.assert_array_equal(noisy, expected)
  assert noisy.dtype == np.int32


@pytest.mark.parametrize('mode', _MODES)
def test_arguments_are_left_alone(mode):
  labels, ids, matrix = _labels(), np.arange(3000), noise.pair_flip(10, 0.4)
  copies = labels.copy(), ids.copy(), matrix.copy()
  for array in labels, ids, matrix:
    array.flags.writeable = False
  noisy = noise.corrupt(labels, matrix, seed=0, mode=mode, ids=ids)
  assert (noisy != labels).any()
  for array, copy in zip((labels, ids, matrix), copies, strict=True):
    np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize('mode', _MODES)
def test_seeds_and_ids_change_the_noise(mode):
  labels, matrix = _labels(), noise.symmetric(10, 0.4)
  noisy = [
    noise.corrupt(labels, matrix, seed=seed, mode=mode, ids=ids)
    for seed, ids in [
      (0, np.arange(3000)),
      (1, np.arange(3000)),
      (0, np.arange(3000) + 3000),
    ]
  ]
  # Two independent draws agree where both keep the label or pick the same
  # wrong one: 0.6**2 + 0.4**2 / 9 = 0.378, with a deviation of 0.009.
  for a, b in [(0, 1), (0, 2), (1, 2)]:
    assert abs((noisy[a] == noisy[b]).mean() - 0.378) < 0.04


@pytest.mark.parametrize('mode', _MODES)
@pytest.mark.parametrize('name', ['symmetric', 'pair_flip'])
def test_a_higher_rate_corrupts_a_superset(mode, name):
  labels = _labels()
  wrong = np.zeros(3000, bool)
  for rate in 0.0, 0.2, 0.4, 0.6, 0.8:
    matrix = noise.transition_matrix(name, 10, rate)
    now = noise.corrupt(labels, matrix, seed=5, mode=mode) != labels
    assert now[wrong].all()
    assert now.sum() > wrong.sum() or rate == 0
    wrong = now


@pytest.mark.parametrize('mode', _MODES)
def test_symmetric_never_gives_what_its_matrix_excludes(mode):
  # With nothing on the diagonal every label is wrong.
  matrix = np.full((10, 10), 1 / 9)
  np.fill_diagonal(matrix, 0)
  labels = _labels()
  assert (noise.corrupt(labels, matrix, seed=0, mode=mode) != labels).all()


@pytest.mark.parametrize('mode', _MODES)
def test_random_matrices_give_only_possible_labels(mode):
  rng = np.random.default_rng(2)
  for seed in range(50):
    num_classes = int(rng.integers(2, 12))
    matrix = _random_matrix(rng, num_classes)
    # Some classes are absent.
    labels = rng.integers(0, rng.integers(1, num_classes + 1), 500)
    noisy = noise.corrupt(labels, matrix, seed=seed, mode=mode)
    assert (matrix[labels, noisy] > 0).all()
    realised, _ = noise.empirical_transition_matrix(labels, noisy, num_classes)
    present = np.unique(labels)
    error = np.abs(realised - matrix)[present].max()
    assert error < (0.05 if mode == 'exact' else 0.4)


@pytest.mark.parametrize('mode', _MODES)
def test_identity_keeps_every_label(mode):
  labels = _labels()
  noisy = noise.corrupt(labels, np.eye(10), seed=0, mode=mode)
  np.testing.assert_array_equal(noisy, labels)


@pytest.mark.parametrize('mode', _MODES)
def test_no_labels_give_no_labels(mode):
  labels = np.zeros(0, np.int64)
  noisy = noise.corrupt(labels, np.eye(3), seed=0, mode=mode)
  assert noisy.shape == (0,) and noisy.dtype == np.int32


@pytest.mark.parametrize(
  'mode, golden',
  [
    ('exact', '221120220110110010020020210010'),
    ('iid', '020120020010020210220010110010'),
  ],
)
def test_golden(mode, golden):
  # A change here changes every experiment: runs of two versions of the code
  # no longer see the same labels.
  labels = np.arange(30) % 3
  matrix = np.array([[0.4, 0.3, 0.3], [0.0, 0.5, 0.5], [0.9, 0.1, 0.0]])
  noisy = noise.corrupt(labels, matrix, seed=2019, mode=mode)
  assert ''.join(map(str, noisy)) == golden


@pytest.mark.parametrize('mode', _MODES)
def test_refuses_malformed_arguments(mode):
  good = {
    'labels': np.array([0, 1, 1]),
    'transition_matrix': np.eye(2),
    'seed': 0,
    'mode': mode,
    'ids': np.arange(3),
  }
  for bad, message in [
    ({'mode': 'Exact'}, "mode 'Exact' is not known: use 'exact' or 'iid'"),
    ({'seed': -1}, 'seed must be in [0, 2**64), not -1'),
    ({'seed': 2**64}, f'seed must be in [0, 2**64), not {2**64}'),
    ({'seed': 1.0}, 'seed must be an integer, not 1.0'),
    ({'seed': True}, 'seed must be an integer, not True'),
    ({'seed': None}, 'seed must be an integer, not None'),
    ({'labels': [0, 1, 1]}, 'labels must be a NumPy array of integers'),
    (
      {'labels': np.array([0.0, 1, 1])},
      'integers of shape [N], not float64 of shape [3]',
    ),
    ({'labels': np.zeros((3, 1), int)}, 'shape [N], not int64 of shape [3, 1]'),
    (
      {'labels': np.array([0, 1, 2])},
      'labels must be in [0, 1] for 2 classes, not in [0, 2]',
    ),
    ({'labels': np.array([0, -1, 1])}, '2 classes, not in [-1, 1]'),
    ({'ids': np.array([4, 5, 4])}, 'ids must be unique: '),
    (
      {'ids': np.arange(4)},
      'ids must be a NumPy array of integers of shape [3]',
    ),
    ({'ids': np.arange(3)[:, None]}, 'shape [3], not int64 of shape [3, 1]'),
    ({'ids': np.arange(3.0)}, 'shape [3], not float64 of shape [3]'),
    ({'transition_matrix': np.eye(3)[:2]}, 'not float64 of shape [2, 3]'),
    ({'transition_matrix': np.ones(1)}, 'not float64 of shape [1]'),
    ({'transition_matrix': [[1.0]]}, 'of shape [K, K], not a list'),
    (
      {'transition_matrix': np.array([[1.5, -0.5], [0, 1]])},
      'must have all entries in [0, 1]',
    ),
    (
      {'transition_matrix': np.array([[np.nan, 1], [0, 1]])},
      'must have all entries in [0, 1]',
    ),
    (
      {'transition_matrix': np.array([[1, 0], [0.5, 0.5 + 2e-9]])},
      'rows that sum to 1: row 1 sums to 1.000000002;',
    ),
    # Transposed: P(clean | noisy) is not what is asked for.
    (
      {'transition_matrix': np.array([[0.8, 0.5], [0.2, 0.5]])},
      'rows that sum to 1: row 0 sums to 1.3;',
    ),
  ]:
    refuses(message, noise.corrupt, **good | bad)


@pytest.mark.parametrize('mode', _MODES)
def test_rows_need_not_sum_to_1_in_the_last_digits(mode):
  matrix = np.array([[0.5, 0.5 - 5e-10], [0.3, 0.7]])
  noisy = noise.corrupt(_labels(500, 2), matrix, seed=0, mode=mode)
  assert set(noisy.tolist()) == {0, 1}
