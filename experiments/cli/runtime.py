"""What all commands share: reading the command line, and how they end."""

from collections.abc import Sequence
import difflib
import errno
import importlib
import os
import pathlib
import re
import sys
import textwrap
import time
import traceback
from types import ModuleType
from typing import NoReturn

from absl import flags, logging
from ml_collections import config_flags

from experiments.cli import field_flags
from sce_jax.errors import NonFiniteLoss, UserError
from sce_jax.exit_codes import ExitCode
from sce_jax.parallel import preemption, processes
from sce_jax.storage import paths

COMMANDS = ('train', 'compare', 'evaluate', 'report', 'experiment', 'sweep')
REPOSITORY = pathlib.Path(__file__).parents[2]
# What absl defines in every set of flags.
_OF_ABSL = ('flagfile', 'undefok')
_FIELD = re.compile(r'--config(\.\w+|\[\d+\])+')
_HELP = ('--help', '-h', '-help', '--helpfull', '--helpshort')


def run(argv: Sequence[str]) -> int:
  """Runs a command line.

  Args:
    argv: the program and what follows it.

  Returns:
    The exit code, one of sce_jax/exit_codes.py.
  """
  # A terminal without a letter of a folder's name shows its code in its place.
  for stream in (sys.stdout, sys.stderr):
    if hasattr(stream, 'reconfigure'):
      stream.reconfigure(errors='backslashreplace')
  # Silence JAX's warnings about missing backends.
  logging.set_verbosity(logging.WARNING)
  try:
    code = _run(argv[1:])
    sys.stdout.flush()
    return code
  except BrokenPipeError:  # Such as head, which has seen enough.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.NO_READER


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


def _run(arguments: Sequence[str]) -> int:
  workdir = None
  try:
    name, rest = _command(arguments)
    if any(flag in rest for flag in _HELP):
      print(_help(name, explicit=name in arguments[:1]))
      return ExitCode.DONE
    values = flags_of(name, rest)
    left = _parse(name, values, rest)
    workdir = values.workdir
    code = load(name).main(values, left)
    processes.barrier()
    return code or ExitCode.DONE
  except UserError as error:
    processes.report_error(f'error: {error}')
    return ExitCode.BAD_INPUT
  except NonFiniteLoss as error:
    processes.barrier()
    processes.report_error(f'error: {error}')
    return ExitCode.DIVERGED
  except preemption.Preempted as notice:
    processes.barrier()
    processes.report_error(str(notice))
    return ExitCode.PREEMPTED
  except preemption.Interrupted as notice:
    processes.report_error(str(notice))
    return ExitCode.INTERRUPTED
  except BrokenPipeError:
    raise
  except Exception as error:  # noqa: BLE001  Told in a line, or logged.
    known = _explain(error, workdir)
    processes.report_error(
      f'error: {known}' if known else _crash(error, workdir)
    )
    return ExitCode.CRASHED


def call(name: str, *arguments: str) -> int | None:
  """Runs another command from within a command."""
  values = flags_of(name, arguments)
  return load(name).main(values, _parse(name, values, arguments))


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


def _help(name: str, *, explicit: bool) -> str:
  if not explicit:
    lines = [sys.modules['__main__'].__doc__ or '', 'Commands:', '']
    for command in COMMANDS:
      title = (load(command).__doc__ or '').partition('\n')[0]
      lines.append(f'  {command:12}{title}')
    lines += ['', 'Flags of a command: python launch.py COMMAND --help']
    return '\n'.join(lines).strip()
  values = flags_of(name)
  lines = [(load(name).__doc__ or '').strip(), '', 'Flags:', '']
  for flag in (values[name] for name in values):
    if flag.name in _OF_ABSL:
      continue
    usage = f'--{flag.name}' if flag.boolean else f'--{flag.name}=...'
    if flag.default not in (None, [], '', False):
      usage = f'--{flag.name}={flag.default_as_str.strip(chr(39))}'
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


def _explain(error: BaseException | None, workdir: str | None) -> str | None:
  """What an error of another library means to the user; None: it is a bug."""
  while error is not None:
    text = str(error)
    if 'out of memory' in text.lower():
      return (
        "the device's memory is too small: train with a smaller"
        ' --config.train.batch_size'
      )
    if (
      isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    ) or 'No space left on device' in text:
      return (
        f'the disk of {workdir or "runs"} is full: make room, and give the same'
        ' command again; it resumes from the last whole checkpoint'
      )
    error = error.__cause__ or error.__context__
  return None


