import numpy as np
import pytest

from sce_jax import noise
from tests.noise import class_names
from tests.noise.errors import refuses

# Overall rate on balanced classes, as a multiple of the rate asked for.
_OVERALL = {
  'clean': 0.0,
  'symmetric': 1.0,
  'symmetric_including_self': None,
  'pair_flip': 1.0,
  'asymmetric_mnist': 0.5,
  'asymmetric_cifar10': 0.5,
  'asymmetric_cifar100': 1.0,
  'asymmetric_cifar100_block_circular': 1.0,
  'asymmetric_cifar100_block_pair': 0.4,
}
MATRICES = list(_OVERALL)
_OWN_SIZE = {'mnist': 10, 'cifar10': 10, 'cifar100': 100}


def _sizes(name):
  """Numbers of classes to try a noise with."""
  if name.startswith('asymmetric_'):
    return [_OWN_SIZE[name.split('_')[1]]]
  return [2, 3, 10, 100]


def _rates(name):
  return [0.0] if name == 'clean' else [0.0, 0.1, 0.2, 0.45, 0.6, 0.8, 0.99]


def test_the_table_has_these_matrices():
  assert [n for n in noise.NOISE if noise.NOISE[n].transition] == MATRICES


@pytest.mark.parametrize('name', MATRICES)
def test_rows_are_distributions_that_move_from_truth_with_the_rate(name):
  for num_classes in _sizes(name):
    last = None
    for rate in _rates(name):
      matrix = noise.NOISE[name].transition(num_classes, rate)
      assert matrix.shape == (num_classes, num_classes)
      assert matrix.dtype == np.float64
      assert matrix.min() >= 0 and matrix.max() <= 1
      np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-14)

      diagonal = np.diag(matrix)
      factor = _OVERALL[name]
      if factor is None:
        factor = (num_classes - 1) / num_classes
      np.testing.assert_allclose(1 - diagonal.mean(), factor * rate, atol=1e-14)
      if last is None:
        np.testing.assert_array_equal(matrix, np.eye(num_classes))
      else:
        assert (diagonal <= np.diag(last)).all()
        off = ~np.eye(num_classes, dtype=bool)
        assert (matrix[off] >= last[off]).all()
        assert (matrix != last).any()
      last = matrix


@pytest.mark.parametrize('name', MATRICES)
def test_by_name_is_the_table(name):
  num_classes, rate = _sizes(name)[-1], _rates(name)[-1]
  np.testing.assert_array_equal(
    noise.transition_matrix(name, num_classes, rate),
    noise.NOISE[name].transition(num_classes, rate),
  )


@pytest.mark.parametrize('name', [n for n in noise.NOISE if 'asym' in n])
def test_a_data_sets_noise_is_its_function(name):
  np.testing.assert_array_equal(
    noise.NOISE[name].transition(_sizes(name)[0], 0.3),
    getattr(noise, name)(0.3),
  )


@pytest.mark.parametrize('name', [n for n in noise.NOISE if 'asym' in n])
def test_a_data_sets_noise_refuses_other_sizes(name):
  (size,) = _sizes(name)
  for other in {10, 100, 14} - {size}:
    refuses(
      f'noise {name!r} is defined for {size} classes, not {other}: use one of'
      ' clean, symmetric,',
      noise.transition_matrix,
      name,
      other,
      0.2,
    )


def test_the_noise_refused_suggests_the_data_sets_own():
  refuses(
    'pair_flip, asymmetric_cifar100, ',
    noise.transition_matrix,
    'asymmetric_mnist',
    100,
    0.2,
  )


def test_unknown_names_list_the_known():
  refuses(
    "noise 'symetric' is not known: use one of clean, symmetric, "
    'symmetric_including_self, pair_flip, asymmetric_mnist, ',
    noise.transition_matrix,
    'symetric',
    10,
    0.2,
  )


@pytest.mark.parametrize('name', MATRICES)
@pytest.mark.parametrize('rate', [-0.1, 1.0, 40.0, float('nan')])
def test_refuses_rates_that_are_no_share(name, rate):
  refuses(
    f'noise rate must be in [0, 1), not {rate}',
    noise.transition_matrix,
    name,
    _sizes(name)[0],
    rate,
  )


@pytest.mark.parametrize('name', MATRICES)
def test_a_noise_draws_from_its_matrix(name):
  size, rate = _sizes(name)[0], _rates(name)[-1]
  labels = np.arange(20 * size, dtype=np.int32) % size
  ids = np.arange(len(labels), dtype=np.int32)
  made = noise.NOISE[name].apply(labels, ids, size, rate, 3, 'exact')
  matrix = noise.NOISE[name].transition(size, rate)
  np.testing.assert_array_equal(made.transition, matrix)
  expected = noise.corrupt(labels, matrix, seed=3, mode='exact', ids=ids)
  np.testing.assert_array_equal(made.labels, expected)


_DIGITS = tuple(map(str, range(10)))


@pytest.mark.parametrize(
  ('name', 'classes', 'fits'),
  [
    ('asymmetric_mnist', _DIGITS, True),
    ('asymmetric_mnist', class_names.CIFAR10, False),
    ('asymmetric_cifar10', class_names.CIFAR10, True),
    ('asymmetric_cifar10', _DIGITS, False),
    ('asymmetric_cifar10', (), True),  # Classes without names may be anything.
    ('asymmetric_cifar10', [x.title() for x in class_names.CIFAR10], True),
    ('asymmetric_cifar10', ['airplane', 'car', *class_names.CIFAR10[2:]], True),
    ('pair_flip', class_names.CIFAR10, True),
  ],
)
def test_a_noise_of_other_classes_is_refused(name, classes, fits):
  if fits:
    noise.check_fits(name, 10, classes)
    return
  refuses(
    f'noise {name!r} is defined for classes of which number 0 is ',
    noise.check_fits,
    name,
    10,
    classes,
  )


@pytest.mark.parametrize(
  ('name', 'dataset', 'fits'),
  [
    ('asymmetric_cifar10', 'cifar10', True),
    ('asymmetric_cifar10', 'cifar10_n', True),
    ('asymmetric_cifar10', 'mnist', False),
    ('asymmetric_cifar10', 'digits', False),
    ('asymmetric_cifar10', 'my_own', False),
    ('asymmetric_cifar10', '', False),
    # The classes' numbers are what these classes are called.
    ('asymmetric_mnist', 'mnist', True),
    ('asymmetric_mnist', 'digits', True),
  ],
)
def test_where_classes_have_no_names_the_data_sets_counts(name, dataset, fits):
  if fits:
    noise.check_fits(name, 10, _DIGITS, dataset)
  else:
    refuses(
      f'noise {name!r} is defined for classes of which number 0 is',
      noise.check_fits,
      name,
      10,
      _DIGITS,
      dataset,
    )


def test_a_class_in_another_place_is_refused():
  swapped = [
    *class_names.CIFAR10[:3],
    'dog',
    'deer',
    'cat',
    *class_names.CIFAR10[6:],
  ]
  refuses(
    "of which number 3 is 'cat', but here it is 'dog'",
    noise.check_fits,
    'asymmetric_cifar10',
    10,
    swapped,
    'cifar10',
  )
