"""Runs commands on a Ray cluster (Ray Core), each as a separate process.

Without an address a cluster of this machine is started; it listens on loopback
only, asks for a token that nobody else has, and ends with the sweep. With one
(--address or $RAY_ADDRESS) a cluster is joined from one of its nodes, with the
token that the environment has ($RAY_AUTH_MODE, and $RAY_AUTH_TOKEN or
$RAY_AUTH_TOKEN_PATH). All nodes see the same checkout, data and folder of runs
under the same paths.

The driver retries, never Ray:

* A worker or node that is lost preempts its command, which resumes elsewhere
  however often. The command itself gets SIGTERM from the kernel when its worker
  dies; the driver waits for it to let go of its folder.
* A command that ends by a signal, Ray's ending it for want of memory, or a node
  where it cannot be started counts as a try.
* A command that loses its worker each time cannot do so for ever: the driver
  counts losses that bring no checkpoint (see driver.py).

If the cluster's head is lost, so is the driver; the same sweep command resumes.
"""

from collections.abc import Mapping, Sequence
import importlib.util
import logging
import math
import os
import pathlib
import secrets
import signal
import socket
import subprocess
import sys
import time
from typing import Any

from experiments.sweeps import ray_node
from sce_jax.errors import UserError
from sce_jax.exit_codes import ExitCode

_INSTALL = 'pip install "ray>=2.60,<3"'
_REPOSITORY = pathlib.Path(__file__).parent.parent.parent
# What commands inherit from the driver, not from the node.
_HANDED_ON = ('JAX_', 'XLA_', 'TFDS_', 'XDG_CACHE_HOME')
_OBJECT_STORE_BYTES = 80 * 2**20  # Near Ray's least: an exit code is small.
_JOIN_SECONDS = 30.0
_REFRESH_SECONDS = 1.0
_CANNOT_START = 71  # EX_OSERR


