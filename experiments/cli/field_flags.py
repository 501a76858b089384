"""Flags of a config's fields: None and none set back those that may be None."""

from typing import Any

from absl import flags
from ml_collections import config_flags
from ml_collections.config_flags import tuple_parser


def allow_none() -> None:
  """Lets the flags of all fields be None.

  Fields that may be None are typed by what else they are, and ml_collections
  parses their flags by type. Whether a field may be None is checked with the
  config.
  """
  for kind, parser in (
    (int, flags.IntegerParser()),
    (float, flags.FloatParser()),
    (str, flags.ArgumentParser()),
  ):
    config_flags.register_flag_parser_for_type(kind, _OrNone(parser))
  config_flags.register_flag_parser_for_type(tuple, _TupleOrNone())


class _OrNone(flags.ArgumentParser):
  """Parses a flag of a field as another parser does, and None or none."""

  def __init__(self, parser: flags.ArgumentParser):
    self._parser = parser
    self.syntactic_help = parser.syntactic_help

  def parse(self, argument: Any) -> Any:
    return None if _is_none(argument) else self._parser.parse(argument)

  def flag_type(self) -> str:
    return self._parser.flag_type()


class _TupleOrNone(tuple_parser.TupleParser):
  """Parses a flag of a list; None and none become (None,): it must be one."""

  def parse(self, argument: Any) -> tuple[Any, ...]:
    if isinstance(argument, list) and len(argument) == 1:
      (argument,) = argument
    return (None,) if _is_none(argument) else super().parse(argument)


def _is_none(argument: Any) -> bool:
  return isinstance(argument, str) and argument in ('None', 'none')
