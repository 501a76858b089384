"""Work on many files at a time."""

from collections.abc import Callable, Sequence
import concurrent.futures
import os
from typing import Any, TypeVar

T = TypeVar('T')


def num_cores() -> int:
  """How many cores this process may use."""
  if hasattr(os, 'sched_getaffinity'):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def in_threads(do: Callable[[Any], T], items: Sequence[Any]) -> list[T]:
  """Does something to each item, on all cores; results in order.

  Threads: Pillow releases the interpreter's lock while it decodes.

  Raises:
    Exception: what `do` raises first; what has not begun is not done.
  """
  pool = concurrent.futures.ThreadPoolExecutor(num_cores())
  try:
    return list(pool.map(do, items))
  finally:  # On Ctrl-C, too.
    pool.shutdown(cancel_futures=True)
