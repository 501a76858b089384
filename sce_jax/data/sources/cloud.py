"""Data sets that lie in a cloud: gs://... or s3://... as the tfds folder.

tfds finds what lies there, but array_record, which reads the records, knows
local files only. So a data set is copied down once a machine.
"""

import os
import pathlib
import sys
import tempfile
import zlib

from sce_jax.data.sources import missing, prepare
from sce_jax.storage import paths


def fetch(name: str, data_dir: str) -> str:
  """A local tfds folder with a data set of one in a cloud.

  What is not there is prepared here, as in a local folder, and copied up for
  the next machine, if that is allowed.

  Args:
    name: what tfds calls it.
    data_dir: the tfds folder in the cloud.

  Returns:
    The folder, below $XDG_CACHE_HOME/sce_jax/data (~/.cache/...), or without
    a home folder below the temporary one. Another version of the data in the
    cloud is not noticed while it is there.

  Raises:
    UserError: the data set is neither there nor can it be prepared.
  """
  folder = name.partition(':')[0]  # Of one version of it, too.
  there = paths.path(data_dir) / folder
  root = mirror(data_dir)
  here = root / folder
  if any(here.rglob(missing.PREPARED)):
    return str(root)
  if paths.find(there, missing.PREPARED):
    paths.download(there, here)
    return str(root)
  prepare.download_and_prepare(name, str(root), asked=data_dir)
  try:
    paths.upload(here, there, last=missing.PREPARED)
  except OSError as error:
    print(
      f'data set {name!r} was prepared, but could not be copied to {data_dir}:'
      f' {error}',
      file=sys.stderr,
    )
  return str(root)


def cache_folder() -> pathlib.Path:
  """Where data are kept that can be made again, as `fetch` says."""
  cache = paths.cache_folder() or pathlib.Path(
    tempfile.gettempdir(), f'sce_jax-{os.getuid()}'
  )
  return cache / 'data'


def mirror(data_dir: str) -> pathlib.Path:
  """The local folder for what a folder in a cloud holds.

  Its name is told by the address's end, and unique by a checksum.
  """
  text = data_dir.rstrip('/')
  name = f'{text.rpartition("/")[2]}-{zlib.crc32(text.encode()):08x}'
  return cache_folder() / name
