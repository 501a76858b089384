"""Sees every run of a sweep to its end, a thread a process.

What has ended well is found by its folder and skipped. A run that was preempted
is started again without limit as long as it makes progress: after five times in
a row without a new checkpoint the next count as failures, so that a run that
kills its machine is not retried for ever. One that broke is started again up to
a budget; one that diverged, or whose input is bad, never is. A failed run stops
no other.
"""

from collections.abc import Iterable, Sequence
from concurrent import futures
import pathlib
import threading
import time
from typing import Protocol

from rich import console as rich_console
from rich import live, markup, table

from experiments.sweeps.jobs import Job
from experiments.sweeps.manifest import Entry
from sce_jax.exit_codes import ExitCode
from sce_jax.runs import files, progress
from sce_jax.storage import lock as lock_lib
from sce_jax.storage import paths

# No second try would change these.
_FINAL = (ExitCode.BAD_INPUT, ExitCode.DIVERGED)
_POLL_SECONDS = 0.2
MAX_PREEMPTIONS_WITHOUT_PROGRESS = 5


class Executor(Protocol):
  """Where commands run.

  Attributes:
    slots: how many are started at a time.
  """

  slots: int

  def run(self, name: str, command: Sequence[str]) -> int:
    """Runs a command; returns its exit code, that of a signal negative."""

  def stop(self) -> None:
    """Lets all save themselves and end; starts no more."""

  def log(self, name: str) -> pathlib.Path:
    """Where a command's output is."""


class Driver:
  """Runs a sweep.

  Args:
    jobs: its commands.
    executor: where they run.
    retries: how often a command that breaks is tried again.

  Attributes:
    failed: why each run failed, by id.
  """

  def __init__(self, jobs: Sequence[Job], executor: Executor, retries: int):
    self._jobs = jobs
    self._executor = executor
    self._retries = retries
    self._stopping = threading.Event()
    # The jobs that run, by id.
    self._started: dict[str, Job] = {}
    # Test accuracies of the runs that have ended well, by id.
    self._done: dict[str, float] = {}
    self._noisy_test = False
    self.failed: dict[str, str] = {}
    self._before, self._begun = 0, time.monotonic()
    self._console = rich_console.Console(stderr=True)

  def run(self) -> dict[str, str]:
    """Runs what has not ended; returns why what failed did, by id.

    Raises:
      KeyboardInterrupt: Ctrl-C; what ran has saved itself.
    """
    waiting = [job for job in self._jobs if not self._have_ended(job)]
    self._before = len(self._done) + len(self.failed)
    threads = max(1, min(len(waiting), self._executor.slots))
    with (
      live.Live(
        get_renderable=self._shown, console=self._console, refresh_per_second=2
      ),
      futures.ThreadPoolExecutor(threads) as pool,
    ):
      try:
        seen = {pool.submit(self._see_to, job) for job in waiting}
        while seen:
          # With a timeout: Python sees a signal that another thread took, or
          # that came just before the wait, only after the wait.
          ended, seen = futures.wait(
            seen, _POLL_SECONDS, futures.FIRST_COMPLETED
          )
          for future in ended:
            future.result()
      except BaseException:
        self._stopping.set()
        pool.shutdown(wait=False, cancel_futures=True)
        self._executor.stop()
        raise
    if not self._console.is_terminal:
      self._console.print()  # Else the table's last line stays open.
    return self.failed

  def _see_to(self, job: Job) -> None:
    """Runs a job until its runs have ended or failed."""
    broken = idle = saved = 0
    self._wait_for_locks(job)
    while not self._stopping.is_set() and not self._have_ended(job):
      self._started[job.id] = job
      code = self._executor.run(job.id, job.command)
      self._wait_for_locks(job)
      self._started.pop(job.id)
      if self._stopping.is_set() or self._have_ended(job):
        return
      if code == ExitCode.PREEMPTED:
        steps = sum(_last_checkpoint(entry.workdir) for entry in job.entries)
        idle = 0 if steps > saved else idle + 1
        saved = max(saved, steps)
        if idle <= MAX_PREEMPTIONS_WITHOUT_PROGRESS:
          self._say(f'[yellow]{job.id}: preempted, resumes[/]')
          continue
      broken += 1
      if code in _FINAL or broken > self._retries:
        log = self._executor.log(job.id)
        why = f'exit code {code}, {_reason(log)} (log: {paths.shown(log)})'
        for entry in job.entries:
          if entry.ended is None:
            self._fail(entry.id, f'{entry.id}: {why}')
        return
      self._say(
        f'[yellow]{job.id}: ended with {code}, try {broken} of'
        f' {self._retries}[/] (log:'
        f' {markup.escape(paths.shown(self._executor.log(job.id)))})'
      )

  def _wait_for_locks(self, job: Job) -> None:
    """Waits for processes that are still saving the runs, or train them."""
    while any(
      lock_lib.is_held(paths.path(entry.workdir)) for entry in job.entries
    ):
      if self._stopping.wait(_POLL_SECONDS):
        return

  def _have_ended(self, job: Job) -> bool:
    """Notes those of a job's runs that have ended; whether all have."""
    for entry in job.entries:
      if entry.id in self._done or entry.id in self.failed:
        continue
      if entry.ended is None:
        continue
      result = files.read_result(entry.workdir) or {}
      if 'failed' in result:
        self._fail(entry.id, result['failed'])
      else:
        self._done[entry.id] = result.get('test_accuracy') or 0.0
        self._noisy_test |= result.get('noisy_test', False)
    return all(e.id in self._done or e.id in self.failed for e in job.entries)

  def _fail(self, name: str, why: str) -> None:
    self.failed[name] = why
    self._say(f'[red]failed:[/] {markup.escape(why)}')

  def _say(self, text: str) -> None:
    self._console.print(text, highlight=False, soft_wrap=True)

  def _shown(self) -> rich_console.RenderableType:
    running = list(self._started.values())
    if not running:
      return self._table()
    return rich_console.Group(self._table(), self._rows(running))

  def _rows(self, running: Sequence[Job]) -> table.Table:
    """A row for each of the runs that are at work, as far as there is room."""
    shown = table.Table(box=None)
    shown.add_column('running', overflow='ellipsis', no_wrap=True, ratio=1)
    for name in ('epoch', 'accuracy', 'left'):
      shown.add_column(name, justify='right', no_wrap=True)
    pairs = [
      (entry, len(job.entries)) for job in running for entry in job.entries
    ]
    room = max(1, self._console.height - 6)
    for entry, beside in pairs[:room]:
      shown.add_row(entry.id, *_figures(entry, beside))
    if len(pairs) > room:
      shown.add_row(f'and {len(pairs) - room} more', '', '', '')
    return shown

  def _table(self) -> table.Table:
    shown = table.Table(box=None)
    best = 'best so far' + ' (noisy test)' * self._noisy_test
    for name in ('done', 'started', 'waiting', 'failed', 'left', best):
      shown.add_column(name, justify='right')
    # A copy, for other threads write to it.
    done = dict(self._done)
    ended = len(done) + len(self.failed)
    left = sum(len(job.entries) for job in self._jobs) - ended
    started = sum(len(job.entries) for job in list(self._started.values()))
    seconds = time.monotonic() - self._begun
    here = ended - self._before
    shown.add_row(
      str(len(done)),
      str(started),
      str(max(0, left - started)),
      str(len(self.failed)),
      progress.duration(seconds / here * left) if here else '-',
      f'{100 * max(done.values()):.1f} %' if done else '-',
    )
    if done:
      shown.caption = f'best: {max(done, key=done.__getitem__)}'
      shown.caption_justify = 'left'
    return shown


