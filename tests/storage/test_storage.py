"""Files, folders and locks, here and in a cloud."""

import fcntl
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

import pytest

from sce_jax.errors import UserError
from sce_jax.storage import lock, paths
from tests.conftest import REPOSITORY


@pytest.fixture
def quick(monkeypatch):
  """Leases that die in seconds."""
  monkeypatch.setattr(lock, 'RENEW_SECONDS', 0.2)
  monkeypatch.setattr(lock, 'LEASE_SECONDS', 3.0)


@pytest.fixture
def folder(cloud):
  address, _ = cloud()
  return paths.path(address)


def said_nothing(line):
  raise AssertionError(line)


def test_a_tilde_is_the_home(monkeypatch):
  monkeypatch.setenv('HOME', '/home/me')
  assert paths.path('~/runs/x') == pathlib.Path('/home/me/runs/x')
  assert paths.path('~') == pathlib.Path('/home/me')
  assert paths.path('a/~') == pathlib.Path('a/~')
  with pytest.raises(UserError, match='~nobody-here/x: there is no such home'):
    paths.path('~nobody-here/x')


@pytest.mark.parametrize('text', ['runs/a', '/tmp/b', 'a~/c', '.', '../d'])
def test_a_local_path_is_pathlibs_as_it_is(text):
  assert paths.path(text) == pathlib.Path(text)
  assert str(paths.path(text)) == str(pathlib.Path(text))
  assert isinstance(paths.path(text), pathlib.Path)
  assert not paths.is_cloud(text)


@pytest.mark.process
def test_a_local_path_costs_no_cloud_library(tmp_path):
  code = """
import sys
from sce_jax.storage import lock, paths
folder = paths.path(sys.argv[1]) / 'a'
paths.check(folder)
paths.make_folder(folder)
paths.write(folder / 'b', 'c')
paths.append(folder / 'b', 'd')
held = lock.acquire(folder)
assert lock.is_held(folder)
assert [str(x) for x in paths.find(folder, 'b')] == [str(folder / 'b')]
held.close()
assert (folder / 'b').read_text() == 'cd'
print({'fsspec', 's3fs', 'gcsfs', 'jax'} & set(sys.modules))
"""
  done = subprocess.run(
    [sys.executable, '-c', code, str(tmp_path)],
    cwd=REPOSITORY,
    capture_output=True,
    text=True,
    check=False,
  )
  assert (done.stdout, done.stderr) == ('set()\n', '')


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('az://bucket/run', r'az:// is not known: use .*s3:// or gs://'),
    ('s3://', 'names no bucket: write s3://BUCKET/FOLDER'),
  ],
)
def test_refuses_what_is_no_path(text, message):
  with pytest.raises(UserError, match=message):
    paths.path(text)


@pytest.mark.parametrize(
  ('text', 'package'), [('s3://bucket/run', 's3fs'), ('gs://b/run', 'gcsfs')]
)
def test_names_the_package_that_is_missing(text, package, monkeypatch):
  find = importlib.util.find_spec
  monkeypatch.setattr(
    importlib.util, 'find_spec', lambda x: None if x == package else find(x)
  )
  with pytest.raises(UserError, match=f'pip install "{package}>='):
    paths.path(text)


@pytest.mark.faults
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
  tmp_path, monkeypatch
):
  path = tmp_path / 'a.json'
  paths.write(path, 'old')

  def fail(*unused):
    raise OSError('disk full')

  monkeypatch.setattr(os, 'replace', fail)
  with pytest.raises(OSError, match='disk full'):
    paths.write(path, 'new')
  assert list(tmp_path.iterdir()) == [path]
  assert path.read_text() == 'old'


def test_refuses_a_bucket_that_is_not_there(folder):
  paths.check(folder)
  with pytest.raises(UserError, match="there is no bucket 'nobucket'"):
    paths.check('s3://nobucket/run')


def test_writes_and_finds_in_a_cloud(folder):
  paths.make_folder(folder)
  paths.write(folder / 'a' / 'b', 'one\n')
  paths.append(folder / 'a' / 'b', 'two\n')
  paths.append(folder / 'b', 'three\n')
  paths.write(folder / 'ab', b'\x00')
  assert (folder / 'a' / 'b').read_text() == 'one\ntwo\n'
  assert paths.find(folder, 'b') == [folder / 'a' / 'b', folder / 'b']
  assert paths.absolute(folder) == folder
  paths.remove(folder / 'a')
  paths.remove(folder / 'not there')
  assert paths.listing(folder) == ['ab', 'b']


@pytest.fixture
def local(tmp_path):
  there = tmp_path / 'local'
  (there / 'x').mkdir(parents=True)
  for name in ('a', 'last', 'x/b', 'x/last'):
    (there / name).write_text(name)
  return there


def test_copies_folders_up_and_down(folder, local, tmp_path):
  paths.write(folder / 'c' / 'old', 'of an upload that was cut')
  paths.upload(local, folder / 'c', last='last')
  assert paths.listing(folder / 'c') == ['a', 'last', 'x/b', 'x/last']
  for to in (tmp_path / 'new', local):
    paths.download(folder / 'c', to)
    names = [x.relative_to(to) for x in to.rglob('*') if x.is_file()]
    assert sorted(map(str, names)) == ['a', 'last', 'x/b', 'x/last']
    assert all((to / name).read_text() == str(name) for name in names)


