"""Arrays of images of any type and size, as bytes of one size. Needs no jax."""

from jaxtyping import Shaped, UInt8
import numpy as np
from PIL import Image

from sce_jax.errors import UserError


def scale(where: str, images: Shaped[np.ndarray, 'N H W C']) -> int | None:
  """What pixels are multiplied by to be in [0, 255].

  Args:
    where: what holds them, for the message.
    images: uint8, integers in [0, 255], booleans, or floats, in [0, 1] or
      [0, 255].

  Returns:
    255 for booleans and floats that are all in [0, 1], 1 for other floats, None
    for integers.

  Raises:
    UserError: they are none of these.
  """
  if images.dtype == np.uint8:
    return None
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
    return None
  return 255 if high <= 1 else 1


def to_bytes(
  images: Shaped[np.ndarray, 'N H W C'], scale: int | None
) -> UInt8[np.ndarray, 'N H W C']:
  """Pixels as bytes: floats are multiplied, and rounded; see `scale`."""
  if images.dtype.kind in 'iu' or scale is None:
    return images.astype(np.uint8, copy=False)
  return np.rint(images.astype(np.float32) * scale).astype(np.uint8)


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
