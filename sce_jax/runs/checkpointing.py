"""Saves and restores runs: the only file that knows orbax."""

from collections.abc import Callable, Sequence
from concurrent import futures
import logging
import os
import pathlib
import shutil
import tempfile
import time
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from sce_jax.engine.train_state import TrainState
from sce_jax.errors import UserError
from sce_jax.parallel import processes
from sce_jax.runs import progress
from sce_jax.storage import paths

# Orbax reports every step of every save at level INFO and above, and each error
# once more than it raises it.
logging.getLogger('absl').setLevel(logging.CRITICAL)


# Orbax's own name for what it writes last.
_COMMITTED = 'commit_success.txt'
# What a damaged checkpoint's folder is called once training has replaced it.
_DAMAGED = 'damaged-'
# A state and what was saved with it.
Restored = tuple[TrainState, dict[str, Any]]


class Checkpoints:
  """A run's checkpoints, written in the background.

  Of several processes only process 0 writes and reads them, and broadcasts what
  it has read: the others need not see the folder.

  Args:
    folder: made where it is missing.
    keep: how many of the last to keep; None: all.
    check: raises an error if the folder must not be written any more.
  """

  def __init__(
    self,
    folder: paths.Path,
    keep: int | None,
    check: Callable[[], None] = lambda: None,
  ):
    self.folder = folder
    self._manager: ocp.CheckpointManager | _Cloud | None = None
    self._damaged: list[int] = []
    if processes.is_primary():
      self._manager = (
        _manager(folder, keep)
        if isinstance(folder, pathlib.Path)
        else _Cloud(folder, keep, check)
      )

  def steps(self) -> list[int]:
    """The steps at which there are checkpoints, in order."""
    return processes.broadcast(
      sorted(self._manager.all_steps()) if self._manager else []
    )

  def save(self, state: TrainState, extra: dict[str, Any]) -> None:
    """Begins to save a run.

    Args:
      state: the run; may be donated as soon as this returns.
      extra: what else is restored with it; JSON.
    """
    if self._manager is None:
      return
    step = int(state.step)
    if step in self._manager.all_steps():
      return
    # A copy: the next step is given the memory of this state's arrays, which
    # on a CPU are what would be written in the background.
    copy = jax.tree.map(np.array, state)
    self._manager.save(
      step,
      args=ocp.args.Composite(
        state=ocp.args.StandardSave(copy), extra=ocp.args.JsonSave(extra)
      ),
    )

  def restore(self, step: int, like: TrainState) -> Restored | None:
    """Restores what was saved at a step, in memory.

    Args:
      step: one of `steps()`.
      like: a state of the same shape.

    Returns:
      The state and what was saved with it; None: the checkpoint is damaged,
      which is logged.
    """
    return processes.broadcast(
      self._read(step, like) if self._manager else None
    )

  def _read(self, step: int, like: TrainState) -> Restored | None:
    assert self._manager is not None
    abstract = jax.tree.map(lambda x: np.empty(x.shape, x.dtype), like)
    if isinstance(self._manager, _Cloud):
      self._manager.fetch(step)  # A network that fails damages nothing.
    try:
      restored = self._manager.restore(
        step,
        args=ocp.args.Composite(
          state=ocp.args.StandardRestore(abstract), extra=ocp.args.JsonRestore()
        ),
      )
    except MemoryError:
      raise
    except Exception as error:  # noqa: BLE001  Orbax raises any of its parts'.
      reason = ' '.join(str(error).split())[:200]
      self._damaged.append(step)
      progress.log(
        f'{self.folder / str(step)}: the checkpoint is damaged, an older one is'
        f' looked for ({type(error).__name__}: {reason})'
      )
      return None
    return restored['state'], restored['extra']

  def set_damaged_aside(self) -> None:
    """Renames the checkpoints that turned out to be damaged.

    Otherwise they would count among those that are kept, and nothing could be
    saved at their steps.
    """
    if self._manager is None or not self._damaged:
      return
    for step in self._damaged:
      aside = self.folder / f'{_DAMAGED}{step}-{time.time_ns()}'
      if isinstance(self._manager, _Cloud):
        self._manager.move(step, aside)
      else:
        os.rename(self.folder / str(step), aside)
    self._damaged.clear()
    self._manager.reload()

  def wait(self) -> None:
    """Waits until everything is saved."""
    if self._manager is not None:
      self._manager.wait_until_finished()

  def close(self) -> None:
    """Waits until everything is saved, and ends."""
    self.wait()
    if self._manager is not None:
      self._manager.close()


