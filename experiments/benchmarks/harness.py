"""What all benchmarks share: the clock, the table, the figures."""

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
import types
from typing import Any, NamedTuple

import jax
import tabulate

from sce_jax.runs import metadata

Row = Mapping[str, Any]
_VARIABLES = ('XLA_FLAGS', 'GLIBC_TUNABLES')


class Report(NamedTuple):
  """What a benchmark has measured.

  Attributes:
    rows: the figures; the keys are the table's headings.
    facts: what else they depend on, besides `describe_machine`.
  """

  rows: Sequence[Row]
  facts: Row = types.MappingProxyType({})


def log(message: str) -> None:
  """Tells the waiting user what is being measured."""
  print(message, file=sys.stderr, flush=True)


def by_platform(cpu: Any, accelerator: Any) -> Any:
  """A default that depends on what jax runs on."""
  return cpu if jax.default_backend() == 'cpu' else accelerator


def time_in_turns(
  calls: Mapping[str, Callable[[], object]],
  rounds: int,
  pick: Callable[[list[float]], float] = statistics.median,
) -> dict[str, float]:
  """Seconds of each call; they take turns, so that noise hits all alike.

  Args:
    calls: functions; what they return is waited for.
    rounds: how often each is timed, after one call to warm up.
    pick: which of a call's times is returned.
  """
  seconds: dict[str, list[float]] = {name: [] for name in calls}
  for call in calls.values():
    jax.block_until_ready(call())
  for _ in range(rounds):
    for name, call in calls.items():
      start = time.perf_counter()
      jax.block_until_ready(call())
      seconds[name].append(time.perf_counter() - start)
  return {name: pick(values) for name, values in seconds.items()}


def describe_machine() -> dict[str, Any]:
  """What the figures depend on."""
  kind = f'{jax.device_count()} x {jax.devices()[0].device_kind}'
  return {
    'device': by_platform(metadata.processor(), kind),
    'date': datetime.date.today().isoformat(),
    'jax': importlib.metadata.version('jax'),
    'python': platform.python_version(),
    **{name: os.environ[name] for name in _VARIABLES if name in os.environ},
  }


def show(
  command: str, settings: Row, report: Report, file: pathlib.Path | None
) -> None:
  """Prints a table in Markdown, numbers to three digits.

  Args:
    command: the benchmark.
    settings: its flags; those that are None are not shown.
    report: the figures.
    file: where to write them as JSON, too.
  """
  machine = describe_machine() | dict(report.facts)
  flags = [f'--{k}={text(v)}' for k, v in settings.items() if v is not None]
  rows = [{k: text(v) for k, v in row.items()} for row in report.rows]
  print(' '.join([command, *flags]))
  print(', '.join(f'{k}: {text(v)}' for k, v in machine.items()) + '\n')
  print(tabulate.tabulate(rows, 'keys', 'github', disable_numparse=True))
  if file is not None:
    figures = {
      'command': command,
      'settings': settings,
      'machine': machine,
      'rows': report.rows,
    }
    file.write_text(json.dumps(figures, indent=2) + '\n')


def text(value: Any) -> str:
  """A cell of a table: numbers to three digits."""
  if isinstance(value, list | tuple):
    return ','.join(map(str, value))
  if isinstance(value, float):
    # No exponent for large numbers.
    return f'{value:,.0f}' if abs(value) >= 100 else f'{value:.3g}'
  return '' if value is None else str(value)
