"""SIGTERM asks a run to save and exit."""

import signal
import threading

from sce_jax.parallel import processes


class Preempted(Exception):
  """The run received SIGTERM and has saved."""


class PreemptionHandler:
  """Records SIGTERM while used as a context manager.

  Attributes:
    received: whether this process has received it.
  """

  def __init__(self):
    self.received = False
    self._previous = None
    self._pending = None

  def __enter__(self) -> 'PreemptionHandler':
    # Only the main thread may set handlers; elsewhere SIGTERM ends the process
    # and the run can be resumed from its last checkpoint.
    if threading.current_thread() is threading.main_thread():
      self._previous = signal.signal(signal.SIGTERM, self._note)
    return self

  def __exit__(self, *unused) -> None:
    if self._previous is not None:
      signal.signal(signal.SIGTERM, self._previous)

  def should_stop(self) -> bool:
    """Whether the run must stop here; call it once per dispatch.

    Several processes must all stop at the same step, so each learns whether any
    of them had received SIGTERM at the previous call: by then the answer has
    arrived, and no device waits for it.
    """
    if processes.num_processes() == 1:
      return self.received
    before, self._pending = self._pending, processes.any_process(self.received)
    return before is not None and bool(before)

  def _note(self, *unused) -> None:
    self.received = True
