"""A command on a node of a Ray cluster: a process that ends with its worker.

Ray's worker is one process, the command another, which this file starts. It
needs nothing but the standard library.
"""

from collections.abc import Mapping, Sequence
import ctypes
import os
import signal
import subprocess
import sys
import time

_POLL_SECONDS = 0.2
_PR_SET_PDEATHSIG = 1
_PREEMPTED = 75  # As preemption.EXIT_CODE, whose imports are not needed here.


def run(
  command: Sequence[str],
  log: str,
  folder: str,
  environment: Mapping[str, str],
  seconds: float,
) -> int:
  """Runs a command to its end.

  Args:
    command: what follows the interpreter on the command line.
    log: the file that its output is added to.
    folder: where it runs.
    environment: added to that of the node.
    seconds: how long it may take to save itself once Ray cancels this.

  Returns:
    Its exit code; that of a signal is negative.
  """
  node = os.getppid()
  # Ray's settings, its token among them, are no business of the command.
  inherited = {k: v for k, v in os.environ.items() if k[:4] != 'RAY_'}
  process = None
  try:
    with open(log, 'a') as output:
      process = subprocess.Popen(
        # Not through preexec_fn: Ray's workers have threads.
        [sys.executable, __file__, str(os.getpid()), *command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env={**inherited, **environment},
        start_new_session=True,
      )
    # ray.cancel raises between two Python instructions, so no long wait. And
    # Ray's node may die without its workers, whose work is then lost to it.
    while process.poll() is None and os.getppid() == node:
      time.sleep(_POLL_SECONDS)
  except KeyboardInterrupt:
    pass
  return _PREEMPTED if process is None else _end(process, seconds)


def _end(process: subprocess.Popen, seconds: float) -> int:
  """Lets a process save itself if it still runs; its exit code."""
  process.send_signal(signal.SIGTERM)  # Nothing to one that has ended.
  try:
    return process.wait(seconds)
  except subprocess.TimeoutExpired:
    process.kill()
    return process.wait()


def _become(parent: int, command: Sequence[str]) -> None:
  """Turns this process into the command, to end with its parent."""
  ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
  if os.getppid() != parent:  # It was quicker.
    sys.exit(_PREEMPTED)
  os.execv(sys.executable, [sys.executable, *command])


if __name__ == '__main__':
  _become(int(sys.argv[1]), sys.argv[2:])
