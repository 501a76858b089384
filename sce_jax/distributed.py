"""Several processes that train as one: how they start and how they agree.

Each process, usually one a host, runs the same program on the same data; its
devices compute their share of every batch (parallel.py). Process 0 alone
touches a run's folder and speaks. What it knows, such as the step to go on
from, it shares; what any may know, such as a SIGTERM, is asked of all. All
processes must make the calls of this file in the same order.

Where there is one process nothing here costs anything, nor imports jax: who
only reads run folders asks whether it is the only one, too.
"""

from collections.abc import Callable, Mapping, Sequence
import contextlib
import functools
import itertools
import os
import pickle
import socket
import sys
import time
from typing import Any, TypeVar

import numpy as np

from sce_jax.errors import UserError

T = TypeVar('T')

# Seconds for all processes to find each other.
TIMEOUT = 300.0
# After an error that not all know of, so long until all are ended.
_SHUTDOWN = 30
# Values above this many bytes are forgotten once all have them.
_LARGE = 2**20
_FOLDER = 'sce_jax'
_numbers = itertools.count()
# jax's own record of the processes, once there are several.
_joined: Any = None


def initialize(
  coordinator: str | None = None,
  num_processes: int | None = None,
  process_id: int | None = None,
  timeout: float = TIMEOUT,
) -> None:
  """Joins the other processes, if there are any; before jax sees a device.

  Without arguments there are others in a Slurm step of several tasks and on a
  TPU slice of several hosts, as jax finds them; num_processes=1 says that there
  are none.

  Args:
    coordinator: 'host:port' of process 0, any free port.
    num_processes: how many there are.
    process_id: which one this is, from 0 on.
    timeout: seconds to find each other.

  Raises:
    UserError: the arguments do not fit together, or the others are not found.
  """
  options = _options(coordinator, num_processes, process_id, timeout)
  if options is None:
    return
  global _joined
  import jax  # noqa: PLC0415
  from jax._src import distributed as jax_distributed  # noqa: PLC0415

  # Its handler would swallow every SIGTERM; preemption.py has its own.
  jax.config.update('jax_enable_preemption_service', False)
  # Slurm's and TPUs' own words on failure are jax's.
  jax.distributed.initialize(
    **options,
    initialization_timeout=int(timeout),
    shutdown_timeout_seconds=_SHUTDOWN,
  )
  _joined = jax_distributed.global_state
  counts = gather(jax.local_device_count())
  if len(set(counts)) > 1:
    raise UserError(
      f'the processes have {", ".join(map(str, counts))} devices: give each'
      ' as many as the others (CUDA_VISIBLE_DEVICES, say)'
    )
  # On CPUs the first exchange waits 30 s only, which one process's compiling
  # may outlast: it is made now that all are here. Later ones wait longer.
  any_process(False).block_until_ready()


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


