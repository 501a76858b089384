"""A bar for work on many files, with the time that is left."""

from collections.abc import Callable, Iterator
import contextlib
import sys
import time

import tqdm

# Seconds between two lines where there is no terminal to draw a bar on.
LINES_EVERY = 60.0


@contextlib.contextmanager
def show(
  what: str, total: int, unit: str = 'files', done: int = 0
) -> Iterator[Callable[[int], object]]:
  """Shows a bar on a terminal, elsewhere a line a minute, on standard error.

  Args:
    what: is done.
    total: of how many.
    unit: of what; of 'B', bytes, kB, MB and GB are shown.
    done: how many of them need not be done: no rate is made of them.

  Yields:
    A function that is told how many more have been done.
  """
  with tqdm.tqdm(
    desc=what,
    total=total,
    initial=done,
    unit=unit if unit == 'B' else f' {unit}',
    unit_scale=unit == 'B',
    leave=False,
    disable=None,
  ) as bar:
    yield _lines(what, total, unit, done) if bar.disable else bar.update


def _lines(
  what: str, total: int, unit: str, done: int
) -> Callable[[int], object]:
  begun = last = time.monotonic()
  count = done

  def advance(more: int) -> None:
    nonlocal last, count
    count += more
    now = time.monotonic()
    if now - last < LINES_EVERY or count >= total:
      return
    last = now
    if unit == 'B':
      shown = [f'{tqdm.tqdm.format_sizeof(x)}B' for x in (count, total)]
    else:
      shown = [f'{count:,}', f'{total:,} {unit}']
    left = (now - begun) * (total - count) / max(count - done, 1)
    print(
      f'{what}: {shown[0]} of {shown[1]},'
      f' {tqdm.tqdm.format_interval(left)} left',
      file=sys.stderr,
      flush=True,
    )

  return advance
