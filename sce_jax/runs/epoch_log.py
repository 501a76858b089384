"""The figures of a run's epochs: metrics.jsonl, and what trackers are told."""

from collections.abc import Callable
import time
from typing import Any

from sce_jax.errors import UserError
from sce_jax.parallel import processes
from sce_jax.runs import files, trackers
from sce_jax.storage import digests, paths

# In a cloud figures are written no more often: of one object an object store
# takes one write a second.
_FLUSH_SECONDS = 5.0
_NAME = 'metrics.jsonl'


class EpochLog:
  """What is recorded of each epoch, by process 0.

  Args:
    path: the run's folder.
    config: the run's, which trackers show.
    check_lock: raises a UserError if the folder is another process's.
  """

  def __init__(
    self,
    path: paths.Path,
    config: dict[str, Any],
    check_lock: Callable[[], None],
  ):
    self._path, self._config = path, config
    self._check_lock = check_lock
    self._trackers: list[trackers.Tracker] = []
    self._pending, self._flushed = '', time.monotonic()

  def at(self, step: int) -> dict[str, Any]:
    """The figures of the epoch that ended with a step.

    Raises:
      UserError: they are missing.
    """
    self.flush()
    return processes.on_primary(lambda: self._at(step))

  def _at(self, step: int) -> dict[str, Any]:
    for record in files.read_metrics(self._path):
      if record['step'] == step:
        return record
    raise UserError(
      f'{self._path / _NAME} lacks the figures of step {step}: remove'
      f' {files.checkpoints(self._path) / str(step)}, so that they are made'
      ' again with the same command'
    )

  def check(self, step: int, epoch: int) -> None:
    """Checks that there are the figures of all epochs up to a step.

    Args:
      step: the number of steps done.
      epoch: the number of epochs done.

    Raises:
      UserError: some are missing or damaged.
    """
    kept = processes.on_primary(lambda: len(self._up_to(step)))
    if kept < epoch:
      raise UserError(
        f'{self._path / _NAME} lacks the figures of epoch {kept + 1}: copy it'
        ' back from elsewhere, or remove the checkpoints from that epoch on in'
        f' {files.checkpoints(self._path)}, so that they are made again with'
        ' the same command'
      )

  def truncate_after(self, step: int) -> None:
    """Drops the figures of later steps, which will be trained again."""
    processes.on_primary(lambda: self._truncate_after(step))

  def _truncate_after(self, step: int) -> None:
    self.flush()
    self._check_lock()
    lines = ''.join(map(digests.dumps, self._up_to(step)))
    paths.write(self._path / _NAME, lines)
    self._trackers = trackers.start(self._path, self._config, step)

  def _up_to(self, step: int) -> list[dict[str, Any]]:
    return [m for m in files.read_metrics(self._path) if m['step'] <= step]

  def write(self, record: dict[str, Any]) -> None:
    """Adds an epoch's figures."""
    if not processes.is_primary():
      return
    self._pending += digests.dumps(record)
    for tracker in self._trackers:
      tracker.write(record)
    every = _FLUSH_SECONDS if paths.is_cloud(self._path) else 0.0
    if time.monotonic() - self._flushed >= every:
      self.flush()

  def flush(self) -> None:
    """Writes what is still to be written.

    To be called before a checkpoint is saved: a run that is resumed from it
    then has the figures of all epochs before.
    """
    if not self._pending:
      return
    self._check_lock()
    paths.append(self._path / _NAME, self._pending)
    for tracker in self._trackers:
      tracker.flush()
    self._pending, self._flushed = '', time.monotonic()

  def finish(self, record: dict[str, Any]) -> None:
    """Tells trackers that the run has ended with an epoch."""
    for tracker in self._trackers:
      tracker.finish(record)
      tracker.flush()

  def close(self) -> None:
    """Ends what trackers hold open."""
    for tracker in self._trackers:
      tracker.close()
