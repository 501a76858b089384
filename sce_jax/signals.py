"""Signals of this process: how it ends when it is asked to.

SIGTERM is what clusters and clouds send, SIGHUP what a closed terminal sends,
SIGINT is Ctrl-C. launch.py handles them from its start to its end: while a run
trains it saves at the end of the current dispatch (parallel/preemption.py), and
a second signal ends it at once; at any other time, also while it compiles,
nothing would be lost, and the process ends at once.

Imports next to nothing: signals are handled before all else is imported.
"""

from collections.abc import Callable
import os
import signal
import socket
import sys
import threading
import time
from types import FrameType
from typing import NoReturn

from sce_jax.exit_codes import ExitCode

_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
# Seconds within which all but Ctrl-C are one: the kernel sends a child as many
# SIGTERMs as its dying parent has threads (prctl, PR_SET_PDEATHSIG), two of
# those who stop the same job send one each, systemd sends SIGTERM and SIGHUP.
_TOGETHER = 1.0

# The signals received since a run began to train, in order.
received: list[int] = []
# When the first of them was.
_asked = 0.0
# Whether a run trains, and would lose something.
is_training = False
# Whether `install` was called.
is_installed = False
# What is to be released when the process ends at once, such as leases.
_to_release: list[Callable[[], None]] = []


def install() -> None:
  """Handles the signals of this process from now on; main thread only.

  For a program that may end at any time, unlike a notebook.
  """
  global is_installed
  ours, pythons = socket.socketpair()
  pythons.setblocking(False)
  signal.set_wakeup_fd(pythons.fileno())

  def watch(_: socket.socket = pythons) -> None:  # Which stays open with it.
    while numbers := ours.recv(1):
      if numbers[0] in _SIGNALS:  # Python tells of all that have a handler.
        _on_signal(numbers[0])

  threading.Thread(target=watch, daemon=True).start()
  is_installed = True
  for number in _SIGNALS:
    if signal.getsignal(number) is not signal.SIG_IGN:  # As nohup does.
      # Python only passes on signals that have a handler. This one does
      # nothing: it would run between any two lines of the main thread, where an
      # exception may be lost, or not until a compilation has ended.
      signal.signal(number, lambda number, frame: None)


def raise_exceptions() -> None:
  """Makes signals raise KeyboardInterrupt or SystemExit again after `install`.

  For a program that only waits for others, which it must stop.
  """
  global is_installed
  if not is_installed:
    return
  is_installed = False
  signal.set_wakeup_fd(-1)

  def leave(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(ExitCode.PREEMPTED)

  for number in _SIGNALS:
    if signal.getsignal(number) is not signal.SIG_IGN:
      interrupts = number == signal.SIGINT
      signal.signal(number, signal.default_int_handler if interrupts else leave)


def ignore() -> None:
  """Ignores signals from now on: the process ends, and keeps its exit code."""
  for number in _SIGNALS:
    signal.signal(number, signal.SIG_IGN)


def release_at_exit(release: Callable[[], None]) -> None:
  """Registers what is called when a signal ends the process at once."""
  _to_release.append(release)


def name(number: int) -> str:
  """A signal's name, for the user."""
  return 'Ctrl-C' if number == signal.SIGINT else signal.Signals(number).name


def _on_signal(number: int) -> None:
  """Called in a thread: the main one may be inside compiled code."""
  global _asked
  if not is_training:
    _exit(number, 'stopped; the same command resumes from the last checkpoint')
  now = time.monotonic()
  if not received:
    _asked = now
    received.append(number)
    _print(f'{name(number)}: saves at the end of these steps, then stops')
  elif number == signal.SIGINT or now - _asked >= _TOGETHER:
    # Also while it saves: a checkpoint is there as a whole or not at all.
    _exit(number, 'stopped at once; resumes from the last whole checkpoint')


def _exit(number: int, message: str) -> NoReturn:
  _print(f'{name(number)}: {message}')
  for release in _to_release:
    release()
  interrupted = number == signal.SIGINT
  # Not sys.exit: the main thread may compile for minutes.
  os._exit(ExitCode.INTERRUPTED if interrupted else ExitCode.PREEMPTED)


def _print(message: str) -> None:
  # The main thread may hold the lock of sys.stderr.
  clear = '\r\x1b[K' if os.isatty(2) else ''  # There may be a bar.
  os.write(2, f'{clear}{message}\n'.encode())
