"""Checks of arguments: ValueErrors of one line, what is wrong and what to do.

The shapes in the annotations are checked only under the tests' import hook;
these checks are for users. So the arguments here have no annotations.
"""

import numpy as np

_ROW_SUM_TOLERANCE = 1e-9


def check_rate(rate):
  """The rate is in [0, 1)."""
  # Negated, for NaN compares false.
  if not 0 <= rate < 1:
    raise ValueError(
      f'noise rate must be in [0, 1), not {rate}: give it as a share,'
      ' 0.4 for 40 %'
    )


def check_num_classes(num_classes):
  """There are two classes or more."""
  if num_classes < 2:
    raise ValueError(
      f'label noise needs at least 2 classes, not {num_classes}: give the'
      " data set's number of classes"
    )


def check_seed(seed):
  """The seed is an integer of 64 bits; returns it as an int."""
  if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
    raise ValueError(f'seed must be an integer, not {seed!r}')
  if not 0 <= seed < 2**64:
    raise ValueError(f'seed must be in [0, 2**64), not {seed}')
  return int(seed)


def check_matrix(matrix):
  """The matrix is square, and each row a distribution."""
  shape = np.shape(matrix)
  if not isinstance(matrix, np.ndarray) or shape != (len(matrix),) * 2:
    raise ValueError(
      'transition matrix must be a NumPy array of shape [K, K], not'
      f' {_describe(matrix)}'
    )
  if not (np.all(matrix >= 0) and np.all(matrix <= 1)):
    raise ValueError(
      'transition matrix must have all entries in [0, 1]: T[i, j] is'
      ' P(noisy = j | clean = i)'
    )
  sums = matrix.sum(axis=1)
  row = int(np.argmax(np.abs(sums - 1)))
  if abs(sums[row] - 1) > _ROW_SUM_TOLERANCE:
    raise ValueError(
      f'transition matrix must have rows that sum to 1: row {row} sums to'
      f' {sums[row]:.10g}; T[i, j] is P(noisy = j | clean = i)'
    )


def check_integers(name, array, size=None):
  """The array is integer[N], with N = size if a size is given."""
  if (
    not isinstance(array, np.ndarray)
    or not np.issubdtype(array.dtype, np.integer)
    or array.shape != (array.size if size is None else size,)
  ):
    raise ValueError(
      f'{name} must be a NumPy array of integers of shape'
      f' [{"N" if size is None else size}], not {_describe(array)}'
    )


def check_labels(name, labels, num_classes, size=None):
  """The labels are integer[N] in [0, K)."""
  check_integers(name, labels, size)
  if labels.size and not 0 <= labels.min() <= labels.max() < num_classes:
    raise ValueError(
      f'{name} must be in [0, {num_classes - 1}] for {num_classes} classes, not'
      f' in [{labels.min()}, {labels.max()}]'
    )


def check_ids(ids, size=None):
  """The ids are integer[N], all different."""
  check_integers('ids', ids, size)
  if np.unique(ids).size != ids.size:
    raise ValueError(
      'ids must be unique: give each example its own id, the same'
      ' wherever it is read'
    )


def _describe(value):
  if isinstance(value, np.ndarray):
    return f'{value.dtype} of shape {list(value.shape)}'
  return f'a {type(value).__name__}'
