"""Faults, injected for real into files, here or in a cloud, and into a disk."""

from collections.abc import Callable, Iterator
import contextlib
import pathlib
import random
import resource

from sce_jax.storage import paths


def _flip(content: bytes) -> bytes:
  """One bit of it is another: which, is drawn from the content."""
  place = random.Random(content).randrange(8 * len(content))
  changed = bytearray(content)
  changed[place // 8] ^= 1 << place % 8
  return bytes(changed)


# What becomes of a file's content; None: the file is removed.
DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
  'flipped bit': _flip,
  'cut': lambda content: content[: len(content) // 2],
  'emptied': lambda content: b'',
  'missing': lambda content: None,
}


def damage(path: paths.Path, what: str) -> None:
  """Damages a file.

  Args:
    path: the file.
    what: one of DAMAGES.
  """
  content = DAMAGES[what](paths.read(path))
  if content is None:
    path.unlink()
  elif paths.is_cloud(path):
    paths.write(path, content)
  else:
    path.write_bytes(content)


@contextlib.contextmanager
def files_no_larger(size: int) -> Iterator[None]:
  """The system refuses to write more to any file, as where a quota ends."""
  soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
  try:
    yield
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def files(folder: paths.Path) -> list[str]:
  """All files below a folder, from it on, in order."""
  if paths.is_cloud(folder):
    return paths.listing(folder)
  here = pathlib.Path(folder)
  return sorted(
    x.relative_to(here).as_posix() for x in here.rglob('*') if x.is_file()
  )


def contents(folder: paths.Path) -> dict[str, bytes]:
  """What each file below a folder holds, but for the lock."""
  return {
    name: paths.read(folder / name) for name in files(folder) if name != '.lock'
  }
