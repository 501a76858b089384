"""Reads images from files, as the network takes them. Needs no jax."""

from collections.abc import Iterator
from concurrent import futures
import os
import pathlib

from jaxtyping import UInt8
import numpy as np
from PIL import Image, ImageOps

from sce_jax.errors import UserError
from sce_jax.storage import paths

SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')
_ARRAYS = ('.npy', '.npz')
_KEYS = ('images', 'x')
Chunk = tuple[list[str], UInt8[np.ndarray, 'N H W C']]


class _WrongSizeError(Exception):
  """An image that can be read, of another size than the others."""


class Images:
  """The images that a path means: a file, a folder of files, or an array.

  Args:
    path: an image, a folder with images in it or below, .npy or .npz.
    shape: (height, width, channels) that is asked for.

  Attributes:
    key: what names an image: 'file_name' or, in an array, 'index'.
    unreadable: the files that `chunks` has left out, and why.

  Raises:
    UserError: there are none, or an array is not of this shape.
  """

  def __init__(self, path: str | os.PathLike, shape: tuple[int, int, int]):
    if paths.is_cloud(path):
      raise UserError(f'{path} is in a cloud: copy the images here first')
    found = pathlib.Path(paths.path(path))
    self._shape = shape
    self._array: np.ndarray | None = None
    self._files: list[pathlib.Path] = []
    self._root = found
    self.unreadable: list[tuple[str, str]] = []
    if not found.exists():
      raise UserError(f'there is no {found}: name images with --images')
    if found.suffix.lower() in _ARRAYS and found.is_file():
      self._array = _read_array(found, shape)
    elif found.is_dir():
      self._files = find(found)
    else:
      self._root, self._files = found.parent, [found]
    self.key = 'file_name' if self._array is None else 'index'
    if self._array is None and not self._files:
      raise UserError(
        f'{found} holds no images ({", ".join(SUFFIXES)}): name others with'
        ' --images'
      )

  def chunks(self, size: int) -> Iterator[Chunk]:
    """The names and pixels of at most `size` images at a time, in order.

    Raises:
      UserError: an image is of another size.
    """
    if self._array is not None:
      for start in range(0, len(self._array), size):
        some = self._array[start : start + size]
        yield [str(start + i) for i in range(len(some))], some
      return
    with futures.ThreadPoolExecutor() as pool:
      for start in range(0, len(self._files), size):
        names, images = [], []
        files = self._files[start : start + size]
        for file, image in zip(
          files, pool.map(self._decode, files), strict=True
        ):
          name = file.relative_to(self._root).as_posix()
          if isinstance(image, str):
            self.unreadable.append((name, image))
          else:
            names.append(name)
            images.append(image)
        if images:
          yield names, np.stack(images)

  def _decode(self, file: pathlib.Path) -> np.ndarray | str:
    """An image's pixels, or why it cannot be read."""
    try:
      return decode(file, self._shape)
    except _WrongSizeError as error:
      raise UserError(str(error)) from None
    # Of many types, for files may hold anything.
    except Exception as error:  # noqa: BLE001
      reason = getattr(error, 'strerror', None) or ' '.join(str(error).split())
      return reason or type(error).__name__


def find(folder: pathlib.Path) -> list[pathlib.Path]:
  """The image files in a folder and below it, less hidden ones, in order."""
  return sorted(
    path
    for path in folder.rglob('*')
    if path.suffix.lower() in SUFFIXES
    and not any(x.startswith('.') for x in path.relative_to(folder).parts)
    and path.is_file()
  )


def decode(
  file: pathlib.Path, shape: tuple[int, int, int]
) -> UInt8[np.ndarray, 'H W C']:
  """Reads an image, upright, in grey or in colour.

  Args:
    file: the file.
    shape: (height, width, channels) that is asked for.

  Raises:
    _WrongSizeError: it has another size.
    Exception: it cannot be read, for any of many reasons.
  """
  height, width, channels = shape
  with Image.open(file) as opened:
    image: Image.Image = opened
    if opened.mode.startswith('I;16'):
      # Pillow would cut 16 bits off at 255.
      image = Image.fromarray((np.asarray(opened) >> 8).astype(np.uint8))
    turned = ImageOps.exif_transpose(image)
    if turned.size != (width, height):
      raise _WrongSizeError(
        f'{file} has {turned.width}x{turned.height} pixels, but the network'
        f' takes {width}x{height} (width x height): resize the images as those'
        ' were that it was trained on'
      )
    pixels = np.asarray(turned.convert('L' if channels == 1 else 'RGB'))
  return pixels.reshape(shape)


def _read_array(
  file: pathlib.Path, shape: tuple[int, int, int]
) -> UInt8[np.ndarray, 'N H W C']:
  """The images of an .npy or .npz.

  Raises:
    UserError: it cannot be read, or holds no such images.
  """
  try:
    found = np.load(file, allow_pickle=False)
    if isinstance(found, np.lib.npyio.NpzFile):
      with found:
        (name,) = [x for x in _KEYS if x in found][:1] or ['']
        if not name:
          raise ValueError(f'it has no array named {" or ".join(_KEYS)}')
        found = found[name]
  # A damaged file has errors of several types.
  except Exception as error:  # noqa: BLE001
    reason = ' '.join(str(error).split())[:200]
    raise UserError(f'{file} cannot be read ({reason})') from None
  if found.shape[1:] == shape[:2] and shape[2] == 1:
    found = found[..., None]
  if found.shape[1:] != shape or found.dtype != np.uint8:
    raise UserError(
      f'{file} holds {found.dtype} of shape {list(found.shape)}, but the'
      f' network takes uint8 images [N, {", ".join(map(str, shape))}]'
    )
  if not len(found):
    raise UserError(f'{file} holds no images')
  return found
