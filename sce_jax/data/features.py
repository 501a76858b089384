"""Feature vectors: D numbers for each example, instead of an image.

Embeddings, or the rows of a table. They lie in memory and on the device as
float32. Needs no jax.
"""

from jaxtyping import Float32, Float64
import numpy as np

from sce_jax.errors import UserError

# Of larger ones float32 does not hold the differences' quotients.
_LARGEST = 1e30
# A feature that varies by less, relative to its mean, varies by rounding.
_PRECISION = 1e-6
# A constant feature is divided by it: the network always sees 0, also where a
# later example has another value, of which nothing was learned.
CONSTANT = float(np.finfo(np.float32).max)
# Rows of which deviations are held in memory at a time.
_BLOCK = 8192


def check(where: str, values: np.ndarray) -> Float32[np.ndarray, 'N D']:
  """Feature vectors as float32.

  Args:
    where: what they are, for the message.
    values: [N, D], numbers of any type.

  Raises:
    UserError: one is no finite number, or too large.
  """
  if values.ndim != 2 or 0 in values.shape or values.dtype.kind not in 'biuf':
    raise UserError(
      f'{where} are {values.dtype} of shape {list(values.shape)}: give feature'
      ' vectors as numbers [N, D]'
    )
  with np.errstate(over='ignore'):
    found = values.astype(np.float32, copy=False)
  # Written so that NaN is bad.
  bad = np.argwhere(~(np.abs(found) <= _LARGEST))
  if len(bad):
    row, column = bad[0]
    raise UserError(
      f'{where}: row {row}, column {column} is {values[row, column]:g}: give'
      f' finite numbers up to {_LARGEST:g}, and fill in what is missing'
    )
  return found


def statistics(
  features: Float32[np.ndarray, 'N D'],
) -> tuple[Float64[np.ndarray, ' D'], Float64[np.ndarray, ' D']]:
  """Mean and standard deviation of each feature; CONSTANT of a constant one."""
  mean = features.mean(axis=0, dtype=np.float64)
  squares = np.zeros_like(mean)
  for start in range(0, len(features), _BLOCK):
    squares += np.square(features[start : start + _BLOCK] - mean).sum(axis=0)
  std = np.sqrt(squares / len(features))
  floor = np.maximum(_PRECISION * np.abs(mean), 1 / _LARGEST)
  return mean, np.where(std > floor, std, CONSTANT)
