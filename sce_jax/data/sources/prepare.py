"""Prepares a tfds data set on first use, in a separate process.

  python -m sce_jax.data.sources.prepare mnist --data_dir ~/tensorflow_datasets
  python -m sce_jax.data.sources.prepare mnist --data_dir . --source=ARCHIVES

The families of MNIST and CIFAR are read by archives.py, all others by tfds with
TensorFlow, which only this process may import: the one that trains never does.
"""

import argparse
import importlib.util
import os
import socket
import subprocess
import sys
from typing import Any
import urllib.parse

import tensorflow_datasets as tfds

from sce_jax.data.sources import archives, builders, missing
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
  # TensorFlow's many lines are kept away, a progress bar is not.
  shown = missing.base_name(name) in archives.NAMES
  child = subprocess.run(
    [sys.executable, '-m', __name__, name, '--data_dir', data_dir],
    stdout=subprocess.PIPE,
    stderr=None if shown else subprocess.PIPE,
    text=True,
    check=False,
    # The package is found however the parent found it.
    env=os.environ | {'PYTHONPATH': os.pathsep.join(filter(None, sys.path))},
  )
  if child.returncode:
    told = child.stdout.strip() or (child.stderr or '').strip()
    lines = told.splitlines() or ['no message']
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
  parser.add_argument(
    '--source',
    help='a folder with the original archives, of the families of MNIST and'
    ' CIFAR; else they are downloaded',
  )
  args = parser.parse_args()
  data_dir = paths.expand(args.data_dir)
  known = missing.base_name(args.name) in archives.NAMES
  if args.source and not known:
    sys.exit(f'--source is for {", ".join(archives.NAMES)}: leave it out')
  try:
    if known:
      archives.prepare(args.name, data_dir, args.source)
    else:
      _by_tfds(args.name, data_dir)
  except Exception as error:  # noqa: BLE001  Any library's, told in one line.
    kind = '' if isinstance(error, UserError) else f'{type(error).__name__}: '
    # Where the parent reads it: progress bars are on stderr.
    notes = ''.join(f' ({note})' for note in getattr(error, '__notes__', ()))
    print(f'{kind}{" ".join(str(error).split())[:800]}{notes}')
    sys.exit(1)


def _by_tfds(name: str, data_dir: str) -> None:
  tfds.disable_progress_bar()
  try:
    builder = builders.make(name, data_dir, file_format='array_record')
    if reason := _why_unavailable(builder):
      raise UserError(reason)
    builder.download_and_prepare()
  except UserError:
    raise
  except Exception as error:
    # Some builders do not list what they download.
    if importlib.util.find_spec('tensorflow') is None:
      error.add_note(_NEEDS_TENSORFLOW)
    raise


if __name__ == '__main__':
  main()
