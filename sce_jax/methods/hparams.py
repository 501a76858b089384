"""A hyper-parameter: its default, its range, and when its value is needed."""

from collections.abc import Callable
import dataclasses
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np

_TINY = float(np.finfo(np.float32).tiny)
_FINITE = 'that is finite'

# A value -> what is wrong with it and what to do, None if nothing is.
Rule = Callable[[Any], str | None]


@dataclasses.dataclass(frozen=True)
class Hparam:
  """A hyper-parameter of a method.

  Attributes:
    default: its value where a config gives none; None: it must be given.
    rule: what values it may take.
    kind: 'traced': an argument of the program, so that runs which differ in it
      share one; 'static': compiled in; 'host': only read before training;
      'computed': not given by the config, but made by the method's `prepare`.
  """

  default: Any
  rule: Rule
  kind: Literal['traced', 'static', 'host', 'computed'] = 'traced'


def number(
  inside: Callable[[float], bool] = lambda x: True, wanted: str = ''
) -> Rule:
  """A finite number of which `inside` holds, also once it is float32."""

  def rule(value: Any) -> str | None:
    array = as_array(value)
    if array is None or array.ndim:
      return f'is {_short(value)}; give a number {wanted or _FINITE}'
    x, seen = float(array), as_float32(array)
    if np.isfinite(seen) and inside(x) and inside(seen):
      return None
    limits = wanted
    if not np.isfinite(seen):
      limits = f'{_FINITE} and {wanted}' if wanted else _FINITE
    rounded = ''
    if np.isfinite(x) and inside(x):
      rounded = f', which is {seen:g} in float32'
    return f'is {_short(value)}{rounded}; give a number {limits}'

  return rule


NOT_NEGATIVE = number(lambda x: x >= 0, 'of at least 0')
WEIGHT = number(lambda x: 0 <= x <= 1, 'from 0 to 1')
POSITIVE = number(lambda x: x > 0, 'above 0')
SHARE = number(lambda x: 0 < x < 1, 'above 0 and below 1')
UP_TO_ONE = number(lambda x: 0 < x <= 1, 'above 0 and at most 1')
BELOW_ONE = number(lambda x: 0 <= x < 1, 'in [0, 1)')


def is_int(value: Any) -> bool:
  """Whether it is a whole number by its type."""
  return isinstance(value, int | np.integer) and not isinstance(value, bool)


def whole(low: int) -> Rule:
  """A whole number of at least `low`."""

  def rule(value: Any) -> str | None:
    if is_int(value) and value >= low:
      return None
    return f'is {_short(value)}; give a whole number of at least {low}'

  return rule


def is_whole(value: Any, rule: Rule) -> bool:
  """Whether it is an int, of a hyper-parameter that has whole numbers alone."""
  return is_int(value) and not any(
    rule(x) is None for x in (value - 0.5, value + 0.5)
  )


def one_of(*names: str) -> Rule:
  """One of some names."""

  def rule(value: Any) -> str | None:
    if isinstance(value, str) and value in names:
      return None
    return f'is {_short(value)}; give one of {", ".join(names)}'

  return rule


def flag() -> Rule:
  """True or false."""

  def rule(value: Any) -> str | None:
    if isinstance(value, bool):
      return None
    return f'is {_short(value)}; give True or False'

  return rule


def transition_matrix(
  *, invertible: bool = False, reachable: bool = False
) -> Rule:
  """A transition matrix.

  Args:
    invertible: whether it must be invertible.
    reachable: whether every class must have a source.
  """

  def rule(value: Any) -> str | None:
    t = as_array(value)
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
    if reachable and not t.any(axis=0).all():
      j = np.flatnonzero(~t.any(axis=0))[0]
      return f'has only zeros in column {j}; let some class turn into class {j}'
    # Past this the float32 solve has few digits left.
    if invertible and np.linalg.cond(t) > 1e5:
      return (
        "is not invertible; lower its noise rate, or use the loss 'forward'"
      )
    return None

  return rule


def as_array(value: Any) -> np.ndarray | None:
  """Returns a real-valued array of float64, or None for anything else."""
  try:
    array = np.asarray(value)
  except ValueError:  # a ragged list
    return None
  real = jnp.issubdtype(array.dtype, jnp.integer) or jnp.issubdtype(
    array.dtype, jnp.floating
  )
  return array.astype(np.float64) if real else None


def as_float32(value: Any) -> float:
  """Returns the value of a number in the program, which computes in float32.

  XLA may take a subnormal number for 0.
  """
  with np.errstate(over='ignore', under='ignore'):
    seen = float(np.float32(value))
  return 0.0 if abs(seen) < _TINY else seen


def _short(value: Any) -> str:
  return ' '.join(repr(value).split())[:60]
