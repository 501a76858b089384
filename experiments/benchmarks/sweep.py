"""What a sweep's driver costs alone, without any run.

  python -m experiments.benchmarks.sweep [--runs=10000] [--json=FILE]

A sweep of so many runs on digits: planned, written, read, packed, and driven to
its end on an executor that does nothing, on a local disk. Seconds are those of
this process's CPU time, once each: the steps are long and take turns with
nothing.
"""

from collections.abc import Callable, Sequence
import json
import pathlib
import tempfile
import time
from typing import Any

from experiments.benchmarks import harness
from experiments.paper import scales
from experiments.sweeps import driver, manifest, task
from experiments.sweeps.manifest import Entry

_LOSSES = ('ce', 'gce', 'lsr', 'rce', 'sl')
_SHARES = 16
_PACKED = 8


class Instant:
  """An executor whose commands end well at once, and leave a result."""

  slots = 1_000_000

  def __init__(self, entries: Sequence[Entry]):
    self._folders = {entry.id: entry.workdir for entry in entries}
    self._started: list[str] = []

  def start(self, name: str, command: Sequence[str]) -> None:
    """Writes the result."""
    del command
    folder = pathlib.Path(self._folders[name])
    folder.mkdir(parents=True)
    (folder / 'result.json').write_text(json.dumps({'test_accuracy': 0.5}))
    self._started.append(name)

  def ended(self) -> dict[str, int]:
    """All that were started."""
    names, self._started = self._started, []
    return dict.fromkeys(names, 0)

  def stop(self) -> None:
    """Nothing is to be stopped."""

  def log(self, name: str) -> pathlib.Path:
    """There is none."""
    return pathlib.Path(name)


def main(argv: Sequence[str] | None = None) -> None:
  parser = harness.Parser('sweep', __doc__)
  parser.add_argument(
    '--runs', type=harness.count, default=10000, help='how many runs'
  )
  args = parser.parse(argv)
  with tempfile.TemporaryDirectory() as folder:
    rows = measure(args.runs, pathlib.Path(folder))
  harness.report('sweep', rows, args, harness.machine())


def measure(runs: int, folder: pathlib.Path) -> list[dict[str, Any]]:
  """Times the steps of a sweep of so many runs.

  Args:
    runs: how many.
    folder: an empty one.

  Returns:
    A row a step: what it is, its seconds, and those of a thousand runs.
  """
  rows = []

  def timed(step: str, do: Callable[[], Any]) -> Any:
    harness.say(step)
    start = time.process_time()
    made = do()
    seconds = time.process_time() - start
    rows.append({'step': step, 's': seconds, 's a 1000': 1000 * seconds / runs})
    return made

  path = folder / 'sweep.jsonl'
  entries = timed('plan', lambda: _plan(runs, folder))
  timed('write the manifest', lambda: manifest.write(path, entries))
  timed('read and check it', lambda: manifest.read(path))
  timed(
    f'read it, check a share of 1/{_SHARES}',
    lambda: manifest.read(path, lambda x: task.shard(x, f'0/{_SHARES}')),
  )
  timed(f'pack by {_PACKED}', lambda: task.pack(entries, _PACKED, path))
  tasks = task.pack(entries, 1, path)
  for step in ('drive, all to run', 'drive, all done'):
    timed(step, lambda: driver.Driver(tasks, Instant(entries), retries=0).run())
  return rows


def _plan(runs: int, folder: pathlib.Path) -> list[Entry]:
  return [
    manifest.entry(
      scales.config(
        'digits',
        'short',
        loss=_LOSSES[i % len(_LOSSES)],
        seed=i // len(_LOSSES),
      ),
      folder / 'runs',
      None,
      scales.config_file('digits'),
    )
    for i in range(runs)
  ]


if __name__ == '__main__':
  main()
