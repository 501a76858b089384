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

from sce_jax.config import base, fields
from sce_jax.errors import UserError
from sce_jax.storage import paths

COMMANDS = (
  'train',
  'prepare',
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
# Flags that are shown below a heading of their own, in this order.
GROUPS = {
  'Where it runs:': (
    'executor',
    'jobs',
    'pack',
    'retries',
    'shard',
    'address',
    'cpus',
    'gpus',
    'tpus',
  ),
  'Several processes that train as one:': (
    'coordinator',
    'num_processes',
    'process_id',
  ),
}
# What absl defines in every set of flags.
_OF_ABSL = ('flagfile', 'undefok')
RECORDED = str(pathlib.Path(__file__).with_name('recorded.py'))
_FILE = re.compile(r'--?config(_file)?=')
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
  if list(arguments[:1]) == ['help']:
    arguments = [*arguments[1:], '--help']
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
  given = any(
    a.lstrip('-').partition('=')[0] in ('config', 'config_file')
    for a in arguments
  )
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
  lines = [(load(name).__doc__ or '').strip(), '', 'Flags:']
  rank = {x: i for i, names in enumerate(GROUPS.values(), 1) for x in names}
  titles = ['', *GROUPS]
  before = None
  for flag in sorted(
    (values[name] for name in values), key=lambda f: rank.get(f.name, 0)
  ):
    if flag.name in _OF_ABSL:
      continue
    if before != (before := rank.get(flag.name, 0)):
      lines += ['', *filter(None, [titles[before]])]
    usage = f'--{flag.name}' if flag.boolean else f'--{flag.name}=...'
    if flag.default not in (None, [], '', False):
      usage = f'--{flag.name}={flag.default}'
    if len(usage) > 20:
      lines.append(f'  {usage}')
      usage = ''
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
    rest = values(['launch.py', *map(_locate, _joined(arguments))])[1:]
    if 'config' in values and values['config'].present:
      values.config.keys()  # A file that is missing shows only on use.
    for flag in (values[name] for name in values):
      if flag.present and flag.value == '' and '.' not in flag.name:
        raise _no_value(flag.name)
    return rest
  except flags.UnrecognizedFlagError as error:
    _refuse_flag(name, error)
  except (AttributeError, KeyError) as error:
    # From ml_collections: the name in quotes, perhaps quoted once more.
    text = str(error.args[0]).encode().decode('unicode_escape')
    field = text.partition('\n')[0]
    message = _unknown_field(field.strip('\'"'), arguments)
  except OSError:
    file = config_flags.get_config_filename(values['config'])
    message = f'config file {file!r} is not there: {_configs_like(file)}'
  except flags.Error as error:
    message = _message(error)
  raise UserError(f'{message} (see python launch.py {name} --help)')


def _no_value(flag: str) -> UserError:
  return UserError(f'--{flag}= has no value: give one, or leave the flag out')


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
  if flag.lstrip('-') in ('config', 'config_file') and equals and not value:
    raise _no_value(flag.lstrip('-'))
  if flag.lstrip('-') == 'config_file' and equals:
    return f'--config={RECORDED}:{os.path.expanduser(value)}'
  if flag.lstrip('-') != 'config' or not equals:
    return argument
  file, colon, rest = value.partition(':')
  file = os.path.expanduser(file)
  # As it is; beside launch.py; by the name of its data set.
  name = file.lower().removesuffix('.py')
  for found in (file, REPOSITORY / file, REPOSITORY / 'configs' / f'{name}.py'):
    if os.path.isfile(found):
      return f'{flag}={found}{colon}{rest}'
  return f'{flag}={file}{colon}{rest}'


def _joined(arguments: Sequence[str]) -> list[str]:
  """`--config FILE` as `--config=FILE`, and --config_file likewise."""
  joined: list[str] = []
  for argument in arguments:
    if joined and joined[-1].lstrip('-') in ('config', 'config_file'):
      joined[-1] += f'={argument}'
    else:
      joined.append(argument)
  given = [x for x in joined if _FILE.match(x)]
  if len(given) > 1:
    raise UserError(
      f'{" and ".join(given)}: give one of them, once (any field follows as'
      ' --config.FIELD=VALUE)'
    )
  return joined


def _configs_like(file: str) -> str:
  """What to use in place of a config file that is not there."""
  names = sorted(
    path.stem
    for path in (REPOSITORY / 'configs').glob('*.py')
    if path.stem not in ('__init__', 'common')
  )
  stem = pathlib.Path(file).stem
  near = difflib.get_close_matches(stem.lower(), names, 1)
  meant = f'is configs/{near[0]}.py meant? ' if near else ''
  return f'{meant}There are {", ".join(names)} in configs/'


def _unknown_field(field: str, arguments: Sequence[str]) -> str:
  """What to say of a --config.FIELD that there is not."""
  given = [
    x.partition('=')[0].removeprefix('--config.')
    for x in arguments
    if x.startswith('--config.')
  ]
  path = next((x for x in given if field in x.split('.')), field)
  known = fields.own(base.base_config('', '', '', 0.0, 0))
  return f'the config has no field {path!r}{fields.near(path, known)}'


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
  message = _message(error)
  field = fields.near(flag, fields.own(base.base_config('', '', '', 0.0, 0)))
  if field and 'Did you mean' not in message and 'config' in flags_of(name):
    raise UserError(
      f'--{flag} is not a flag{field} A field of the config is set by'
      ' --config.FIELD=VALUE, after --config=FILE'
    ) from None
  raise UserError(f'{message} (see python launch.py {name} --help)') from None


def _message(error: flags.Error) -> str:
  lines = str(error).strip().splitlines()
  if any(line.startswith('Traceback') for line in lines):
    # A config's own complaint, which ml_collections wraps in its traceback.
    return lines[-1].partition(': ')[2]
  return ' '.join(lines)


def refuse_unused(
  values: flags.FlagValues, names: Sequence[str], because: str
) -> None:
  """Refuses flags that were given and would change nothing.

  Args:
    values: the flags.
    names: which.
    because: what they belong to.

  Raises:
    UserError: one of them was given.
  """
  for name in names:
    if values[name].present:
      raise UserError(f'--{name} would change nothing: {because}; leave it out')


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
  """The file that --config names; None for a recorded config."""
  if not values['config'].present:
    return None
  file = config_flags.get_config_filename(values['config']).partition(':')[0]
  return None if file == RECORDED else paths.shown(os.path.abspath(file))
