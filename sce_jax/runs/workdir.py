"""The folder of a run while it is trained; files.py says what is in it."""

from collections.abc import Callable, Collection, Mapping
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
    self._config = _recorded(config)
    self._allowed = allow_changes
    self._lock: lock.Lock | None = None
    self._writes = processes.is_primary()
    self._has_saved = False
    # What `continue_with` carries out.
    self._changed: list[str] = []
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
      raise _in_use(self.path, holder) from None
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
    self._changed = _changed(self.path, self._config, self._allowed)

  def continue_with(self, together: int) -> bool:
    """Says and records with what the run is trained from here on.

    That is another config or code, if it was opened with that, and what will
    round figures otherwise than before. To be called when nothing can be
    refused any more: until then the folder is as it was.

    Args:
      together: how many runs are trained in one program, this among them.

    Returns:
      Whether it is continued with another config or code.
    """
    return processes.on_primary(lambda: self._continue_with(together))

  def _continue_with(self, together: int) -> bool:
    is_changed = bool(self._changed)
    if is_changed:
      changes.carry_out(self.path, self._config, metadata.code(), self._changed)
      self._changed = []
    now = {**metadata.environment(), 'together': together}
    changes.note_environment(self.path, now)
    return is_changed

  @property
  def together(self) -> int:
    """How many runs began in one program, this among them."""
    return processes.on_primary(lambda: together(self.path))

  def close(self) -> None:
    """Releases the folder."""
    try:
      self.epochs.close()
    finally:
      if self._lock is not None:
        self._lock.close()

  @property
  def result(self) -> dict[str, Any] | None:
    """What `finish` or `fail` has recorded, None before.

    None, too, of a run that is to be continued with what has changed.
    """

    def read() -> dict[str, Any] | None:
      if self._changed:
        return None
      return records.or_made_again(lambda: files.read_result(self.path))

    return processes.on_primary(read)

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


def check_usable(path: str | os.PathLike) -> None:
  """Checks that a run may be begun or resumed in a folder; changes nothing.

  A lease in a cloud is left to `Workdir`, which watches it for a while.

  Raises:
    UserError: the folder holds something else, or another process uses it.
  """
  path = paths.path(path)
  files.check_usable(path)
  try:
    if not paths.is_cloud(path):
      lock.check_free(path)
  except lock.LockHeldError as holder:
    raise _in_use(path, holder) from None
  except OSError:  # `Workdir` says that it cannot be written.
    pass


def _in_use(path: paths.Path, holder: lock.LockHeldError) -> UserError:
  return UserError(
    f'workdir {path} is in use by {holder}: wait for it or name another with'
    ' --workdir'
  )


def check(
  path: str | os.PathLike, config: Config, allow_changes: Collection[str] = ()
) -> list[str]:
  """Checks that a run may be begun or resumed; changes nothing.

  Args:
    path: its folder.
    config: its config.
    allow_changes: fields in which it may differ from the folder's run.

  Returns:
    What has changed since it was begun, so that it is continued.

  Raises:
    UserError: the folder holds a run of another config.
  """
  path = paths.path(path)
  if not (path / 'config.json').exists():
    return []
  return _changed(path, _recorded(config), allow_changes)


def together(path: str | os.PathLike) -> int:
  """How many runs the one in a folder began with; 1 if there is none yet."""
  if not (paths.path(path) / 'config.json').exists():
    return 1
  return changes.together(files.read_description(path))


def _recorded(config: Config) -> dict[str, Any]:
  """A config as it is read back from config.json."""
  return json.loads(json.dumps(config.to_dict()))


def _changed(
  path: paths.Path, config: Mapping[str, Any], allowed: Collection[str]
) -> list[str]:
  """What has changed since a run was begun, of what may change."""
  found = files.read_description(path)
  code = metadata.code()
  ended = (path / 'result.json').exists()
  if ended and found['config'] == config:
    code = found.get('code', code)  # Its result is only given again.
  changed = changes.check(path, found, config, code, allowed)
  if changed:
    changes.check_epochs(
      path,
      changed,
      config['train']['epochs'],
      len(files.read_metrics(path)),
      files.read_record(path, 'result.json') is not None,
    )
  return changed
