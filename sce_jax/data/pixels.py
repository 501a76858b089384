"""Arrays of images of any type and size, as bytes of one size. Needs no jax."""

from jaxtyping import Shaped, UInt8
import numpy as np
from PIL import Image

from sce_jax.errors import UserError

# What images are called in an .npz, or feature vectors; the first is used.
NAMES = ('images', 'x', 'train_images', 'x_train')
# Beyond the range of pixels, as a share of it, floats may lie: resizing with a
# cubic filter does that beside edges, up to a fifth in corners.
OVERSHOOT = 0.25
_BEYOND = f'up to {OVERSHOOT:.0%} beyond it are cut off'


def scale(
  where: str,
  images: Shaped[np.ndarray, 'N H W C'],
  known: int | None = None,
) -> int | None:
  """What pixels are multiplied by to be in [0, 255].

  Args:
    where: what holds them, for the message.
    images: uint8, integers in [0, 255], booleans, or floats, in [0, 1] or
      [0, 255] and beyond that by OVERSHOOT at most.
    known: the scale of the training images, if these are others of the same
      data set; None: there is none.

  Returns:
    None for integers; else the known scale, or 255 for booleans and floats that
    are all in [0, 1], and 1 for other floats.

  Raises:
    UserError: they are none of these, or not in the range of the training
      images.
  """
  if images.dtype == np.uint8:
    return None
  if images.dtype.kind not in 'biuf':
    raise UserError(
      f'{where} are of type {images.dtype}: give uint8, or floats in [0, 1]'
    )
  low, high = float(images.min()), float(images.max())
  is_whole = images.dtype.kind in 'iu'
  own = 255 if high <= 1 + OVERSHOOT and not is_whole else 1
  top = 255 // (own if known is None or is_whole else known)
  slack = 0 if is_whole else OVERSHOOT * top
  # Written so that NaN does not pass.
  if not (low >= -slack and high <= top + slack):
    raise UserError(
      f'{where} have pixels from {low:g} to {high:g}: give uint8, or floats in'
      + (' [0, 1] or [0, 255]' if known is None else f' [0, {top}]')
      + (f', as those that are trained on ({_BEYOND})' if known else '')
    )
  if is_whole:
    return None
  # All of a split are not as dark as that.
  if known == 1 and 0 < high <= 1:
    raise UserError(
      f'{where} have pixels from {low:g} to {high:g}, and those that are'
      ' trained on are in [0, 255]: give both in one range'
    )
  return known or own


def to_bytes(
  images: Shaped[np.ndarray, 'N H W C'], scale: int | None
) -> UInt8[np.ndarray, 'N H W C']:
  """Pixels as bytes: floats are multiplied, clipped, rounded; see `scale`."""
  if images.dtype.kind in 'iu' or scale is None:
    return images.astype(np.uint8, copy=False)
  scaled = np.clip(images.astype(np.float32) * scale, 0, 255)
  return np.rint(scaled).astype(np.uint8)


def resize(
  images: UInt8[np.ndarray, 'N H W C'], size: tuple[int, int]
) -> UInt8[np.ndarray, 'N S T C']:
  """Images squeezed as files are, see decode.py, channel by channel.

  Args:
    images: pixels.
    size: the (height, width) that is asked for.
  """
  height, width = size
  if images.shape[1:3] == size:
    return images
  made = np.empty((len(images), height, width, images.shape[3]), np.uint8)
  for i, image in enumerate(images):
    for c in range(images.shape[3]):
      plane = Image.fromarray(np.ascontiguousarray(image[..., c]))
      made[i, ..., c] = np.asarray(
        plane.resize((width, height), Image.Resampling.BILINEAR)
      )
  return made
