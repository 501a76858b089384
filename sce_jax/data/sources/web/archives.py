"""Image files in folders, or in tar archives that nobody has unpacked."""

from collections.abc import Iterable, Sequence
import os
import pathlib
import sys
import tarfile

from sce_jax.data import decode
from sce_jax.data.decode import UnreadableError
from sce_jax.errors import UserError


class ImageFiles:
  """Where files of a data set lie.

  Args:
    root: its folder.
    names: of the files, relative to it.

  Attributes:
    missing: names that are neither files nor in a tar.

  Raises:
    UserError: a tar cannot be read.
  """

  def __init__(self, root: pathlib.Path, names: Iterable[str]):
    self._root = root
    # Of those in a tar: the tar, the place of its first byte, and its size.
    self._members: dict[str, tuple[str, int, int]] = {}
    by_folder: dict[str, list[str]] = {}
    for name in names:
      by_folder.setdefault(name.rpartition('/')[0], []).append(name)
    missing: list[str] = []
    # A folder at a time: a million files are not asked for one by one.
    for folder, own in by_folder.items():
      try:
        there = set(os.listdir(root / folder))
      except (OSError, ValueError):
        there = set()
      missing += [x for x in own if x.rpartition('/')[2] not in there]
    if missing:
      self._find_in_tars(set(missing))
    self.missing = [x for x in missing if x not in self._members]

  def read(self, name: str) -> bytes:
    """The content of a file.

    Raises:
      UnreadableError: it is not there, or cannot be read.
    """
    if name not in self._members:
      return decode.read(self._root / name)
    tar, start, size = self._members[name]
    try:
      with open(tar, 'rb') as file:
        file.seek(start)
        content = file.read(size)
    except OSError as error:
      reason = error.strerror or str(error)
      raise UnreadableError(reason, is_lasting=False) from None
    if not content:
      raise UnreadableError('empty')
    return content

  def _find_in_tars(self, wanted: set[str]) -> None:
    for tar in tars(self._root):
      print(f'looks for images in {tar}', file=sys.stderr)
      inside = tar.relative_to(self._root)
      try:
        with tarfile.open(tar, 'r:') as archive:
          while (member := archive.next()) is not None:
            # It would keep a million of them; its types do not say so.
            archive.members.clear()  # type: ignore[attr-defined]
            if not member.isreg():
              continue
            name = _name(member.name, inside, wanted)
            if name is not None:
              place = str(tar), member.offset_data, member.size
              self._members.setdefault(name, place)
      except (OSError, tarfile.TarError) as error:
        raise UserError(
          f'{tar} cannot be read as a tar ({error}): if it is compressed,'
          ' unpack it; if it is damaged, download it again'
        ) from None


def tars(root: pathlib.Path) -> list[pathlib.Path]:
  """The archives in a data set's folder, and in its folder of images."""
  return sorted([*root.glob('*.tar'), *root.glob('images/*.tar')])


def _name(member: str, tar: pathlib.PurePath, wanted: set[str]) -> str | None:
  """Which wanted file a member is: tars were made in several folders."""
  plain = member.removeprefix('./')
  folder = tar.parent.as_posix().removeprefix('.')
  candidates: Sequence[str] = (
    plain,
    f'{folder}/{plain}',
    f'{folder}/{tar.stem}/{plain}',
    f'{tar.stem}/{plain}',
  )
  return next((x for x in candidates if x in wanted), None)
