"""Saves and restores runs: the only file that knows orbax."""

from collections.abc import Callable, Iterator, Sequence
import contextlib
import errno
import logging
import os
import pathlib
import shutil
import time
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from sce_jax.engine.train_state import TrainState
from sce_jax.errors import UserError, is_of_machine, reason_of
from sce_jax.parallel import processes
from sce_jax.runs import cloud_checkpoints, leaves, progress
from sce_jax.runs.cloud_checkpoints import CloudManager
from sce_jax.storage import digests, paths

# Orbax reports every step of every save at level INFO and above, and each error
# once more than it raises it.
logging.getLogger('absl').setLevel(logging.CRITICAL)


# Orbax's own name of what is not whole yet.
_TEMPORARY = '.orbax-checkpoint-tmp'
# Bytes of a disk that is as good as full.
_LITTLE = 2**20
# Of what is saved with a state: the digest of each of its leaves.
_LEAVES = 'leaves'
# What a damaged checkpoint's folder is called once training has replaced it.
_DAMAGED = 'damaged-'
# A state and what was saved with it.
Restored = tuple[TrainState, dict[str, Any]]


class Checkpoints:
  """A run's checkpoints, written in the background.

  Of several processes only process 0 writes and reads them, and broadcasts what
  it has read: the others need not see the folder.

  With each state the type, shape and digest of each of its leaves are saved.
  `restore` compares them, because orbax 0.12 notices neither a flipped bit nor
  another type: the one it restores, the other it casts.

  Args:
    folder: made where it is missing.
    keep: how many of the last to keep, see `keep_together`; None: all, and only
      to be read.
    check: raises an error if the folder must not be written any more.
    saved: called with the step of each checkpoint that is whole.
  """

  def __init__(
    self,
    folder: paths.Path,
    keep: int | None,
    check: Callable[[], None] = lambda: None,
    saved: Callable[[int], None] = lambda step: None,
  ):
    self.folder = folder
    self._saved = saved
    self._manager: ocp.CheckpointManager | CloudManager | None = None
    self._damaged: list[int] = []
    self._writing: int | None = None
    self._has_written = self._failed = False
    self._keep = keep
    # Those of the runs that are trained together, these among them.
    self._group: Sequence[Checkpoints] = (self,)
    if processes.is_primary():
      if keep is not None:  # Of saves that failed or were killed.
        _remove_temporary(folder)
      self._manager = (
        _manager(folder, None)  # `_remove_old` removes the old ones.
        if isinstance(folder, pathlib.Path)
        else CloudManager(folder, check, lambda here: _manager(here, 1))
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
    self.wait()
    # A copy: the next step is given the memory of this state's arrays, which
    # on a CPU are what would be written in the background.
    copy = jax.tree.map(np.array, state)
    sealed = digests.seal({**extra, _LEAVES: leaves.describe(copy)})
    with self._saving():
      self._manager.save(
        step,
        args=ocp.args.Composite(
          state=ocp.args.StandardSave(copy), extra=ocp.args.JsonSave(sealed)
        ),
      )
    self._writing = step

  def restore(self, step: int, like: TrainState) -> Restored | None:
    """Restores what was saved at a step, in memory.

    Args:
      step: one of `steps()`.
      like: a state of the same shape.

    Returns:
      The state and what was saved with it; None: the checkpoint is damaged,
      which is logged.

    Raises:
      UserError: it is of another type or shape than `like`, or the machine
        could not read it, say for want of memory or of a permission.
    """

    def read() -> tuple[list[Any], dict[str, Any]] | None:
      found = self._read(step, like)
      return found and (jax.tree.leaves(found[0]), found[1])

    # The others know the tree.
    found = processes.on_primary(read)
    if found is None:
      return None
    values, extra = found
    return jax.tree.unflatten(jax.tree.structure(like), values), extra

  def _read(self, step: int, like: TrainState) -> Restored | None:
    assert self._manager is not None
    if isinstance(self._manager, CloudManager):
      self._manager.fetch(step)  # A network that fails damages nothing.
    try:
      return self._read_whole(step, like)
    except UserError:
      raise
    except Exception as error:  # noqa: BLE001  Orbax raises any of its parts'.
      reason = reason_of(error)
      if is_of_machine(error):  # A good one would be set aside.
        raise UserError(
          f'{self.folder / str(step)}: the checkpoint cannot be read'
          f' ({type(error).__name__}: {reason}), which need not be damaged:'
          ' mend that, and give the same command again'
        ) from None
      self._damaged.append(step)
      progress.log(
        f'{self.folder / str(step)}: the checkpoint is damaged, an older one is'
        f' looked for ({type(error).__name__}: {reason})'
      )
      return None

  def _read_whole(self, step: int, like: TrainState) -> Restored:
    """Restores a checkpoint; raises any error if it is damaged."""
    manager = self._manager
    assert manager is not None

    def restore(**items: Any) -> Any:
      return manager.restore(step, args=ocp.args.Composite(**items))

    extra = restore(extra=ocp.args.JsonRestore())['extra']
    saved = None
    if digests.is_sealed(extra) or _LEAVES in extra:
      extra = digests.unseal(extra)
      saved = extra.pop(_LEAVES)
      leaves.check_kinds(self.folder / str(step), saved, like)
    else:
      progress.log(
        f'{self.folder / str(step)}: was saved by an earlier version, without'
        ' digests, so a flipped bit in it would not be noticed'
      )
    abstract = jax.tree.map(lambda x: np.empty(x.shape, x.dtype), like)
    state = restore(state=ocp.args.StandardRestore(abstract))['state']
    if saved is not None:
      leaves.check_digests(saved, state)
    return state, extra

  def set_damaged_aside(self, later_than: int | None = None) -> None:
    """Renames the checkpoints that turned out to be damaged.

    Otherwise they would count among those that are kept, and nothing could be
    saved at their steps.

    Args:
      later_than: rename those of later steps, too; None: they may stay.
    """
    if self._manager is None:
      return
    if later_than is not None:
      later = (x for x in self._manager.all_steps() if x > later_than)
      self._damaged = sorted({*self._damaged, *later})
    if not self._damaged:
      return
    for step in self._damaged:
      aside = self.folder / f'{_DAMAGED}{step}-{time.time_ns()}'
      if isinstance(self._manager, CloudManager):
        self._manager.move(step, aside)
      else:
        os.rename(self.folder / str(step), aside)
    self._damaged.clear()
    self._manager.reload()

  def check_space(self, state: TrainState) -> None:
    """Checks that there is room for the checkpoints that are to be kept.

    Args:
      state: the run's, or that of all runs that train together: their folders
        are usually on one disk.

    Raises:
      UserError: there is not.
    """
    if self._manager is not None and not paths.is_cloud(self.folder):
      size = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
      # While one is written the older ones are still there.
      more = max(1, (self._keep or 1) + 1 - len(self._manager.all_steps()))
      free = shutil.disk_usage(self.folder).free
      if size * more > free:
        raise UserError(
          f'{self.folder}: checkpoints need {size * more:,} bytes, and'
          f' {free:,} are free: make room, or name another --workdir'
        )

  def check_saved(self) -> None:
    """Raises the error of a save in the background that has failed."""
    if self._manager is not None:
      with self._saving():
        self._manager.check_for_errors()
        if not self._manager.is_saving_in_progress():
          self._check_written()
          self._remove_old()

  def wait(self) -> None:
    """Waits until everything is saved."""
    if self._manager is not None:
      with self._saving():
        self._manager.wait_until_finished()
        self._check_written()
        self._remove_old()

  def _check_written(self) -> None:
    """Checks that what was saved last is there.

    Orbax 0.12 tells of a failure once: either to whoever asks or to its own
    thread that ends the save. A thread that is not told takes the save for a
    success and would remove the older checkpoints, so that is not left to it.

    Raises:
      OSError: what was saved last is not there.
    """
    step, self._writing = self._writing, None
    manager = self._manager
    if step is None or manager is None or self._failed:
      return
    path = self.folder / str(step)
    if not isinstance(manager, CloudManager) and not path.exists():
      free = shutil.disk_usage(self.folder.parent).free
      number = errno.ENOSPC if free < _LITTLE else errno.EIO
      raise OSError(number, os.strerror(number), str(path))
    self._has_written = True
    self._saved(step)

  def _remove_old(self) -> None:
    """Removes this run's checkpoints that are older than those to keep."""
    failed = any(each._failed for each in self._group)
    if not self._keep or not self._has_written or failed:
      return
    whole = [each._whole() for each in self._group]
    kept = sorted(set.intersection(*whole))[-self._keep :]
    for step in sorted(self._whole()):
      if len(kept) == self._keep and step < kept[0]:
        assert self._manager is not None
        self._manager.delete(step)

  def _whole(self) -> set[int]:
    """The steps of the checkpoints that are no longer being written."""
    assert self._manager is not None
    return set(self._manager.all_steps()) - {self._writing}

  def close(self) -> None:
    """Waits until everything is saved, and ends."""
    try:
      self.wait()
    finally:
      if self._manager is not None:
        self._manager.close()
      if self._failed:
        _remove_temporary(self.folder)

  @contextlib.contextmanager
  def _saving(self) -> Iterator[None]:
    """Removes what a save has left that fails, as on a full disk.

    Tensorstore's threads end what they have begun, and nothing waits for them
    when one has failed: what they write after this is removed by `close` and by
    whoever opens the folder next to write to it.
    """
    try:
      yield
    except Exception:
      self._failed = True
      _remove_temporary(self.folder)
      raise


def keep_together(checkpoints: Sequence[Checkpoints]) -> None:
  """Keeps, from now on, the newest checkpoints that all of these runs have.

  Runs that are trained together resume at a step that each has saved, so that
  none may lose its last such checkpoint while another's new one is written.

  Args:
    checkpoints: of the runs, which keep equally many.
  """
  for each in checkpoints:
    each._group = checkpoints


def restore_newest(
  checkpoints: Sequence[Checkpoints], like: TrainState
) -> tuple[int, list[Restored]] | None:
  """Restores runs at the newest step at which each has a whole checkpoint.

  If a job was stopped between two runs' saves, only some have the last one.

  Args:
    checkpoints: of each run.
    like: a state of the same shape.

  Returns:
    The step and what each run saved then; None: none of them has a checkpoint.

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
  if any(steps):
    raise UserError(
      f'{", ".join(str(each.folder) for each in checkpoints)} hold no'
      ' checkpoints of the same step: resume each run in a command of its own'
    )
  return None


def _remove_temporary(folder: paths.Path) -> None:
  """Removes what is left of saves that have failed."""
  if paths.is_cloud(folder):  # There they are in a temporary folder.
    return
  for name in paths.names(folder):
    if _TEMPORARY in name:
      shutil.rmtree(folder / name, ignore_errors=True)


def has_any(folder: paths.Path) -> bool:
  """Whether there is a checkpoint; one that is cut in a cloud is none."""
  if paths.is_cloud(folder):
    return bool(cloud_checkpoints.steps(folder)[0])
  return any(name.isdecimal() for name in paths.names(folder))


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
