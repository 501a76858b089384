"""What all benchmarks share: their command line, their clock, their table."""

import argparse
from collections.abc import Callable, Mapping, Sequence
import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import statistics
import sys
import time
from typing import Any, NoReturn

BAD_INPUT = 2
Row = Mapping[str, Any]


class Parser(argparse.ArgumentParser):
  """A benchmark's flags; refuses bad input in one line.

  Args:
    name: the benchmark's name.
    doc: its module's docstring.
    rounds: how often each call is timed by default; None for no such flag.
  """

  def __init__(self, name: str, doc: str | None, rounds: int | None = None):
    super().__init__(
      prog=f'python -m experiments.benchmarks.{name}',
      description=doc,
      formatter_class=argparse.RawDescriptionHelpFormatter,
      allow_abbrev=False,
    )
    self.add_argument('--json', metavar='FILE', help='also write the figures')
    if rounds is not None:
      self.add_argument(
        '--rounds', type=count, default=rounds, help='rounds to time'
      )

  def error(self, message: str) -> NoReturn:
    refuse(f'{message} (see --help)')

  def parse(self, argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses a command line (None: the process's) and checks --json."""
    args = self.parse_args(argv)
    if args.json and not _is_writable(pathlib.Path(args.json)):
      refuse(f'--json={args.json} cannot be written: is its folder there?')
    return args


def refuse(message: str) -> NoReturn:
  """Ends the process with one line and the code of bad input."""
  print(f'error: {message}', file=sys.stderr)
  sys.exit(BAD_INPUT)


def count(text: str) -> int:
  """A flag's type: a whole number of at least 1."""
  if not text.isdecimal() or int(text) < 1:
    raise argparse.ArgumentTypeError(
      f'{text!r} is not a whole number of at least 1'
    )
  return int(text)


def _is_writable(file: pathlib.Path) -> bool:
  return not file.is_dir() and os.access(
    file if file.exists() else file.parent, os.W_OK
  )


def say(message: str) -> None:
  """Tells the waiting user what is being measured."""
  print(message, file=sys.stderr, flush=True)


def interleave(
  calls: Mapping[str, Callable[[], object]], rounds: int
) -> dict[str, list[float]]:
  """Seconds of each call, which take turns so that noise hits all alike.

  Args:
    calls: functions that return when their work is done.
    rounds: how often each is timed, after one call to warm up.
  """
  for call in calls.values():
    call()
  seconds: dict[str, list[float]] = {name: [] for name in calls}
  for _ in range(rounds):
    for name, call in calls.items():
      start = time.perf_counter()
      call()
      seconds[name].append(time.perf_counter() - start)
  return seconds


def medians(seconds: Mapping[str, Sequence[float]]) -> dict[str, float]:
  """The median of each."""
  return {name: statistics.median(values) for name, values in seconds.items()}


def threads() -> int:
  """Processors that this process may use: what XLA takes, too."""
  if hasattr(os, 'sched_getaffinity'):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def processor() -> str:
  """The processor's name."""
  try:
    lines = pathlib.Path('/proc/cpuinfo').read_text().splitlines()
  except OSError:
    return platform.processor()
  names = [x.partition(':')[2].strip() for x in lines if 'model name' in x]
  return names[0] if names else platform.processor()


def machine(device: str | None = None) -> dict[str, Any]:
  """What the figures depend on.

  Args:
    device: the name of the device; None for jax's.
  """
  if device is None:
    import jax  # noqa: PLC0415 (A process that only directs others needs none.)

    first = jax.devices()[0]
    device = first.device_kind if first.platform != 'cpu' else processor()
    if first.platform != 'cpu':
      device = f'{jax.device_count()} x {device}'
  return {
    'device': device,
    'threads': threads(),
    'date': datetime.date.today().isoformat(),
    'python': platform.python_version(),
    'jax': importlib.metadata.version('jax'),
    'glibc_tunables': os.environ.get('GLIBC_TUNABLES', ''),
  }


def heading(machine: Mapping[str, Any]) -> str:
  """The machine in a line."""
  tunables = machine['glibc_tunables']
  versions = [
    f'{name} {machine[name]}'
    for name in ('jax', 'torch', 'python')
    if name in machine
  ]
  return (
    f'{machine["device"]}, {machine["threads"]} threads, {machine["date"]},'
    f' {", ".join(versions)}'
    + (f', GLIBC_TUNABLES={tunables}' if tunables else '')
  )


def table(rows: Sequence[Row]) -> str:
  """Rows of equal keys as a table in Markdown, numbers to three digits."""
  columns = list(rows[0])
  lines = [columns, ['---'] * len(columns)]
  lines += [[_text(row[column]) for column in columns] for row in rows]
  return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)


def _text(value: Any) -> str:
  if value is None:
    return ''
  if isinstance(value, float):
    # Three digits, but no exponent for what is large.
    return f'{value:,.0f}' if abs(value) >= 100 else f'{value:.3g}'
  return f'{value:,}' if isinstance(value, int) else str(value)


def report(
  name: str, rows: Sequence[Row], args: argparse.Namespace, machine: Row
) -> None:
  """Prints the table and writes the figures if asked to.

  Args:
    name: the benchmark's name.
    rows: the figures, keys are the table's headings.
    args: the parsed command line.
    machine: see `machine`.
  """
  settings = {k: v for k, v in vars(args).items() if k != 'json'}
  shown = ' '.join(
    f'--{k}' if v is True else f'--{k}={v}'
    for k, v in settings.items()
    if v not in (None, False)
  )
  print(f'{name} {shown}\n{heading(machine)}\n\n{table(rows)}')
  if args.json:
    figures = {'benchmark': name, 'settings': settings, 'machine': machine}
    pathlib.Path(args.json).write_text(
      json.dumps(figures | {'rows': list(rows)}, indent=2) + '\n'
    )
