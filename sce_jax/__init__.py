"""Robust losses for learning with noisy labels, in JAX."""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
  from sce_jax.inference import load as load

__version__ = '0.1.0'

# Where TensorFlow is installed, etils would read gs:// and s3:// with it, and
# so bring it into the process that trains. Read once, by who comes first.
os.environ.setdefault('EPATH_USE_TF', 'false')


def __getattr__(name: str) -> Any:
  # Imported on first use: jax takes a second, and NumPy's parts do without it.
  if name == 'load':
    from sce_jax.inference import load  # noqa: PLC0415

    return load
  raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
