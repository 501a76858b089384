"""Prepares a tfds data set on first use, in a separate process.

Only this process may import TensorFlow: the one that trains never does.

  python -m sce_jax.data.sources.prepare mnist --data_dir ~/tensorflow_datasets
"""

import argparse
import importlib.util
import os
import socket
import subprocess
import sys
from typing import Any
import urllib.parse

from sce_jax.data.sources import missing
from sce_jax.errors import UserError
from sce_jax.storage import paths

_WAYS_OUT = (
  '; or copy a folder prepared elsewhere (file format array_record) and name it'
  ' with --data_dir or TFDS_DATA_DIR'
)
_NEEDS_TENSORFLOW = (
  'the first preparation needs TensorFlow: pip install tensorflow' + _WAYS_OUT
)


def download_and_prepare(
  name: str, data_dir: str, asked: str | None = None, version: str = ''
) -> None:
  """Prepares a data set in a child process.

  Args:
    name: what tfds calls it.
    data_dir: the tfds folder to write to.
    asked: the one that was named, if it is another.
    version: which version of it, if that is known.

  Raises:
    UserError: it could not be prepared; the message says what to do.
  """
  # Before the child makes a folder.
  where = missing.explain(name, asked or data_dir, version)
  child = subprocess.run(
    [sys.executable, '-m', __name__, name, '--data_dir', data_dir],
    capture_output=True,
    text=True,
    check=False,
    # The package is found however the parent found it.
    env=os.environ | {'PYTHONPATH': os.pathsep.join(filter(None, sys.path))},
  )
  if child.returncode:
    lines = child.stderr.strip().splitlines() or ['no message']
    raise UserError(f'{where}; it could not be prepared: {lines[-1]}')


def _why_unavailable(builder: Any) -> str | None:
  """Why a data set cannot be prepared here, with ways out; None if it can."""
  # What a builder downloads is listed with it; one without needs no network.
  urls = builder.url_infos or ()
  hosts = sorted({urllib.parse.urlsplit(url).hostname or '' for url in urls})
  if not hosts:
    return None
  if importlib.util.find_spec('tensorflow') is None:
    return _NEEDS_TENSORFLOW
  try:
    # tfds itself would retry for minutes.
    socket.getaddrinfo(hosts[0], 443)
  except OSError:
    return f'the network is missing ({hosts[0]} is not found)' + _WAYS_OUT
  return None


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('name', help='what tfds calls the data set')
  parser.add_argument('--data_dir', required=True)
  args = parser.parse_args()

  import tensorflow_datasets as tfds  # noqa: PLC0415

  from sce_jax.data.sources import digits  # noqa: F401, PLC0415  Registers it.

  data_dir = paths.expand(args.data_dir)
  tfds.disable_progress_bar()
  try:
    builder = tfds.builder(
      args.name, data_dir=data_dir, file_format='array_record'
    )
    reason = _why_unavailable(builder)
    if reason is None:
      builder.download_and_prepare()
  except Exception as error:  # noqa: BLE001  Any library's, told in one line.
    reason = f'{type(error).__name__}: {" ".join(str(error).split())[:500]}'
    # Some builders do not list what they download.
    if importlib.util.find_spec('tensorflow') is None:
      reason += f' ({_NEEDS_TENSORFLOW})'
  sys.exit(reason)


if __name__ == '__main__':
  main()
