"""Keeps compiled programs between processes, in the user's cache folder."""

import os
import pathlib

import jax


def enable() -> None:
  """Turns jax's persistent cache on, unless its own settings say otherwise.

  The folder is $XDG_CACHE_HOME/sce_jax (~/.cache/sce_jax). One that cannot be
  written costs compilations, nothing else.
  """
  if 'JAX_COMPILATION_CACHE_DIR' in os.environ:
    return
  base = os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache'
  jax.config.update(
    'jax_compilation_cache_dir', str(pathlib.Path(base) / 'sce_jax')
  )
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.3)
