"""Local folders, and folders in a cloud: gs:// and s3://.

A local path stays a pathlib.Path, and nothing here costs it anything. One in a
cloud is an etils.epath.Path, whose library (gcsfs, s3fs) is imported when the
first such path is made. What an object store lacks is made up for here: it has
no folders, nothing in it can be appended to or renamed, and no lock of it ends
with the process that holds it.
"""

import abc
from collections.abc import Callable
import contextlib
import fcntl
import importlib.util
import json
import logging
import os
import pathlib
import shutil
import socket
import tempfile
import threading
import time
from typing import Any, TypeAlias
import uuid

from etils import epath

from sce_jax.errors import UserError

Path: TypeAlias = pathlib.Path | epath.Path

# By scheme: the package, and what pip is asked for.
_BACKENDS = {
  's3': ('s3fs', 's3fs>=2026.9'),
  'gs': ('gcsfs', 'gcsfs>=2026.10.1'),
}
# Seconds. Changed by no flag: all who share a folder must have the same.
RENEW = 10.0
STALE = 40.0


def is_cloud(path: str | os.PathLike) -> bool:
  """Whether a path is in a cloud."""
  return '://' in os.fspath(path)


def path(text: str | os.PathLike) -> Path:
  """The path that a text means.

  Raises:
    UserError: it is in a cloud that is not known, or whose package is missing.
  """
  given = os.fspath(text)
  scheme, separator, rest = given.partition('://')
  if not separator:
    return pathlib.Path(text)
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


