"""Runs commands as processes of this machine, each with its share of it."""

from collections.abc import Mapping, Sequence
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import sys

from sce_jax.errors import UserError

_PR_SET_PDEATHSIG = 1


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
    self._logs = logs
    self._free = list(range(self.slots))
    self._running: dict[str, tuple[subprocess.Popen, int]] = {}

  def start(self, name: str, command: Sequence[str]) -> None:
    """Starts a command; there must be a free slot."""
    slot = self._free.pop(0)
    self._logs.mkdir(parents=True, exist_ok=True)
    with open(self.log(name), 'a') as log:
      process = subprocess.Popen(
        [sys.executable, *command],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=self._environment(slot),
        # Ctrl-C is for the driver, which lets its runs save themselves.
        start_new_session=True,
        preexec_fn=_end_with_parent,
      )
    if not self._gpus:
      os.sched_setaffinity(process.pid, self._cores[slot])
    self._running[name] = process, slot

  def ended(self) -> dict[str, int]:
    """Those that have ended since it was asked last, with their exit codes."""
    codes = {}
    for name, (process, slot) in list(self._running.items()):
      code = process.poll()
      if code is not None:
        codes[name] = code
        self._free.append(slot)
        del self._running[name]
    return codes

  def stop(self, seconds: float = 60.0) -> None:
    """Lets all save themselves and end; kills what does not in time."""
    for process, _ in self._running.values():
      process.send_signal(signal.SIGTERM)
    for process, _ in self._running.values():
      try:
        process.wait(seconds)
      except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

  def log(self, name: str) -> pathlib.Path:
    """Where a command's output is."""
    return self._logs / f'{name}.log'

  def _environment(self, slot: int) -> Mapping[str, str]:
    environment = dict(os.environ)
    if self._gpus:
      environment['CUDA_VISIBLE_DEVICES'] = self._gpus[slot]
    return environment


def _end_with_parent() -> None:
  # A killed driver takes its runs with it: they save and can be resumed.
  ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


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
