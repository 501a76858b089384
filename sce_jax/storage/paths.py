"""Local folders, and folders in a cloud: gs:// and s3://.

A local path stays a pathlib.Path, and nothing here costs it anything. One in a
cloud is an etils.epath.Path, whose library (gcsfs, s3fs) is imported when the
first such path is made. What an object store lacks is made up for here: it has
no folders, and nothing in it can be appended to or renamed. lock.py has locks.
"""

from collections.abc import Iterator, Mapping
import contextlib
import importlib.util
import logging
import os
import pathlib
import shutil
import tempfile
from typing import Any, TypeAlias
import uuid

from etils import epath

from sce_jax.errors import UserError, reason_of

Path: TypeAlias = pathlib.Path | epath.Path

# By scheme: the package, and what pip is asked for.
_BACKENDS = {
  's3': ('s3fs', 's3fs>=2026.9'),
  'gs': ('gcsfs', 'gcsfs>=2026.10.1'),
}


def is_cloud(path: str | os.PathLike) -> bool:
  """Whether a path is in a cloud."""
  return '://' in os.fspath(path)


def path(text: str | os.PathLike) -> Path:
  """The path that a text means; a leading ~ is the home.

  Raises:
    UserError: it is in a cloud that is not known, or whose package is missing;
      or there is no home.
  """
  given = os.fspath(text)
  scheme, separator, rest = given.partition('://')
  if not separator:
    return pathlib.Path(expand(given))
  if scheme not in _BACKENDS:
    known = ' or '.join(f'{name}://' for name in _BACKENDS)
    raise UserError(
      f'{given}: {scheme}:// is not known: use a local folder, {known}'
    )
  if not rest.strip('/'):
    raise UserError(f'{given} names no bucket: write {scheme}://BUCKET/FOLDER')
  package, wanted = _BACKENDS[scheme]
  if importlib.util.find_spec(package) is None:
    raise UserError(
      f'{given}: {scheme}:// needs {package}: pip install "{wanted}"'
    )
  import fsspec  # noqa: PLC0415  Not for local paths.

  # It prints whole stack traces before it raises the same error.
  logging.getLogger('gcsfs').setLevel(logging.CRITICAL)
  # Others write there, too: what is remembered of a listing may be wrong.
  for name in {scheme, 'gcs' if scheme == 'gs' else scheme}:
    fsspec.config.conf.setdefault(name, {})['use_listings_cache'] = False
  return epath.Path(given)


def expand(text: str) -> str:
  """A path in which ~ is the home folder.

  Raises:
    UserError: there is no such home, as without HOME and for a user who is not
      in the system's list.
  """
  expanded = os.path.expanduser(text)
  if expanded.startswith('~'):
    raise UserError(
      f'{text}: there is no such home: set HOME, or name a folder without ~'
    )
  return expanded


def cache_folder() -> pathlib.Path | None:
  """Where files are kept that can be made again; None: there is no home.

  It is $XDG_CACHE_HOME/sce_jax (~/.cache/sce_jax).
  """
  base = os.environ.get('XDG_CACHE_HOME')
  try:
    return pathlib.Path(base or expand('~/.cache'), 'sce_jax')
  except UserError:
    return None


def check(text: str | os.PathLike | None) -> None:
  """Checks that a cloud can be reached; does nothing for a local path.

  Raises:
    UserError: it cannot, or the bucket is not there.
  """
  if text is None or not is_cloud(text):
    return
  folder = os.fspath(path(text))
  bucket = folder.split('/')[2]
  cloud = store(folder)
  try:
    # What only asks whether something exists says no to any failure.
    cloud.ls(folder, detail=False)
    return
  except FileNotFoundError:
    there = cloud.exists(bucket)
  except Exception as error:  # noqa: BLE001  Any library's, told in one line.
    raise UserError(
      f'{text} cannot be reached ({type(error).__name__}:'
      f' {reason_of(error)}): check the credentials and the'
      ' network'
    ) from None
  if not there:
    raise UserError(
      f'{text}: there is no bucket {bucket!r}: make it, or name another'
    )


def absolute(path: Path) -> Path:
  """A path that means the same wherever it is read."""
  return path if is_cloud(path) else path.resolve()


def make_folder(path: Path) -> None:
  """Makes a folder and those above it; in a cloud there is nothing to make."""
  # There mkdir would make a bucket out of a misspelt name.
  if not is_cloud(path):
    path.mkdir(parents=True, exist_ok=True)


def write(path: Path, content: str | bytes) -> None:
  """Writes a file atomically, replacing an existing one.

  Raises:
    OSError: it cannot be written.
  """
  write_all({path: content})


