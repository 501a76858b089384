"""Robust losses for learning with noisy labels, in JAX."""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
  from sce_jax.estimator import NoisyLabelClassifier as NoisyLabelClassifier
  from sce_jax.inference import load as load

__version__ = '0.1.0'

# Where TensorFlow is installed, etils would read gs:// and s3:// with it, and
# so bring it into the process that trains. Read once, by who comes first.
os.environ.setdefault('EPATH_USE_TF', 'false')


# Imported on first use: jax takes a second, and NumPy's parts do without it.
_LATER = {'NoisyLabelClassifier': 'estimator', 'load': 'inference'}


def __getattr__(name: str) -> Any:
  if name in _LATER:
    return getattr(importlib.import_module(f'sce_jax.{_LATER[name]}'), name)
  raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
