"""Work on many files at a time."""

from collections.abc import Callable, Sequence
import concurrent.futures
import os
from typing import Any, TypeVar

T = TypeVar('T')


def in_threads(do: Callable[[Any], T], items: Sequence[Any]) -> list[T]:
  """Does something to each item, on all cores; results in order.

  Threads: Pillow releases the interpreter's lock while it decodes.

  Raises:
    Exception: what `do` raises first; what has not begun is not done.
  """
  cores = (
    len(os.sched_getaffinity(0))
    if hasattr(os, 'sched_getaffinity')
    else os.cpu_count()
  )
  pool = concurrent.futures.ThreadPoolExecutor(cores)
  try:
    return list(pool.map(do, items))
  finally:  # On Ctrl-C, too.
    pool.shutdown(cancel_futures=True)
