"""Hostile or odd inputs: each is used, counted or refused, and does no harm."""

import collections
from collections.abc import Callable, Iterator
import contextlib
import json
import os
import pathlib
import sys

import hypothesis
import pytest

from sce_jax.data.dataset import Dataset
from sce_jax.data.sources import summary
from sce_jax.errors import UserError

# How many inputs of a kind: some in every run of the tests, and 1,000.
HOW_MANY = pytest.mark.parametrize(
  'examples', [40, pytest.param(1000, marks=pytest.mark.slow)]
)
# What runs a program, connects, or unpickles.
_FORBIDDEN = {
  'subprocess.Popen',
  'os.system',
  'os.exec',
  'os.fork',
  'os.posix_spawn',
  'socket.connect',
  'pickle.find_class',
}
# What changes a file, by its first argument.
_CHANGES = {
  'os.remove',
  'os.rename',
  'os.mkdir',
  'os.rmdir',
  'os.link',
  'os.symlink',
  'os.truncate',
  'os.chmod',
  'os.utime',
}
outcomes: collections.Counter[str] = collections.Counter()
_allowed: str | None = None
_seen: list[str] = []


def for_all(
  strategy: hypothesis.strategies.SearchStrategy,
  check: Callable[..., None],
  examples: int,
) -> None:
  """Checks many inputs, the same in every run; prints how they ended."""
  outcomes.clear()
  settings = hypothesis.settings(
    max_examples=examples,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
  )
  settings(hypothesis.given(strategy)(check))()
  print(', '.join(f'{count} {how}' for how, count in sorted(outcomes.items())))


def check(
  read: Callable[[], Dataset], root: pathlib.Path, cache: pathlib.Path
) -> Dataset | None:
  """Reads what lies in a folder; None: it was refused.

  It may be used or refused in one line; nothing is executed, and nothing
  written outside of the cache.
  """
  before = _listing(root)
  data = None
  with _watched(cache):
    try:
      data = read()
    except UserError as error:
      outcomes['refused'] += 1
      assert str(error).isprintable()
  assert _listing(root) == before
  if data is None:
    return None
  outcomes['used'] += 1
  info, train = data.info, data.train
  assert train.image.shape == (len(train), *info.image_shape)
  assert 0 <= train.label.min() <= train.label.max() < info.num_classes
  assert len({*train.example_id.tolist()}) == len(train) >= 1
  assert all(line.isprintable() for line in summary.lines(data.summary))
  json.dumps(data.summary).encode()
  return data


def _listing(root: pathlib.Path) -> dict[str, tuple[int, int]]:
  found = {}
  for folder, _, files in os.walk(os.fsencode(root)):
    for name in files:
      stat = os.lstat(os.path.join(folder, name))
      found[os.path.join(folder, name)] = stat.st_size, stat.st_mtime_ns
  return found


@contextlib.contextmanager
def _watched(allowed: pathlib.Path) -> Iterator[None]:
  """Fails if Python does anything but read, or write below a folder."""
  global _allowed
  if not _hook.installed:
    sys.addaudithook(_hook)
    _hook.installed = True
  _seen.clear()
  _allowed = os.fspath(allowed)
  try:
    yield
  finally:
    _allowed = None
  assert not _seen


def _hook(event: str, arguments: tuple) -> None:
  if _allowed is None:
    return
  if event in _FORBIDDEN:
    _seen.append(f'{event} {arguments}')
  elif event in _CHANGES or (event == 'open' and _writes(arguments[2])):
    path = os.fsdecode(arguments[0]) if arguments[0] else ''
    # Modules may be imported.
    if not path.startswith(_allowed) and '__pycache__' not in path:
      _seen.append(f'{event} {arguments}')


_hook.installed = False


def _writes(flags: int) -> bool:
  return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))