class Cluster:
  """Commands as tasks of a Ray cluster.

  Args:
    resources: what each is given, and where; see executors.Resources.
    logs: folder of what they print, seen by all nodes.

  Raises:
    UserError: Ray or the cluster cannot be had, or no node has so much.
  """

  def __init__(self, resources: Any, logs: pathlib.Path):
    self._needs = _needs(resources)
    self._resources = resources
    self._logs = logs.absolute()
    self._running: dict[str, Any] = {}
    self._slots, self._looked = 0, -math.inf
    address = resources.address or os.environ.get('RAY_ADDRESS')
    _check_ray()
    if address in (None, '', 'local'):
      self._ray = _start()
    else:
      _check(address)
      self._ray = _join(address)
    _quieten(self._ray)
    if not self._room():
      nodes = '; '.join(
        ' '.join(f'{k}={v:g}' for k, v in node.items())
        for node in self._nodes()
      )
      self._ray.shutdown()
      wanted = ' '.join(f'{k}={v:g}' for k, v in self._needs.items())
      raise UserError(
        f'no node of the Ray cluster has what a command is to have ({wanted}):'
        f' they have {nodes or "nothing"}; see --cpus, --gpus and --tpus'
      )
    self._work = self._ray.remote(ray_node.run).options(
      num_cpus=self._needs.get('CPU', 0),
      num_gpus=self._needs.get('GPU', 0),
      resources={'TPU': resources.tpus} if resources.tpus else None,
      max_retries=0,
      # Ray would kill the command, which is to save itself.
      runtime_env={
        'env_vars': {'RAY_kill_child_processes_on_worker_exit': '0'}
      },
    )

  @property
  def slots(self) -> int:
    """How many there is room for; nodes may come and go."""
    if time.monotonic() - self._looked > _REFRESH_SECONDS:
      # At least one, which then waits for a node.
      self._slots = max(1, self._room())
      self._looked = time.monotonic()
    return min(self._slots, self._resources.jobs or self._slots)

  def start(self, name: str, command: Sequence[str]) -> None:
    """Starts a command, or has it wait for a node that is busy or gone."""
    self._logs.mkdir(parents=True, exist_ok=True)
    self._running[name] = self._work.remote(
      list(command),
      str(self.log(name)),
      os.getcwd(),
      _environment(self._needs),
      60.0,
    )

  def ended(self) -> dict[str, int]:
    """Those that have ended since it was asked last, with their exit codes."""
    references = list(self._running.values())
    if not references:
      return {}
    ready, _ = self._ray.wait(
      references, num_returns=len(references), timeout=0
    )
    codes = {}
    for name, reference in list(self._running.items()):
      if reference in ready:
        codes[name] = self._code(name, reference)
        del self._running[name]
    return codes

  def stop(self, seconds: float = 70.0) -> None:
    """Lets all save themselves and end; kills what does not in time."""
    references = list(self._running.values())
    if not references:
      return
    for reference in references:
      self._ray.cancel(reference)
    _, late = self._ray.wait(
      references, num_returns=len(references), timeout=seconds
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
      self._note(name, f'a node cannot start it: {_last_line(str(error))}')
      return _CANNOT_START
    except errors.RayError as error:  # Its worker or node was lost.
      self._note(name, f'lost: {type(error).__name__}')
      return ExitCode.PREEMPTED

  def _note(self, name: str, text: str) -> None:
    with open(self.log(name), 'a') as log:
      log.write(f'error: {text}\n')

  def _nodes(self) -> list[dict[str, float]]:
    """What each living node has of the resources that count here."""
    return [
      {k: node['Resources'].get(k, 0.0) for k in ('CPU', 'GPU', 'TPU')}
      for node in self._ray.nodes()
      if node['Alive']
    ]

  def _room(self) -> int:
    return sum(
      min(int(node[k] / need + 1e-6) for k, need in self._needs.items())
      for node in self._nodes()
    )


def _needs(resources: Any) -> dict[str, float]:
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


def _check_ray() -> None:
  """Checks that Ray is there and sets what it reads when it is imported."""
  if importlib.util.find_spec('ray') is None:
    raise UserError(f'--executor=ray needs Ray: {_INSTALL}')
  os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')


def _quieten(ray: Any) -> None:
  """Keeps to itself what Ray prints on each lost worker, some 1,000 letters.

  The driver has a line for it; no setting of Ray's does this.
  """
  ray._private.worker.print_to_stdstream = lambda *_, **__: None


def _start() -> Any:
  """A cluster of this machine, for this sweep alone."""
  os.environ.setdefault('RAY_AUTH_MODE', 'token')
  if not os.environ.get('RAY_AUTH_TOKEN_PATH'):
    os.environ.setdefault('RAY_AUTH_TOKEN', secrets.token_hex(32))
  # Else Ray puts this machine's outer address in the place of 127.0.0.1.
  os.environ.setdefault('RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER', '0')
  import ray  # noqa: PLC0415  Not everybody has it.

  try:
    ray.init(
      address='local',
      num_cpus=len(os.sched_getaffinity(0)),
      _node_ip_address='127.0.0.1',
      include_dashboard=False,
      object_store_memory=_OBJECT_STORE_BYTES,
      log_to_driver=False,
      logging_level=logging.CRITICAL,
    )
  except Exception as error:  # noqa: BLE001  Ray raises many kinds.
    raise UserError(
      f'no Ray cluster can be started here: {_last_line(str(error))}'
    ) from None
  return ray


def _check(address: str) -> None:
  """Joins a cluster in another process, which Ray may hang or abort.

  Raises:
    UserError: it cannot be joined.
  """
  if '://' in address:
    raise UserError(
      f'--address={address}: give HOST:PORT, on a node of the cluster'
    )
  if address != 'auto':
    _check_answer(address)
  try:
    done = subprocess.run(
      [
        sys.executable,
        '-c',
        'import sys; from experiments.sweeps import ray_cluster;'
        ' ray_cluster.try_to_join(sys.argv[1])',
        address,
      ],
      cwd=_REPOSITORY,
      # Else Ray tries a token that is refused for twenty seconds.
      env={'RAY_NUM_REDIS_GET_RETRIES': '3', **os.environ},
      stdin=subprocess.DEVNULL,
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
      timeout=_JOIN_SECONDS,
      check=False,
    )
  except subprocess.TimeoutExpired:
    raise UserError(
      f'the Ray cluster at {address} does not let us in in'
      f' {_JOIN_SECONDS:.0f} s: is that its address, and this one of its nodes?'
    ) from None
  if not done.returncode:
    return
  if 'authenticat' in done.stdout.lower():
    raise UserError(
      f'the Ray cluster at {address} refuses the token: set RAY_AUTH_MODE=token'
      ' and RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH, to those of the cluster'
    )
  raise UserError(
    f'the Ray cluster at {address} cannot be joined: {_last_line(done.stdout)}'
  )


def _check_answer(address: str) -> None:
  host, _, port = address.rpartition(':')
  if not host or not port.isdecimal():
    raise UserError(f'--address={address}: give HOST:PORT')
  try:
    socket.create_connection((host, int(port)), _JOIN_SECONDS).close()
  except (OSError, OverflowError) as error:
    raise UserError(
      f'no Ray cluster answers at {address} ({error}): see --address and'
      ' RAY_ADDRESS'
    ) from None


def try_to_join(address: str) -> None:
  """Joins a cluster and leaves it; exits with 1 and a line if it cannot."""
  try:
    _join(address).nodes()
  except Exception as error:  # noqa: BLE001  Ray raises many kinds.
    sys.exit(f'{type(error).__name__}: {_last_line(str(error))}')


def _join(address: str) -> Any:
  import ray  # noqa: PLC0415  Not everybody has it.

  ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
  return ray


def _last_line(text: str) -> str:
  lines = [line.strip() for line in text.splitlines() if line.strip()]
  return lines[-1] if lines else 'it says nothing'
