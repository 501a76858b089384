"""Fixtures of the tests that read files of a user's own."""

import pytest


@pytest.fixture
def cache(tmp_path_factory, monkeypatch):
  """An empty folder in place of the user's cache."""
  folder = tmp_path_factory.mktemp('home') / 'cache'
  monkeypatch.setenv('XDG_CACHE_HOME', str(folder))
  return folder