def _figures(entry: Entry, beside: int) -> tuple[str, str, str]:
  """A run's epoch, accuracy and time left, as its folder says.

  Args:
    entry: the run.
    beside: how many are trained together with it, itself included.
  """
  epochs = entry.epochs
  of = '?' if epochs is None else epochs
  try:
    records = files.read_metrics(entry.workdir)
  except (OSError, ValueError):  # It is being written.
    records = []
  if not records:
    return f'0/{of}', '-', '-'
  last, left = records[-1], '-'
  accuracy = (last.get('test') or {}).get('accuracy')
  # Without the first epoch, which compiled. A run's seconds are its share of
  # those of all that are trained with it.
  some = [x['seconds'] for x in records[-6:] if x['epoch'] > 1]
  if epochs is not None and len(some) > 1:
    each = (some[-1] - some[0]) / (len(some) - 1) * beside
    left = progress.duration(max(0.0, each * (epochs - last['epoch'])))
  return (
    f'{last["epoch"]}/{of}',
    '-' if accuracy is None else f'{100 * accuracy:.1f} %',
    left,
  )


def _last_checkpoint(folder: str) -> int:
  """The step of a run's last checkpoint, 0 if it has none."""
  path = files.checkpoints(folder)
  steps: Iterable[paths.Path] = path.iterdir() if path.exists() else ()
  return max((int(p.name) for p in steps if p.name.isdecimal()), default=0)


def _reason(path: pathlib.Path) -> str:
  """Why a command ended, as far as its log says."""
  try:
    paths.append(path, '\n')
  except OSError as error:  # Then what it printed last is not there.
    return f'its log cannot be written ({error.strerror}): make room'
  text = path.read_text(errors='replace') if path.exists() else ''
  lines = text.strip().splitlines()
  return lines[-1].removeprefix('error: ') if lines else 'it printed nothing'
