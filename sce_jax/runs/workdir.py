"""The folder of a run while it is trained; files.py says what is in it."""

from collections.abc import Callable, Collection
import json
import os
from typing import Any

from sce_jax.config.check import Config
from sce_jax.errors import UserError
from sce_jax.parallel import processes
from sce_jax.runs import (
  changes,
  files,
  metadata,
  progress,
  records,
  results_table,
)
from sce_jax.runs.begun import Begun
from sce_jax.runs.epoch_log import EpochLog
from sce_jax.storage import digests, lock, paths


class Workdir:
  """A run's folder, locked by one process at a time.

  Of several processes that train together process 0 alone locks, reads and
  writes it, and broadcasts what it reads; the others need not see it.

  Attributes:
    epochs: the figures of each epoch, on file and for trackers.
    begun: what the run was begun with.

  Raises:
    UserError: the folder cannot be written, another process holds it, or it
      holds a run of another config; nothing in it has been changed.
  """

  def __init__(
    self,
    path: str | os.PathLike,
    config: Config,
    allow_changes: Collection[str] = (),
  ):
    assert not config.left, f'{config.left}: choose.complete was not called'
    self.path = paths.path(path)
    self._config = json.loads(json.dumps(config.to_dict()))
    self._allowed = allow_changes
    self._lock: lock.Lock | None = None
    self._writes = processes.is_primary()
    self._has_saved = False
    self.epochs = EpochLog(self.path, self._config, self.check_lock)
    self.begun = Begun(self.path, self._config, self._write)
    processes.on_primary(self._open)

  def _open(self) -> None:
    files.check_usable(self.path)
    try:
      paths.make_folder(self.path)
      self._lock = lock.acquire(self.path, progress.log)
    except OSError as error:
      raise UserError(
        f'workdir {self.path} cannot be written ({error.strerror or error}):'
        ' name another with --workdir'
      ) from None
    except lock.LockHeldError as holder:
      raise UserError(
        f'workdir {self.path} is in use by {holder}: wait for it or name'
        ' another with --workdir'
      ) from None
    try:
      self._check_config()
    except UserError:
      self._lock.close()
      raise

  def _check_config(self) -> None:
    path = self.path / 'config.json'
    if not path.exists():
      paths.write(
        path,
        digests.dumps(
          {'format': files.FORMAT, **metadata.describe(self._config)}, indent=2
        ),
      )
      return
    found = files.read_description(self.path)
    code = metadata.code()
    ended = (self.path / 'result.json').exists()
    is_over = ended and found['config'] == self._config
    if is_over:
      code = found.get('code', code)  # Its result is only given again.
    changed = changes.check(self.path, found, self._config, code, self._allowed)
    if changed:
      changes.carry_out(self.path, found, self._config, code, changed)

  def note_environment(self, together: int) -> None:
    """Says and records what will round figures otherwise than before.

    Args:
      together: how many runs are trained in one program, this among them.
    """
    now = {**metadata.environment(), 'together': together}
    if self._writes:
      changes.note_environment(self.path, now)

  @property
  def together(self) -> int:
    """How many runs began in one program, this among them."""
    return processes.on_primary(
      lambda: changes.together(files.read_description(self.path))
    )

  def close(self) -> None:
    """Releases the folder."""
    self.epochs.close()
    if self._lock is not None:
      self._lock.close()

  @property
  def result(self) -> dict[str, Any] | None:
    """What `finish` or `fail` has recorded, None before."""
    return processes.on_primary(
      lambda: records.or_made_again(lambda: files.read_result(self.path))
    )

  def record_saved(self, step: int) -> None:
    """Records that a checkpoint is whole: that of the first one is kept."""
    if self._writes and not self._has_saved:
      if not (self.path / files.SAVED).exists():
        self._write(files.SAVED, digests.dumps({'step': step}))
      self._has_saved = True

  def check_checkpoints(self, has_any: Callable[[paths.Path], bool]) -> None:
    """Checks that a run that has saved a checkpoint still has one.

    Args:
      has_any: whether a folder has a checkpoint.

    Raises:
      UserError: it has none; it would begin anew.
    """

    def check() -> None:
      folder = files.checkpoints(self.path)
      if (self.path / files.SAVED).exists() and not has_any(folder):
        raise UserError(
          f'{folder} holds no whole checkpoint, but the run had saved some:'
          ' copy one back from elsewhere, or name another --workdir to train'
          f' anew; in this one it is done without {files.SAVED}'
        )

    processes.on_primary(check)

  def finish(self, result: dict[str, Any], record: dict[str, Any]) -> None:
    """Records the figures of the finished run.

    Args:
      result: of the run.
      record: of its last epoch.
    """
    if self._writes:
      # Before result.json, which says that all is there.
      self.check_lock()
      results_table.write(self.path, [result])
    self._write('result.json', digests.dumps(result, indent=2))
    if self._writes:
      self.epochs.finish(record)

  def fail(self, result: dict[str, Any]) -> None:
    """Records why the run cannot continue."""
    self._write('failed.json', digests.dumps(result, indent=2))

  def _write(self, name: str, text: str) -> None:
    if self._writes:
      self.epochs.flush()
      self.check_lock()
      paths.write(self.path / name, text)

  def check_lock(self) -> None:
    """Checks that this process still has the folder's lock; a lease may expire.

    Raises:
      UserError: another process has taken it over.
    """
    try:
      if self._lock is not None:
        self._lock.check()
    except lock.LockLostError:
      if paths.is_cloud(self.path):
        what = (
          'has been taken over by another process, to which this one seemed'
          ' dead: leave the run to that one'
        )
      else:
        what = (
          'was moved, removed or replaced while the run trained: what it had'
          ' saved is where that folder is now; name it with --workdir to resume'
        )
      raise UserError(f'workdir {self.path} {what}') from None