def check(text: str | os.PathLike | None) -> None:
  """Sees whether a cloud can be reached at all; of a local path nothing.

  Raises:
    UserError: it cannot, or the bucket is not there.
  """
  if text is None or not is_cloud(text):
    return
  folder = os.fspath(path(text))
  bucket = folder.split('/')[2]
  store = _store(folder)
  try:
    # What only asks whether something exists says no to any failure.
    store.ls(folder, detail=False)
    return
  except FileNotFoundError:
    there = store.exists(bucket)
  except Exception as error:  # noqa: BLE001  Any library's, told in one line.
    raise UserError(
      f'{text} cannot be reached ({type(error).__name__}:'
      f' {" ".join(str(error).split())[:200]}): check the credentials and the'
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
  """Writes a file whole or not at all, over one that is there.

  Raises:
    OSError: it cannot be written.
  """
  data = content.encode() if isinstance(content, str) else content
  if is_cloud(path):
    _store(path).pipe_file(os.fspath(path), data)
    return
  # A name of its own, so that two writers never share a temporary file.
  temporary = path.with_name(f'.{path.name}.{uuid.uuid4().hex}')
  try:
    with open(temporary, 'xb') as file:
      file.write(data)
      file.flush()
      os.fsync(file.fileno())
    os.replace(temporary, path)
  finally:
    temporary.unlink(missing_ok=True)


def read(path: Path) -> bytes:
  """Reads a file, as it was at one moment.

  Raises:
    OSError: it is not there.
  """
  # Opened like a local file, one in a cloud is read piece by piece, and fails
  # if it is written anew meanwhile.
  if is_cloud(path):
    return _store(path).cat_file(os.fspath(path))
  return path.read_bytes()


def append(path: Path, text: str) -> None:
  """Adds to a file; in a cloud it is written anew with the addition."""
  if is_cloud(path):
    try:
      before = read(path)
    except FileNotFoundError:
      before = b''
    write(path, before + text.encode())
    return
  with open(path, 'a') as file:
    file.write(text)


def find(folder: Path, name: str) -> list[Path]:
  """All files of a name in a folder and below it, in order."""
  if not isinstance(folder, epath.Path):
    return sorted(folder.rglob(name))
  return [folder / x for x in listing(folder) if x.split('/')[-1] == name]


def listing(folder: Path) -> list[str]:
  """All files below a folder in a cloud, from the folder on, in order."""
  root = os.fspath(folder).partition('://')[2].rstrip('/') + '/'
  found = _store(folder).find(os.fspath(folder))
  return sorted(x.removeprefix(root) for x in found)


def remove(folder: Path, first: str | None = None) -> None:
  """Removes a folder in a cloud with all that is in it, if it is there.

  Args:
    folder: the folder.
    first: the name of the file that goes before all others: what lacks it is
      not whole.
  """
  names = listing(folder)
  store = _store(folder)
  early = [x for x in names if x.split('/')[-1] == first]
  for some in (early, [x for x in names if x not in early]):
    if some:
      store.rm([os.fspath(folder / name) for name in some])


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
  store = _store(to)
  for some in ([x for x in names if x not in late], *([x] for x in late)):
    if some:
      store.put(
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
    _store(folder).get(
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


def _store(path: str | os.PathLike) -> Any:
  """What speaks to the cloud that a path is in."""
  import fsspec  # noqa: PLC0415  Not for local paths.

  return fsspec.filesystem(os.fspath(path).partition('://')[0])


# Locks.


class InUse(Exception):
  """Another process holds the folder; the text says which."""


class Lost(Exception):
  """This process has held the folder, but another has taken it over."""


class Hold(abc.ABC):
  """A folder held by this process."""

  @abc.abstractmethod
  def check(self) -> None:
    """Raises Lost if the folder has been taken over."""

  @abc.abstractmethod
  def close(self) -> None:
    """Lets go of it."""


def hold(folder: Path, say: Callable[[str], None] = print) -> Hold:
  """Holds a folder against other processes.

  Args:
    folder: there already.
    say: told in a line why it takes longer.

  Raises:
    InUse: another process holds it.
    OSError: it cannot be written.
  """
  if isinstance(folder, epath.Path):
    return _Lease(folder / _LEASES, say)
  return _FileLock(folder / '.lock')


def is_held(folder: Path) -> bool:
  """Whether a process seems to hold a folder; takes nothing."""
  if isinstance(folder, epath.Path):
    lease = _newest(folder / _LEASES)[1]
    return lease is not None and abs(time.time() - lease['time']) < STALE
  path = folder / '.lock'
  if not path.exists():
    return False
  with open(path) as lock:
    try:
      fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
      return True
  return False


class _FileLock(Hold):
  """A lock that the system lets go of when the process ends, however."""

  def __init__(self, path: pathlib.Path):
    self._file = open(path, 'w')  # noqa: SIM115  Kept open.
    try:
      fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
      self._file.close()
      raise InUse('another process') from None

  def check(self) -> None:
    pass

  def close(self) -> None:
    self._file.close()


class _Lease(Hold):
  """A lock in a cloud: an object that its holder writes anew again and again.

  The leases of a folder are numbered, and the highest number holds it. A thread
  renews it every RENEW seconds. Who finds one watches it: it is renewed, and
  the folder is in use; or it is not for STALE seconds, its holder is taken for
  dead, and the next number is made, which of several who try it at once only
  one can make. No two machines' clocks are compared.

  So a run that has ended, by SIGTERM too, holds up its successor not at all,
  one that was killed for STALE seconds at most. And one that lives, but was
  stopped or cut off from the cloud for longer, may lose the folder: it learns
  of it by `check`, before it writes the next epoch's figures. What it was
  writing just then, a checkpoint say, it may still finish: the object store
  does not ask who writes.
  """

  def __init__(self, folder: epath.Path, say: Callable[[str], None]):
    self._folder = folder
    self._id = uuid.uuid4().hex
    self._number = self._free_number(say) + 1
    self._file = folder / _name(self._number)
    try:
      self._write(mode='create')
    except FileExistsError:
      raise InUse('another process') from None
    # Not all that speak a store's protocol know that mode.
    if not self._is_mine():
      raise InUse('another process')
    for name in listing(folder):
      if name < self._file.name:
        _store(folder).rm(os.fspath(folder / name))
    self._lost = False
    self._seen = time.monotonic()
    self._one_at_a_time = threading.Lock()
    self._stop = threading.Event()
    self._thread = threading.Thread(target=self._keep, daemon=True)
    self._thread.start()

  def check(self) -> None:
    # The thread may have been stopped as long as this one.
    if time.monotonic() - self._seen > 2 * RENEW:
      self._renew()
    if self._lost:
      raise Lost

  def close(self) -> None:
    self._stop.set()
    self._thread.join()
    # One that stays there costs the next a wait.
    with contextlib.suppress(Exception):
      if self._is_mine():
        _store(self._folder).rm(os.fspath(self._file))

  def _free_number(self, say: Callable[[str], None]) -> int:
    """The number of a lease whose holder is dead; 0: there is none."""
    number, lease = _newest(self._folder)
    if lease is None or _is_known_dead(lease):
      return number
    say(
      f'{self._folder.parent}: held by a process on {lease["host"]}; waits'
      f' {STALE:g} s at most to see whether it lives'
    )
    end = time.monotonic() + STALE
    while time.monotonic() < end:
      time.sleep(min(1.0, RENEW / 4))
      now, seen = _newest(self._folder)
      if seen is None:
        return 0
      if (now, seen) != (number, lease):
        raise InUse(f'another process, on {seen["host"]}')
    _DEAD[lease['process']] = lease['time']
    return number

  def _is_mine(self) -> bool:
    number, lease = _newest(self._folder)
    return lease is not None and (
      (number, lease['id']) == (self._number, self._id)
    )

  def _write(self, **how: Any) -> None:
    lease = {
      'id': self._id,
      'process': _PROCESS,
      'host': socket.gethostname(),
      'time': time.time(),
    }
    _store(self._folder).pipe_file(
      os.fspath(self._file), json.dumps(lease).encode(), **how
    )

  def _renew(self) -> None:
    with self._one_at_a_time:
      if self._is_mine():
        self._write()
        self._seen = time.monotonic()
      else:
        self._lost = True

  def _keep(self) -> None:
    while not self._stop.wait(RENEW) and not self._lost:
      # The network may come back before anybody misses us.
      with contextlib.suppress(Exception):
        self._renew()


_LEASES = '.lease'
_PROCESS = uuid.uuid4().hex
# When processes that have been watched in vain last renewed a lease.
_DEAD: dict[str, float] = {}


def _name(number: int) -> str:
  return f'{number:06d}'


def _newest(folder: epath.Path) -> tuple[int, dict[str, Any] | None]:
  """The number and content of the lease that counts; 0 and None: none does."""
  numbers = [int(name) for name in listing(folder) if name.isdecimal()]
  if not numbers:
    return 0, None
  try:
    return max(numbers), json.loads(read(folder / _name(max(numbers))))
  except FileNotFoundError:  # Given back just now.
    return 0, None


def _is_known_dead(lease: dict[str, Any]) -> bool:
  """Whether a lease need not be watched, for its holder has been elsewhere.

  By the holder's own clock this one was renewed no later than the one that was
  watched in vain. So the runs of a process hold up their successor only once.
  """
  died = _DEAD.get(lease['process'])
  return died is not None and lease['time'] < died + STALE / 2
