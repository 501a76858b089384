"""Builders of tfds's data sets."""

from collections.abc import Iterator
import contextlib
from typing import Any

import tensorflow_datasets as tfds

from sce_jax.data.sources import digits  # noqa: F401  Registers the builder.


def make(name: str, data_dir: str, **options: Any) -> tfds.core.DatasetBuilder:
  """As `tfds.builder`, but leaves no empty folder behind.

  Args:
    name: what tfds calls the data set.
    data_dir: the tfds folder.
    **options: of `tfds.builder`.
  """
  with no_bucket():
    return tfds.builder(name, data_dir=data_dir, **options)


@contextlib.contextmanager
def no_bucket() -> Iterator[None]:
  """Looks for no description of a data set in tfds's bucket.

  tfds 4.9 does so for each one that is not prepared. Reading the bucket is
  disabled there, but the temporary folder for what it would find is made and
  never removed.
  """
  kind = tfds.core.DatasetInfo
  look = kind.initialize_from_bucket
  kind.initialize_from_bucket = lambda self: None
  try:
    yield
  finally:
    kind.initialize_from_bucket = look
