"""Compiled programs: kept in the user's cache folder, and counted."""

import ctypes
import functools
import os

import jax
from jax import monitoring
from jax._src import compilation_cache as jax_cache

from sce_jax.storage import paths

_COMPILED = '/jax/core/compile/backend_compile_duration'


def enable() -> None:
  """Turns jax's persistent cache on, unless its own settings say otherwise.

  Without a home folder, or if it cannot be written, programs are compiled in
  each process; nothing else is lost. Memory that compilers leave is given back
  from now on, and damaged programs are found.
  """
  _trim_after_compiling()
  # With zstandard, and from Python 3.14 on, jax compresses without a checksum:
  # of 2,100 flipped bits 1,721 went unnoticed. What zlib writes has one.
  vars(jax_cache).update(zstd=None, zstandard=None)
  folder = paths.cache_folder()
  if folder is None or 'JAX_COMPILATION_CACHE_DIR' in os.environ:
    return
  jax.config.update('jax_compilation_cache_dir', str(folder))
  # Small programs, too: there are some fifty, and each is read several times
  # as fast as it is compiled.
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)


def num_compiled() -> int:
  """How many were compiled or read from the cache since the first call."""
  return len(_compiled())


@functools.cache
def _compiled() -> list[str]:
  seen: list[str] = []

  def listen(event: str, duration_secs: float, **unused: str | int) -> None:
    del duration_secs
    if event == _COMPILED:
      seen.append(event)

  monitoring.register_event_duration_secs_listener(listen)
  return seen


@functools.cache
def _trim_after_compiling() -> None:
  """Gives back to the system what compilers leave: 0.7 GB on CIFAR-10."""
  try:
    trim = ctypes.CDLL(None).malloc_trim
  except (AttributeError, OSError, TypeError):
    return  # Another C library than glibc.

  def listen(event: str, duration_secs: float, **unused: str | int) -> None:
    if event == _COMPILED and duration_secs > 0.5:
      trim(0)

  monitoring.register_event_duration_secs_listener(listen)
