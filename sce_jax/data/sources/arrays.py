"""Arrays of images or features, and labels, from anywhere, as a data set.

Images are [N, H, W, C] or [N, H, W]: uint8, booleans, integers in [0, 255], or
floats, of which all in [0, 1] are multiplied by 255, and all in [0, 255]
rounded; the test split as the training split. Feature vectors are [N, D],
finite numbers of any type, which become float32. Labels are whole numbers or
texts.
"""

from collections.abc import Sequence
import dataclasses
from typing import Any

import numpy as np

from sce_jax.data import decode, features
from sce_jax.data import pixels as pixels_lib
from sce_jax.data.data_config import DataConfig
from sce_jax.data.sources import listed, memory, summary
from sce_jax.data.sources.columns import Columns, Part
from sce_jax.errors import UserError


def columns(
  where: str,
  source: str,
  config: DataConfig,
  *,
  images: np.ndarray,
  labels: np.ndarray,
  clean_labels: np.ndarray | None = None,
  test_images: np.ndarray | None = None,
  test_labels: np.ndarray | None = None,
  class_names: Sequence[str] | None = None,
  warnings: Sequence[str] = (),
) -> Columns:
  """Makes splits of arrays; an example's id is its row in them.

  Args:
    where: where the arrays are, for messages.
    source: how they were found, for the summary.
    config: the `data` section of a config.
    images: of the training split, see above.
    labels: [N], their labels.
    clean_labels: [N], their true labels, -1 or '' where one is not known.
    test_images: of the test split.
    test_labels: [M], their labels.
    class_names: of the classes, in order; then labels are numbers, from 0 on.
      None: the classes are the different labels, see summary.class_names.
    warnings: what the user should look at, a sentence each.

  Raises:
    UserError: they cannot be used; one line.
  """
  if (test_images is None) != (test_labels is None):
    raise UserError(f'{where}: give test_images and test_labels, or neither')
  notes: list[str] = []
  pixels, rows, texts, clean = [], [], [], None
  scales: list[int | None] = []
  for prefix, some, given in (
    ('', images, labels),
    ('test_', test_images, test_labels),
  ):
    if some is None or given is None:
      continue
    image = _shaped(f'{where}, {prefix}images', some)
    label = _labels(f'{where}, {prefix}labels', given)
    if len(label) != len(image):
      raise UserError(
        f'{where}: {len(image)} {prefix}images and {len(label)} {prefix}labels:'
        ' give a label for each image'
      )
    chosen = listed.some_of(len(label), config.limit)
    made, scale = _pixels(
      f'{where}, {prefix}images',
      image[chosen],
      config,
      notes,
      scales[0] if scales else None,
    )
    pixels.append(made)
    scales.append(scale)
    rows.append(chosen)
    texts.append(label)
    if not prefix and clean_labels is not None:
      clean = _labels(f'{where}, clean_labels', clean_labels, True)
      if len(clean) != len(label):
        raise UserError(
          f'{where}: {len(label)} labels and {len(clean)} clean_labels: give'
          ' one for each image, -1 where it is not known'
        )
  if len({x.shape[1:] for x in pixels}) > 1:
    raise UserError(
      f'{where}: images are {list(pixels[0].shape)} and'
      f' test_images {list(pixels[1].shape)}: give both one size'
    )
  # What labels are where the classes have names.
  places = [str(k) for k in range(len(class_names or ()))]
  *texts, known, _ = summary.written_alike([*texts, clean or [], places])
  # Of all rows, or class numbers would depend on config.data.limit.
  every = [x for column in (*texts, known) for x in column if x is not None]
  if class_names is None:
    trained = [texts[0][i] for i in rows[0]]
    summary.class_names(f'{where}, training split', trained)
    summary.check_clean_labels(where, texts[0], known)
    titles = keys = summary.class_names(where, every)
  else:
    titles = tuple(map(str, class_names))
    if len(set(titles)) < len(titles):
      raise UserError(f'{where}: two classes have the same name: {titles}')
    keys = tuple(places)
    unknown = sorted(set(every).difference(keys))
    if unknown:
      raise UserError(
        f'{where}: label {unknown[0]!r} is no class; there are names of'
        f' {len(keys)} classes: give labels from 0 to {len(keys) - 1}'
      )
  parts = [
    Part(
      image,
      summary.numbers(keys, [text[i] for i in chosen]),
      chosen,
      digests=[summary.digest(x.tobytes()) for x in image],
    )
    for image, text, chosen in zip(pixels, texts, rows, strict=True)
    if len(chosen)
  ]
  if clean is not None:
    numbers = summary.numbers(keys, [known[i] for i in rows[0]])
    parts[0] = dataclasses.replace(parts[0], clean_label=numbers)
  return Columns(
    parts[0],
    parts[1] if len(parts) > 1 else None,
    len(titles),
    titles,
    summary={
      'source': source,
      'path': where,
      'classes': summary.by_class(titles, parts),
      'image_shape': list(pixels[0].shape[1:]),
      'notes': notes,
      'warnings': [*warnings, *summary.warnings(titles, parts)],
      'unreadable': [],
      'decoding': decode.description(
        is_resized=config.image_size is not None, scale=scales[0]
      ),
    },
  )


def _labels(
  where: str, labels: np.ndarray, may_be_unknown: bool = False
) -> list[Any]:
  """Labels as texts; None for one that is not known."""
  if labels.dtype.kind == 'O':  # As pandas has texts.
    plain = np.array(labels.tolist()) if labels.size else labels.astype(int)
    if plain.dtype.kind in 'US' and not all(
      isinstance(x, str | bytes) for x in labels.ravel()
    ):
      raise UserError(f'{where} are of several types: give numbers or texts')
    labels = plain
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
    return [None if text in ('-1', '-1.0', '') else text for text in texts]
  if '' in texts:
    raise UserError(f'{where}: number {texts.index("")} is empty')
  return texts


def _shaped(where: str, images: np.ndarray) -> np.ndarray:
  """Images as [N, H, W, C]; feature vectors as they are."""
  if images.ndim not in (2, 3, 4) or 0 in images.shape:
    raise UserError(
      f'{where} are of shape {list(images.shape)}: give images [N, H, W, C] or'
      ' [N, H, W], or feature vectors [N, D]'
    )
  if images.ndim == 2:
    return images
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
  where: str,
  images: np.ndarray,
  config: DataConfig,
  notes: list[str],
  known_scale: int | None,
) -> tuple[np.ndarray, int | None]:
  """Images as uint8 of the size asked for, and their scale; or features."""
  side = config.image_size
  if images.ndim == 2:
    if side:
      raise UserError(
        f'{where} are feature vectors {list(images.shape)}: leave'
        ' config.data.image_size out, which is for images'
      )
    memory.check(where, 4 * images.size)
    return features.check(where, images), None
  size = (side, side) if side else images.shape[1:3]
  memory.check(
    f'{where} of {size[0]} x {size[1]} pixels',
    len(images) * size[0] * size[1] * images.shape[3],
  )
  scale = pixels_lib.scale(where, images, known_scale)
  if scale is not None:
    done = 'multiplied by 255' if scale == 255 else 'rounded'
    notes.append(f'{len(images):,} images of {images.dtype}, {done}')
  if images.shape[1:3] != size:
    notes.append(f'{len(images):,} images resized to {side} x {side} pixels')
  return pixels_lib.resize(pixels_lib.to_bytes(images, scale), size), scale
