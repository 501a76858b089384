"""Progress of a command: a line where one can be redrawn, else lines.

The line shows the phase that the command is in (imports, data, compiling,
training, evaluation) and, while runs train, a bar that moves with every
dispatch. It fits any width from 20 columns on: what is worth less is left out
first, the time left never. Of several processes only process 0 shows anything.
"""

from collections.abc import Iterator
import contextlib
import contextvars
import importlib
import os
import shutil
import sys
import textwrap
import threading
import time
from typing import Any

import tqdm

from sce_jax.parallel import processes

_TICK = 0.5  # Seconds between two looks at the clock.
_BAR = 20
_INDENT = '  '
_BLOCKS = '▏▎▍▌▋▊▉█'  # Eighths.
_CODES = {'red': 31, 'green': 32, 'yellow': 33, 'cyan': 36, 'bold': 1}

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


def styled(text: str, style: str, stream: Any = None) -> str:
  """A text in a colour, where the stream is a terminal that is to have any.

  Args:
    text: the text.
    style: red (failed), green (the best, done), yellow (wait), cyan (time), or
      bold.
    stream: where it is written; None: standard output.
  """
  stream = sys.stdout if stream is None else stream
  plain = os.environ.get('NO_COLOR') or os.environ.get('TERM') == 'dumb'
  if plain or not stream.isatty():
    return text
  return f'\x1b[{_CODES[style]}m{text}\x1b[0m'


class _Line:
  """The line that is redrawn; phases and runs push what it says."""

  def __init__(self, stream: Any):
    self._stream = stream
    self._stack: list[Any] = []
    self._bar: Any = None
    self._display: Any = None
    self._stop = threading.Event()

  def push(self, shown: Any) -> None:
    """Shows this until it is removed, instead of what was shown."""
    self._stack.append(shown)
    if len(self._stack) == 1:
      if self._stream is None:
        # A cell of a notebook: one output that is replaced, so that a saved
        # page has one line and not all of them.
        display = importlib.import_module('IPython.display')
        self._display = display.display(
          self._bundle(), raw=True, display_id=True
        )
        return
      self._bar = tqdm.tqdm(file=self._stream, bar_format='{desc}', leave=False)
      self._stop.clear()
      threading.Thread(target=self._tick, daemon=True).start()
    self.draw()

  def remove(self, shown: Any, *, keep: bool) -> None:
    """Ends it; keep: leaves its last state."""
    self._stack.remove(shown)
    if self._stack:
      self.draw()
      return
    self._stop.set()
    if self._bar is not None:
      if keep:
        self._bar.write(self._text(shown), file=self._stream)
      self._bar.close()
      self._bar = None

  def draw(self) -> None:
    """Shows the line as it is now."""
    if self._display is not None:
      self._display.update(self._bundle(), raw=True)
    elif self._bar is not None:
      self._bar.set_description_str(self._text(self._stack[-1]))

  def _text(self, shown: Any) -> str:
    columns = shutil.get_terminal_size().columns
    with contextlib.suppress(OSError, ValueError, AttributeError):
      columns = os.get_terminal_size(self._stream.fileno()).columns or columns
    # The last column stays free: some terminals wrap when it is written to.
    return shown.line(columns - 1, self._stream)

  def _bundle(self) -> dict[str, str]:
    return {'text/plain': self._stack[-1].line(100, sys.stdout)}

  def _tick(self) -> None:
    while not self._stop.wait(_TICK):
      with contextlib.suppress(Exception):  # It may end meanwhile.
        self.draw()


_line: _Line | None = None


def _find_line() -> _Line | None:
  """The line of this process; None where none can be redrawn."""
  global _line
  if not _is_shown():
    return None
  is_terminal = sys.stderr.isatty() and os.environ.get('TERM') != 'dumb'
  # A notebook's streams are known by their module.
  notebook = type(sys.stdout).__module__.startswith('ipykernel.')
  if not is_terminal and not notebook:
    return None
  stream = sys.stderr if is_terminal else None
  if _line is None or (not _line._stack and _line._stream is not stream):
    _line = _Line(stream)
  return _line


class _Phase:
  """What a command is doing before its runs train, and since when."""

  def __init__(self, name: str):
    self.name = name
    self._since = time.monotonic()

  def line(self, width: int, stream: Any) -> str:
    seconds = time.monotonic() - self._since
    taken = f'{duration(seconds)}' if seconds >= 1 else ''
    text = fit([(0, f'{self.name} ...'), (1, taken)], width, '  ')
    return styled(text[:width], 'yellow', stream)


@contextlib.contextmanager
def phase(name: str) -> Iterator[None]:
  """Shows on a terminal what is being done inside, and for how long.

  Args:
    name: imports, data and so on.
  """
  line = _find_line() if sys.stderr.isatty() else None
  if line is None:
    yield
    return
  shown = _Phase(name)
  line.push(shown)
  try:
    yield
  finally:
    line.remove(shown, keep=False)


