"""A prepared folder, which may mirror one in a cloud."""

from collections.abc import Mapping, Sequence
import dataclasses
import json
import os
import pathlib
from typing import Any, TypedDict

from sce_jax.data.sources import shards
from sce_jax.errors import UserError, reason_of
from sce_jax.storage import paths, typed
from sce_jax.storage.typed import Count


class _Told(TypedDict):
  bytes: Count
  records: Count
  unreadable: dict[str, str]
  done: dict[str, Count]


@dataclasses.dataclass(frozen=True)
class Mirror:
  """A folder of shards, here and, if there is one, in a cloud.

  Attributes:
    here: a local folder.
    there: the one in a cloud that it mirrors; None: there is none.
  """

  here: pathlib.Path
  there: paths.Path | None

  def is_whole(self, shard: str) -> bool:
    """Whether a shard is here and whole; one in the cloud is copied down."""
    if self._is_here(shard):
      return True
    if self.there is None or not self.fetch(_told(shard)):
      return False
    self.fetch(shard)
    return self._is_here(shard)

  def _is_here(self, shard: str) -> bool:
    try:
      told = self.told(shard)
      return os.path.getsize(self.here / shard) == told['bytes']
    except (OSError, ValueError):
      return False

  def told(self, shard: str) -> dict[str, Any]:
    """What a shard's file says of it.

    Raises:
      OSError, ValueError: it is not there, or damaged.
    """
    try:
      found = json.loads((self.here / _told(shard)).read_bytes())
    except RecursionError as error:
      raise ValueError(str(error)) from None
    typed.check(found, _Told)
    return found

  def fetch(self, name: str) -> bool:
    """Copies a file down; whether it is there."""
    if self.there is None:
      return False
    try:
      content = paths.read(self.there / name)
    except FileNotFoundError:
      return False
    file = self.here / name
    file.parent.mkdir(parents=True, exist_ok=True)
    paths.write(file, content)
    return True

  def write(self, name: str, content: str | bytes) -> None:
    """Writes a small file, here and there."""
    file = self.here / name
    file.parent.mkdir(parents=True, exist_ok=True)
    paths.write(file, content)
    if self.there is not None:
      paths.write(self.there / name, content)

  def write_shard(
    self, shard: str, contents: Sequence[bytes], told: Mapping[str, Any]
  ) -> None:
    """Writes a shard, here and there, and then that it is whole."""
    file = self.here / shard
    try:
      shards.write(file, contents)
    except Exception as error:  # noqa: BLE001  Of several types.
      line = reason_of(error)
      raise UserError(
        f'{file} cannot be written ({line}): what is prepared is kept; make'
        ' room, and the same command continues'
      ) from None
    size = os.path.getsize(file)
    if self.there is not None:
      paths.write(self.there / shard, file.read_bytes())
    self.write(_told(shard), json.dumps({'bytes': size, **told}) + '\n')


def _told(shard: str) -> str:
  return shard.removesuffix('.array_record') + '.json'
