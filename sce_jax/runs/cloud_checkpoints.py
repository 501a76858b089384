"""Checkpoints in a cloud: saved here, copied up, fetched to be restored."""

from collections.abc import Callable
from concurrent import futures
import pathlib
import shutil
import tempfile
from typing import Any

from sce_jax.runs import progress
from sce_jax.storage import paths

# What orbax writes last.
_COMMITTED = 'commit_success.txt'


class CloudManager:
  """As much of orbax's CheckpointManager, on a folder in a cloud.

  Each checkpoint is saved to a temporary folder and copied up. Orbax 0.12.8
  cannot write to s3:// (it takes it for a relative path). It can write to
  gs://, but through other libraries than files.py's, with credentials of their
  own; so both go one way, and what lies in the cloud is what orbax would write.

  The object that says that a checkpoint is whole is copied up last, and removed
  first. Those without it are not there, and are removed after the next save.

  Args:
    folder: in the cloud.
    check: raises an error if the folder must not be written any more.
    manager_of: orbax's manager of a folder here, which keeps one checkpoint.
  """

  def __init__(
    self,
    folder: paths.Path,
    check: Callable[[], None],
    manager_of: Callable[[pathlib.Path], Any],
  ):
    self._folder = folder
    self._check = check
    self._local = tempfile.TemporaryDirectory(prefix='sce_jax_checkpoints')
    # Orbax's folder, with the last checkpoint that was saved or restored.
    self._here = pathlib.Path(self._local.name)
    self._manager = manager_of(self._here)
    self._worker = futures.ThreadPoolExecutor(1)
    self._saving: futures.Future | None = None
    self._steps, cut = steps(folder)
    for step in cut:
      progress.log(
        f'{folder / str(step)}: the checkpoint is not whole (an upload was cut,'
        ' or a file is missing), it is left out'
      )

  def all_steps(self) -> list[int]:
    """The steps of the checkpoints."""
    return list(self._steps)

  def save(self, step: int, args: Any) -> None:
    """Saves and copies up, in the background."""
    self.wait_until_finished()
    self._steps.append(step)
    self._saving = self._worker.submit(self._save, step, args)

  def _save(self, step: int, args: Any) -> None:
    self._manager.save(step, args=args)
    self._manager.wait_until_finished()
    self._check()
    paths.upload(
      self._here / str(step), self._folder / str(step), last=_COMMITTED
    )
    for cut in steps(self._folder)[1]:
      self._remove(cut)

  def delete(self, step: int) -> None:
    """Removes a checkpoint, in the background."""
    self.wait_until_finished()
    self._steps.remove(step)
    self._saving = self._worker.submit(self._remove, step)

  def _remove(self, step: int) -> None:
    self._check()
    paths.remove(self._folder / str(step), first=_COMMITTED)

  def fetch(self, step: int) -> None:
    """Copies a checkpoint down, to be restored."""
    self.wait_until_finished()
    if not (self._here / str(step)).exists():
      paths.download(self._folder / str(step), self._here / str(step))
      self._manager.reload()

  def restore(self, step: int, args: Any) -> Any:
    """Restores a checkpoint that was fetched."""
    return self._manager.restore(step, args=args)

  def move(self, step: int, to: paths.Path) -> None:
    """Moves a checkpoint that was fetched."""
    paths.upload(self._here / str(step), to, last=_COMMITTED)
    paths.remove(self._folder / str(step), first=_COMMITTED)
    shutil.rmtree(self._here / str(step))

  def reload(self) -> None:
    """Looks again at what there is."""
    self._manager.reload()
    self._steps = steps(self._folder)[0]

  def is_saving_in_progress(self) -> bool:
    """Whether something is being written."""
    return self._saving is not None

  def check_for_errors(self) -> None:
    """Raises the error of what was written, if there is one."""
    if self._saving is not None and self._saving.done():
      self.wait_until_finished()

  def wait_until_finished(self) -> None:
    """Waits for what is being written; raises its error."""
    if self._saving is not None:
      saving, self._saving = self._saving, None
      saving.result()

  def close(self) -> None:
    """Waits, and ends."""
    try:
      self.wait_until_finished()
    finally:
      self._worker.shutdown()
      self._manager.close()
      self._local.cleanup()


def steps(folder: paths.Path) -> tuple[list[int], list[int]]:
  """The checkpoints in a cloud: those that are whole, those that are not."""
  names = [name.split('/') for name in paths.listing(folder)]
  found = {int(name[0]) for name in names if name[0].isdecimal()}
  whole = {step for step in found if [str(step), _COMMITTED] in names}
  return sorted(whole), sorted(found - whole)
