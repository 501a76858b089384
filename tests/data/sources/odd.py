"""Hostile or odd inputs: each is used, counted or refused, and does no harm.

damaged.py has what becomes of a file that was whole.
"""

import collections
from collections.abc import Callable, Iterator
import contextlib
import json
import os
import pathlib
import sys
from typing import Any

import hypothesis
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
import pytest

from sce_jax.data.dataset import Dataset
from sce_jax.data.sources import summary
from sce_jax.errors import UserError

# How many inputs of a kind: some in every run of the tests, and 1,000.
HOW_MANY = pytest.mark.parametrize(
  'examples', [40, pytest.param(1000, marks=pytest.mark.slow)]
)
# Of what takes longer, and has many files.
HOW_FEW = pytest.mark.parametrize(
  'examples', [10, pytest.param(1000, marks=pytest.mark.slow)]
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
# Arrays of every type and of many shapes.
ARRAYS = hnp.arrays(
  st.one_of(
    hnp.integer_dtypes(),
    hnp.floating_dtypes(),
    hnp.boolean_dtypes(),
    hnp.unicode_string_dtypes(max_len=3),
    hnp.byte_string_dtypes(max_len=3),
    hnp.complex_number_dtypes(),
    hnp.datetime64_dtypes(),
  ),
  hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4),
)
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
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
  )
  settings(hypothesis.given(strategy)(check))()
  print(', '.join(f'{count} {how}' for how, count in sorted(outcomes.items())))


def check_file(
  file: pathlib.Path,
  damages: hypothesis.strategies.SearchStrategy,
  read: Callable[[], Any],
  examples: int,
  *,
  names: str | None = None,
  allowed: pathlib.Path | None = None,
) -> None:
  """Reads a file that was whole, damaged in many ways.

  Args:
    file: the file; in the end it is whole again.
    damages: functions of its content, see damaged.py.
    read: reads it, checks what it gives, and returns it.
    examples: how many.
    names: what a refusal must name; None: the file's name.
    allowed: as in `attempt`.
  """
  content = file.read_bytes()
  names = file.name if names is None else names

  def check(damage: Callable[[bytes], bytes]) -> None:
    file.write_bytes(damage(content))
    attempt(read, file.parent, allowed or file.parent / 'none', names)

  try:
    for_all(damages, check, examples)
  finally:
    file.write_bytes(content)


def attempt(
  read: Callable[[], Any],
  root: pathlib.Path,
  allowed: pathlib.Path,
  names: str = '',
) -> Any:
  """Reads what lies in a folder; None: it was refused.

  It may be used, or refused in one line. Nothing is executed, and nothing
  written but below `allowed`.

  Args:
    read: reads it, and checks what it gives.
    root: the folder.
    allowed: where may be written.
    names: what the refusal must name.
  """
  before = _listing(root)
  found = None
  with _watched(allowed):
    try:
      found = read()
    except UserError as error:
      outcomes['refused'] += 1
      line = str(error)
      assert line.isprintable() and names in line and len(line) < 2_000, line
    else:
      outcomes['used'] += 1
  assert _listing(root) == before
  return found


def check(
  read: Callable[[], Dataset], root: pathlib.Path, cache: pathlib.Path
) -> Dataset | None:
  """Reads a data set that lies in a folder, see `attempt`; None: refused."""
  data = attempt(read, root, cache)
  if data is None:
    return None
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
  assert not _seen, [*_seen]


def _hook(event: str, arguments: tuple) -> None:
  if _allowed is None:
    return
  if event in _FORBIDDEN:
    _seen.append(f'{event} {arguments}')
  elif event in _CHANGES or (event == 'open' and _writes(arguments[2])):
    path = os.fsdecode(arguments[0]) if arguments[0] else ''
    # Modules may be imported, and compiled programs kept by jax.
    kept = '__pycache__' in path or path.endswith(('-cache', '-atime'))
    if not path.startswith(_allowed) and not kept:
      _seen.append(f'{event} {arguments}')


_hook.installed = False


def _writes(flags: int) -> bool:
  return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))
