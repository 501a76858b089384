"""Records of a run's folder: JSON objects with digests. Needs no jax."""

from collections.abc import Callable, Iterator, Sequence
import contextlib
import json
import os
from typing import Any, TypeVar

from sce_jax.errors import UserError
from sce_jax.runs import kinds, progress
from sce_jax.storage import digests, paths, typed

T = TypeVar('T')
# The first layout of the folder in which all records have digests.
FORMAT = 3
TRAIN_AGAIN = 'train again with the same command'


class DamagedError(UserError):
  """A file of a run is not what was written.

  Attributes:
    reason: why, without what to do.
  """

  def __init__(self, reason: str, advice: str = ''):
    advice = advice or f'remove it and {TRAIN_AGAIN}'
    super().__init__(f'{reason}: copy it back from elsewhere, or {advice}')
    self.reason = reason


@contextlib.contextmanager
def damaged(folder: str | os.PathLike, name: str) -> Iterator[None]:
  """What is wrong with a record's values is raised as a DamagedError.

  Args:
    folder: the run's.
    name: the file's.
  """
  try:
    yield
  except (ValueError, TypeError, OverflowError, RecursionError) as error:
    raise DamagedError(
      f'{paths.path(folder) / name} is damaged ({error})'
    ) from None


def check_square(name: str, matrix: Sequence[Sequence[float]]) -> None:
  """Checks that a matrix is [K, K].

  Raises:
    ValueError: it is not.
  """
  if not matrix or any(len(row) != len(matrix) for row in matrix):
    raise ValueError(f'its {name} is no matrix [K, K]')


def or_made_again(read: Callable[[], T]) -> T | None:
  """What is read; None if it is damaged, for it can be made again."""
  try:
    return read()
  except DamagedError as error:
    progress.log(f'{error.reason}: it is made again')
    return None


def read_metrics(path: str | os.PathLike) -> list[dict[str, Any]]:
  """The lines of a run's metrics.jsonl.

  The last one may be cut, if the process was killed while it was written: it is
  left out.

  Raises:
    UserError: another line is damaged, or an epoch is missing.
  """
  text = _read_text(path, 'metrics.jsonl') or ''
  records: list[dict[str, Any]] = []
  must_have = False
  for number, line in enumerate(text.splitlines(keepends=True), 1):
    try:
      record = json.loads(line)
      if not isinstance(record, dict) or not {'epoch', 'step'} <= set(record):
        raise ValueError('it is not of an epoch')
      must_have = must_have or digests.is_sealed(record) or _has_digests(path)
      if must_have:
        record = digests.unseal(record)
      typed.check(record, kinds.Epoch)
      if record['epoch'] != len(records) + 1:
        raise ValueError(f'it is of epoch {record["epoch"]}')
    except (ValueError, RecursionError) as error:
      if not line.endswith('\n'):
        break
      raise DamagedError(
        f'{paths.path(path) / "metrics.jsonl"}, line {number} is damaged'
        f' ({error})',
        f'remove it, saved.json and the checkpoints, and {TRAIN_AGAIN}',
      ) from None
    records.append(record)
  return records


def read_record(
  folder: str | os.PathLike, name: str, keys: Sequence[str] = ()
) -> dict[str, Any] | None:
  """A JSON file of a run's folder; None if it is not there.

  Args:
    folder: the run's.
    name: the file's.
    keys: what it must have; kinds.py says of which types.

  Raises:
    UserError: it is damaged.
  """
  text = _read_text(folder, name)
  if text is None:
    return None
  with damaged(folder, name):
    record = json.loads(text)
    if not isinstance(record, dict):
      raise ValueError(f'it holds a {type(record).__name__}')
    missing = [key for key in keys if key not in record]
    if missing:
      raise ValueError(f'it lacks {missing[0]!r}')
    if digests.is_sealed(record) or _has_digests(folder):
      record = digests.unseal(record)
    if name in kinds.RECORDS:
      typed.check(record, kinds.RECORDS[name])
  return record


def _has_digests(folder: str | os.PathLike) -> bool:
  """Whether all that a run has written carries a digest."""
  text = _read_text(folder, 'config.json')
  if text is None:
    return False
  try:
    return json.loads(text).get('format') == FORMAT
  except (ValueError, RecursionError, AttributeError):
    return False  # Found out by whoever reads that file.


def _read_text(folder: str | os.PathLike, name: str) -> str | None:
  """A file of a run's folder; None if it is not there."""
  try:
    # What is no text is damaged, and found out by whoever reads it as JSON.
    return paths.read(paths.path(folder) / name).decode(errors='replace')
  except (FileNotFoundError, NotADirectoryError):
    return None
