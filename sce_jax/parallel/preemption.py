"""SIGTERM asks a run to save itself and to end."""

import signal
import threading

from sce_jax.parallel import processes

EXIT_CODE = 75  # EX_TEMPFAIL: the same command goes on from here.


class Preempted(Exception):
  """The run has saved itself after a SIGTERM."""


class PreemptionHandler:
  """Notes that SIGTERM has come, while used as a context manager.

  Attributes:
    received: whether it has come to this process.
  """

  def __init__(self):
    self.received = False
    self._previous = None
    self._pending = None

  def __enter__(self) -> 'PreemptionHandler':
    # Only the main thread may set handlers; elsewhere SIGTERM ends the process
    # and the run goes on from its last checkpoint.
    if threading.current_thread() is threading.main_thread():
      self._previous = signal.signal(signal.SIGTERM, self._note)
    return self

  def __exit__(self, *unused) -> None:
    if self._previous is not None:
      signal.signal(signal.SIGTERM, self._previous)

  def should_stop(self) -> bool:
    """Whether the run is to stop here; to be asked once a dispatch.

    Of several processes all must stop at the same place, so each learns
    whether SIGTERM had come to any of them when this was asked before: by then
    the answer is there, and no device waits for it.
    """
    if processes.num_processes() == 1:
      return self.received
    before, self._pending = self._pending, processes.any_process(self.received)
    return before is not None and bool(before)

  def _note(self, *unused) -> None:
    self.received = True
