"""What all commands share: how they start, and how they end."""

from collections.abc import Sequence
import errno
import importlib
import os
import pathlib
import shlex
import sys
import tempfile
import time
import traceback
from types import ModuleType

from absl import flags, logging

from experiments.cli import command_line
from sce_jax.errors import NonFiniteLoss, UserError
from sce_jax.exit_codes import ExitCode
from sce_jax.parallel import preemption, processes
from sce_jax.runs import progress
from sce_jax.storage import paths

# Why a disk cannot be written, and what to do.
_DISK = (
  ((errno.ENOSPC, errno.EDQUOT), 'the disk is full', 'make room'),
  ((errno.EFBIG,), 'files may not be so large', 'raise the limit (ulimit -f)'),
  ((errno.EIO,), 'a save failed', 'look whether its disk works'),
  ((errno.EROFS,), 'the disk is read-only', 'mount it for writing'),
)

# What jax says when it cannot reach another process.
_LOST = ('Gloo', 'coordination service', 'heartbeat')


def run(argv: Sequence[str]) -> int:
  """Runs a command line.

  Args:
    argv: the program and what follows it.

  Returns:
    The exit code, one of sce_jax/exit_codes.py.
  """
  _open_what_is_closed()
  # A terminal without a letter of a folder's name shows its code in its place.
  for stream in (sys.stdout, sys.stderr):
    if hasattr(stream, 'reconfigure'):
      stream.reconfigure(errors='backslashreplace')
  # Silence JAX's warnings about missing backends.
  logging.set_verbosity(logging.WARNING)
  try:
    return _run(argv[1:])
  except BrokenPipeError:  # Such as head, which has seen enough.
    return ExitCode.NO_READER
  finally:
    # What cannot be written would make Python end with a code of its own.
    for stream in (sys.stdout, sys.stderr):
      try:
        stream.flush()
      except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _open_what_is_closed() -> None:
  """Gives a process without standard streams the null device for them.

  Else the next file that is opened would be standard output for libraries.
  """
  while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
    os.set_inheritable(number, True)
  os.close(number)
  for number, name in enumerate(('stdin', 'stdout', 'stderr')):
    if getattr(sys, name) is None:
      mode = 'w' if number else 'r'
      stream = open(number, mode, closefd=False)  # noqa: SIM115  Stays open.
      setattr(sys, name, stream)


def _run(arguments: Sequence[str]) -> int:
  workdir = None
  try:
    code: int = ExitCode.DONE
    if (parsed := command_line.parse(arguments)) is not None:
      workdir = parsed[1].workdir if 'workdir' in parsed[1] else None
      code = _command(*parsed)
    sys.stdout.flush()
    return code
  except UserError as error:
    _report(f'error: {error}')
    return ExitCode.BAD_INPUT
  except NonFiniteLoss as error:
    processes.barrier()
    _report(f'error: {error}')
    return ExitCode.DIVERGED
  except preemption.Preempted as notice:
    processes.barrier()
    processes.report_error(str(notice))
    return ExitCode.PREEMPTED
  except KeyboardInterrupt as notice:
    text = str(notice) or 'interrupted; the same command resumes'
    processes.report_error(text)
    return ExitCode.INTERRUPTED
  except BrokenPipeError:
    raise
  except Exception as error:  # noqa: BLE001  Told in a line, or logged.
    known = _explain(error, workdir)
    _report(f'error: {known}' if known else _crash(error, workdir))
    return ExitCode.CRASHED


def _command(
  command: ModuleType, values: flags.FlagValues, rest: list[str]
) -> int:
  """Runs a command; returns its exit code."""
  if 'print_config' in values and values.print_config:
    _print_config(values)
    return ExitCode.DONE
  # Says what is wrong, or what will be done, before anything slow begins.
  if hasattr(command, 'opening') and (line := command.opening(values, rest)):
    # Of several processes the first one speaks.
    if 'process_id' not in values or not values.process_id:
      progress.log(line)
    sys.stdout.flush()
  with progress.phase('imports'):
    for name in getattr(command, 'IMPORTS', ()):
      importlib.import_module(name)
  code = command.main(values, rest)
  processes.barrier()
  return code or ExitCode.DONE


def _report(message: str) -> None:
  """Prints an error; its last line begins in red, where there are colours."""
  if processes.num_processes() == 1:
    before, error, after = message.rpartition('error: ')
    message = f'{before}{progress.styled(error, "red", sys.stderr)}{after}'
  processes.report_error(message)


def _print_config(values: flags.FlagValues) -> None:
  from experiments.cli import recorded  # noqa: PLC0415
  from sce_jax.config import check  # noqa: PLC0415  Imports jax.

  if values.config is None:
    raise UserError(
      '--print_config prints a config: name one, such as'
      ' --config=configs/digits.py'
    )
  print(recorded.text(check.check_config(values.config).to_dict()))


def _explain(error: BaseException | None, workdir: str | None) -> str | None:
  """What an error of another library means to the user; None: it is a bug."""
  while error is not None:
    text = str(error)
    if 'out of memory' in text.lower():
      return (
        "the device's memory is too small: train with a smaller"
        ' --config.train.batch_size'
      )
    if any(name in text for name in _LOST):
      return (
        'another of the processes was lost: give the same commands again; they'
        ' resume from the last whole checkpoint'
        f' ({" ".join(text.split())[:200]})'
      )
    number = error.errno if isinstance(error, OSError) else None
    for codes, what, advice in _DISK:
      # Of what orbax writes only the text is known.
      if number in codes or any(os.strerror(x) in text for x in codes):
        return (
          f'{_place(error, workdir)} cannot be written, {what}: {advice}, and'
          ' give the same command again; it resumes from the last whole'
          ' checkpoint'
        )
    error = error.__cause__ or error.__context__
  return None


def _place(error: BaseException, workdir: str | None) -> str:
  """What could not be written, as far as an error tells."""
  if isinstance(error, OSError) and isinstance(error.filename, str):
    return error.filename
  try:  # What it refused before it has forgotten.
    print(flush=True)
  except OSError:
    return 'standard output'
  folder = workdir or 'runs'
  if paths.is_cloud(folder):  # Checkpoints are made there before the upload.
    return f'{folder} or the temporary folder {tempfile.gettempdir()} (TMPDIR)'
  return folder


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
        file.write(f'{stamp} {shlex.join(sys.argv)}\n{trace}\n')
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
  from sce_jax.parallel import startup  # noqa: PLC0415  Imports jax.
  from sce_jax.runs import trackers  # noqa: PLC0415

  startup.initialize(
    values.coordinator,
    values.num_processes,
    values.process_id,
    heartbeat=values.heartbeat,
  )
  start_alone()
  trackers.enable(list(values.tracker))
  if 'workdir' in values:
    processes.on_primary(lambda: paths.check(values.workdir))
  named = values.data_dir or os.environ.get('TFDS_DATA_DIR')
  processes.on_primary_then_others(lambda: paths.check(named))


def start_alone() -> None:
  """Prepares this process to compute, without others.

  Raises:
    UserError: jax finds no device.
  """
  from sce_jax.engine import compilation_cache  # noqa: PLC0415  Imports jax.
  from sce_jax.parallel import startup  # noqa: PLC0415

  compilation_cache.enable()
  startup.check_devices()
