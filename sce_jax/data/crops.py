"""Decodes stored JPEGs and crops them, on the host. Needs no jax.

What is cropped at random is drawn from a generator that belongs to one example
in one epoch, see stream.py, so that it does not matter which process does it.
"""

from collections.abc import Callable
import math

from jaxtyping import UInt8
import numpy as np
from PIL import Image
import simplejpeg

Pixels = UInt8[np.ndarray, '_ _ 3']
# As torchvision's RandomResizedCrop, which ImageNet's recipes use.
_AREA = (0.08, 1.0)
_LOG_ASPECT = math.log(4 / 3)
_TRIES = 10


def center(content: bytes, size: int) -> Pixels:
  """The square in the middle, as evaluations see an image.

  Args:
    content: a JPEG; enlarged where a side is below `size`.
    size: the square's side, pixels.

  Raises:
    ValueError: it is no JPEG, or a damaged one.
  """
  image = _decode(content, size)
  top, left = ((x - size) // 2 for x in image.shape[:2])
  return image[top : top + size, left : left + size]


def random(content: bytes, size: int, rng: np.random.Generator) -> Pixels:
  """A square at a random place, not resized.

  Args:
    content: as in `center`.
    size: the square's side, pixels.
    rng: what the place is drawn from.

  Raises:
    ValueError: as in `center`.
  """
  image = _decode(content, size)
  top, left = (int(rng.integers(x - size + 1)) for x in image.shape[:2])
  return image[top : top + size, left : left + size]


def resized(content: bytes, size: int, rng: np.random.Generator) -> Pixels:
  """A random part of random area and aspect, resized to a square.

  8 to 100 % of the area, an aspect of 3/4 to 4/3 (Szegedy et al., 2015), else
  after ten draws that do not fit the largest square in the middle.

  Args:
    content: as in `center`.
    size: the square's side, pixels.
    rng: what the part is drawn from.

  Raises:
    ValueError: as in `center`.
  """
  image = _decode(content, 1)
  height, width = image.shape[:2]
  for _ in range(_TRIES):
    area = height * width * rng.uniform(_AREA[0], _AREA[1])
    aspect = math.exp(rng.uniform(-_LOG_ASPECT, _LOG_ASPECT))
    w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
    if 0 < w <= width and 0 < h <= height:
      top = int(rng.integers(height - h + 1))
      left = int(rng.integers(width - w + 1))
      break
  else:
    h = w = min(height, width)
    top, left = (height - h) // 2, (width - w) // 2
  return _resize(image[top : top + h, left : left + w], size, size)


# Of training, by `config.data.augment.crop`; `center` draws nothing.
CROPS: dict[str, Callable[[bytes, int, np.random.Generator], Pixels]] = {
  'center': lambda content, size, _: center(content, size),
  'random': random,
  'resized': resized,
}


def _decode(content: bytes, size: int) -> Pixels:
  """A JPEG's pixels, enlarged if a side is below `size`, its aspect kept."""
  image = simplejpeg.decode_jpeg(content)
  height, width = image.shape[:2]
  if min(height, width) < size:
    scale = size / min(height, width)
    height, width = (max(round(x * scale), size) for x in (height, width))
    image = _resize(image, height, width)
  return image


def _resize(image: Pixels, height: int, width: int) -> Pixels:
  """Bilinear, with antialiasing where it shrinks."""
  if image.shape[:2] == (height, width):
    return image
  resized = Image.fromarray(np.ascontiguousarray(image)).resize(
    (width, height), Image.Resampling.BILINEAR
  )
  return np.asarray(resized)
