"""Progress of a run: a bar where one can be redrawn, else lines.

Of several processes only process 0 does.
"""

from collections.abc import Iterator
import contextlib
import contextvars
import sys
from typing import Any

import tqdm

from sce_jax.parallel import processes

_is_silent = contextvars.ContextVar('is_silent', default=False)


@contextlib.contextmanager
def silent() -> Iterator[None]:
  """Nothing is shown inside, by this thread."""
  token = _is_silent.set(True)
  try:
    yield
  finally:
    _is_silent.reset(token)


def _is_shown() -> bool:
  return processes.is_primary() and not _is_silent.get()


class Progress:
  """Shows the epochs of a run, or of several that train together.

  Args:
    label: what is trained.
    epochs: number of epochs of the whole run.
    start: epochs done before.
    noisy_test: whether part of the test labels may be wrong.
  """

  def __init__(
    self, label: str, epochs: int, start: int, noisy_test: bool = False
  ):
    self._label = label
    self._test = 'noisy test' if noisy_test else 'test'
    self._epochs = epochs
    self._bar = None
    if _is_shown() and (stream := _terminal()) is not None:
      self._bar = tqdm.tqdm(
        file=stream,
        total=epochs,
        initial=start,
        desc=label,
        bar_format='{desc} {bar:20} {n}/{total}{postfix}, {remaining} left',
      )

  def update(
    self,
    epoch: int,
    loss: float,
    accuracy: float | None,
    images_per_second: float,
    seconds_left: float | None,
  ) -> None:
    """Shows an epoch's figures; means over the runs that train together.

    Args:
      epoch: number of epochs done.
      loss: on the training split.
      accuracy: on the test split; None if there is none.
      images_per_second: of training and evaluation.
      seconds_left: to the end; None in an epoch that compiled.
    """
    test = '' if accuracy is None else f'{self._test} accuracy {accuracy:.4f}  '
    figures = f'loss {loss:.4f}  {test}{images_per_second:,.0f} images/s'
    if self._bar is not None:
      self._bar.set_postfix_str(figures, refresh=False)
      self._bar.update(epoch - self._bar.n)
    elif _is_shown():
      left = 'compilation included'
      if seconds_left is not None:
        left = f'{_duration(seconds_left)} left'
      print(
        f'{self._label}  epoch {epoch}/{self._epochs}  {figures}  {left}',
        flush=True,
      )

  def close(self) -> None:
    """Ends the bar and leaves its last state."""
    if self._bar is not None:
      self._bar.close()


def _terminal() -> Any:
  """A stream that can redraw lines: of a terminal or notebook; else None."""
  if sys.stderr.isatty():
    return sys.stderr
  # A notebook shows what comes by its standard error as if it were one.
  notebook = type(sys.stdout).__module__.startswith('ipykernel.')
  return sys.stdout if notebook else None


def _duration(seconds: float) -> str:
  minutes, seconds = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  if hours:
    return f'{hours}h{minutes:02}m'
  return f'{minutes}m{seconds:02}s' if minutes else f'{seconds}s'


def log(message: Any) -> None:
  """Prints a line, above the bar if there is one."""
  if _is_shown():
    tqdm.tqdm.write(str(message))
