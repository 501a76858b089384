"""Noisy labels on disk, for programs that know nothing of this one."""

import io
import os
from typing import NamedTuple

from jaxtyping import Int32, Int64, Integer
import numpy as np

from sce_jax.noise import checks
from sce_jax.storage import paths


class NoisyLabels(NamedTuple):
  """The labels of N examples, as they lie in the file."""

  ids: Int64[np.ndarray, ' N']
  labels: Int32[np.ndarray, ' N']
  clean_labels: Int32[np.ndarray, ' N']


def save_npz(
  path: str | os.PathLike,
  ids: Integer[np.ndarray, ' N'],
  labels: Integer[np.ndarray, ' N'],
  clean_labels: Integer[np.ndarray, ' N'],
) -> None:
  """Writes noisy labels to an .npz that plain `numpy.load` reads.

  The arrays are `ids` (int64[N]), `labels` and `clean_labels` (int32[N]). The
  file appears whole or not at all, replacing one that is there.

  Args:
    path: ends in .npz; its folder exists.
    ids: unique integers naming the examples.
    labels: noisy labels.
    clean_labels: clean labels of the same examples.

  Raises:
    ValueError: the path or an array is malformed.
    OSError: the file cannot be written.
  """
  path = paths.path(path)
  if path.suffix != '.npz':
    raise ValueError(f'labels are saved as .npz, not as {path.name!r}')
  _check(ids, labels, clean_labels)
  content = io.BytesIO()
  np.savez_compressed(
    content,
    ids=ids.astype(np.int64),
    labels=labels.astype(np.int32),
    clean_labels=clean_labels.astype(np.int32),
  )
  paths.write(path, content.getvalue())


def load_npz(path: str | os.PathLike) -> NoisyLabels:
  """Reads what `save_npz` wrote.

  Args:
    path: the .npz file.

  Returns:
    The labels: ids int64[N], labels and clean_labels int32[N].

  Raises:
    ValueError: the file holds other arrays than these, or malformed ones.
    OSError: the file cannot be read.
  """
  content = io.BytesIO(paths.read(paths.path(path)))
  with np.load(content, allow_pickle=False) as file:
    missing = [name for name in NoisyLabels._fields if name not in file]
    if missing:
      raise ValueError(
        f'{os.fspath(path)!r} lacks {", ".join(missing)}: a file of noisy'
        ' labels holds ids, labels and clean_labels'
      )
    ids, labels, clean_labels = (file[name] for name in NoisyLabels._fields)
  try:
    _check(ids, labels, clean_labels)
  except ValueError as error:
    raise ValueError(f'{os.fspath(path)!r}: {error}') from None
  return NoisyLabels(
    ids.astype(np.int64),
    labels.astype(np.int32),
    clean_labels.astype(np.int32),
  )


def _check(ids, labels, clean_labels):
  checks.check_ids(ids)
  checks.check_integers('labels', labels, size=len(ids))
  checks.check_integers('clean labels', clean_labels, size=len(ids))