def _crash(error: Exception, workdir: str | None) -> str:
  """Keeps the traceback of a bug in a file, and shows it."""
  trace = traceback.format_exc()
  folder = pathlib.Path(
    'runs' if paths.is_cloud(workdir or '') else workdir or 'runs'
  )
  if folder.is_dir():
    stamp = time.strftime('%Y-%m-%d %H:%M:%S')
    try:
      with open(folder / 'crash.log', 'a', encoding='utf-8') as file:
        file.write(f'{stamp} {" ".join(sys.argv)}\n{trace}\n')
      trace += f'(kept in {folder / "crash.log"})\n'
    except OSError:
      pass
  line = ' '.join(str(error).split())
  return f'{trace}error: unexpected {type(error).__name__}: {line}'


def start(values: flags.FlagValues) -> None:
  """Prepares this process for training: devices, processes, trackers.

  Raises:
    UserError: the flags do not fit together, a folder cannot be used, or jax
      finds no device.
  """
  from sce_jax.engine import compilation_cache  # noqa: PLC0415  Imports jax.
  from sce_jax.parallel import startup  # noqa: PLC0415
  from sce_jax.runs import trackers  # noqa: PLC0415

  compilation_cache.enable()
  startup.initialize(
    values.coordinator, values.num_processes, values.process_id
  )
  startup.check_devices()
  trackers.enable(list(values.tracker))
  processes.on_primary(lambda: paths.check(values.workdir))
  named = values.data_dir or os.environ.get('TFDS_DATA_DIR')
  processes.on_primary_then_others(lambda: paths.check(named))


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


def define_config(
  values: flags.FlagValues, argv: list[str], none: str = ''
) -> None:
  """Defines --config and those of its fields that the command line changes."""
  field_flags.allow_none()
  config_flags.DEFINE_config_file(
    'config',
    None,
    'configs/DATASET.py:LOSS,NOISE,RATE and any of recipe=, seed=, tiny; any'
    ' field follows as --config.optim.learning_rate=0.1. All fields:'
    f' configs/common.py.{none}',
    flag_values=values,
    sys_argv=argv,
    # What a config need not name, such as a loss's hyper-parameters, can be
    # given all the same; unknown names are refused when it is checked.
    lock_config=False,
    accept_new_attributes=True,
  )


def define_workdir(values: flags.FlagValues, text: str) -> None:
  """Defines --workdir."""
  flags.DEFINE_string('workdir', None, text, flag_values=values)


def define_scale(values: flags.FlagValues) -> None:
  """Defines --scale."""
  flags.DEFINE_string(
    'scale',
    'short',
    "full (the paper's protocol), short (hours on a CPU at most) or tiny"
    ' (seconds, shows nothing).',
    flag_values=values,
  )


def define_data_dir(values: flags.FlagValues) -> None:
  """Defines --data_dir."""
  flags.DEFINE_string(
    'data_dir',
    None,
    "Folder of prepared tfds data. None: $TFDS_DATA_DIR, or tfds's default.",
    flag_values=values,
  )


def define_tracker(values: flags.FlagValues) -> None:
  """Defines --tracker."""
  flags.DEFINE_list(
    'tracker',
    [],
    'wandb: Weights & Biases, beside TensorBoard.',
    flag_values=values,
  )


def define_run_flags(values: flags.FlagValues) -> None:
  """Defines the flags of all commands that use devices."""
  define_data_dir(values)
  define_tracker(values)
  flags.DEFINE_string(
    'coordinator',
    None,
    'Several processes as one: HOST:PORT of process 0, any free port. Found'
    ' automatically in a Slurm step and on a Cloud TPU slice.',
    flag_values=values,
  )
  flags.DEFINE_integer(
    'num_processes',
    None,
    'How many processes there are, usually one per host. 1: only this one,'
    ' also on Slurm and Cloud TPU.',
    lower_bound=1,
    flag_values=values,
  )
  flags.DEFINE_integer(
    'process_id',
    None,
    'Which of them this is, from 0 on; 0 writes the folder of the run.',
    lower_bound=0,
    flag_values=values,
  )