def restore_newest(
  checkpoints: Sequence[Checkpoints], like: TrainState
) -> tuple[int, list[Restored]] | None:
  """Restores runs at the newest step at which each has a whole checkpoint.

  If a job was stopped between two runs' saves, only some have the last one.

  Args:
    checkpoints: of each run.
    like: a state of the same shape.

  Returns:
    The step and what each run saved then; None: they have no checkpoint in
    common.

  Raises:
    UserError: they have none in common that is whole.
  """
  steps = [each.steps() for each in checkpoints]
  damaged: dict[int, paths.Path] = {}
  for step in sorted({x for some in steps for x in some}, reverse=True):
    whole = []
    for each, own in zip(checkpoints, steps, strict=True):
      if step not in own:
        continue
      # Also where others have none: if it is damaged it must be known.
      restored = each.restore(step, like)
      if restored is None:
        damaged.setdefault(step, each.folder)
      else:
        whole.append(restored)
    if len(whole) == len(checkpoints):
      return step, whole
  if damaged:
    raise UserError(
      f'{damaged[max(damaged)]} holds no whole checkpoint (step {max(damaged)}'
      ' is the newest): copy one back from elsewhere, or name another --workdir'
      ' to train anew'
    )
  return None


class _Cloud:
  """As much of orbax's CheckpointManager, on a folder in a cloud.

  Each checkpoint is saved to a temporary folder and copied up. Orbax 0.12.8
  cannot write to s3:// (it takes it for a relative path). It can write to
  gs://, but through other libraries than files.py's, with credentials of their
  own; so both go one way, and what lies in the cloud is what orbax would write.

  The object that says that a checkpoint is whole is copied up last, and removed
  first. Those without it are not there, and are removed after the next save.
  """

  def __init__(
    self, folder: paths.Path, keep: int | None, check: Callable[[], None]
  ):
    self._folder = folder
    self._keep = keep
    self._check = check
    self._local = tempfile.TemporaryDirectory(prefix='sce_jax_checkpoints')
    # Orbax's folder, with the last checkpoint that was saved or restored.
    self._here = pathlib.Path(self._local.name)
    self._manager = _manager(self._here, 1)
    self._worker = futures.ThreadPoolExecutor(1)
    self._saving: futures.Future | None = None
    self._steps = _steps(folder)[0]

  def all_steps(self) -> list[int]:
    return list(self._steps)

  def save(self, step: int, args: ocp.args.Composite) -> None:
    self.wait_until_finished()
    self._steps.append(step)
    self._saving = self._worker.submit(self._save, step, args)

  def _save(self, step: int, args: ocp.args.Composite) -> None:
    self._manager.save(step, args=args)
    self._manager.wait_until_finished()
    self._check()
    paths.upload(
      self._here / str(step), self._folder / str(step), last=_COMMITTED
    )
    self._check()
    whole, cut = _steps(self._folder)
    old = whole[: -self._keep] if self._keep else []
    for gone in (*cut, *old):
      paths.remove(self._folder / str(gone), first=_COMMITTED)

  def fetch(self, step: int) -> None:
    """Copies a checkpoint down, to be restored."""
    self.wait_until_finished()
    if not (self._here / str(step)).exists():
      paths.download(self._folder / str(step), self._here / str(step))
      self._manager.reload()

  def restore(self, step: int, args: ocp.args.Composite) -> Any:
    return self._manager.restore(step, args=args)

  def move(self, step: int, to: paths.Path) -> None:
    """Moves a checkpoint that was fetched."""
    paths.upload(self._here / str(step), to, last=_COMMITTED)
    paths.remove(self._folder / str(step), first=_COMMITTED)
    shutil.rmtree(self._here / str(step))

  def reload(self) -> None:
    self._manager.reload()
    self._steps = _steps(self._folder)[0]

  def wait_until_finished(self) -> None:
    if self._saving is not None:
      saving, self._saving = self._saving, None
      saving.result()

  def close(self) -> None:
    self._worker.shutdown()
    self._manager.close()
    self._local.cleanup()


def _steps(folder: paths.Path) -> tuple[list[int], list[int]]:
  """The checkpoints in a cloud: those that are whole, those that are not."""
  names = [name.split('/') for name in paths.listing(folder)]
  steps = {int(name[0]) for name in names if name[0].isdecimal()}
  whole = {step for step in steps if [str(step), _COMMITTED] in names}
  return sorted(whole), sorted(steps - whole)


def _manager(folder: pathlib.Path, keep: int | None) -> ocp.CheckpointManager:
  several = processes.num_processes() > 1
  if several:  # Orbax makes it only where all processes take part.
    folder.mkdir(parents=True, exist_ok=True)
  return ocp.CheckpointManager(
    folder.absolute(),
    options=ocp.CheckpointManagerOptions(
      max_to_keep=keep,
      enable_async_checkpointing=True,
      create=not several,
      multiprocessing_options=ocp.options.MultiprocessingOptions(
        primary_host=0, active_processes={0} if several else None
      ),
    ),
  )