def _check_reachable(
  host: str, port: int, process_id: int, timeout: float
) -> None:
  """Fails with a line where jax would end the process with a stack trace."""
  if process_id == 0:
    try:
      with socket.create_server(
        ('', port), family=socket.AF_INET6, dualstack_ipv6=True
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


def num_processes() -> int:
  """How many processes there are."""
  return _joined.num_processes if _joined else 1


def process_id() -> int:
  """Which of them this is."""
  return _joined.process_id if _joined else 0


def is_primary() -> bool:
  """Whether this is the process that writes and speaks."""
  return process_id() == 0


def share(value: T) -> T:
  """Process 0's value, on all processes."""
  if num_processes() == 1:
    return value
  key = f'{_FOLDER}/{next(_numbers)}'
  if is_primary():
    _client().key_value_set_bytes(key, pickle.dumps(value))
  data = _wait_for(key)
  if len(data) > _LARGE:
    gather(None)
    if is_primary():
      _client().key_value_delete(key)
  return pickle.loads(data)


def gather(value: T) -> list[T]:
  """The values of all processes, on all of them."""
  if num_processes() == 1:
    return [value]
  key = f'{_FOLDER}/{next(_numbers)}'
  _client().key_value_set_bytes(f'{key}/{process_id()}', pickle.dumps(value))
  return [pickle.loads(_wait_for(f'{key}/{i}')) for i in range(num_processes())]


def on_primary(do: Callable[[], T]) -> T:
  """Has process 0 do something, and shares what comes of it.

  Args:
    do: what; called in process 0 only.

  Raises:
    UserError: in all processes, if process 0's does.
  """
  if num_processes() == 1:
    return do()
  value: Any
  value, error = share(_try(do) if is_primary() else (None, None))
  if error is not None:
    raise UserError(error)
  return value


def primary_first(do: Callable[[], T]) -> T:
  """Has process 0 do something, then the others, who may find what it made.

  Args:
    do: what; called in all processes.

  Raises:
    UserError: in all processes, if one does.
  """
  if num_processes() == 1:
    return do()
  value: Any
  value, error = _try(do) if is_primary() else (None, None)
  if share(error) is None and not is_primary():
    value, error = _try(do)
  for process, message in enumerate(gather(error)):
    if message is not None:
      raise UserError(f'process {process}: {message}' if process else message)
  return value


def check_same(values: Mapping[str, Any]) -> None:
  """Checks that what must be the same on all processes is.

  Args:
    values: by what they are called; small, such as digests.

  Raises:
    UserError: in all processes, if one differs.
  """
  if num_processes() == 1:
    return
  first, *others = gather(dict(values))
  for process, other in enumerate(others, 1):
    different = [k for k in first if first[k] != other.get(k)]
    if different or len(first) != len(other):
      raise UserError(
        f'process {process} differs from process 0 in'
        f' {", ".join(different) or "what it does"}: give all processes the'
        ' same command and the same data'
      )


def any_process(flag: bool) -> Any:
  """Dispatches the question whether any process's flag is set.

  One byte a device is exchanged, after all that was dispatched before.

  Returns:
    A scalar array, equal on all processes; reading it waits for the answer.
  """
  import jax  # noqa: PLC0415
  from jax.sharding import Mesh, NamedSharding, PartitionSpec  # noqa: PLC0415

  mesh = Mesh(np.array(jax.devices()), ('device',))
  value = np.array([flag], np.uint8)
  flags = jax.make_array_from_single_device_arrays(
    (mesh.size,),
    NamedSharding(mesh, PartitionSpec('device')),
    [jax.device_put(value, device) for device in mesh.local_devices],
  )
  return _any(mesh)(flags)


@functools.cache
def _any(mesh: Any) -> Callable[[Any], Any]:
  import jax  # noqa: PLC0415
  import jax.numpy as jnp  # noqa: PLC0415
  from jax.sharding import NamedSharding, PartitionSpec  # noqa: PLC0415

  return jax.jit(jnp.any, out_shardings=NamedSharding(mesh, PartitionSpec()))


def complain(message: str) -> None:
  """Prints an error that ends this process; one that all have, only once."""
  if num_processes() > 1:
    import jax  # noqa: PLC0415

    with contextlib.suppress(jax.errors.JaxRuntimeError):
      _client().key_value_set(f'{_FOLDER}/error/{process_id()}', message)
      if not is_primary():
        # Process 0 has had the same, or waited for this one and learnt of it.
        told = _client().blocking_key_value_get(f'{_FOLDER}/error/0', 5000)
        mine, its = (x.removeprefix('error: ') for x in (message, told))
        if mine in its or its in mine:
          return
    if not is_primary():
      message = f'process {process_id()}: {message}'
  print(message, file=sys.stderr)


def finish() -> None:
  """Waits for all processes, as when process 0 still saves or draws.

  For an end that all come to. jax, which also waits at exit, would after a
  while take a process that is not there yet for lost, and end it.
  """
  gather(None)


def _try(do: Callable[[], Any]) -> tuple[Any, str | None]:
  try:
    return do(), None
  except UserError as error:
    return None, str(error)


def _wait_for(key: str) -> bytes:
  """The value of a key, once it is there, unless a process has failed."""
  import jax  # noqa: PLC0415

  while True:
    try:
      return _client().blocking_key_value_get_bytes(key, 1000)
    except jax.errors.JaxRuntimeError as error:
      if 'DEADLINE_EXCEEDED' not in str(error):
        raise
    errors: Sequence[tuple[str, str]] = _client().key_value_dir_get(
      f'{_FOLDER}/error/'
    )
    for name, message in errors:
      process = name.rpartition('/')[2]
      raise UserError(f'process {process}: {message.removeprefix("error: ")}')


def _client() -> Any:
  return _joined.client
