"""Of which types the values of a record are: JSON may say anything.

A record is described by a TypedDict or a dataclass.
"""

from collections.abc import Iterator, Mapping
import dataclasses
import functools
import math
import numbers
import types
import typing
from typing import Any, NewType, TypeAlias

_Wrong: TypeAlias = Iterator[tuple[str, Any]]
# A text that can be written: JSON has others, such as "\\ud800".
Text = NewType('Text', str)


def check(record: Any, hint: Any) -> None:
  """Checks a record's values.

  Args:
    record: what was read.
    hint: its type: a TypedDict, of which what else is there is not looked at; a
      dataclass, which has nothing else; or any that `fits` knows.

  Raises:
    ValueError: the first value of another type; one line.

  Examples:
    >>> check({'rates': [0.2, 'high']}, dict[str, list[float]])
    Traceback (most recent call last):
      ...
    ValueError: its rates is 'high'
  """
  for path, value in _wrong(record, hint, ''):
    raise ValueError(f'its {path or "content"} is {_shown(value)}')


def is_text(text: str) -> bool:
  """Whether it can be written: a file's name may have bytes of no text."""
  return not any('\ud800' <= x <= '\udfff' for x in text)


def fits(value: Any, hint: Any) -> bool:
  """Whether a value is of a type.

  Numbers of type int or float are finite and of at most 64 bits, and a whole
  one is a float; numbers.Real may be nan and infinite. A list is a tuple.
  """
  return next(_wrong(value, hint, ''), None) is None


@functools.cache
def _parts(hint: Any) -> tuple[Any, tuple[Any, ...], bool]:
  """Its origin, what it is of, and whether it is of one plain value."""
  kind, inner = typing.get_origin(hint) or hint, typing.get_args(hint)
  if kind in (types.UnionType, typing.Union):
    return kind, inner, all(_parts(x)[2] for x in inner)
  is_record = typing.is_typeddict(kind) or dataclasses.is_dataclass(kind)
  return kind, inner, not (inner or is_record)


@functools.cache
def _hints(kind: Any) -> tuple[dict[str, Any], frozenset[str]]:
  """The types of a record's fields, and those that it must have."""
  if not dataclasses.is_dataclass(kind):
    return typing.get_type_hints(kind), kind.__required_keys__
  none = dataclasses.MISSING
  needed = {
    x.name
    for x in dataclasses.fields(kind)
    if x.default is none and x.default_factory is none
  }
  return typing.get_type_hints(kind), frozenset(needed)


def _wrong(value: Any, hint: Any, path: str) -> _Wrong:
  """What is of another type: (its path, the value)."""
  kind, inner, is_plain = _parts(hint)
  if is_plain:
    if not _is(value, hint):
      yield path, value
  elif kind in (types.UnionType, typing.Union):
    if not any(fits(value, x) for x in inner):
      # Of None or a record: what is wrong within the record.
      rest = [x for x in inner if x is not types.NoneType]
      yield from _wrong(value, rest[0], path)
  elif not inner:
    yield from _wrong_fields(value, kind, path)
  elif not _is(value, kind):
    yield path, value
  elif issubclass(kind, Mapping):
    for name, one in value.items():
      if not _is(name, inner[0]):
        yield path, name
      yield from _wrong(one, inner[1], _join(path, name))
  # Of thousands of figures, all at once.
  elif not (_parts(inner[0])[2] and all(_is(x, inner[0]) for x in value)):
    for one in value:
      yield from _wrong(one, inner[0], path)


def _wrong_fields(value: Any, kind: Any, path: str) -> _Wrong:
  if not isinstance(value, Mapping):
    yield path, value
    return
  hints, needed = _hints(kind)
  if dataclasses.is_dataclass(kind):
    yield from ((_join(path, x), value[x]) for x in value if x not in hints)
  for name in sorted(needed - value.keys()):
    yield _join(path, name), types.NoneType
  for name, hint in hints.items():
    if name in value:
      yield from _wrong(value[name], hint, _join(path, name))


# Without annotations: beartype would check each of a run's figures again.
def _is(value, hint):
  """Whether a value is of a plain type, or of one of several."""
  kind, inner, _ = _parts(hint)
  if inner:
    return any(_is(value, x) for x in inner)
  if kind in (int, float, numbers.Real):
    # A whole number is left as it is: 1 and 1.0 are the same setting.
    if isinstance(value, int) and not isinstance(value, bool):
      return abs(value) < 2**64
    if kind is int or not isinstance(value, float):
      return False
    return kind is numbers.Real or math.isfinite(value)
  if kind is Text:
    return isinstance(value, str) and is_text(value)
  if kind is Any:
    return True
  return isinstance(value, (tuple, list) if kind is tuple else kind)


def _join(path: str, name: Any) -> str:
  return f'{path}.{name}'.lstrip('.')


def _shown(value: Any) -> str:
  if value is types.NoneType:
    return 'missing'
  text = repr(value)
  return text if len(text) < 100 else f'{text[:100]}...'
