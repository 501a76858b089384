"""Reads the command line: the command, its flags, and what is no flag."""

from collections.abc import Sequence
import difflib
import importlib
import os
import pathlib
import re
import sys
import textwrap
from types import ModuleType
from typing import NoReturn

from absl import flags
from ml_collections import config_flags

from sce_jax.errors import UserError

COMMANDS = (
  'train',
  'compare',
  'evaluate',
  'audit',
  'labels',
  'report',
  'experiment',
  'sweep',
  'export',
  'predict',
)
REPOSITORY = pathlib.Path(__file__).parents[2]
# What absl defines in every set of flags.
_OF_ABSL = ('flagfile', 'undefok')
_FIELD = re.compile(r'--config(\.\w+|\[\d+\])+')
_HELP = ('--help', '-h', '-help', '--helpfull', '--helpshort')


def parse(
  arguments: Sequence[str],
) -> tuple[ModuleType, flags.FlagValues, list[str]] | None:
  """Reads a command line; prints its help if it asks for that.

  Args:
    arguments: what follows the program.

  Returns:
    The command, its flags, what is no flag. None: help was printed.

  Raises:
    UserError: it cannot be read.
  """
  name, rest = _command(arguments)
  if any(flag in rest for flag in _HELP):
    print(_help(name) if arguments[0] == name else _overview())
    return None
  values = flags_of(name, rest)
  return load(name), values, _parse(name, values, rest)


def load(name: str) -> ModuleType:
  """The module of a command."""
  return importlib.import_module(f'experiments.cli.{name}')


def flags_of(name: str, arguments: Sequence[str] = ()) -> flags.FlagValues:
  """The flags of a command, not yet parsed.

  Args:
    name: the command.
    arguments: what will be parsed: ml_collections defines a flag for each
      --config.FIELD that it finds there.
  """
  values = flags.FlagValues()
  values.set_gnu_getopt(True)
  load(name).define_flags(values, ['launch.py', *arguments])
  return values


def _command(arguments: Sequence[str]) -> tuple[str, list[str]]:
  """The command, given or by default, and the rest of the line."""
  if arguments and not arguments[0].startswith('-'):
    name, *rest = arguments
    if name not in COMMANDS:
      near = difflib.get_close_matches(name, COMMANDS, 1)
      meant = f': did you mean {near[0]}?' if near else ''
      raise UserError(
        f'{name!r} is not a command{meant} (commands: {", ".join(COMMANDS)})'
      )
    return name, rest
  given = any(a.lstrip('-').partition('=')[0] == 'config' for a in arguments)
  return 'train' if given else 'compare', list(arguments)


def _overview() -> str:
  lines = [sys.modules['__main__'].__doc__ or '', 'Commands:', '']
  for command in COMMANDS:
    title = (load(command).__doc__ or '').partition('\n')[0]
    lines.append(f'  {command:12}{title}')
  lines += ['', 'Flags of a command: python launch.py COMMAND --help']
  return '\n'.join(lines).strip()


def _help(name: str) -> str:
  values = flags_of(name)
  lines = [(load(name).__doc__ or '').strip(), '', 'Flags:', '']
  for flag in (values[name] for name in values):
    if flag.name in _OF_ABSL:
      continue
    usage = f'--{flag.name}' if flag.boolean else f'--{flag.name}=...'
    if flag.default not in (None, [], '', False):
      usage = f'--{flag.name}={flag.default}'
    lines.append(
      textwrap.fill(
        flag.help.partition(';\n')[0],  # Less what absl adds.
        79,
        initial_indent=f'  {usage:20} ',
        subsequent_indent=' ' * 23,
      )
    )
  return '\n'.join(lines)


def _parse(
  name: str, values: flags.FlagValues, arguments: Sequence[str]
) -> list[str]:
  """Parses the flags of a command.

  Returns:
    What is left: what is no flag.

  Raises:
    UserError: they cannot be parsed.
  """
  try:
    rest = values(['launch.py', *map(_locate, arguments)])[1:]
    if 'config' in values and values['config'].present:
      values.config.keys()  # A file that is missing shows only on use.
    return rest
  except flags.UnrecognizedFlagError as error:
    _refuse_flag(name, error)
  except (AttributeError, KeyError) as error:
    # From ml_collections: the name in quotes, perhaps quoted once more, and
    # perhaps a likely one after it.
    text = str(error.args[0]).encode().decode('unicode_escape')
    field, _, hint = text.partition('\n')
    field, hint = field.strip('\'"'), hint.strip("'")
    message = f'the config has no field {field!r}. {hint}'.strip()
  except OSError:
    file = config_flags.get_config_filename(values['config'])
    message = f'config file {file!r} is not there: use one of configs/*.py'
  except flags.Error as error:
    message = _message(error)
  raise UserError(f'{message} (see python launch.py {name} --help)')


def _locate(argument: str) -> str:
  """An argument with a config's file as it is found: in ~, beside launch.py.

  Raises:
    UserError: it names a field as ml_collections cannot read it.
  """
  flag, equals, value = argument.partition('=')
  if flag.startswith('--config.') and not _FIELD.fullmatch(flag):
    raise UserError(
      f'{argument!r} is not understood: give --config.FIELD=VALUE, such as'
      ' --config.optim.momentum=0.9'
    )
  if flag.lstrip('-') != 'config' or not equals:
    return argument
  file, colon, rest = value.partition(':')
  file = os.path.expanduser(file)
  if not os.path.exists(file) and (REPOSITORY / file).exists():
    file = str(REPOSITORY / file)
  return f'{flag}={file}{colon}{rest}'


def _refuse_flag(name: str, error: flags.UnrecognizedFlagError) -> NoReturn:
  flag = error.flagname
  others = [c for c in COMMANDS if c != name and flag in flags_of(c)]
  if others:
    raise UserError(
      f'--{flag} is a flag of {" and ".join(others)}, not of {name}: use'
      f' python launch.py {others[0]} ...'
    ) from None
  if flag.startswith('config.') and 'config' in flags_of(name):
    raise UserError(f'--{flag} needs a --config before it') from None
  raise UserError(
    f'{_message(error)} (see python launch.py {name} --help)'
  ) from None


def _message(error: flags.Error) -> str:
  lines = str(error).strip().splitlines()
  if any(line.startswith('Traceback') for line in lines):
    # A config's own complaint, which ml_collections wraps in its traceback.
    return lines[-1].partition(': ')[2]
  return ' '.join(lines)


def no_arguments(arguments: Sequence[str]) -> None:
  """Refuses what is no flag.

  Raises:
    UserError: there is something.
  """
  if arguments:
    hint = ' (commands come first)' if arguments[0] in COMMANDS else ''
    raise UserError(
      f'{arguments[0]!r} is not a flag: flags begin with --{hint}'
    )


def config_file(values: flags.FlagValues) -> str | None:
  """The file that --config names."""
  if not values['config'].present:
    return None
  return config_flags.get_config_filename(values['config']).partition(':')[0]
