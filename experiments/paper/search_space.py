"""Where a search of settings looks."""

from collections.abc import Mapping, Sequence
import dataclasses
import math
from typing import Any

from sce_jax import methods
from sce_jax.errors import UserError

_EXAMPLE = '--search=loss.alpha=0.001..10'
# How far a setting above or below 0 is searched to either side, as factors.
_FACTORS = (10.0, 5.0, 2.0, 1.5, 1.2)


@dataclasses.dataclass(frozen=True)
class Range:
  """The values of a field that are tried.

  Attributes:
    low: the lowest.
    high: the highest.
    is_log: whether they are drawn evenly by their logarithms; they are all
      above or all below 0 then.
    is_whole: whether they are whole numbers.
  """

  low: float
  high: float
  is_log: bool = False
  is_whole: bool = False

  def __contains__(self, value: float) -> bool:
    return self.low <= value <= self.high

  def __str__(self) -> str:
    evenly = ', by logarithm' if self.is_log else ''
    return f'{self.low:g} to {self.high:g}{evenly}'


def default(
  loss: str, values: Mapping[str, Any], names: Sequence[str] | None = None
) -> dict[str, Range]:
  """The ranges of a method's numbers, by their paths.

  A share is searched from 0 to 1, by its logarithm where it is small and may
  not be 0, any other number up to a factor of ten to either side of the value
  that the config has, as far as the method takes it.

  Args:
    loss: the method's name in configs.
    values: its hyper-parameters.
    names: which of them; None: those that need no other program.
  """
  spec = methods.find(loss)
  if names is None:
    # The floor is a part of epsilon-softmax, not a setting of it.
    traced = methods.of_kind(loss, values, 'traced')
    names = [name for name in traced if name != 'floor']
  found = {}
  for name in names:
    made = _around(values[name], spec.hparams[name].rule)
    if made is not None:
      found[f'loss.{name}'] = made
  if not found:
    raise UserError(f'loss {loss!r} has no numbers to search: name another one')
  return found


def _around(value: Any, rule: methods.hparams.Rule) -> Range | None:
  """The range around a value; None if it is no number."""

  def fits(x: float) -> bool:
    return rule(x) is None

  if not _is_number(value):
    return None
  if methods.hparams.is_whole(value, rule):
    return Range(max(1, value // 3), 3 * value, is_whole=True)
  if fits(0.5) and not fits(1.5):
    low = 0.0 if fits(0.0) else min(0.01, value / 10)
    high = 1.0 if fits(1.0) else max(0.99, (1 + value) / 2)
    return Range(low, high, is_log=low > 0 and value < 0.1)
  if value == 0:
    return Range(0.0, 1.0)
  ends = [
    next(x for x in [*tried, value] if fits(x))
    for tried in ([value / f for f in _FACTORS], [value * f for f in _FACTORS])
  ]
  return Range(min(ends), max(ends), is_log=True)


def _is_number(value: Any) -> bool:
  return isinstance(value, int | float) and not isinstance(value, bool)


def _numbers_of_loss(config: Mapping[str, Any]) -> list[str]:
  return [
    path
    for path, value in config.items()
    if path.startswith('loss.') and _is_number(value)
  ]


def stand_ins(
  given: Sequence[str], loss: str, values: Mapping[str, Any]
) -> dict[str, float]:
  """A value for each hyper-parameter that the config lacks and must have.

  Such as a number whose paper does not say which one it chose. It is the low
  end of the range, as that is a value which the search may give it.

  Args:
    given: 'FIELD=LOW..HIGH' each.
    loss: the method's name in configs.
    values: its hyper-parameters in the config, without defaults.

  Returns:
    The values by path.

  Raises:
    UserError: one line that says what cannot be read or is not searched.
  """
  lows = {path: low for path, low, _ in map(_read, given)}
  found: dict[str, float] = {}
  for name, hparam in methods.find(loss).hparams.items():
    if hparam.kind == 'computed' or hparam.default is not None:
      continue
    if values.get(name) is not None:
      continue
    path = f'loss.{name}'
    if path not in lows:
      raise UserError(
        f'loss {loss!r} needs {name!r}, which the config does not have: search'
        f' it, --search={path}=LOW..HIGH'
      )
    found[path] = lows[path]
  return found


def _read(text: str) -> tuple[str, float, float]:
  """The field and the ends of 'FIELD=LOW..HIGH'."""
  path, _, values = text.partition('=')
  low, dots, high = values.partition('..')
  try:
    ends = (float(low), float(high))
  except ValueError:
    ends = (math.nan, math.nan)
  if not dots or not all(map(math.isfinite, ends)) or ends[0] >= ends[1]:
    raise UserError(f'--search={text}: give FIELD=LOW..HIGH, as in {_EXAMPLE}')
  return (path, *ends)


def parse(given: Sequence[str], config: Mapping[str, Any]) -> dict[str, Range]:
  """The ranges that a command line gives, by path.

  Args:
    given: 'FIELD=LOW..HIGH' each.
    config: all fields of the config, by path.

  Raises:
    UserError: one line that says what cannot be read or searched.
  """
  found = {}
  for text in given:
    path, low, high = _read(text)
    value = config.get(path)
    if not _is_number(value):
      raise UserError(
        f'--search={text}: the config has no number {path!r}; it has'
        f' {", ".join(_numbers_of_loss(config))}'
      )
    if path.startswith(('data.', 'noise.', 'eval.', 'checkpoint.', 'seed')):
      raise UserError(f'--search={text}: {path} is no setting of training')
    is_whole = isinstance(value, int) and low.is_integer() and high.is_integer()
    is_log = low * high > 0 and not is_whole
    found[path] = Range(low, high, is_log=is_log, is_whole=is_whole)
  return found
