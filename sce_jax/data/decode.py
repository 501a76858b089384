"""One image file as pixels: the only place that decodes.

Whatever a file holds, it becomes uint8 pixels of a given size, grey or RGB.
Grey among colours, CMYK, palettes and 16 bits are converted; what is
transparent is laid on white; EXIF's rotation is applied; of several frames the
first is used. An image of another size is squeezed to the size, whole.

Training and prediction both read files by it, so that a network is shown the
same pixels. Needs no jax.
"""

from collections.abc import Iterator, Mapping
import contextlib
import dataclasses
import io
import os
import pathlib
import stat
from typing import Any
import warnings

from jaxtyping import UInt8
import numpy as np
from PIL import Image

from sce_jax.errors import reason_of

# Raised when the same file becomes other pixels: what is cached is then made
# again, and exported networks say which version their images were made by.
VERSION = 1
# By its content: a JPEG may be called .png. Not all that Pillow knows: it would
# run Ghostscript on what looks like PostScript.
_FORMATS = ('JPEG', 'PNG', 'WEBP', 'BMP', 'TIFF', 'GIF')
# Bytes; what is larger is no photograph, and several are read at a time.
_LARGEST_FILE = 2**29
# Times its short side, an image that is stored is long at most.
LONGEST = 4
_GREY = {'1', 'L', 'LA', 'La', 'I', 'F'}
# The conversion of what has more than 8 bits: see `_convert`.
DEEP = 'of more than 8 bits, made 8'
_TURNED = {
  2: Image.Transpose.FLIP_LEFT_RIGHT,
  3: Image.Transpose.ROTATE_180,
  4: Image.Transpose.FLIP_TOP_BOTTOM,
  5: Image.Transpose.TRANSPOSE,
  6: Image.Transpose.ROTATE_270,
  7: Image.Transpose.TRANSVERSE,
  8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112  # EXIF's number of it.


class UnreadableError(Exception):
  """A file that is no image, or none that can be decoded.

  Attributes:
    reason: why, in a few words.
    is_lasting: whether the same content cannot be read at any time; else it
      was the disk's error, or the file changed meanwhile.
  """

  def __init__(self, reason: str, *, is_lasting: bool = True):
    super().__init__(reason)
    self.reason = reason
    self.is_lasting = is_lasting


@dataclasses.dataclass(frozen=True)
class Header:
  """What a file says of itself.

  Attributes:
    size: (height, width) as shown.
    is_grey: whether it has no colours.
    conversions: what decoding does to it beside resizing, such as 'CMYK,
      converted'.
  """

  size: tuple[int, int]
  is_grey: bool
  conversions: tuple[str, ...] = ()


def description(
  *,
  is_resized: bool,
  scale: int | None = None,
  prepared: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
  """How images are read here, as an exported network says of its own.

  Args:
    is_resized: whether those of another size are squeezed; else they are
      refused.
    scale: what floats in arrays are multiplied by, see pixels.py; None: there
      were none.
    prepared: of images that are made JPEGs first, see `jpeg`: its 'short_side'
      and 'quality', and 'crop', 'center' where the square in the middle is
      shown, see crops.py, and None where all is squeezed; None: they are not.
  """
  resize = 'bilinear' if is_resized else None
  told = {'version': VERSION, 'resize': resize, 'scale': scale}
  return told | ({'prepared': dict(prepared)} if prepared else {})


def read(file: pathlib.Path) -> bytes:
  """The content of an image file.

  Raises:
    UnreadableError: it is not there, empty, or no plain file: a pipe would be
      waited for, and a device has no end.
  """
  try:
    found = os.stat(file)
    if not stat.S_ISREG(found.st_mode):
      raise UnreadableError('not a plain file')
    if found.st_size > _LARGEST_FILE:
      raise UnreadableError(f'larger than {_LARGEST_FILE:,} bytes')
    content = file.read_bytes()
  # A name may have a zero byte.
  except (OSError, ValueError, MemoryError) as error:
    reason = getattr(error, 'strerror', None) or str(error) or 'too large'
    raise UnreadableError(reason, is_lasting=False) from None
  if not content:
    raise UnreadableError('empty')
  return content


def header(content: bytes) -> Header:
  """What a file says of itself.

  Args:
    content: the file's.

  Raises:
    UnreadableError: it is no image.
  """
  with _open(content) as image:
    turned = _orientation(image)
    width, height = image.size
    if turned >= 5:
      width, height = height, width
    conversions = [
      what
      for is_done, what in (
        (turned in _TURNED, 'rotated as EXIF says'),
        (image.mode == 'P', 'with a palette, converted'),
        (image.mode == 'CMYK', 'CMYK, converted'),
        (_is_deep(image.mode), DEEP),
        (_is_transparent(image), 'transparent, laid on white'),
      )
      if is_done
    ]
    is_grey = image.mode in _GREY or image.mode.startswith('I;')
    return Header((height, width), is_grey, tuple(conversions))


def pixels(
  content: bytes, size: tuple[int, int], channels: int
) -> UInt8[np.ndarray, 'H W C']:
  """Decodes an image file.

  Args:
    content: the file's.
    size: the (height, width) that is asked for.
    channels: 1 for grey, 3 for RGB.

  Raises:
    UnreadableError: it is no image, or a damaged one.
  """
  with _open(content) as image:
    made = _squeezed(image, size, 'L' if channels == 1 else 'RGB')
    return np.asarray(made).reshape(*size, channels)


def jpeg(content: bytes, short_side: int, quality: int) -> bytes:
  """Makes a JPEG of a file, RGB, whose shorter side has a given length.

  Its aspect is kept, but for images more than LONGEST times as long as wide:
  these are squeezed to that. A JPEG that is so already is left as it is.

  Args:
    content: the file's.
    short_side: pixels.
    quality: of the JPEG, 1 to 100; colours have half the resolution (4:2:0).

  Raises:
    UnreadableError: it is no image, or a damaged one.
  """
  found = header(content)
  scale = short_side / min(found.size)
  height, width = (
    min(max(round(x * scale), short_side), LONGEST * short_side)
    for x in found.size
  )
  with _open(content) as image:
    is_done = image.format == 'JPEG' and image.mode == 'RGB'
    if is_done and found.size == (height, width) and not found.conversions:
      image.load()  # It may be damaged.
      return content
    made = io.BytesIO()
    squeezed = _squeezed(image, (height, width), 'RGB')
    squeezed.save(made, 'JPEG', quality=quality, subsampling='4:2:0')
    return made.getvalue()


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
  """Keeps Pillow's warnings of odd files off the screen.

  Around all decoding, in the thread that waits for it: what is ignored is so in
  all threads.
  """
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    yield


@contextlib.contextmanager
def _open(content: bytes) -> Iterator[Image.Image]:
  """Opens an image; any error of its decoder becomes an UnreadableError."""
  try:
    with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
      yield image
  except Image.UnidentifiedImageError:  # Its message names an object in memory.
    raise UnreadableError('not an image') from None
  except MemoryError:
    raise UnreadableError(
      'too large for the memory', is_lasting=False
    ) from None
  except Exception as error:  # noqa: BLE001  Of any decoder.
    raise UnreadableError(reason_of(error)) from None


def _squeezed(
  image: Image.Image, size: tuple[int, int], mode: str
) -> Image.Image:
  """An open image as L or RGB of a (height, width), rotated as EXIF says."""
  # A large JPEG is decoded at a fraction of its size, many times faster.
  draft = 2 * max(size)
  image.draft(None, (draft, draft))
  turned = _orientation(image)
  made = _convert(image, mode)
  if turned in _TURNED:
    made = made.transpose(_TURNED[turned])
  if made.size != size[::-1]:
    made = made.resize(size[::-1], Image.Resampling.BILINEAR)
  return made


def _convert(image: Image.Image, mode: str) -> Image.Image:
  """An image as L or RGB, of 8 bits."""
  if _is_deep(image.mode):
    values = np.nan_to_num(np.asarray(image).astype(np.float64))
    # Floats may be in [0, 1]; integers are of 16 bits.
    scale = 255 / 65535 if image.mode != 'F' else 1.0
    if image.mode == 'F' and values.size and values.max() <= 1:
      scale = 255.0
    eight = np.clip(np.rint(values * scale), 0, 255).astype(np.uint8)
    return Image.fromarray(eight).convert(mode)
  if _is_transparent(image):
    shown = image.convert('RGBA')
    white = Image.new('RGBA', shown.size, 'white')
    return Image.alpha_composite(white, shown).convert(mode)
  return image.convert(mode)


def _is_deep(mode: str) -> bool:
  return mode in ('I', 'F') or mode.startswith('I;')


def _is_transparent(image: Image.Image) -> bool:
  return (
    image.mode in ('RGBA', 'RGBa', 'LA', 'La', 'PA')
    or 'transparency' in image.info
  )


def _orientation(image: Image.Image) -> int:
  try:
    return int(image.getexif().get(_ORIENTATION, 1))
  except Exception:  # noqa: BLE001  A damaged EXIF turns nothing.
    return 1
