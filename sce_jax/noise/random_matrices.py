"""Random transition matrices, of which a share of the confusions is impossible.

The matrices of confident learning's experiments (Northcutt et al. 2021,
arXiv:1911.00068, section 5), by the rule of `generate_noise_matrix_from_trace`
of its authors' cleanlab 2.9; its random numbers are others.
"""

from jaxtyping import Float64, UInt64
import numpy as np

from sce_jax.noise import checks, hashing
from sce_jax.noise.base import Noise, NoisyLabels
from sce_jax.noise.corruption import corrupt

# Of entries of the diagonal, as in cleanlab.
_LEAST = 1e-5
_TRIES = 10_000
_ROUNDING = 1e-6


def random_matrix(
  num_classes: int,
  rate: float | int,
  sparsity: float | int,
  seed: int | np.integer,
) -> Float64[np.ndarray, 'K K']:
  """Draws a transition matrix.

  The diagonal is drawn uniformly among those that sum to K (1 - rate), and
  then changed where an entry is above 1. So many of the K (K - 1) other entries
  as `sparsity` says are 0, at most K - 2 a row; the others of a row are drawn
  uniformly among those with the right sum. Matrices are drawn until one can be
  learned from: on classes of equal size, P(label i) P(true i) < P(both) for
  each class.

  Args:
    num_classes: K, at least 3.
    rate: share of wrong labels on classes of equal size, in [0, 1 - 1 / K).
    sparsity: share of confusions that do not occur, in [0, 1).
    seed: integer in [0, 2**64).

  Returns:
    T[i, j] = P(noisy = j | clean = i), float64[K, K].

  Raises:
    ValueError: an argument is out of range, or no matrix is found that can be
      learned from.
  """
  check(num_classes, rate)
  if not 0 <= sparsity < 1:
    raise ValueError(f'sparsity must be in [0, 1), not {sparsity}')
  draws = _Draws(checks.check_seed(seed))
  if rate == 0:
    return np.eye(num_classes)
  for _ in range(_TRIES):
    matrix = _matrix(num_classes, rate, sparsity, draws)
    if (np.diag(matrix) > matrix.mean(axis=0)).all():
      return matrix
  raise ValueError(
    f'no random matrix of {num_classes} classes at rate {rate} was found that'
    ' can be learned from: give a lower rate'
  )


def check(num_classes: int, rate: float | int) -> None:
  """Checks that there are random matrices of so many classes at this rate.

  Raises:
    ValueError: there are none that can be learned from.
  """
  checks.check_rate(rate)
  if num_classes < 3:
    raise ValueError(
      f'a random matrix needs at least 3 classes, not {num_classes}'
    )
  if num_classes * (1 - rate) <= 1:
    raise ValueError(
      f'a random matrix of {num_classes} classes can be learned from only at a'
      f' rate below {1 - 1 / num_classes:.4g}, not at {rate}'
    )


def drawn(sparsity: float) -> Noise:
  """Makes the noise that draws its matrix by the seed, then the labels."""

  def apply(labels, ids, num_classes, rate, seed, mode, images=None):
    del images
    matrix = random_matrix(num_classes, rate, sparsity, seed)
    noisy = corrupt(labels, matrix, seed=seed, mode=mode, ids=ids)
    return NoisyLabels(noisy, matrix)

  return apply


class _Draws:
  """Uniform numbers, one after the other."""

  def __init__(self, seed: int):
    self._seed = seed
    self._count = 0

  def __call__(self, *shape: int) -> Float64[np.ndarray, '...']:
    size = int(np.prod(shape))
    places: UInt64[np.ndarray, ' N'] = np.arange(
      self._count, self._count + size, dtype=np.uint64
    )
    self._count += size
    return hashing.uniform(hashing.MATRICES, self._seed, places).reshape(shape)

  def simplex(self, *shape: int) -> Float64[np.ndarray, '...']:
    """Numbers whose last axis sums to 1, uniformly: normalised exponentials."""
    sizes = -np.log1p(-self(*shape))
    return sizes / sizes.sum(axis=-1, keepdims=True)


def _matrix(num_classes, rate, sparsity, draws):
  diagonal = _bounded(num_classes * (1 - rate), num_classes, 1.0, _LEAST, draws)
  num_zeros = _zeros(num_classes, sparsity, diagonal, draws)
  # In a random order the first entries of each row are those that stay 0.
  ranks = np.argsort(np.argsort(draws(num_classes, num_classes - 1)))
  sizes = -np.log1p(-draws(num_classes, num_classes - 1))
  sizes[ranks < num_zeros[:, None]] = 0
  sizes *= ((1 - diagonal) / sizes.sum(axis=1))[:, None]
  matrix = np.zeros((num_classes, num_classes))
  matrix[~np.eye(num_classes, dtype=bool)] = sizes.ravel()
  np.fill_diagonal(matrix, diagonal)
  return matrix


def _zeros(num_classes, sparsity, diagonal, draws):
  """How many of each row's other entries are 0."""
  noisy = diagonal < 1
  count = int(num_classes * (num_classes - 1) * sparsity)
  count -= int((~noisy).sum()) * (num_classes - 1)
  most = num_classes - 2
  count = min(max(count, 0), most * int(noisy.sum()))
  zeros = np.zeros(num_classes, int)
  if not count:
    return zeros
  shares = _bounded(1.0, int(noisy.sum()), min(most / count, 1.0), 0.0, draws)
  numbers = np.round(shares * count).astype(int)
  while numbers.sum() > count:
    numbers[numbers.argmax()] -= 1
  while numbers.sum() < count:
    numbers[numbers.argmin()] += 1
  zeros[noisy] = numbers
  return zeros


def _bounded(total, size, most, least, draws):
  """`size` numbers in [least, most] that sum to `total`, drawn as cleanlab's.

  Uniformly; then the largest gives to the smallest until none is too large,
  and then again until none is too small.
  """
  values = draws.simplex(size) * total
  while values.max() > most + _ROUNDING:
    low, high = values.argmin(), values.argmax()
    reached = values[low] + values[high] - most
    back = (most - reached) * draws(1)[0]
    values[low], values[high] = reached + back, most - back
  while values.min() < least - _ROUNDING:
    low, high = values.argmin(), values.argmax()
    left = values[high] - (least - values[low])
    over = (left - least) * draws(1)[0]
    values[high], values[low] = left - over, least + over
  return np.clip(values, least, most)
