"""Of which types the values of a record are: JSON may say anything.

A record is described by a TypedDict or a dataclass.
"""

from collections.abc import Iterator, Mapping, Sequence
import dataclasses
import math
import numbers
import types
import typing
from typing import Any, NewType

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


def _wrong(value: Any, hint: Any, path: str) -> Iterator[tuple[str, Any]]:
  """What is of another type: (its path, the value)."""
  kind, inner = typing.get_origin(hint) or hint, typing.get_args(hint)
  if kind in (types.UnionType, typing.Union):
    if not any(fits(value, x) for x in inner):
      # Of None or a record: what is wrong within the record.
      yield from _wrong(
        value, next(x for x in inner if x is not types.NoneType), path
      )
  elif typing.is_typeddict(kind) or dataclasses.is_dataclass(kind):
    yield from _wrong_fields(value, kind, path)
  elif not _is(value, kind):
    yield path, value
  elif inner and issubclass(kind, Mapping):
    for name, one in value.items():
      yield from _wrong(name, inner[0], path)
      yield from _wrong(one, inner[1], _join(path, name))
  elif inner and issubclass(kind, Sequence):
    for one in value:
      yield from _wrong(one, inner[0], path)


def _wrong_fields(
  value: Any, kind: Any, path: str
) -> Iterator[tuple[str, Any]]:
  if not isinstance(value, Mapping):
    yield path, value
    return
  hints = typing.get_type_hints(kind)
  if dataclasses.is_dataclass(kind):
    fields = dataclasses.fields(kind)
    needed = {x.name for x in fields if _has_no_default(x)}
    yield from ((_join(path, x), value[x]) for x in value if x not in hints)
  else:
    needed = kind.__required_keys__
  for name in sorted(needed - value.keys()):
    yield _join(path, name), types.NoneType
  for name, hint in hints.items():
    if name in value:
      yield from _wrong(value[name], hint, _join(path, name))


def _has_no_default(field: dataclasses.Field) -> bool:
  missing = dataclasses.MISSING
  return field.default is missing and field.default_factory is missing


def _is(value: Any, kind: Any) -> bool:
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
