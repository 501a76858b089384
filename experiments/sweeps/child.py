"""A command as a child that gets SIGTERM when its parent dies.

It then saves itself, and can be resumed. Needs nothing but the standard
library: nodes of a Ray cluster run it, too.
"""

from collections.abc import Mapping, Sequence
import ctypes
import os
import signal
import subprocess
import sys

_PR_SET_PDEATHSIG = 1


def start(
  command: Sequence[str],
  log: str | os.PathLike,
  environment: Mapping[str, str],
  folder: str | None = None,
) -> subprocess.Popen:
  """Starts a command.

  The kernel's parent is the thread that calls this: it must wait for the child.

  Args:
    command: what follows the interpreter on the command line.
    log: the file that its output is added to.
    environment: all its variables.
    folder: where it runs; None: here.
  """
  with open(log, 'a') as output:
    return subprocess.Popen(
      # This file turns into the command: preexec_fn is not for processes that
      # have threads.
      [sys.executable, '-S', __file__, str(os.getpid()), *command],
      cwd=folder,
      stdin=subprocess.DEVNULL,
      stdout=output,
      stderr=subprocess.STDOUT,
      env=dict(environment),
      # Ctrl-C is for the driver, which lets its runs save themselves.
      start_new_session=True,
    )


def stop(process: subprocess.Popen, seconds: float) -> int:
  """Lets a child save itself if it still runs; returns its exit code."""
  process.send_signal(signal.SIGTERM)  # Nothing to one that has ended.
  try:
    return process.wait(seconds)
  except subprocess.TimeoutExpired:
    process.kill()
    return process.wait()


def _become(parent: int, command: Sequence[str]) -> None:
  ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
  if os.getppid() != parent:  # It died before that.
    os.kill(os.getpid(), signal.SIGTERM)
  os.execv(sys.executable, [sys.executable, *command])


if __name__ == '__main__':
  _become(int(sys.argv[1]), sys.argv[2:])
