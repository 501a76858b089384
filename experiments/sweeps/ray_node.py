"""A command on a node of a Ray cluster: a process that ends with its worker."""

from collections.abc import Mapping, Sequence
import os
import time

from experiments.sweeps import child
from sce_jax.exit_codes import ExitCode

_POLL_SECONDS = 0.2


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
    process = child.start(command, log, {**inherited, **environment}, folder)
    # ray.cancel raises between two Python instructions, so no long wait. And
    # Ray's node may die without its workers, whose work is then lost to it.
    while process.poll() is None and os.getppid() == node:
      time.sleep(_POLL_SECONDS)
  except KeyboardInterrupt:
    pass
  if process is None:
    return int(ExitCode.PREEMPTED)
  return child.stop(process, seconds)