@pytest.mark.faults
def test_an_upload_or_a_removal_that_is_cut_lacks_the_last(
  folder, local, monkeypatch
):
  store = paths.store(folder)
  calls = []

  def cut(does):
    def call(*arguments):
      calls.append(arguments)
      if len(calls) == stop:
        raise OSError('cut')
      return does(*arguments)

    return call

  monkeypatch.setattr(store, 'put', cut(store.put))
  monkeypatch.setattr(store, 'rm', cut(store.rm))
  stop = 3
  with pytest.raises(OSError, match='cut'):
    paths.upload(local, folder, last='last')
  assert paths.listing(folder) == ['a', 'x/b', 'x/last']
  stop = 0
  paths.upload(local, folder, last='last')
  assert 'last' in paths.listing(folder)
  calls.clear()
  stop = 2
  with pytest.raises(OSError, match='cut'):
    paths.remove(folder, first='last')
  assert paths.listing(folder) == ['a', 'x/b']


@pytest.mark.faults
def test_a_lease_keeps_others_out_while_it_is_renewed(folder, quick):
  held = lock.acquire(folder, said_nothing)
  assert lock.is_held(folder)
  lines = []
  with pytest.raises(lock.LockHeldError, match='another process, on '):
    lock.acquire(folder, lines.append)
  assert 'waits 3 s at most' in lines[0]
  held.check()
  held.close()
  # Given back, it holds nobody up.
  assert not lock.is_held(folder)
  assert paths.listing(folder) == []
  lock.acquire(folder, said_nothing).close()


@pytest.mark.faults
def test_whether_a_lease_is_held_compares_no_clocks(monkeypatch):
  # Its holder's clock stands at 1970.
  lease = {'process': 'x', 'time': 0.0}
  monkeypatch.setattr(lock, '_EXPIRED', {})
  monkeypatch.setattr(lock, '_newest', lambda _: (1, dict(lease)))
  folder = paths.path('s3://bucket/run')
  assert lock.is_held(folder) and lock.is_held(folder)
  monkeypatch.setattr(lock, 'LEASE_SECONDS', 0.0)
  lease['time'] = 10.0
  assert lock.is_held(folder)
  assert not lock.is_held(folder)


def killed(held):
  """What is left of a process that was killed."""
  held._stop.set()
  held._thread.join()
  return held


@pytest.mark.faults
def test_one_of_two_successors_takes_over_from_a_killed_holder(folder, quick):
  dead = killed(lock.acquire(folder, said_nothing))
  lines, ends = [], []

  def take():
    try:
      ends.append(lock.acquire(folder, lines.append))
    except lock.LockHeldError as error:
      ends.append(error)

  threads = [threading.Thread(target=take) for _ in range(2)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert len(lines) == 2
  (held,) = [x for x in ends if not isinstance(x, lock.LockHeldError)]
  held.check()
  # If it was only suspended it learns of it, and takes nothing away.
  dead._seen -= 2 * lock.RENEW_SECONDS + 1
  with pytest.raises(lock.LockLostError):
    dead.check()
  dead.close()
  held.check()
  assert lock.is_held(folder)
  held.close()
  assert not lock.is_held(folder)


@pytest.mark.faults
def test_the_runs_of_a_killed_process_are_waited_for_once(
  folder, quick, monkeypatch
):
  monkeypatch.setattr(lock, '_EXPIRED', {})
  runs = [folder / 'a', folder / 'b']
  for run in runs:
    killed(lock.acquire(run, said_nothing))
  lines = []
  held = [lock.acquire(run, lines.append) for run in runs]
  assert len(lines) == 1
  for one in held:
    one.close()


@pytest.mark.faults
def test_a_process_that_was_seen_dead_but_has_renewed_since_is_watched(
  folder, quick, monkeypatch
):
  monkeypatch.setattr(lock, '_EXPIRED', {})
  held = lock.acquire(folder, said_nothing)
  (file,) = paths.find(folder, '000001')
  lease = json.loads(file.read_text())
  lock._EXPIRED[lease['process']] = lease['time'] - lock.LEASE_SECONDS
  with pytest.raises(lock.LockHeldError):
    lock.acquire(folder, lambda line: None)
  held.close()


@pytest.mark.faults
def test_a_clock_that_is_set_back_makes_no_living_holder_dead(
  folder, quick, monkeypatch
):
  held = lock.acquire(folder, said_nothing)
  (file,) = paths.find(folder, '000001')
  lease = json.loads(file.read_text())
  monkeypatch.setattr(lock, '_EXPIRED', {lease['process']: lease['time']})
  monkeypatch.setattr(lock, 'LEASE_SECONDS', 0.0)
  monkeypatch.setattr(time, 'time', lambda: 0.0)
  held._renew()
  assert lock.is_held(folder)
  held.close()


@pytest.mark.faults
@pytest.mark.parametrize('content', ['', '{"id": ', '[]', '{"time": "now"}'])
def test_a_damaged_lease_is_watched_and_taken_over(
  content, folder, monkeypatch
):
  monkeypatch.setattr(lock, 'LEASE_SECONDS', 0.3)
  killed(lock.acquire(folder, said_nothing))
  paths.write(folder / '.lease' / '000001', content)
  assert lock.is_held(folder)
  lines = []
  lock.acquire(folder, lines.append).close()
  assert 'is not known, for its lease is damaged; waits 0.3 s' in lines[0]


@pytest.mark.faults
def test_who_looks_at_a_lock_keeps_nobody_out(tmp_path, monkeypatch):
  lock.acquire(tmp_path).close()
  with open(tmp_path / '.lock') as looks:
    fcntl.flock(looks, fcntl.LOCK_SH)
    assert not lock.is_held(tmp_path)  # Two may look.
    monkeypatch.setattr(lock.time, 'sleep', lambda _: looks.close())
    held = lock.acquire(tmp_path)
  assert lock.is_held(tmp_path)
  with pytest.raises(lock.LockHeldError, match=f'pid {os.getpid()},'):
    lock.acquire(tmp_path)
  held.close()
  assert not lock.is_held(tmp_path)
