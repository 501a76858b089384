"""Transition matrices of any number of classes."""

from collections.abc import Mapping

from jaxtyping import Float64
import numpy as np

from sce_jax.noise import checks


def flip_matrix(
  flips: Mapping[int, int], num_classes: int, rate: float | int
) -> Float64[np.ndarray, 'K K']:
  """The matrix that turns class i into flips[i] with probability `rate`.

  Args:
    flips: wrong class of each class that is corrupted; the others stay clean.
    num_classes: K.
    rate: share of each corrupted class, in [0, 1).

  Returns:
    T, float64[K, K].

  Raises:
    ValueError: the rate is out of range.
  """
  checks.check_rate(rate)
  matrix = np.eye(num_classes)
  for source, target in flips.items():
    matrix[source, source] = 1 - rate
    matrix[source, target] = rate
  return matrix


def clean(
  num_classes: int, rate: float | int = 0.0
) -> Float64[np.ndarray, 'K K']:
  """No noise: the identity.

  Args:
    num_classes: K, at least 2.
    rate: must be 0; taken so that every noise is called alike.

  Returns:
    T, float64[K, K].

  Raises:
    ValueError: the rate is not 0, or there are fewer than 2 classes.
  """
  checks.check_num_classes(num_classes)
  if rate != 0:
    raise ValueError(
      f"noise 'clean' has rate 0, not {rate}: set the rate to 0 or name"
      ' another noise'
    )
  return np.eye(num_classes)


def symmetric(
  num_classes: int, rate: float | int
) -> Float64[np.ndarray, 'K K']:
  """A wrong class, never the true one, uniformly with probability `rate`.

  The noise of the SCE paper (Wang et al. 2019, arXiv:1908.06112) and of most
  papers since; also called uniform noise (van Rooyen et al. 2015,
  arXiv:1505.07634).

  Args:
    num_classes: K, at least 2.
    rate: share of wrong labels, in [0, 1).

  Returns:
    T, float64[K, K]: 1 - rate on the diagonal, rate / (K - 1) elsewhere.

  Raises:
    ValueError: the rate is out of range, or there are fewer than 2 classes.

  >>> symmetric(3, 0.5)
  array([[0.5 , 0.25, 0.25],
         [0.25, 0.5 , 0.25],
         [0.25, 0.25, 0.5 ]])
  """
  checks.check_num_classes(num_classes)
  checks.check_rate(rate)
  matrix = np.full((num_classes, num_classes), rate / (num_classes - 1))
  np.fill_diagonal(matrix, 1 - rate)
  return matrix


def symmetric_including_self(
  num_classes: int, rate: float | int
) -> Float64[np.ndarray, 'K K']:
  """A class drawn over all K, the true one too, with probability `rate`.

  Only rate * (K - 1) / K of the labels end up wrong. The protocol of DivideMix
  (Li et al. 2020, arXiv:2002.07394): not comparable with `symmetric` at equal
  rate.

  Args:
    num_classes: K, at least 2.
    rate: share of labels redrawn, in [0, 1).

  Returns:
    T, float64[K, K].

  Raises:
    ValueError: the rate is out of range, or there are fewer than 2 classes.

  >>> symmetric_including_self(2, 0.5)
  array([[0.75, 0.25],
         [0.25, 0.75]])
  """
  checks.check_num_classes(num_classes)
  checks.check_rate(rate)
  matrix = np.full((num_classes, num_classes), rate / num_classes)
  # Not `+=`: the diagonal is then free of the rounding of a sum of K terms.
  np.fill_diagonal(matrix, 1 - rate * (num_classes - 1) / num_classes)
  return matrix


def pair_flip(
  num_classes: int, rate: float | int
) -> Float64[np.ndarray, 'K K']:
  """The next class, (i + 1) mod K, with probability `rate`.

  Pair noise of Co-teaching (Han et al. 2018, arXiv:1804.06872).

  Args:
    num_classes: K, at least 2.
    rate: share of wrong labels, in [0, 1).

  Returns:
    T, float64[K, K].

  Raises:
    ValueError: the rate is out of range, or there are fewer than 2 classes.

  >>> pair_flip(3, 0.25)
  array([[0.75, 0.25, 0.  ],
         [0.  , 0.75, 0.25],
         [0.25, 0.  , 0.75]])
  """
  checks.check_num_classes(num_classes)
  flips = {i: (i + 1) % num_classes for i in range(num_classes)}
  return flip_matrix(flips, num_classes, rate)
