"""Fixtures of the tests of data sets from the web."""

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
  """An empty cache and an empty folder of prepared data."""
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path / 'data'))
  return tmp_path