def write_all(contents: Mapping[Path, str | bytes]) -> None:
  """Writes files that belong together, each atomically, in this order.

  None of those here is replaced before there was room for all.

  Args:
    contents: of the files, by path.

  Raises:
    OSError: one cannot be written; `filename` is its name.
  """
  written: dict[Path, Path] = {}
  try:
    for path, content in contents.items():
      # Names that were read may have characters that are no text.
      data = (
        content.encode(errors='backslashreplace')
        if isinstance(content, str)
        else content
      )
      if is_cloud(path):
        store(path).pipe_file(os.fspath(path), data)
        continue
      # A unique name, so that two writers never share a temporary file.
      temporary = path.with_name(f'.{path.name}.{uuid.uuid4().hex}')
      written[path] = temporary
      with _named(path), open(temporary, 'xb') as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    for path, temporary in written.items():
      with _named(path):
        os.replace(temporary, path)
  finally:
    for temporary in written.values():
      temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
  """An error inside has the file's name, which that of a full disk lacks."""
  try:
    yield
  except OSError as error:
    if error.errno is not None:
      error.filename = os.fspath(path)
    raise


def read(path: Path) -> bytes:
  """Reads a file, as it was at one moment.

  Raises:
    OSError: it is not there.
  """
  # Opened like a local file, one in a cloud is read piece by piece, and fails
  # if it is rewritten meanwhile.
  if is_cloud(path):
    return store(path).cat_file(os.fspath(path))
  return path.read_bytes()


def append(path: Path, text: str) -> None:
  """Appends to a file; in a cloud the whole file is rewritten."""
  if is_cloud(path):
    try:
      before = read(path)
    except FileNotFoundError:
      before = b''
    write(path, before + text.encode())
    return
  with _named(path), open(path, 'a') as file:
    file.write(text)


def find(folder: Path, name: str) -> list[Path]:
  """All files of a name in a folder and below it, in order."""
  if not isinstance(folder, epath.Path):
    return sorted(folder.rglob(name))
  return [folder / x for x in listing(folder) if x.split('/')[-1] == name]


def listing(folder: Path) -> list[str]:
  """All files below a folder in a cloud, from the folder on, in order."""
  root = os.fspath(folder).partition('://')[2].rstrip('/') + '/'
  found = store(folder).find(os.fspath(folder))
  return sorted(x.removeprefix(root) for x in found)


def names(folder: Path) -> set[str]:
  """What a folder holds; empty if there is no such folder."""
  if is_cloud(folder):
    return {name.split('/')[0] for name in listing(folder)}
  try:
    return set(os.listdir(folder))
  except OSError:
    return set()


def remove(folder: Path, first: str | None = None) -> None:
  """Removes a folder in a cloud with all that is in it, if it is there.

  Args:
    folder: the folder.
    first: the name of the file that goes before all others: what lacks it is
      not whole.
  """
  names = listing(folder)
  cloud = store(folder)
  early = [x for x in names if x.split('/')[-1] == first]
  for some in (early, [x for x in names if x not in early]):
    if some:
      cloud.rm([os.fspath(folder / name) for name in some])


def upload(folder: pathlib.Path, to: Path, last: str) -> None:
  """Copies a local folder up.

  Args:
    folder: the folder.
    to: where in a cloud; what is there is removed.
    last: the name of the files that are copied last, those of subfolders
      before the folder's own: what lacks it is not whole.
  """
  remove(to, first=last)
  names = [
    x.relative_to(folder).as_posix() for x in folder.rglob('*') if x.is_file()
  ]
  late = [x for x in names if x.split('/')[-1] == last]
  late.sort(key=lambda x: -x.count('/'))
  cloud = store(to)
  for some in ([x for x in names if x not in late], *([x] for x in late)):
    if some:
      cloud.put(
        [str(folder / name) for name in some],
        [os.fspath(to / name) for name in some],
      )


def download(folder: Path, to: pathlib.Path) -> None:
  """Copies a folder in a cloud down; it appears whole or not at all."""
  to.parent.mkdir(parents=True, exist_ok=True)
  names = listing(folder)
  with tempfile.TemporaryDirectory(dir=to.parent, prefix='.') as made:
    there = pathlib.Path(made) / to.name
    for name in names:
      (there / name).parent.mkdir(parents=True, exist_ok=True)
    store(folder).get(
      [os.fspath(folder / name) for name in names],
      [str(there / name) for name in names],
    )
    try:
      os.replace(there, to)
    except OSError:
      if not to.is_dir():
        raise
      # Another process was faster, or it was there but not whole.
      shutil.rmtree(to)
      os.replace(there, to)


def store(path: str | os.PathLike) -> Any:
  """The file system of the cloud that a path is in."""
  import fsspec  # noqa: PLC0415  Not for local paths.

  return fsspec.filesystem(os.fspath(path).partition('://')[0])


def shown(path: Any) -> str:
  """A path as it is printed: relative if it is below the working folder."""
  text = os.fspath(path)
  if is_cloud(text) or not os.path.isabs(text):
    return text
  relative = os.path.relpath(text)
  return text if relative.startswith('..') else relative
