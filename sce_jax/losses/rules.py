"""What values a hyper-parameter may take, by its name."""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

# (loss name, value) -> what is wrong and what to do, or None if nothing is.
Rule = Callable[[str, Any], str | None]


def _as_array(value: Any) -> np.ndarray | None:
  """Returns a real-valued array of float64, or None for anything else."""
  try:
    array = np.asarray(value)
  except ValueError:  # a ragged list
    return None
  real = jnp.issubdtype(array.dtype, jnp.integer) or jnp.issubdtype(
    array.dtype, jnp.floating
  )
  return array.astype(np.float64) if real else None


def _number(inside: Callable[[float], bool], wanted: str) -> Rule:
  def rule(loss: str, value: Any) -> str | None:
    del loss
    array = _as_array(value)
    if array is not None and array.ndim == 0:
      number = float(array)
      if np.isfinite(number) and inside(number):
        return None
    return f'is {" ".join(repr(value).split())[:60]}; give a number {wanted}'

  return rule


def _transition_matrix(loss: str, value: Any) -> str | None:
  t = _as_array(value)
  if t is None or t.ndim != 2 or t.shape[0] != t.shape[1] or len(t) < 2:
    shape = 'not an array of numbers' if t is None else f'of shape {t.shape}'
    return f'is {shape}; give the K x K matrix T[i, j] = P(noisy j | clean i)'
  if not np.all((t >= 0) & (t <= 1)):  # NaN fails this too
    i, j = np.argwhere(~((t >= 0) & (t <= 1)))[0]
    return f'has T[{i}, {j}] = {t[i, j]:g}; give probabilities, from 0 to 1'
  # Far above the rounding of float32 rows, far below a mistake that matters.
  wrong = np.flatnonzero(np.abs(t.sum(axis=1) - 1) > 1e-5)
  if wrong.size:
    total = t[wrong[0]].sum()
    return f'has row {wrong[0]} summing to {total:g}; make every row sum to 1'
  if loss == 'forward' and not t.any(axis=0).all():
    j = np.flatnonzero(~t.any(axis=0))[0]
    return f'has only zeros in column {j}; let some class turn into class {j}'
  # Past this the float32 solve of the backward correction has few digits left.
  if loss == 'backward' and np.linalg.cond(t) > 1e5:
    return "is not invertible; lower its noise rate, or use the loss 'forward'"
  return None


# By the name of the hyper-parameter, whichever losses have it. A name that is
# not here takes any finite number.
RULES: Mapping[str, Rule] = {
  'alpha': _number(lambda x: x >= 0, 'of at least 0'),
  'beta': _number(lambda x: x >= 0, 'of at least 0'),
  'log_zero': _number(lambda x: x < 0, 'below 0 (it stands for log 0)'),
  'q': _number(lambda x: 0 < x <= 1, 'above 0 and at most 1'),
  'smoothing': _number(lambda x: x < 1, 'below 1 (negative: NLS)'),
  'weight': _number(lambda x: 0 <= x <= 1, 'from 0 to 1'),
  'gamma': _number(lambda x: x >= 0, 'of at least 0'),
  'transition_matrix': _transition_matrix,
}
FINITE = _number(lambda x: True, 'that is finite')
