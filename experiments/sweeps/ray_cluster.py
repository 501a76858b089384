"""Runs commands on a Ray cluster (Ray Core), each as a separate process.

Without an address a cluster of this machine is started; it listens on loopback
only, asks for a token that nobody else has, and ends with the sweep. With one
(--address or $RAY_ADDRESS) a cluster is joined from one of its nodes, with the
token that Ray finds ($RAY_AUTH_MODE, and $RAY_AUTH_TOKEN or
$RAY_AUTH_TOKEN_PATH). All nodes see the same checkout, data and folder of runs
under the same paths.

Ray queues the commands and places them; the driver retries, never Ray:

* A worker or node that is lost preempts its command, which resumes elsewhere
  however often. The command itself gets SIGTERM from the kernel when its worker
  dies; the driver waits until it has released its folder.
* A command that ends by a signal, Ray's ending it for want of memory, or a node
  where it cannot be started counts as a try.

If the cluster's head is lost, so is the driver; the same sweep command resumes.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import importlib.util
import logging
import os
import pathlib
import secrets
import signal
import socket
import threading
from typing import Any

from experiments.sweeps import ray_node
from sce_jax.errors import UserError
from sce_jax.exit_codes import ExitCode

_INSTALL = 'pip install "ray>=2.60,<3"'
# What commands inherit from the driver, not from the node.
_HANDED_ON = ('JAX_', 'XLA_', 'TFDS_', 'XDG_CACHE_HOME')
_OBJECT_STORE_BYTES = 80 * 2**20  # Near Ray's least: an exit code is small.
_CONNECT_SECONDS = 10.0
_SAVE_SECONDS = 60.0
# How many commands Ray has at a time, to run or to keep waiting.
_QUEUED = 256


@dataclasses.dataclass(frozen=True)
class Resources:
  """What commands are given.

  Attributes:
    address: HOST:PORT of a cluster; None: $RAY_ADDRESS, or one of this machine.
    cpus: CPU cores of each command.
    gpus: GPUs of each.
    tpus: TPU chips of each.
  """

  address: str | None = None
  cpus: float = 1
  gpus: float = 0
  tpus: float = 0


class Cluster:
  """Commands as tasks of a Ray cluster.

  Args:
    jobs: how many at a time; None: as many as there is room for.
    resources: what each is given, and where.
    logs: folder of what they print, seen by all nodes.

  Attributes:
    slots: how many Ray is given at a time.

  Raises:
    UserError: Ray or the cluster cannot be had, or no node has so much.
  """

  def __init__(
    self, jobs: int | None, resources: Resources, logs: pathlib.Path
  ):
    self.slots = jobs or _QUEUED
    self._needs = _needs(resources)
    self._logs = logs
    self._starting = threading.Lock()
    self._stopped = False
    self._running: set[Any] = set()
    self._ray = _connect(resources.address or os.environ.get('RAY_ADDRESS'))
    nodes = [
      {k: node['Resources'].get(k, 0.0) for k in ('CPU', 'GPU', 'TPU')}
      for node in self._ray.nodes()
      if node['Alive']
    ]
    if not any(
      all(node[k] >= need for k, need in self._needs.items()) for node in nodes
    ):
      self._ray.shutdown()
      raise UserError(
        'no node of the Ray cluster has what a command is to have'
        f' ({_show(self._needs)}): they have'
        f' {"; ".join(map(_show, nodes)) or "nothing"}; see --cpus, --gpus and'
        ' --tpus'
      )
    self._work = self._ray.remote(ray_node.run).options(
      num_cpus=resources.cpus,
      num_gpus=resources.gpus,
      resources={'TPU': resources.tpus} if resources.tpus else None,
      max_retries=0,
      # Ray would kill the command, which is to save itself.
      runtime_env={
        'env_vars': {'RAY_kill_child_processes_on_worker_exit': '0'}
      },
    )

  def run(self, name: str, command: Sequence[str]) -> int:
    """Runs a command where there is room for it; returns its exit code."""
    with self._starting:
      if self._stopped:
        return ExitCode.PREEMPTED
      reference = self._work.remote(
        list(command),
        str(self.log(name)),
        os.getcwd(),
        _environment(self._needs),
        _SAVE_SECONDS,
      )
      self._running.add(reference)
    try:
      return self._code(name, reference)
    finally:
      self._running.discard(reference)

  def stop(self) -> None:
    """Lets all save themselves and end; kills what does not in time."""
    with self._starting:
      self._stopped = True
    references = list(self._running)
    if not references:
      return
    for reference in references:
      self._ray.cancel(reference)
    _, late = self._ray.wait(
      references, num_returns=len(references), timeout=_SAVE_SECONDS + 10
    )
    for reference in late:
      self._ray.cancel(reference, force=True)

  def log(self, name: str) -> pathlib.Path:
    """Where a command's output is."""
    return self._logs / f'{name}.log'

  def _code(self, name: str, reference: Any) -> int:
    errors = self._ray.exceptions
    try:
      return self._ray.get(reference)
    except errors.OutOfMemoryError:
      self._note(name, 'Ray ended it, for its node was out of memory')
      return -signal.SIGKILL
    except (
      errors.RayTaskError,
      errors.RuntimeEnvSetupError,
      errors.TaskUnschedulableError,
    ) as error:
      self._note(name, f'a node cannot start it: {_last_line(error)}')
      return ExitCode.CANNOT_START
    except errors.RayError as error:  # Its worker or node was lost.
      self._note(name, f'lost: {type(error).__name__}')
      return ExitCode.PREEMPTED

  def _note(self, name: str, text: str) -> None:
    with open(self.log(name), 'a') as log:
      log.write(f'error: {text}\n')


