"""Saves and restores runs: the only file that knows orbax."""

import logging
import pathlib
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from sce_jax import distributed
from sce_jax.train_state import TrainState

# Orbax reports every step of every save at level INFO and above.
logging.getLogger('absl').setLevel(logging.ERROR)


class Checkpoints:
  """A run's checkpoints, written in the background.

  Of several processes only process 0 writes and reads them, and shares what it
  has read: the others need not see the folder.
  """

  def __init__(self, folder: pathlib.Path, keep: int | None):
    self._manager = _manager(folder, keep) if distributed.is_primary() else None

  def steps(self) -> list[int]:
    """The steps at which there are checkpoints, in order."""
    return distributed.share(
      sorted(self._manager.all_steps()) if self._manager else []
    )

  def save(self, state: TrainState, extra: dict[str, Any]) -> None:
    """Begins to save a run.

    Args:
      state: the run; may be donated as soon as this returns.
      extra: what else goes on where it stood; JSON.
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

  def restore(
    self, step: int, like: TrainState
  ) -> tuple[TrainState, dict[str, Any]]:
    """Restores what was saved at a step, in memory.

    Args:
      step: one of `steps()`.
      like: a state of the same shape.
    """
    return distributed.share(
      self._read(step, like) if self._manager else (like, {})
    )

  def _read(
    self, step: int, like: TrainState
  ) -> tuple[TrainState, dict[str, Any]]:
    assert self._manager is not None
    abstract = jax.tree.map(lambda x: np.empty(x.shape, x.dtype), like)
    restored = self._manager.restore(
      step,
      args=ocp.args.Composite(
        state=ocp.args.StandardRestore(abstract), extra=ocp.args.JsonRestore()
      ),
    )
    return restored['state'], restored['extra']

  def close(self) -> None:
    """Waits until everything is saved."""
    if self._manager is not None:
      self._manager.wait_until_finished()
      self._manager.close()


def _manager(folder: pathlib.Path, keep: int | None) -> ocp.CheckpointManager:
  several = distributed.num_processes() > 1
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
