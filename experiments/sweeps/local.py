"""Runs commands as processes of this machine, each with its share of it."""

from collections.abc import Sequence
import contextlib
import os
import pathlib
import queue
import shutil
import subprocess
import threading

from experiments.sweeps import child
from sce_jax.errors import UserError
from sce_jax.exit_codes import ExitCode

_SAVE_SECONDS = 60.0


class Local:
  """Processes, one an accelerator, or each with a share of the cores.

  Args:
    jobs: how many at a time; None: one an accelerator, or one if there is none.
    logs: folder of what they print.

  Attributes:
    slots: how many at a time.

  Raises:
    UserError: more jobs than accelerators or cores.
  """

  def __init__(self, jobs: int | None, logs: pathlib.Path):
    self._gpus = _gpus()
    cores = sorted(os.sched_getaffinity(0))
    most = len(self._gpus) or len(cores)
    if jobs is not None and jobs > most:
      what = 'accelerators' if self._gpus else 'CPU cores'
      raise UserError(f'--jobs={jobs}: this machine has {most} {what}')
    self.slots = jobs or len(self._gpus) or 1
    self._cores = [cores[i :: self.slots] for i in range(self.slots)]
    self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
    for slot in range(self.slots):
      self._free.put(slot)
    self._logs = logs
    self._starting = threading.Lock()
    self._stopped = False
    self._running: set[subprocess.Popen] = set()

  def run(self, name: str, command: Sequence[str]) -> int:
    """Runs a command in a free slot; returns its exit code."""
    slot = self._free.get()
    try:
      with self._starting:
        if self._stopped:
          return ExitCode.PREEMPTED
        process = child.start(command, self.log(name), self._environment(slot))
        self._running.add(process)
      if not self._gpus:
        with contextlib.suppress(ProcessLookupError):  # It has ended.
          os.sched_setaffinity(process.pid, self._cores[slot])
      code = process.wait()
      self._running.discard(process)
      return code
    finally:
      self._free.put(slot)

  def stop(self) -> None:
    """Lets all save themselves and end; kills what does not in time."""
    with self._starting:
      self._stopped = True
    running = list(self._running)
    for process in running:
      process.terminate()
    try:  # Asked once: a second SIGTERM would end them before they have saved.
      for process in running:
        with contextlib.suppress(subprocess.TimeoutExpired):
          process.wait(_SAVE_SECONDS)
    finally:  # A second Ctrl-C does not wait.
      for process in running:
        process.kill()

  def log(self, name: str) -> pathlib.Path:
    """Where a command's output is."""
    return self._logs / f'{name}.log'

  def _environment(self, slot: int) -> dict[str, str]:
    environment = dict(os.environ)
    if self._gpus:
      environment['CUDA_VISIBLE_DEVICES'] = self._gpus[slot]
    return environment


def _gpus() -> list[str]:
  """The GPUs that this process may use, without asking jax."""
  visible = os.environ.get('CUDA_VISIBLE_DEVICES')
  if visible is not None:
    return [x for x in visible.split(',') if x and x != '-1']
  tool = shutil.which('nvidia-smi')
  if tool is None or os.environ.get('JAX_PLATFORMS') == 'cpu':
    return []
  listed = subprocess.run(
    [tool, '-L'], capture_output=True, text=True, check=False
  ).stdout
  return [str(i) for i, x in enumerate(listed.splitlines()) if 'GPU' in x]