class Progress:
  """Shows the epochs of a run, or of several that train together.

  Args:
    label: what is trained.
    epochs: number of epochs of the whole run.
    start: epochs done before.
    noisy_test: whether part of the test labels may be wrong.
  """

  def __init__(
    self, label: str, epochs: int, start: int | float, noisy_test: bool = False
  ):
    self._label = label
    self._test = 'noisy test' if noisy_test else 'test'
    self._epochs = epochs
    self._done = start
    self._doing = 'training'
    self._since = time.monotonic()
    self._left: tuple[float, float] | None = None  # Seconds, and when.
    self._figures: tuple[float, float | None, float | None] | None = None
    self._line = _find_line()
    if self._line is not None:
      self._line.push(self)

  @contextlib.contextmanager
  def doing(self, what: str) -> Iterator[None]:
    """Says what is done inside in place of training, such as compiling."""
    self._doing, self._since = what, time.monotonic()
    self._draw()
    try:
      yield
    finally:
      self._doing = 'training'

  def advance(self, epochs: int | float, seconds_left: float | None) -> None:
    """Moves the bar inside an epoch.

    Args:
      epochs: number of epochs done, with a fraction.
      seconds_left: to the end; None as long as that is not known.
    """
    self._done = epochs
    if seconds_left is not None:
      self._left = seconds_left, time.monotonic()
    self._draw()

  def update(
    self,
    epoch: int,
    loss: float,
    accuracy: float | None,
    images_per_second: float | None,
    seconds_left: float | None,
  ) -> None:
    """Shows an epoch's figures; means over the runs that train together.

    Args:
      epoch: number of epochs done.
      loss: on the training split.
      accuracy: on the test split; None if there is none.
      images_per_second: of training and evaluation; None in an epoch that
        compiled.
      seconds_left: to the end; None as long as that is not known.
    """
    self._figures = loss, accuracy, images_per_second
    self.advance(epoch, seconds_left)
    if self._line is None and _is_shown():
      figures = [f'loss {loss:.4f}']
      if accuracy is not None:
        figures.append(f'{self._test} accuracy {100 * accuracy:.2f} %')
      if images_per_second is not None:
        digits = 1 if images_per_second < 9.95 else 0
        figures.append(f'{images_per_second:,.{digits}f} images/s')
      left = 'compiled'
      if seconds_left is not None:
        left = f'{duration(seconds_left)} left'
      print(
        f'{self._label}  epoch {epoch}/{self._epochs}',
        *figures,
        left,
        sep='  ',
        flush=True,
      )

  def close(self) -> None:
    """Ends the bar and leaves its last state."""
    if self._line is not None:
      self._line.remove(self, keep=True)
      self._line = None

  def line(self, width: int, stream: Any) -> str:
    """The line, of so many columns at most."""
    now = time.monotonic()
    is_training = self._doing == 'training'
    if self._done >= self._epochs:
      left = 'done'
    elif not is_training and now - self._since > _TICK:
      left = f'{self._doing}, {duration(now - self._since)}'
    elif self._left is None:
      left = '? left'
    else:
      seconds, when = self._left
      left = f'{duration(max(0, seconds - (now - when)))} left'
    bar = _bar(self._done / self._epochs, _BAR if width > 99 else _BAR // 2)
    parts = [
      (3, self._label),
      (2, bar),
      (1, f'{int(self._done)}/{self._epochs}'),
      (0, left),
    ]
    if self._figures is not None:
      loss, accuracy, rate = self._figures
      if accuracy is not None:
        share = f'{100 * accuracy:.1f} %'
        parts.append((4, f'{self._test} {share}'))
      parts.append((5, f'loss {loss:.3f}'))
      if rate is not None:
        parts.append((6, f'{rate:,.0f} images/s'))
    text = fit(parts, width, '  ')
    colour = 'cyan' if left.endswith('left') else 'yellow'
    colour = 'green' if left == 'done' else colour
    text = text.replace(left, styled(left, colour, stream), 1)
    return text.replace(bar, styled(bar, 'green', stream), 1)

  def _draw(self) -> None:
    if self._line is not None:
      self._line.draw()


def fit(parts: list[tuple[int, str]], width: int, between: str) -> str:
  """As many parts of a line as fit.

  Args:
    parts: each with its rank: that of the highest is left out first, that of
      rank 0 never. Their order is that of the line.
    width: number of columns.
    between: what stands between two of them.
  """
  kept = [part for part in parts if part[1]]
  while True:
    text = between.join(x for _, x in kept)
    worst = max(kept, key=lambda part: part[0])
    if len(text) <= width or worst[0] == 0:
      return text
    kept.remove(worst)


def _bar(share: float, size: int) -> str:
  eighths = round(8 * size * min(max(share, 0), 1))
  whole, rest = divmod(eighths, 8)
  part = _BLOCKS[rest - 1] if rest else ''
  return f'{_BLOCKS[-1] * whole}{part}'.ljust(size, '·')


def duration(seconds: int | float) -> str:
  """Seconds for people: 5s, 2m05s, 3h20m, 4d07h."""
  minutes, seconds = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  days, hours = divmod(hours, 24)
  if days:
    return f'{days}d{hours:02}h'
  if hours:
    return f'{hours}h{minutes:02}m'
  return f'{minutes}m{seconds:02}s' if minutes else f'{seconds}s'


def counted(count: int, noun: str) -> str:
  """A number of things: 1 run, 2 runs."""
  return f'{count} {noun}' if count == 1 else f'{count} {noun}s'


def log(message: Any) -> None:
  """Prints a line, above the bar if there is one; broken at words if long."""
  if not _is_shown():
    return
  text = str(message)
  columns = shutil.get_terminal_size().columns
  if sys.stdout.isatty() and len(text) > columns > len(_INDENT):
    text = textwrap.fill(
      text, columns - 1, subsequent_indent=_INDENT, break_on_hyphens=False
    )
  tqdm.tqdm.write(text)
