"""An .npz of images and labels.

Arrays: `images` (or `x`), `labels` (or `y`), or as _NAMES has them; optional
`clean_labels`, `test_images`, `test_labels`. Images are [N, H, W, C] or
[N, H, W]: uint8, booleans, integers in [0, 255], or floats, of which all in
[0, 1] are multiplied by 255, and all in [0, 255] rounded.
"""

from typing import Any
import zipfile

import numpy as np

from sce_jax.data.data_config import DataConfig
from sce_jax.data.sources import images as images_lib
from sce_jax.data.sources import listed, place, summary
from sce_jax.data.sources.columns import Columns, Part
from sce_jax.errors import UserError

_NAMES = {
  'images': ('images', 'x', 'train_images', 'x_train'),
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
  arrays = _load(path)
  for name in ('images', 'labels'):
    if name not in arrays:
      raise UserError(
        f'{path} lacks the array {name!r}: it must have images (or x) and'
        ' labels (or y)'
      )
  if ('test_images' in arrays) != ('test_labels' in arrays):
    raise UserError(f'{path}: give test_images and test_labels, or neither')
  notes: list[str] = []
  pixels, texts, clean = [], [], None
  for prefix in ('', 'test_') if 'test_images' in arrays else ('',):
    where = f'{path}, {prefix}images'
    image = _shaped(where, arrays[f'{prefix}images'])
    label = _labels(f'{path}, {prefix}labels', arrays[f'{prefix}labels'])
    if len(label) != len(image):
      raise UserError(
        f'{path}: {len(image)} {prefix}images and {len(label)} {prefix}labels:'
        ' give a label for each image'
      )
    chosen = listed.some_of(len(label), data_config.limit)
    pixels.append(_pixels(where, image[chosen], data_config, notes))
    texts.append([label[i] for i in chosen])
    if not prefix and 'clean_labels' in arrays:
      clean = _labels(f'{path}, clean_labels', arrays['clean_labels'], True)
      if len(clean) != len(label):
        raise UserError(
          f'{path}: {len(label)} labels and {len(clean)} clean_labels: give one'
          ' for each image, -1 where it is not known'
        )
      clean = [clean[i] for i in chosen]
  if len({x.shape[1:] for x in pixels}) > 1:
    raise UserError(
      f'{path}: images are {list(pixels[0].shape)} and'
      f' test_images {list(pixels[1].shape)}: give both one size'
    )
  summary.class_names(f'{path}, training split', texts[0])
  known = [x for x in clean or () if x is not None]
  names = summary.class_names(path, [*(x for t in texts for x in t), *known])
  parts = [
    Part(image, summary.numbers(names, text), np.arange(len(text)))
    for image, text in zip(pixels, texts, strict=True)
    if len(text)
  ]
  if clean is not None:
    numbers = summary.numbers(names, clean)
    parts[0] = Part(parts[0].image, parts[0].label, parts[0].ids, numbers)
  digests = [[images_lib.digest(x.tobytes()) for x in p.image] for p in parts]
  return Columns(
    parts[0],
    parts[1] if len(parts) > 1 else None,
    len(names),
    names,
    summary={
      'source': 'npz',
      'path': path,
      'classes': summary.by_class(names, parts),
      'image_shape': list(pixels[0].shape[1:]),
      'notes': notes,
      'warnings': summary.warnings(names, parts, digests),
      'unreadable': [],
    },
  )


def _load(path: str) -> dict[str, np.ndarray]:
  """The arrays that are known, by the first of their names."""
  try:
    found = {}
    with zipfile.ZipFile(path) as file:
      members = {x.filename: x for x in file.infolist()}
      for name, names in _NAMES.items():
        own = next((x for x in names if f'{x}.npy' in members), None)
        if own is not None:
          member = members[f'{own}.npy']
          images_lib.check_memory(f'{path}: its {own}', member.file_size)
          with file.open(member) as array:
            # Objects, which would run code, are refused by numpy.
            found[name] = np.lib.format.read_array(array, allow_pickle=False)
    return found
  except UserError:
    raise
  except Exception as error:  # noqa: BLE001  zipfile's, zlib's, numpy's.
    line = ' '.join(str(error).split())[:200] or type(error).__name__
    if 'allow_pickle' in line or 'pickle' in line:
      line = 'it holds Python objects, which could run code: save plain arrays'
    raise UserError(f'{path} is no .npz that can be read: {line}') from None


def _labels(
  where: str, labels: np.ndarray, may_be_unknown: bool = False
) -> list[Any]:
  """Labels as texts; None for one that is not known."""
  if labels.ndim == 2 and labels.shape[1] == 1:
    labels = labels[:, 0]
  if labels.ndim != 1:
    raise UserError(
      f'{where} are of shape {list(labels.shape)}: give [N], a class for each'
      ' image'
    )
  if labels.dtype.kind == 'f':
    if not np.isfinite(labels).all() or (labels != np.rint(labels)).any():
      raise UserError(f'{where} are not whole numbers: give classes')
    # Larger ones are no classes, and int64 does not hold them. A Python float,
    # for float16 cannot be compared with such a number.
    if len(labels) and float(np.abs(labels).max()) >= 2**53:
      raise UserError(f'{where} are not whole numbers below 2^53')
    labels = labels.astype(np.int64)
  if labels.dtype.kind not in 'biuUS':
    raise UserError(
      f'{where} are of type {labels.dtype}: give whole numbers or texts'
    )
  texts = [
    x.decode(errors='replace') if isinstance(x, bytes) else str(x)
    for x in labels.tolist()
  ]
  if may_be_unknown:
    return [None if text in ('-1', '') else text for text in texts]
  if '' in texts:
    raise UserError(f'{where}: number {texts.index("")} is empty')
  return texts


def _shaped(where: str, images: np.ndarray) -> np.ndarray:
  """Images as [N, H, W, C]."""
  if images.ndim == 2:
    raise UserError(
      f'{where} are of shape {list(images.shape)}, feature vectors: only images'
      ' [N, H, W, C] or [N, H, W] are read'
    )
  if images.ndim not in (3, 4) or 0 in images.shape:
    raise UserError(
      f'{where} are of shape {list(images.shape)}: give [N, H, W, C] or'
      ' [N, H, W]'
    )
  if images.ndim == 3:
    images = images[..., None]
  if images.shape[3] > 4:
    turned = ' (channels come last: np.moveaxis(images, 1, 3))'
    raise UserError(
      f'{where} are of shape {list(images.shape)}: give 1 to 4 channels'
      + turned * (images.shape[1] <= 4)
    )
  return images


def _pixels(
  where: str, images: np.ndarray, config: DataConfig, notes: list[str]
) -> np.ndarray:
  """Images [N, H, W, C] as uint8, of the size that is asked for."""
  side = config.image_size
  size = (side, side) if side else images.shape[1:3]
  images_lib.check_memory(
    f'{where} of {size[0]} x {size[1]} pixels',
    len(images) * size[0] * size[1] * images.shape[3],
  )
  pixels = _to_bytes(where, images, notes)
  if side and pixels.shape[1:3] != (side, side):
    notes.append(f'{len(pixels):,} images resized to {side} x {side} pixels')
    pixels = images_lib.resize(pixels, side)
  return pixels


def _to_bytes(where: str, images: np.ndarray, notes: list[str]) -> np.ndarray:
  if images.dtype == np.uint8:
    return images
  if images.dtype.kind not in 'biuf':
    raise UserError(
      f'{where} are of type {images.dtype}: give uint8, or floats in [0, 1]'
    )
  low, high = images.min(), images.max()
  if not (low >= 0 and high <= 255):  # Written so that NaN does not pass.
    raise UserError(
      f'{where} have pixels from {low:g} to {high:g}: give uint8, or floats in'
      ' [0, 1] or [0, 255]'
    )
  if images.dtype.kind in 'iu':
    return images.astype(np.uint8)
  scale = 255 if high <= 1 else 1
  done = 'multiplied by 255' if scale == 255 else 'rounded'
  notes.append(f'{len(images):,} images of {images.dtype}, {done}')
  return np.rint(images.astype(np.float32) * scale).astype(np.uint8)
