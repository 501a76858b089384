import numpy as np
import pytest

from sce_jax import noise
from tests.noise import class_names
from tests.noise.errors import refuses

_DIGITS = [
  'zero',
  'one',
  'two',
  'three',
  'four',
  'five',
  'six',
  'seven',
  'eight',
  'nine',
]


def test_clean():
  np.testing.assert_array_equal(noise.clean(3), np.eye(3))


def test_symmetric():
  np.testing.assert_allclose(
    noise.symmetric(4, 0.6),
    [[0.4, 0.2, 0.2, 0.2], [0.2, 0.4, 0.2, 0.2],
     [0.2, 0.2, 0.4, 0.2], [0.2, 0.2, 0.2, 0.4]],
    rtol=1e-15,
  )  # fmt: skip


def test_symmetric_including_self_is_wrong_less_often():
  np.testing.assert_allclose(
    noise.symmetric_including_self(4, 0.4),
    [[0.7, 0.1, 0.1, 0.1], [0.1, 0.7, 0.1, 0.1],
     [0.1, 0.1, 0.7, 0.1], [0.1, 0.1, 0.1, 0.7]],
    rtol=1e-15,
  )  # fmt: skip


def test_pair_flip_wraps_around():
  np.testing.assert_allclose(
    noise.pair_flip(3, 0.3),
    [[0.7, 0.3, 0.0], [0.0, 0.7, 0.3], [0.3, 0.0, 0.7]],
    rtol=1e-15,
  )


@pytest.mark.parametrize(
  'matrix, names, flips',
  [
    (
      noise.asymmetric_mnist,
      _DIGITS,
      {'two': 'seven', 'three': 'eight', 'five': 'six', 'six': 'five',
       'seven': 'one'},
    ),
    (
      noise.asymmetric_cifar10,
      class_names.CIFAR10,
      {'truck': 'automobile', 'bird': 'airplane', 'deer': 'horse',
       'cat': 'dog', 'dog': 'cat'},
    ),
  ],
)  # fmt: skip
def test_lookalikes_by_name(matrix, names, flips):
  expected = np.zeros((10, 10))
  for i, name in enumerate(names):
    if name in flips:
      expected[i, i] = 0.7
      expected[i, names.index(flips[name])] = 0.3
    else:
      expected[i, i] = 1.0
  np.testing.assert_allclose(matrix(0.3), expected, rtol=1e-15)


@pytest.mark.parametrize(
  'matrix',
  [
    lambda rate: noise.symmetric(10, rate),
    lambda rate: noise.symmetric_including_self(10, rate),
    lambda rate: noise.pair_flip(10, rate),
    noise.asymmetric_mnist,
    noise.asymmetric_cifar10,
    noise.asymmetric_cifar100,
    noise.asymmetric_cifar100_block_circular,
    noise.asymmetric_cifar100_block_pair,
  ],
)
@pytest.mark.parametrize('rate', [-0.1, 1.0, 40.0, float('nan')])
def test_refuses_rates_that_are_no_share(matrix, rate):
  refuses(f'noise rate must be in [0, 1), not {rate}', matrix, rate)


@pytest.mark.parametrize(
  'matrix',
  [
    noise.clean,
    noise.symmetric,
    noise.symmetric_including_self,
    noise.pair_flip,
  ],
)
def test_refuses_a_single_class(matrix):
  refuses('at least 2 classes, not 1', matrix, 1, 0.0)


def test_clean_refuses_a_rate():
  refuses("noise 'clean' has rate 0, not 0.2", noise.clean, 10, 0.2)
