"""Robust losses for learning with noisy labels, in JAX."""

import os

# Where TensorFlow is installed, etils would read gs:// and s3:// with it, and
# so bring it into the process that trains. Read once, by who comes first.
os.environ.setdefault('EPATH_USE_TF', 'false')
