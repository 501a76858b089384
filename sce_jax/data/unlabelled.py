"""Reads what is to be classified as that was read which a network learned from.

Needs no jax.
"""

from collections.abc import Iterator, Mapping
import os
import pathlib
from typing import Any

from jaxtyping import Shaped
import numpy as np

from sce_jax.data import decode, image_files, info, pixels, threads
from sce_jax.errors import UserError, reason_of
from sce_jax.storage import paths

_ARRAYS = ('.npy', '.npz')
Chunk = tuple[list[str], Shaped[np.ndarray, 'N ...']]


class Images:
  """The images that a path means: a file, a folder of files, or an array.

  Feature vectors are always an array.

  Args:
    path: an image, a folder with images in it or below, .npy or .npz.
    shape: (height, width, channels) that is asked for, or (D,).
    decoding: how the network's images were read, see `decode.description`.

  Attributes:
    key: what names an image: 'file_name' or, in an array, 'index'.
    unreadable: the files that `chunks` has left out, and why.

  Raises:
    UserError: there are none, or not of this shape.
  """

  def __init__(
    self,
    path: str | os.PathLike,
    shape: tuple[int, ...],
    decoding: Mapping[str, Any],
  ):
    if paths.is_cloud(path):
      raise UserError(f'{path} is in a cloud: copy the images here first')
    found = pathlib.Path(paths.path(path))
    self._shape = shape
    self._is_resized = decoding['resize'] is not None
    # Networks of earlier versions do not record it.
    self._prepared = decoding.get('prepared')
    self._array: np.ndarray | None = None
    self._files: list[str] = []
    self._root = found
    self.unreadable: list[tuple[str, str]] = []
    if not found.exists():
      raise UserError(f'there is no {found}: name images with --images')
    if found.suffix.lower() in _ARRAYS and found.is_file():
      self._array = _read_array(found, shape, decoding)
    elif len(shape) == 1:
      raise UserError(
        f'the network takes feature vectors [N, {shape[0]}]: name an .npy, or'
        f' an .npz with "x", with --images, not {found}'
      )
    elif found.is_dir():
      self._files = list(image_files.find(found))
    else:
      self._root, self._files = found.parent, [found.name]
    self.key = 'file_name' if self._array is None else 'index'
    if self._array is not None:
      return
    if not self._files:
      raise UserError(
        f'{found} holds no images ({", ".join(image_files.EXTENSIONS)}): name'
        ' others with --images'
      )
    if shape[2] not in (1, 3):
      raise UserError(
        f'the network takes images of {shape[2]} channels, which files are not'
        ' read as: give an .npy or .npz'
      )

  def chunks(self, size: int) -> Iterator[Chunk]:
    """The names and pixels of at most `size` images at a time, in order.

    Raises:
      UserError: an image is of another size, and those that the network was
        trained on were not resized.
    """
    if self._array is not None:
      for start in range(0, len(self._array), size):
        some = self._array[start : start + size]
        yield [str(start + i) for i in range(len(some))], some
      return
    for start in range(0, len(self._files), size):
      files = self._files[start : start + size]
      names, images = [], []
      with decode.without_warnings():
        decoded = threads.in_threads(self._decode, files)
      for name, image in zip(files, decoded, strict=True):
        if isinstance(image, str):
          self.unreadable.append((name, image))
        else:
          names.append(name)
          images.append(image)
      if images:
        yield names, np.stack(images)

  def _decode(self, name: str) -> np.ndarray | str:
    """An image's pixels, or why it cannot be read.

    Raises:
      UserError: it has another size, and is not to be resized.
    """
    height, width, channels = self._shape
    try:
      content = decode.read(self._root / name)
      found = decode.header(content).size
      if not self._is_resized and found != (height, width):
        raise UserError(
          f'{self._root / name} has {found[1]}x{found[0]} pixels, but the'
          f' network takes {width}x{height} (width x height): resize the images'
          ' as those were that it was trained on'
        )
      prepared = self._prepared
      if prepared:
        content = decode.jpeg(
          content, prepared['short_side'], prepared['quality']
        )
        if prepared['crop'] == 'center':
          return _center(content, height)
      return decode.pixels(content, (height, width), channels)
    except decode.UnreadableError as error:
      return error.reason


def _center(content: bytes, side: int) -> np.ndarray:
  from sce_jax.data import crops  # noqa: PLC0415  Needs one library more.

  try:
    return crops.center(content, side)
  except ValueError as error:
    raise decode.UnreadableError(reason_of(error)) from None


def _read_array(
  file: pathlib.Path, shape: tuple[int, ...], decoding: Mapping[str, Any]
) -> Shaped[np.ndarray, 'N ...']:
  """The images or features of an .npy or .npz, as the network's own were made.

  Raises:
    UserError: it cannot be read, or holds no such images.
  """
  try:
    # Opened here: numpy leaves one that is damaged open.
    with open(file, 'rb') as opened:
      found = np.load(opened, allow_pickle=False)
      if isinstance(found, np.lib.npyio.NpzFile):
        (name,) = [x for x in pixels.NAMES if x in found][:1] or ['']
        if not name:
          raise ValueError(f'it has no array named {" or ".join(pixels.NAMES)}')
        found = found[name]
  # A damaged file has errors of several types.
  except Exception as error:  # noqa: BLE001
    reason = reason_of(error)
    raise UserError(f'{file} cannot be read ({reason})') from None
  if found.ndim == 3 and shape[2:] == (1,):
    found = found[..., None]
  if found.ndim == 4 and len(shape) == 3 and found.size:
    scale = decoding.get('scale')
    if found.dtype != np.uint8 and (found.dtype.kind in 'iu' or scale):
      own = pixels.scale(str(file), found)
      # All of some pixels in [0, 255] may be dark, but none in [0, 1] bright.
      if own != 1 or scale == 1:
        found = pixels.to_bytes(found, scale)
    # How images were prepared that are arrays already, nobody knows.
    is_resized = decoding['resize'] and not decoding.get('prepared')
    if is_resized and found.dtype == np.uint8:
      found = pixels.resize(found, shape[:2])
  if found.ndim and not len(found):
    what = 'images' if len(shape) > 1 else 'feature vectors'
    raise UserError(f'{file} holds no {what}')
  return info.check_input(found, shape, str(file))
