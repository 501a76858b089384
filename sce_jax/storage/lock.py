"""Locks a folder against other processes, locally and in a cloud.

Locally the system releases a lock when its process ends. An object store has no
such lock: there it is a lease, which its holder renews regularly.
"""

import abc
from collections.abc import Callable
import contextlib
import datetime
import fcntl
import json
import os
import pathlib
import socket
import threading
import time
from typing import Any, TextIO
import uuid

from sce_jax import signals
from sce_jax.storage import paths

# Seconds. Changed by no flag: all who share a folder must have the same.
RENEW_SECONDS = 10.0
LEASE_SECONDS = 40.0
_LEASES = '.lease'
_LOCK = '.lock'
# A lock that another process only looks at is free again much sooner.
_TRIES, _PAUSE_SECONDS = 10, 0.01
_PROCESS = uuid.uuid4().hex
# When processes that turned out to be dead last renewed a lease.
_EXPIRED: dict[str, float] = {}
# The leases that `is_held` has seen, by folder, and since when.
_SEEN: dict[str, tuple[tuple[int, dict[str, Any]], float]] = {}


class LockHeldError(Exception):
  """Another process has locked the folder; the text says which."""


class LockLostError(Exception):
  """This process had the lock, but another has taken it over."""


class Lock(abc.ABC):
  """A folder locked by this process."""

  @abc.abstractmethod
  def check(self) -> None:
    """Raises LockLostError if the folder has been taken over."""

  @abc.abstractmethod
  def close(self) -> None:
    """Releases the lock."""


def acquire(folder: paths.Path, say: Callable[[str], None] = print) -> Lock:
  """Locks a folder against other processes.

  Args:
    folder: an existing folder.
    say: is given a line if it takes longer.

  Raises:
    LockHeldError: another process holds it.
    OSError: it cannot be written.
  """
  if paths.is_cloud(folder):
    return _Lease(folder / _LEASES, say)
  return _FileLock(pathlib.Path(folder, _LOCK))


def is_held(folder: paths.Path) -> bool:
  """Whether a process seems to hold the lock; does not acquire it.

  To be asked again and again: a lease in a cloud counts as held until it has
  not changed for LEASE_SECONDS while this process looked.
  """
  if paths.is_cloud(folder):
    number, lease = _newest(folder / _LEASES)
    if lease is None or _is_known_dead(lease):
      return False
    now, seen = time.monotonic(), (number, lease)
    before, since = _SEEN.get(os.fspath(folder), (None, now))
    if seen != before:
      _SEEN[os.fspath(folder)] = seen, now
    elif now - since >= LEASE_SECONDS:
      _EXPIRED[lease['process']] = lease['time']
      return False
    return True
  try:
    check_free(folder)
  except LockHeldError:
    return True
  return False


def check_free(folder: paths.Path) -> None:
  """Checks that no process holds a local folder's lock; does not acquire it.

  Raises:
    LockHeldError: one does.
  """
  path = pathlib.Path(folder, _LOCK)
  if path.exists():
    with open(path) as file:
      # Shared with others who look.
      _flock(file, fcntl.LOCK_SH)


def _flock(file: TextIO, kind: int) -> None:
  try:
    fcntl.flock(file, kind | fcntl.LOCK_NB)
  except OSError:
    file.seek(0)
    raise LockHeldError(_named(file.read())) from None


class _FileLock(Lock):
  """A lock that the system releases when the process ends for any reason."""

  def __init__(self, path: pathlib.Path):
    self._path = path
    self._file = open(path, 'a+')  # noqa: SIM115  Kept open.
    for left in reversed(range(_TRIES)):
      try:
        _flock(self._file, fcntl.LOCK_EX)
        break
      except LockHeldError:
        if not left:
          self._file.close()
          raise
        time.sleep(_PAUSE_SECONDS)
    self._file.truncate(0)
    self._file.write(json.dumps(_self()))
    self._file.flush()

  def check(self) -> None:
    try:
      now = os.stat(self._path)
    except OSError:
      raise LockLostError from None
    # Another file of that name is of a folder that has come in its place.
    if not os.path.samestat(now, os.fstat(self._file.fileno())):
      raise LockLostError

  def close(self) -> None:
    self._file.close()


