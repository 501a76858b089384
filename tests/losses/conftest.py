"""Fixtures of the losses' tests."""

import jax
import pytest


@pytest.fixture
def x64():
  """float64 inside jax, for this test only."""
  with jax.enable_x64(True):
    yield
