"""A signal asks a run to save and exit."""

import signal
import threading
from types import FrameType
from typing import Any

from sce_jax import signals
from sce_jax.parallel import processes


class Preempted(Exception):
  """The run was asked to stop; it resumes when the command is given again."""


class Interrupted(KeyboardInterrupt):
  """As Preempted, by Ctrl-C."""


class PreemptionHandler:
  """Records signals while used as a context manager, around training."""

  def __init__(self) -> None:
    self._pending = None
    self._previous: dict[int, Any] = {}

  def __enter__(self) -> 'PreemptionHandler':
    signals.received.clear()
    # Several processes stop together, so none ends while the others compile.
    signals.is_training = processes.num_processes() > 1
    # In a notebook, say. Only the main thread may set handlers; elsewhere
    # signals end the process, and the run resumes from its last checkpoint.
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and not signals.is_installed:
      for number in (signal.SIGTERM, signal.SIGINT):
        self._previous[number] = signal.signal(number, self._on_signal)
    return self

  def __exit__(self, *unused) -> None:
    signals.is_training = False
    for number, handler in self._previous.items():
      signal.signal(number, handler)

  @property
  def received(self) -> bool:
    """Whether this process has received a signal."""
    return bool(signals.received)

  def training_begins(self) -> None:
    """Says that from now on there is something to save."""
    signals.is_training = True

  def should_stop(self) -> bool:
    """Whether the run must stop here; call it once per dispatch.

    Several processes must all stop at the same step, so each learns whether any
    of them had received a signal at the previous call: by then the answer has
    arrived, and no device waits for it.
    """
    if processes.num_processes() == 1:
      return self.received
    before, self._pending = self._pending, processes.any_process(self.received)
    return before is not None and bool(before)

  def stopped(self, what: str) -> Preempted | Interrupted:
    """The exception that ends the run.

    Args:
      what: what has become of it, for the user.
    """
    # Another process may have received it.
    number = (signals.received or [signal.SIGTERM])[0]
    kind = Interrupted if number == signal.SIGINT else Preempted
    return kind(f'{signals.name(number)}: {what}')

  def _on_signal(self, number: int, frame: FrameType | None) -> None:
    signals.received.append(number)
    if number == signal.SIGINT and len(signals.received) > 1:
      raise KeyboardInterrupt
