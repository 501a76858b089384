"""Which image files lie in a folder and below it. Needs no jax."""

import collections
from collections.abc import Iterator
import os

from sce_jax.errors import UserError

EXTENSIONS = ('.jpg', '.jpeg', '.png', '.webp', '.bmp', '.tif', '.tiff')
# Links that meet again and again make endlessly many paths of few folders.
_MOST_PATHS = 100


def find(
  folder: str | os.PathLike, others: list[str] | None = None
) -> Iterator[str]:
  """The names of all images below a folder, relative to it, in order.

  By their extensions, in any case. Links are followed, but not to a folder that
  they lie in; hidden files and folders are left out.

  Args:
    folder: the folder.
    others: the names of the other files are added to it; None: to nothing.

  Raises:
    UserError: a folder cannot be read, or links lead to it by too many paths.
  """
  visits: collections.Counter[str] = collections.Counter()
  # The folders that are being read, the outermost first: the path from `folder`
  # on, the real path, and what has not been looked at. No recursion, for
  # folders may lie deeper than Python's stack.
  above: list[tuple[str, str, Iterator[os.DirEntry[str]]]] = []

  def enter(path: str, prefix: str) -> None:
    real = os.path.realpath(path)
    if real in (x[1] for x in above):
      return
    visits[real] += 1
    if visits[real] > _MOST_PATHS:
      raise UserError(
        f'{real} is reached by more than {_MOST_PATHS} paths through links from'
        f' {os.fspath(folder)}: take links out'
      )
    try:
      found = sorted(os.scandir(path), key=lambda entry: entry.name)
    except OSError as error:
      raise UserError(
        f'{path} cannot be read ({error.strerror or error})'
      ) from None
    above.append((prefix, real, iter(found)))

  enter(os.fspath(folder), '')
  while above:
    prefix, _, entries = above[-1]
    entry = next(entries, None)
    if entry is None:
      above.pop()
    elif is_hidden(entry.name):
      continue
    elif _is_folder(entry):
      enter(entry.path, f'{prefix}{entry.name}/')
    elif is_image(entry.name):
      yield prefix + entry.name
    elif others is not None:
      others.append(prefix + entry.name)


def is_image(name: str) -> bool:
  """Whether a file's name is that of an image."""
  return name.lower().endswith(EXTENSIONS)


def is_hidden(name: str) -> bool:
  """Whether a file or folder is to be left out."""
  return name.startswith('.')


def _is_folder(entry: os.DirEntry[str]) -> bool:
  try:
    return entry.is_dir()
  except OSError:  # A link to itself.
    return False
