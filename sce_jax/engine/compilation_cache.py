"""Keeps compiled programs between processes, in the user's cache folder."""

import os

import jax

from sce_jax.storage import paths


def enable() -> None:
  """Turns jax's persistent cache on, unless its own settings say otherwise.

  Without a home folder, or if it cannot be written, programs are compiled in
  each process; nothing else is lost.
  """
  folder = paths.cache_folder()
  if folder is None or 'JAX_COMPILATION_CACHE_DIR' in os.environ:
    return
  jax.config.update('jax_compilation_cache_dir', str(folder))
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.3)
