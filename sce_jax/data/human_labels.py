"""Fetches the labels that people gave to CIFAR, which tfds wants by hand.

As tfds says in its builders' MANUAL_DOWNLOAD_INSTRUCTIONS. Tested on made-up
files only: the real ones have not been fetched by this code yet.
"""

import os
import pathlib
import urllib.request

import numpy as np

# The authors' repository (Wei et al., ICLR 2022), whatever its main branch.
_SOURCE = 'https://raw.githubusercontent.com/UCSC-REAL/cifar-10-100n/HEAD'
# The labels come first.
FILES = {
  'cifar10_n': (
    'data/CIFAR-10_human_ordered.npy',
    'image_order_c10.npy',
    'side_info_cifar10N.csv',
  ),
  'cifar100_n': (
    'data/CIFAR-100_human_ordered.npy',
    'image_order_c100.npy',
    'side_info_cifar100N.csv',
  ),
}


def fetch(name: str, folder: pathlib.Path, source: str = _SOURCE) -> None:
  """Puts the files that tfds asks for into a folder.

  Args:
    name: a key of FILES.
    folder: tfds's manual_dir; what is there already is not fetched again.
    source: where the files are.

  Raises:
    OSError: a file cannot be had.
  """
  folder.mkdir(parents=True, exist_ok=True)
  paths = [_fetch(f'{source}/{path}', folder) for path in FILES[name]]
  # A dict of columns, pickled.
  columns = np.load(paths[0], allow_pickle=True)[()]
  np.savetxt(
    folder / paths[0].name.replace('ordered.npy', 'annotations.csv'),
    np.stack(list(columns.values()), axis=1),
    fmt='%d',
    delimiter=',',
    header=','.join(columns),
    comments='',
  )


def _fetch(address: str, folder: pathlib.Path) -> pathlib.Path:
  path = folder / address.rpartition('/')[2]
  if not path.exists():
    part = path.with_name(f'{path.name}.part')
    with urllib.request.urlopen(address) as response:
      part.write_bytes(response.read())
    os.replace(part, path)
  return path
