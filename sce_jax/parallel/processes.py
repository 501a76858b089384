"""Several processes that train as one: how they agree.

Each process, usually one a host, runs the same program on the same data; its
devices compute their share of every batch (parallel.py). Process 0 alone
touches a run's folder and speaks. What it knows, such as the step to go on
from, it shares; what any may know, such as a SIGTERM, is asked of all. All
processes must make the calls of this file in the same order. How they find each
other is in cluster.py.

Where there is one process nothing here costs anything, nor imports jax: who
only reads run folders asks whether it is the only one, too.
"""

from collections.abc import Callable, Mapping, Sequence
import contextlib
import functools
import itertools
import pickle
import sys
from typing import Any, TypeVar

import numpy as np

from sce_jax.errors import UserError

T = TypeVar('T')

# Values above this many bytes are forgotten once all have them.
_LARGE = 2**20
_FOLDER = 'sce_jax'
_numbers = itertools.count()
# jax's own record of the processes, once there are several.
_state: Any = None


def set_state(state: Any) -> None:
  """Says that there are several processes, as jax's record has them."""
  global _joined
  _state = state


def num_processes() -> int:
  """How many processes there are."""
  return _state.num_processes if _state else 1


def process_id() -> int:
  """Which of them this is."""
  return _state.process_id if _state else 0


def is_primary() -> bool:
  """Whether this is the process that writes and speaks."""
  return process_id() == 0


def broadcast(value: T) -> T:
  """Process 0's value, on all processes."""
  if num_processes() == 1:
    return value
  key = f'{_FOLDER}/{next(_numbers)}'
  if is_primary():
    _client().key_value_set_bytes(key, pickle.dumps(value))
  data = _wait_for(key)
  if len(data) > _LARGE:
    all_gather(None)
    if is_primary():
      _client().key_value_delete(key)
  return pickle.loads(data)


def all_gather(value: T) -> list[T]:
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
  value, error = broadcast(_try(do) if is_primary() else (None, None))
  if error is not None:
    raise UserError(error)
  return value


def on_primary_then_others(do: Callable[[], T]) -> T:
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
  if broadcast(error) is None and not is_primary():
    value, error = _try(do)
  for process, message in enumerate(all_gather(error)):
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
  first, *others = all_gather(dict(values))
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


def report_error(message: str) -> None:
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


def barrier() -> None:
  """Waits for all processes, as when process 0 still saves or draws.

  For an end that all come to. jax, which also waits at exit, would after a
  while take a process that is not there yet for lost, and end it.
  """
  all_gather(None)


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
  return _state.client