class _Lease(Lock):
  """A lock in a cloud: an object that its holder rewrites regularly.

  The leases of a folder are numbered, and the highest number holds it. A thread
  renews it every RENEW_SECONDS. A process that finds one watches it: if it is
  renewed, the folder is in use; if it is not for LEASE_SECONDS, its holder is
  assumed dead, and the next number is created, which only one of several
  processes can do. No two machines' clocks are compared.

  So a run that has ended, by SIGTERM too, holds up its successor not at all,
  one that was killed for LEASE_SECONDS at most. And one that lives, but was
  stopped or cut off from the cloud for longer, may lose the folder: it learns
  of it by `check`, before it writes the next epoch's figures. What it was
  writing just then, a checkpoint say, it may still finish: the object store
  does not ask who writes.
  """

  def __init__(self, folder: paths.Path, say: Callable[[str], None]):
    self._folder = folder
    self._id = uuid.uuid4().hex
    self._holder = _self()
    self._number = self._free_number(say) + 1
    self._file = folder / _name(self._number)
    try:
      self._write(mode='create')
    except FileExistsError:
      raise LockHeldError('another process') from None
    # Not all that speak a store's protocol know that mode.
    if not self._is_mine():
      raise LockHeldError('another process')
    for name in paths.listing(folder):
      if name < self._file.name:
        paths.store(folder).rm(os.fspath(folder / name))
    self._lost = False
    self._seen = time.monotonic()
    self._one_at_a_time = threading.Lock()
    self._stop = threading.Event()
    self._thread = threading.Thread(target=self._keep, daemon=True)
    self._thread.start()
    signals.release_at_exit(self.close)

  def check(self) -> None:
    # The thread may have been stopped as long as this one.
    if time.monotonic() - self._seen > 2 * RENEW_SECONDS:
      self._renew()
    if self._lost:
      raise LockLostError

  def close(self) -> None:
    self._stop.set()
    self._thread.join()
    # One that stays there costs the next a wait.
    with contextlib.suppress(Exception):
      if self._is_mine():
        paths.store(self._folder).rm(os.fspath(self._file))

  def _free_number(self, say: Callable[[str], None]) -> int:
    """The number of a lease whose holder is dead; 0: there is none."""
    number, lease = _newest(self._folder)
    if lease is None or _is_known_dead(lease):
      return number
    say(
      f'{self._folder.parent}: held by a process on {lease["host"]}; waits'
      f' {LEASE_SECONDS:g} s at most to see whether it lives'
    )
    end = time.monotonic() + LEASE_SECONDS
    while time.monotonic() < end:
      time.sleep(min(1.0, RENEW_SECONDS / 4))
      now, seen = _newest(self._folder)
      if seen is None:
        return 0
      if (now, seen) != (number, lease):
        raise LockHeldError(_named(json.dumps(seen)))
    _EXPIRED[lease['process']] = lease['time']
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
      # Of a clock that is never set back; compared with this process's only.
      'time': time.monotonic(),
      **self._holder,
    }
    paths.store(self._folder).pipe_file(
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
    while not self._stop.wait(RENEW_SECONDS) and not self._lost:
      # The network may come back before anybody misses us.
      with contextlib.suppress(Exception):
        self._renew()


def _self() -> dict[str, Any]:
  """Who this is: what another process that finds the folder locked is told."""
  now = datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')
  return {'host': socket.gethostname(), 'pid': os.getpid(), 'since': now}


def _named(holder: str) -> str:
  """What `_self` has written, for the user."""
  try:
    found = json.loads(holder)
    return (
      f'another process, on {found["host"]}: pid {found["pid"]}, since'
      f' {found["since"]}'
    )
  except (ValueError, KeyError, TypeError):  # Of an earlier version.
    return 'another process'


def _name(number: int) -> str:
  return f'{number:06d}'


def _newest(folder: paths.Path) -> tuple[int, dict[str, Any] | None]:
  """The number and content of the lease that counts; 0 and None: none does."""
  numbers = [int(name) for name in paths.listing(folder) if name.isdecimal()]
  if not numbers:
    return 0, None
  try:
    content = paths.read(folder / _name(max(numbers)))
  except FileNotFoundError:  # Given back just now.
    return 0, None
  return max(numbers), _lease_of(content)


def _lease_of(content: bytes) -> dict[str, Any]:
  """A lease as it was written.

  One that is damaged is like that of a process that is not known: who wants the
  folder waits whether it is renewed.
  """
  try:
    lease = json.loads(content)
    kinds = {'id': str, 'process': str, 'time': float, 'host': str}
    if all(isinstance(lease[name], kind) for name, kind in kinds.items()):
      return lease
  except (ValueError, KeyError, TypeError, RecursionError):
    pass
  return {
    'id': '',
    'process': '',
    'time': 0.0,
    'host': 'a machine that is not known, for its lease is damaged',
    'content': repr(content),  # By which it is seen to be renewed.
  }


def _is_known_dead(lease: dict[str, Any]) -> bool:
  """Whether a lease need not be watched, for its holder has been elsewhere.

  By the holder's own clock this one was renewed no later than the one that was
  found dead. So the runs of a process delay their successor only once.
  """
  died = _EXPIRED.get(lease['process'])
  if died is None or not lease['process']:  # Damaged: not known whose.
    return False
  return lease['time'] < died + LEASE_SECONDS / 2
