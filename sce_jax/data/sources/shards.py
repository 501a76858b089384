"""Records that can be made again, kept on this machine: shard by shard.

A shard is an array_record file with some hundred records, named by a digest of
all that they are made of. It appears whole or not at all, so that work that was
interrupted, even by kill -9, is continued where the last shard ended.
"""

from collections.abc import Callable, Sequence
import contextlib
import os
import pathlib
import uuid

from array_record.python import array_record_module

from sce_jax.data.records import OPTIONS
from sce_jax.data.sources import cloud


def records(
  name: str, size: int, make: Callable[[], tuple[Sequence[bytes], bool]]
) -> Sequence[bytes]:
  """A shard's records: those that are kept, or made and kept.

  Where none can be kept, as on a full disk, they are made each time.

  Args:
    name: of the shard, for letters of a file's name: a digest.
    size: how many records it has.
    make: makes them; and says whether they may be kept.
  """
  file = folder() / f'{name}.array_record'
  found = _read(file)
  if found is None or len(found) != size:
    found, may_be_kept = make()
    if may_be_kept:
      with contextlib.suppress(Exception):
        write(file, found)
  return found


def folder() -> pathlib.Path:
  """Where they are kept; may be removed at any time."""
  return cloud.cache_folder() / 'images'


def _read(file: pathlib.Path) -> Sequence[bytes] | None:
  """None: it is not there, or damaged."""
  if not file.exists():
    return None
  try:
    reader = array_record_module.ArrayRecordReader(str(file))
    try:
      return reader.read_all()
    finally:
      reader.close()
  except Exception:  # noqa: BLE001  Of several types.
    return None


def write(file: pathlib.Path, records: Sequence[bytes]) -> None:
  """Writes a shard; it appears whole or not at all.

  Raises:
    Exception: it cannot be written; the writer's are of several types.
  """
  # Not by paths.write: the writer wants a path.
  temporary = file.with_name(f'{file.name}.{uuid.uuid4().hex}')
  try:
    file.parent.mkdir(parents=True, exist_ok=True)
    # Of a process that was killed while it wrote. If another one is writing the
    # same shard, it does without its own.
    for left in file.parent.glob(f'{file.name}.*'):
      left.unlink(missing_ok=True)
    writer = array_record_module.ArrayRecordWriter(str(temporary), OPTIONS)
    for record in records:
      writer.write(record)
    writer.close()
    os.replace(temporary, file)
  finally:
    with contextlib.suppress(OSError):
      temporary.unlink(missing_ok=True)
