"""Sees every run of a sweep to its end.

What has ended well is found by its folder and skipped. A run that was preempted
is started again without limit as long as it makes progress: after five times in
a row without a new checkpoint the next count as failures, so that a run that
kills its machine is not retried for ever. One that broke is started again up to
a budget; one that diverged never is. A failed run stops no other.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
import contextlib
import fcntl
import pathlib
import time

from rich import console as rich_console
from rich import live, table

from experiments.paper import registry
from experiments.sweeps.executors import Executor
from experiments.sweeps.manifest import Entry
from experiments.sweeps.task import Job
from sce_jax.errors import UserError
from sce_jax.exit_codes import ExitCode
from sce_jax.runs import files
from sce_jax.storage import lock as lock_lib
from sce_jax.storage import paths

# Exit codes of launch.py that no second try would change.
_BAD_INPUT = (1, 2)
_NON_FINITE = 3
_POLL_SECONDS = 0.2
MAX_PREEMPTIONS_WITHOUT_PROGRESS = 5


class Driver:
  """Runs a sweep.

  Args:
    tasks: its commands.
    executor: where they run.
    retries: how often a command that breaks is tried again.

  Attributes:
    failed: why each run failed, by id.
  """

  def __init__(self, tasks: Sequence[Job], executor: Executor, retries: int):
    self._tasks = {task.id: task for task in tasks}
    self._executor = executor
    self._retries = retries
    self._waiting: deque[str] = deque()
    self._tries: Counter[str] = Counter()
    self._in_vain: Counter[str] = Counter()
    self._saved: Counter[str] = Counter()
    self._running: dict[str, float] = {}
    self._done: set[str] = set()
    self._seconds: list[float] = []
    self._best: float | None = None
    self.failed: dict[str, str] = {}
    self._console = rich_console.Console(stderr=True)

  def run(self) -> dict[str, str]:
    """Runs what has not ended; returns why what failed did, by id.

    Raises:
      KeyboardInterrupt: Ctrl-C; what ran has saved itself.
    """
    for task in self._tasks.values():
      if not self._have_ended(task):
        self._waiting.append(task.id)
    with live.Live(
      self._table(), console=self._console, refresh_per_second=2
    ) as shown:
      try:
        while self._waiting or self._running:
          self._start()
          time.sleep(_POLL_SECONDS)
          for name, code in self._executor.ended().items():
            self._end(name, code)
          shown.update(self._table())
      except BaseException:
        self._executor.stop()
        raise
    if not self._console.is_terminal:
      self._console.print()  # Else the table's last line stays open.
    return self.failed

  def _start(self) -> None:
    for _ in range(len(self._waiting)):
      if len(self._running) >= self._executor.slots:
        return
      name = self._waiting.popleft()
      task = self._tasks[name]
      if any(lock_lib.is_held(paths.path(e.workdir)) for e in task.entries):
        self._waiting.append(name)  # By a run that is still saving itself.
        continue
      self._executor.start(name, task.command)
      self._running[name] = time.monotonic()

  def _end(self, name: str, code: int) -> None:
    taken = time.monotonic() - self._running.pop(name)
    task = self._tasks[name]
    if self._have_ended(task):
      self._seconds.append(taken / len(task.entries))
      return
    if code == ExitCode.PREEMPTED and self._comes_further(task):
      self._say(f'{name}: preempted, resumes')
      self._waiting.append(name)
      return
    self._tries[name] += 1
    final = code in (*_BAD_INPUT, _NON_FINITE)
    if not final and self._tries[name] <= self._retries:
      self._say(
        f'{name}: ended with {code}, try {self._tries[name]} of {self._retries}'
      )
      self._waiting.append(name)
      return
    for entry in task.waiting:
      self._has_failed(
        entry.id,
        f'{entry.id}: exit code {code}, {_last_line(self._executor.log(name))}',
      )

  def _comes_further(self, task: Job) -> bool:
    """Whether a preempted task has saved something new recently."""
    saved = sum(_last_checkpoint(entry.workdir) for entry in task.entries)
    self._in_vain[task.id] += 1
    if saved > self._saved[task.id]:
      self._saved[task.id] = saved
      self._in_vain[task.id] = 0
    return self._in_vain[task.id] <= MAX_PREEMPTIONS_WITHOUT_PROGRESS

  def _have_ended(self, task: Job) -> bool:
    """Counts those of a task's runs that have ended; whether all have."""
    for entry in task.entries:
      if entry.id in self._done or entry.id in self.failed:
        continue
      if entry.ended == 'done':
        self._done.add(entry.id)
        result = files.read_result(entry.workdir) or {}
        reached = result.get('test_accuracy') or 0.0
        self._best = max(self._best or 0.0, reached)
      elif entry.ended == 'failed':
        self._has_failed(entry.id, _reason(entry))
    return all(e.id in self._done or e.id in self.failed for e in task.entries)

  def _has_failed(self, name: str, why: str) -> None:
    self.failed[name] = why
    self._say(f'failed: {why}')

  def _runs(self, names: Iterable[str]) -> int:
    """How many runs of these tasks have not ended."""
    return sum(
      entry.id not in self._done and entry.id not in self.failed
      for name in names
      for entry in self._tasks[name].entries
    )

  def _say(self, text: str) -> None:
    self._console.print(text, highlight=False, soft_wrap=True)

  def _table(self) -> table.Table:
    shown = table.Table(box=None)
    for name in ('done', 'running', 'waiting', 'failed', 'left', 'best so far'):
      shown.add_column(name, justify='right')
    shown.add_row(
      str(len(self._done)),
      str(self._runs(self._running)),
      str(self._runs(self._waiting)),
      str(len(self.failed)),
      self._left(),
      f'{self._best:.4f}' if self._best is not None else '-',
    )
    return shown

  def _left(self) -> str:
    if not self._seconds:
      return '-'
    mean = sum(self._seconds) / len(self._seconds)
    runs = self._runs([*self._waiting, *self._running])
    return registry.duration(mean * runs / self._executor.slots)


@contextlib.contextmanager
def only_one(path: pathlib.Path) -> Iterator[None]:
  """Holds a sweep's lock.

  Raises:
    UserError: another sweep holds it.
  """
  path.parent.mkdir(parents=True, exist_ok=True)
  with open(path, 'w') as lock:
    try:
      fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
      raise UserError(
        f'another sweep is at work in {path.parent}: wait for it, or name'
        ' another folder with --workdir'
      ) from None
    yield


def _last_checkpoint(folder: str) -> int:
  """The step of a run's last checkpoint, 0 if it has none."""
  path = files.checkpoints(folder)
  steps = path.iterdir() if path.exists() else ()
  return max((int(p.name) for p in steps if p.name.isdecimal()), default=0)


def _reason(entry: Entry) -> str:
  return (files.read_result(entry.workdir) or {}).get('failed', 'failed')


def _last_line(path: pathlib.Path) -> str:
  lines = path.read_text().splitlines() if path.exists() else []
  return lines[-1].removeprefix('error: ') if lines else 'it printed nothing'
