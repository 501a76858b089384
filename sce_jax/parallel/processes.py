"""Several processes that train as one: communication between them.

Each process, usually one per host, runs the same program on the same data; its
devices compute their share of every batch (runners.py). Only process 0 touches
a run's folder and prints. What it knows, such as the step to resume at, it
broadcasts; what any may know, such as a SIGTERM, is gathered. All processes
must make the calls of this file in the same order. startup.py connects them;
messages.py says which values they can send.

With a single process nothing here costs anything. Also called by code that only
reads run folders, so it must not import jax.
"""

from collections.abc import Callable, Mapping, Sequence
import contextlib
import functools
import itertools
import sys
from typing import Any, TypeVar

import numpy as np

from sce_jax.errors import UserError
from sce_jax.parallel import messages

T = TypeVar('T')

# Values above this many bytes are forgotten once all have them.
_LARGE = 2**20
_FOLDER = 'sce_jax'
_numbers = itertools.count()
# jax.distributed's global state; None for a single process.
_state: Any = None


def set_state(state: Any) -> None:
  """Sets jax.distributed's global state, once there are several processes."""
  global _state
  _state = state


def num_processes() -> int:
  """How many processes there are."""
  return _state.num_processes if _state else 1


def process_id() -> int:
  """Which of them this is."""
  return _state.process_id if _state else 0


def is_primary() -> bool:
  """Whether this is the process that writes and prints."""
  return process_id() == 0


def broadcast(value: T) -> T:
  """Process 0's value, on all processes."""
  if num_processes() == 1:
    return value
  key = f'{_FOLDER}/{next(_numbers)}'
  if is_primary():
    _client().key_value_set_bytes(key, messages.dumps(value))
  data = _wait_for(key)
  if len(data) > _LARGE:
    all_gather(None)
    if is_primary():
      _client().key_value_delete(key)
  return messages.loads(data)


def all_gather(value: T) -> list[T]:
  """The values of all processes, on all of them."""
  if num_processes() == 1:
    return [value]
  key = f'{_FOLDER}/{next(_numbers)}'
  _client().key_value_set_bytes(f'{key}/{process_id()}', messages.dumps(value))
  return [
    messages.loads(_wait_for(f'{key}/{i}')) for i in range(num_processes())
  ]


def on_primary(do: Callable[[], T]) -> T:
  """Runs a function on process 0 and broadcasts its result.

  Args:
    do: the function; called on process 0 only.

  Raises:
    UserError: in all processes, if process 0's does.
  """
  if num_processes() == 1:
    return do()
  value: Any
  value, error = broadcast(_try(do) if is_primary() else (None, None))
  if error is not None:
    raise UserError(error)
  return value


def on_primary_then_others(do: Callable[[], T]) -> T:
  """Runs a function on process 0, then on the others, which may reuse its work.

  Args:
    do: the function; called on all processes.

  Raises:
    UserError: in all processes, if one does.
  """
  if num_processes() == 1:
    return do()
  value: Any
  value, error = _try(do) if is_primary() else (None, None)
  if broadcast(error) is None and not is_primary():
    value, error = _try(do)
  for process, message in enumerate(all_gather(error)):
    if message is not None:
      raise UserError(f'process {process}: {message}' if process else message)
  return value


def check_same(values: Mapping[str, Any]) -> None:
  """Checks that values are the same on all processes.

  Args:
    values: by name; small, such as digests.

  Raises:
    UserError: in all processes, if one differs.
  """
  if num_processes() == 1:
    return
  first, *others = all_gather(dict(values))
  for process, other in enumerate(others, 1):
    different = [k for k in first if first[k] != other.get(k)]
    if different or len(first) != len(other):
      raise UserError(
        f'process {process} differs from process 0 in'
        f' {", ".join(different) or "what it does"}: give all processes the'
        ' same command, code and data'
      )


def any_process(flag: bool) -> Any:
  """Dispatches a reduction: whether any process's flag is set.

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


def report_error(message: str) -> None:
  """Prints the error that ends this process; one shared by all, only once."""
  if num_processes() > 1:
    import jax  # noqa: PLC0415

    with contextlib.suppress(jax.errors.JaxRuntimeError):
      _client().key_value_set(f'{_FOLDER}/error/{process_id()}', message)
      if not is_primary():
        # Process 0 had the same error, or waited for this one and learnt of it.
        told = _client().blocking_key_value_get(f'{_FOLDER}/error/0', 5000)
        mine, its = (x.removeprefix('error: ') for x in (message, told))
        if mine in its or its in mine:
          return
    if not is_primary():
      message = f'process {process_id()}: {message}'
  with contextlib.suppress(OSError):  # On a full disk: its code says it, too.
    print(message, file=sys.stderr)


def barrier() -> None:
  """Waits for all processes, for example while process 0 still saves.

  At exit jax also waits, but treats a process that is late as lost and
  terminates it.
  """
  all_gather(None)


def _try(do: Callable[[], Any]) -> tuple[Any, str | None]:
  try:
    return do(), None
  except UserError as error:
    return None, str(error)


def _wait_for(key: str) -> bytes:
  """Waits for the value of a key, unless a process fails meanwhile."""
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
  return _state.client
