"""Where a sweep's commands can run."""

from collections.abc import Sequence
import dataclasses
import pathlib
from typing import Protocol

from experiments.sweeps.local import Local
from experiments.sweeps.ray_cluster import Cluster
from sce_jax.errors import UserError

# Those that run commands; `sky` and `print` hand them to somebody who does.
NAMES = ('local', 'ray', 'sky', 'print')


@dataclasses.dataclass(frozen=True)
class Resources:
  """What commands are given.

  Attributes:
    jobs: how many run at a time; None: as many as there is room for.
    address: ray: HOST:PORT of a cluster; None: one of this machine.
    cpus: ray: CPU cores of each command.
    gpus: ray: GPUs of each.
    tpus: ray: TPU chips of each.
  """

  jobs: int | None = None
  address: str | None = None
  cpus: float = 1
  gpus: float = 0
  tpus: float = 0


class Executor(Protocol):
  """Where commands run."""

  slots: int

  def start(self, name: str, command: Sequence[str]) -> None:
    """Starts a command; there must be a free slot."""

  def ended(self) -> dict[str, int]:
    """Those that have ended since it was asked last, with exit codes."""

  def stop(self) -> None:
    """Lets all save themselves and end."""

  def log(self, name: str) -> pathlib.Path:
    """Where a command's output is."""


def check(name: str) -> None:
  """Checks that there is an executor of this name.

  Raises:
    UserError: there is none.
  """
  if name not in NAMES:
    raise UserError(
      f'--executor={name} is not known: use one of {", ".join(NAMES)}'
    )


def make(name: str, resources: Resources, logs: pathlib.Path) -> Executor:
  """Makes an executor.

  Args:
    name: 'local' or 'ray'.
    resources: what commands are given.
    logs: the folder of what they print.

  Raises:
    UserError: it cannot be had, or not with these resources.
  """
  if name == 'ray':
    return Cluster(resources, logs)
  return Local(resources.jobs, logs)
