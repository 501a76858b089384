"""A bar for work on many files, with the time that is left."""

from collections.abc import Callable, Iterator
import contextlib

import tqdm


@contextlib.contextmanager
def show(
  what: str, total: int, unit: str = 'files', done: int = 0
) -> Iterator[Callable[[int], object]]:
  """Shows a bar, on a terminal only.

  Args:
    what: is done.
    total: of how many.
    unit: of what.
    done: how many of them need not be done: no rate is made of them.

  Yields:
    A function that is told how many more have been done.
  """
  with tqdm.tqdm(
    desc=what,
    total=total,
    initial=done,
    unit=f' {unit}',
    leave=False,
    disable=None,
  ) as bar:
    yield bar.update
