"""Several processes that train as one: connecting them."""

import ipaddress
import os
import socket
import time
from typing import Any

from sce_jax.errors import UserError, reason_of
from sce_jax.parallel import processes

# Seconds for all processes to find each other.
TIMEOUT = 300.0
# Seconds until all are terminated after an error that not all know of.
_SHUTDOWN = 30


def initialize(
  coordinator: str | None = None,
  num_processes: int | None = None,
  process_id: int | None = None,
  timeout: float = TIMEOUT,
  heartbeat: int = 100,
) -> None:
  """Connects to the other processes, if any; call it before jax sees a device.

  Without arguments there are others in a Slurm step of several tasks and on a
  TPU slice of several hosts, as jax finds them; num_processes=1 says that there
  are none.

  Args:
    coordinator: 'host:port' of process 0, any free port.
    num_processes: how many there are.
    process_id: which one this is, from 0 on.
    timeout: seconds to find each other.
    heartbeat: seconds without a sign of life after which a process is lost,
      and jax ends the others.

  Raises:
    UserError: the arguments do not fit together, or the others are not found.
  """
  options = _options(coordinator, num_processes, process_id, timeout)
  if options is None:
    return
  import jax  # noqa: PLC0415
  from jax._src import distributed as jax_distributed  # noqa: PLC0415

  # Its handler would swallow every SIGTERM; preemption.py has its own.
  jax.config.update('jax_enable_preemption_service', False)
  # Slurm's and TPUs' own words on failure are jax's.
  jax.distributed.initialize(
    **options,
    heartbeat_timeout_seconds=heartbeat,
    initialization_timeout=int(timeout),
    shutdown_timeout_seconds=_SHUTDOWN,
  )
  processes.set_state(jax_distributed.global_state)
  counts = processes.all_gather(jax.local_device_count())
  if len(set(counts)) > 1:
    raise UserError(
      f'the processes have {", ".join(map(str, counts))} devices: give each'
      ' as many as the others (CUDA_VISIBLE_DEVICES, say)'
    )
  # On CPUs the first exchange waits 30 s only, which one process's compiling
  # may outlast: it is made now that all are here. Later ones wait longer.
  processes.any_process(False).block_until_ready()


def check_devices() -> None:
  """Checks that jax finds the devices that it is asked for.

  Raises:
    UserError: it does not.
  """
  import jax  # noqa: PLC0415

  try:
    jax.devices()
  # Of several types, assertions among them, and of text that guesses.
  except Exception as error:  # noqa: BLE001
    reason = reason_of(error)
    raise UserError(
      f'jax finds no device ({reason}): install jax for the one that you have,'
      ' such as pip install "jax[cuda13]", or set JAX_PLATFORMS (now'
      f' {os.environ.get("JAX_PLATFORMS")!r}) to cpu'
    ) from None


def _options(
  coordinator: str | None,
  num_processes: int | None,
  process_id: int | None,
  timeout: float,
) -> dict[str, Any] | None:
  """What jax is to be told; None: there is one process."""
  if coordinator is None and process_id is None:
    if num_processes is None:
      cluster = _cluster()
      return {'cluster_detection_method': cluster} if cluster else None
    if num_processes == 1:
      return None
  given = {
    '--coordinator': coordinator,
    '--num_processes': num_processes,
    '--process_id': process_id,
  }
  missing = [name for name, value in given.items() if value is None]
  if coordinator is None or num_processes is None or process_id is None:
    raise UserError(
      f'{" and ".join(missing)} must be given, too: several processes need'
      f' all of {", ".join(given)}'
    )
  if num_processes < 1 or not 0 <= process_id < num_processes:
    raise UserError(
      f'--process_id={process_id} is not one of {num_processes} processes:'
      ' they are counted from 0 to --num_processes less 1'
    )
  host, _, port = coordinator.rpartition(':')
  if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
    raise UserError(
      f'--coordinator={coordinator} is not understood: give process 0 as'
      ' HOST:PORT, such as 10.0.0.1:1234'
    )
  if num_processes == 1:
    return None
  _check_reachable(host.strip('[]'), int(port), process_id, timeout)
  return {
    'coordinator_address': coordinator,
    # None: all addresses, where others of this machine's would do.
    'coordinator_bind_address': coordinator if _is_loopback(host) else None,
    'num_processes': num_processes,
    'process_id': process_id,
    # Or jax would look at Slurm's variables and hide devices.
    'cluster_detection_method': 'deactivate',
  }


def _cluster() -> str | None:
  """What jax calls the cluster that started several processes, if one did."""
  from jax._src import clusters  # noqa: PLC0415

  kinds: list[Any] = [clusters.SlurmCluster]
  if 'tpu' in (os.environ.get('JAX_PLATFORMS') or 'tpu').split(','):
    kinds += [clusters.GkeTpuCluster, clusters.GceTpuCluster]
  for kind in kinds:
    # A batch script's own shell has no step, and a single host no others.
    if kind.is_env_present() and kind.get_process_count() > 1:
      return kind.name
  return None


def _is_loopback(host: str) -> bool:
  try:
    return ipaddress.ip_address(host.strip('[]')).is_loopback
  except ValueError:  # A name.
    return host == 'localhost'


def _check_reachable(
  host: str, port: int, process_id: int, timeout: float
) -> None:
  """Fails with one line where jax would print a stack trace."""
  if process_id == 0:
    is_local = _is_loopback(host)
    version = socket.AF_INET6
    if is_local and ':' not in host:
      version = socket.AF_INET
    try:
      with socket.create_server(
        (host if is_local else '', port),
        family=version,
        dualstack_ipv6=not is_local,
      ):
        return
    except ValueError:  # No IPv6 here; jax will see.
      return
    except OSError as error:
      raise UserError(
        f'--coordinator={host}:{port}: process 0 cannot open the port'
        f' ({error.strerror}): choose another'
      ) from None
  end = time.monotonic() + timeout
  while True:
    try:
      with socket.create_connection((host, port), timeout=5):
        return
    except OSError as error:
      if time.monotonic() > end:
        raise UserError(
          f'--coordinator={host}:{port} was not reached in {timeout:g} s'
          f' ({error}): start process 0 there, and open the port'
        ) from None
    time.sleep(0.2)
