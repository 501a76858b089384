"""Reads the command line; what cannot be read is told in one line."""

from collections.abc import Callable
import os
import sys

from absl import app, flags
from ml_collections import config_flags

# What a shell shows for a process that has lost its reader.
_NO_READER = 128 + 13


def run(main: Callable[[list[str]], None]) -> None:
  """Runs a program, as app.run does; ends it quietly when its reader does."""
  try:
    app.run(main, flags_parser=parse)
  except BrokenPipeError:  # Such as head, which has seen enough.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(_NO_READER)


def parse(argv: list[str]) -> list[str]:
  """Parses the flags, or ends the process with one line and exit code 1.

  Args:
    argv: the command line.

  Returns:
    What is left of it: the program's name and what is no flag.
  """
  try:
    # A plain --sweep is that of no name.
    argv = ['--sweep=' if flag == '--sweep' else flag for flag in argv]
    rest = flags.FLAGS(argv)
    config = flags.FLAGS['config']
    if config.present:
      config.value.keys()  # A file that is not there shows only on use.
    return rest
  except (AttributeError, KeyError) as error:
    # From ml_collections: the name in quotes, perhaps quoted once more, and
    # perhaps a likely one after it.
    text = str(error.args[0]).encode().decode('unicode_escape')
    name, _, hint = text.partition('\n')
    name, hint = name.strip('\'"'), hint.strip("'")
    _refuse(f'the config has no field {name!r}. {hint}'.strip())
  except OSError:
    file = config_flags.get_config_filename(config)
    _refuse(f'config file {file!r} is not there: use one of configs/*.py')
  except flags.Error as error:
    _refuse(_message(error))


def _message(error: flags.Error) -> str:
  lines = str(error).strip().splitlines()
  if any(line.startswith('Traceback') for line in lines):
    # A config's own complaint, which ml_collections wraps in its traceback.
    return lines[-1].partition(': ')[2]
  return ' '.join(lines)


def _refuse(message: str) -> None:
  sys.exit(f'error: {message} (see python launch.py --help)')
