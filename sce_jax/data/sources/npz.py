"""An .npz of images and labels.

Arrays: `images` (or `x`), `labels` (or `y`), or as _NAMES has them; optional
`clean_labels`, `test_images`, `test_labels`: see arrays.py.
"""

from collections.abc import Sequence
import zipfile

import numpy as np

from sce_jax.data import pixels
from sce_jax.data.data_config import DataConfig
from sce_jax.data.sources import arrays, memory, place, summary
from sce_jax.data.sources.columns import Columns
from sce_jax.errors import UserError, reason_of

_NAMES = {
  'images': pixels.NAMES,
  'labels': ('labels', 'y', 'train_labels', 'y_train'),
  'clean_labels': ('clean_labels',),
  'test_images': ('test_images', 'x_test'),
  'test_labels': ('test_labels', 'y_test'),
}


def read(data_config: DataConfig, data_dir: str | None) -> Columns:
  """Reads config.data.path, an .npz.

  Args:
    data_config: the `data` section of a config.
    data_dir: not used.

  Raises:
    UserError: it is no .npz of images and labels.
  """
  del data_dir
  path = str(place.path(data_config))
  found, others = _load(path)
  for name in ('images', 'labels'):
    if name not in found:
      raise UserError(
        f'{path} lacks the array {name!r}: it must have images (or x) and'
        ' labels (or y)'
      )
  return arrays.columns(
    path,
    'npz',
    data_config,
    images=found['images'],
    labels=found['labels'],
    clean_labels=found.get('clean_labels'),
    test_images=found.get('test_images'),
    test_labels=found.get('test_labels'),
    warnings=_unused(others),
  )


def _unused(names: Sequence[str]) -> list[str]:
  """A warning if there are arrays that are not used."""
  if not names:
    return []
  known = ', '.join(x for own in _NAMES.values() for x in own)
  return [
    f'arrays that are not used: {summary.some([repr(x) for x in names])}; names'
    f' that are known: {known}'
  ]


def _load(path: str) -> tuple[dict[str, np.ndarray], list[str]]:
  """The arrays that are known, by the first of their names; other names."""
  try:
    found, used = {}, set()
    with zipfile.ZipFile(path) as file:
      members = {x.filename: x for x in file.infolist()}
      for name, names in _NAMES.items():
        own = next((x for x in names if f'{x}.npy' in members), None)
        if own is not None:
          member = members[f'{own}.npy']
          used.add(member.filename)
          memory.check(f'{path}: its {own}', member.file_size)
          with file.open(member) as array:
            # Objects, which would run code, are refused by numpy.
            found[name] = np.lib.format.read_array(array, allow_pickle=False)
    others = [x.removesuffix('.npy') for x in members if x not in used]
    return found, others
  except UserError:
    raise
  except Exception as error:  # noqa: BLE001  zipfile's, zlib's, numpy's.
    line = reason_of(error)
    raise UserError(f'{path} is no .npz that can be read: {line}') from None
