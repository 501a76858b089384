"""A user without a home: no HOME, and no entry in the list of users."""

import pathlib
import pwd
import tempfile

import jax
import pytest

from sce_jax.data.sources import cloud
from sce_jax.engine import compilation_cache
from sce_jax.storage import paths
from tests.data import reading
from tests.data.reading import told

pytestmark = pytest.mark.faults


@pytest.fixture(autouse=True)
def no_home(monkeypatch):
  def getpwuid(uid):
    raise KeyError(f'getpwuid(): uid not found: {uid}')

  monkeypatch.setattr(pwd, 'getpwuid', getpwuid)
  for name in (
    'HOME',
    'XDG_CACHE_HOME',
    'TFDS_DATA_DIR',
    'JAX_COMPILATION_CACHE_DIR',
  ):
    monkeypatch.delenv(name, raising=False)


def test_nothing_is_kept_between_processes(monkeypatch):
  changed = {}
  monkeypatch.setattr(jax.config, 'update', changed.__setitem__)
  compilation_cache.enable()
  assert not changed
  monkeypatch.setenv('XDG_CACHE_HOME', '/somewhere')
  compilation_cache.enable()
  assert changed['jax_compilation_cache_dir'] == '/somewhere/sce_jax'


def test_data_of_a_cloud_are_kept_in_the_temporary_folder(
  monkeypatch, tmp_path
):
  monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
  monkeypatch.setattr(paths, 'path', pathlib.Path)
  monkeypatch.setattr(paths, 'find', lambda folder, name: [folder])
  copied = []
  monkeypatch.setattr(
    paths, 'download', lambda there, here: copied.append(here)
  )
  folder = pathlib.Path(cloud.fetch('mnist', 's3://bucket/data'))
  assert copied == [folder / 'mnist']
  assert folder.is_relative_to(tmp_path)


def test_the_default_data_folder_is_refused(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert told(reading.read, 'digits') == (
    '~/tensorflow_datasets: there is no such home: set HOME, or name a folder'
    ' without ~, with --data_dir or TFDS_DATA_DIR'
  )
  assert 'no such home' in told(reading.read, 'digits', '~/data')
  assert '~/runs: there is no such home' in told(paths.path, '~/runs')
  assert not list(tmp_path.iterdir())


def test_with_a_home_it_is_used(monkeypatch):
  monkeypatch.setenv('HOME', '/home/me')
  assert paths.cache_folder() == pathlib.Path('/home/me/.cache/sce_jax')
  assert paths.expand('~/data') == '/home/me/data'
  assert paths.expand('s3://bucket/~') == 's3://bucket/~'