def _needs(resources: Resources) -> dict[str, float]:
  needs = {
    'CPU': resources.cpus,
    'GPU': resources.gpus,
    'TPU': resources.tpus,
  }
  for name, value in needs.items():
    if value > 1 and value != int(value):
      raise UserError(
        f'--{name.lower()}s={value:g}: Ray shares out whole ones, or parts of'
        ' one'
      )
  needs = {name: value for name, value in needs.items() if value}
  if not needs:
    raise UserError('--cpus=0: a command needs cores, --gpus or --tpus')
  return needs


def _environment(needs: Mapping[str, float]) -> dict[str, str]:
  """What commands get on top of their node's environment."""
  environment = {
    k: v for k, v in os.environ.items() if k.startswith(_HANDED_ON)
  }
  threads = str(max(1, int(needs.get('CPU', 1))))
  if 'GPU' not in needs and 'TPU' not in needs:
    environment.setdefault('JAX_PLATFORMS', 'cpu')
    # Of XLA and of what else computes. Not affinity: which cores of a node are
    # those of other containers cannot be seen.
    environment |= {'NPROC': threads, 'OMP_NUM_THREADS': threads}
  part = needs.get('GPU', 1)
  if part < 1:
    environment.setdefault(
      'XLA_PYTHON_CLIENT_MEM_FRACTION', f'{0.9 * part:.2f}'
    )
  return environment


def _connect(address: str | None) -> Any:
  """Joins the cluster at an address, or starts one of this machine.

  Returns:
    The module ray.

  Raises:
    UserError: Ray is missing, or says that this cannot be done.
  """
  if importlib.util.find_spec('ray') is None:
    raise UserError(f'--executor=ray needs Ray: {_INSTALL}')
  os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
  options: dict[str, Any] = {'address': address}
  if address in (None, '', 'local'):
    # Nobody else on this machine may run commands in it.
    os.environ.setdefault('RAY_AUTH_MODE', 'token')
    os.environ.setdefault('RAY_AUTH_TOKEN', secrets.token_hex(32))
    # Else Ray puts this machine's outer address in the place of 127.0.0.1.
    os.environ.setdefault('RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER', '0')
    options = {
      'address': 'local',
      'num_cpus': len(os.sched_getaffinity(0)),
      '_node_ip_address': '127.0.0.1',
      'include_dashboard': False,
      'object_store_memory': _OBJECT_STORE_BYTES,
    }
  elif address != 'auto':
    _check_answer(address)
  # Else Ray tries for minutes what fails at once.
  os.environ.setdefault('RAY_NUM_REDIS_GET_RETRIES', '3')
  import ray  # noqa: PLC0415  Not everybody has it, and it reads these first.

  try:
    ray.init(**options, log_to_driver=False, logging_level=logging.CRITICAL)
  except Exception as error:  # noqa: BLE001  Ray raises many kinds.
    raise UserError(
      f'Ray cannot use the cluster at {options["address"]}: {_last_line(error)}'
    ) from None
  return ray


def _check_answer(address: str) -> None:
  """Checks that somebody listens, which Ray tries for two minutes."""
  host, _, port = address.rpartition(':')
  if not host or not port.isdecimal() or '/' in host:
    raise UserError(
      f'--address={address}: give HOST:PORT, on a node of the cluster'
    )
  try:
    socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
  except (OSError, OverflowError) as error:
    raise UserError(
      f'no Ray cluster answers at {address} ({error}): see --address and'
      ' RAY_ADDRESS'
    ) from None


def _show(amounts: Mapping[str, float]) -> str:
  return ' '.join(f'{k}={v:g}' for k, v in amounts.items())


def _last_line(error: Exception) -> str:
  lines = [line.strip() for line in str(error).splitlines() if line.strip()]
  return lines[-1] if lines else type(error).__name__
