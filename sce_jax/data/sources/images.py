"""Image files into one array: decoded, converted, resized, cached.

Every file ends as uint8 pixels of one size, grey if all files are grey, else
RGB. Grey among colours, CMYK, palettes and 16 bits are converted; what is
transparent is laid on white; EXIF's rotation is applied; of several frames the
first is used. Images of other sizes are squeezed to the size, whole.
"""

from collections.abc import Callable, Iterator, Sequence
import concurrent.futures
import dataclasses
import hashlib
import io
import json
import os
import pathlib
import tempfile
from typing import Any, TypeVar

from jaxtyping import Int, UInt8
import numpy as np
from PIL import Image
import tqdm

from sce_jax.data.sources import cloud
from sce_jax.errors import UserError

EXTENSIONS = ('.jpg', '.jpeg', '.png', '.webp', '.bmp', '.tif', '.tiff')
# The sides that are chosen among where images have several sizes, or are
# large: what the networks here are made for, and what fits into memory.
_SIDES = (8, 16, 28, 32, 48, 64)
_GREY = {'1', 'L', 'LA', 'La', 'I', 'F'}
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
# Raised when what is cached would be made in another way.
_CACHE_VERSION = 1
T = TypeVar('T')


@dataclasses.dataclass(frozen=True)
class Loaded:
  """What files hold.

  Attributes:
    images: of those that can be read.
    rows: which of the files these are.
    digests: of their content, [M] of 16 bytes.
    notes: what was done, a sentence each.
    unreadable: the other files: 'file' and 'reason'.
  """

  images: UInt8[np.ndarray, 'M H W C']
  rows: Int[np.ndarray, ' M']
  digests: Sequence[bytes]
  notes: list[str]
  unreadable: list[dict[str, str]]


@dataclasses.dataclass(frozen=True)
class _Header:
  """What a file says of itself: its size as shown, and its conversions."""

  size: tuple[int, int]  # (height, width)
  is_grey: bool
  kinds: tuple[str, ...]
  digest: bytes


def load(
  root: pathlib.Path,
  names: Sequence[str],
  image_size: int | None,
  max_unreadable: float,
) -> Loaded:
  """Decodes files, or takes them from the cache.

  Args:
    root: the folder that names are relative to.
    names: the files.
    image_size: height and width; None: chosen, see `choose_size`.
    max_unreadable: the share of files that may be unreadable.

  Raises:
    UserError: too many cannot be read, or memory is too small.
  """
  key = _key(root, names, image_size)
  loaded = _from_cache(key)
  if loaded is None:
    loaded = _decode_all(root, names, image_size)
    if len(loaded.rows):
      _to_cache(key, loaded)
  bad = loaded.unreadable
  if bad and (len(bad) > max_unreadable * len(names) or not len(loaded.rows)):
    raise UserError(
      f'{root}: {len(bad)} of {len(names)} files cannot be read, more than'
      f' config.data.max_unreadable={max_unreadable:g} allows; the first:'
      f' {bad[0]["file"]} ({bad[0]["reason"]})'
    )
  return loaded


def choose_size(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
  """The size for images of these sizes, as (height, width).

  Their own, if all have the same and no side is above 64; else a square: the
  largest of 8, 16, 28, 32, 48 and 64 that at least half of the images fill.
  """
  if len(set(sizes)) == 1 and max(sizes[0]) <= _SIDES[-1]:
    return sizes[0]
  middle = np.median([min(size) for size in sizes])
  side = max((s for s in _SIDES if s <= middle), default=_SIDES[0])
  return side, side


def check_memory(what: str, size: int) -> None:
  """Checks that something fits into half of the memory: training needs some.

  Args:
    what: what it is, for the message.
    size: its bytes.

  Raises:
    UserError: it does not.
  """
  memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
  if size > memory / 2:
    raise UserError(
      f"{what} take {size:,} bytes, and of this machine's {memory:,} bytes of"
      ' memory at most half can be used: give a smaller'
      ' --config.data.image_size, or a --config.data.limit'
    )


def resize(
  images: UInt8[np.ndarray, 'N H W C'], side: int
) -> UInt8[np.ndarray, 'N S S C']:
  """Images of another size, channel by channel."""
  if images.shape[1:3] == (side, side):
    return images
  made = np.empty((len(images), side, side, images.shape[3]), np.uint8)
  for i, image in enumerate(images):
    for c in range(images.shape[3]):
      plane = Image.fromarray(np.ascontiguousarray(image[..., c]))
      made[i, ..., c] = np.asarray(
        plane.resize((side, side), Image.Resampling.BILINEAR)
      )
  return made


def digest(content: bytes) -> bytes:
  """16 bytes that are the same for the same content."""
  return hashlib.blake2b(content, digest_size=16).digest()


def _decode_all(
  root: pathlib.Path, names: Sequence[str], image_size: int | None
) -> Loaded:
  files = [root / name for name in names]
  headers = list(_in_parallel(_read_header, files, 'reading'))
  reasons = {i: x for i, x in enumerate(headers) if isinstance(x, str)}
  seen = {i: x for i, x in enumerate(headers) if isinstance(x, _Header)}
  if not seen:
    return Loaded(
      np.empty((0, 1, 1, 1), np.uint8),
      np.arange(0),
      (),
      [],
      _unreadable(names, reasons),
    )
  size = (
    (image_size, image_size)
    if image_size
    else choose_size([x.size for x in seen.values()])
  )
  channels = 1 if all(x.is_grey for x in seen.values()) else 3
  check_memory(
    f'{root}: {len(seen):,} images of {size[0]} x {size[1]} x {channels}',
    len(seen) * size[0] * size[1] * channels,
  )
  images = np.empty((len(seen), *size, channels), np.uint8)
  rows: list[int] = []

  def decode(i):
    return _decode(files[i], size, channels)

  for i, pixels in zip(
    seen, _in_parallel(decode, list(seen), 'decoding'), strict=True
  ):
    if isinstance(pixels, str):
      reasons[i] = pixels
    else:
      images[len(rows)] = pixels
      rows.append(i)
  kept = [seen[i] for i in rows]
  return Loaded(
    images[: len(rows)],
    np.array(rows, np.int64),
    [x.digest for x in kept],
    _notes(kept, size, channels),
    _unreadable(names, reasons),
  )


def _unreadable(
  names: Sequence[str], reasons: dict[int, str]
) -> list[dict[str, str]]:
  return [{'file': names[i], 'reason': reasons[i]} for i in sorted(reasons)]


def _notes(
  headers: Sequence[_Header], size: tuple[int, int], channels: int
) -> list[str]:
  """What was done to how many images."""
  counts: dict[str, int] = {}
  for header in headers:
    kinds = [*header.kinds]
    if header.size != size:
      kinds.append(f'resized to {size[0]} x {size[1]} pixels')
    if channels == 3 and header.is_grey:
      kinds.append('grey, made RGB')
    for kind in kinds:
      counts[kind] = counts.get(kind, 0) + 1
  return [
    f'{number:,} image{"s" * (number > 1)} {kind}'
    for kind, number in sorted(counts.items())
  ]


def _in_parallel(
  do: Callable[[Any], T], items: Sequence[Any], what: str
) -> Iterator[T]:
  """Results in order, with a bar on a terminal.

  Threads: Pillow releases the interpreter's lock while it decodes.
  """
  workers = (
    len(os.sched_getaffinity(0))
    if hasattr(os, 'sched_getaffinity')
    else os.cpu_count()
  )
  pool = concurrent.futures.ThreadPoolExecutor(workers)
  try:
    yield from tqdm.tqdm(
      pool.map(do, items),
      desc=what,
      total=len(items),
      unit=' files',
      leave=False,
      disable=None,
    )
  finally:  # On Ctrl-C, too.
    pool.shutdown(cancel_futures=True)


def _read_header(file: pathlib.Path) -> _Header | str:
  """What a file says of itself, or why it cannot be read."""
  try:
    content = file.read_bytes()
    if not content:
      return 'empty'
    with Image.open(io.BytesIO(content)) as image:
      turned = _orientation(image)
      width, height = image.size
      if turned >= 5:
        width, height = height, width
      kinds = []
      if turned in _TURNED:
        kinds.append('rotated as EXIF says')
      if image.mode == 'P':
        kinds.append('with a palette, converted')
      if image.mode == 'CMYK':
        kinds.append('CMYK, converted')
      if _is_deep(image.mode):
        kinds.append('of more than 8 bits, made 8')
      if _is_transparent(image):
        kinds.append('transparent, laid on white')
      is_grey = image.mode in _GREY or image.mode.startswith('I;')
      return _Header((height, width), is_grey, tuple(kinds), digest(content))
  except Exception as error:  # noqa: BLE001  Of any decoder.
    return _reason(error)


def _decode(
  file: pathlib.Path, size: tuple[int, int], channels: int
) -> np.ndarray | str:
  """An image's pixels [H, W, C], or why it cannot be read."""
  height, width = size
  try:
    with Image.open(file) as image:
      # A large JPEG is decoded at a fraction of its size, many times faster.
      draft = 2 * max(size)
      image.draft(None, (draft, draft))
      turned = _orientation(image)
      made = _convert(image, 'L' if channels == 1 else 'RGB')
    if turned in _TURNED:
      made = made.transpose(_TURNED[turned])
    if made.size != (width, height):
      made = made.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(made).reshape(height, width, channels)
  except Exception as error:  # noqa: BLE001  Of any decoder.
    return _reason(error)


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


def _reason(error: Exception) -> str:
  line = ' '.join(str(error).split())
  if isinstance(error, OSError) and error.strerror:
    line = error.strerror
  # What Pillow says names the whole path.
  if isinstance(error, Image.UnidentifiedImageError):
    line = 'not an image'
  return (line or type(error).__name__)[:200]


def _key(
  root: pathlib.Path, names: Sequence[str], image_size: int | None
) -> str:
  """A name for what is made of files: by their names, sizes and times."""
  parts: list[Any] = [_CACHE_VERSION, image_size]
  for name in names:
    try:
      found = os.stat(root / name)
      parts.append((name, found.st_size, found.st_mtime_ns))
    except (OSError, ValueError):
      parts.append((name, None))
  return digest(json.dumps(parts).encode()).hex()


def _cache_file(key: str) -> pathlib.Path:
  return cloud.cache_folder() / 'images' / f'{key}.npz'


def _from_cache(key: str) -> Loaded | None:
  try:
    with (
      open(_cache_file(key), 'rb') as opened,
      np.load(opened, allow_pickle=False) as file,
    ):
      told = json.loads(str(file['told']))
      return Loaded(
        file['images'],
        file['rows'],
        [row.tobytes() for row in file['digests']],
        told['notes'],
        told['unreadable'],
      )
  except FileNotFoundError:
    return None
  except Exception:  # noqa: BLE001  Damaged: it is made again.
    return None


def _to_cache(key: str, loaded: Loaded) -> None:
  """Keeps what was decoded; a cache that cannot be written is done without."""
  told = {'notes': loaded.notes, 'unreadable': loaded.unreadable}
  file = _cache_file(key)
  try:
    file.parent.mkdir(parents=True, exist_ok=True)
    # Not by paths.write, for which it would lie in memory twice.
    with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as made:
      try:
        np.savez(
          made,
          images=loaded.images,
          rows=loaded.rows,
          digests=np.frombuffer(b''.join(loaded.digests), np.uint8).reshape(
            -1, 16
          ),
          told=np.array(json.dumps(told)),
        )
        made.flush()
        os.replace(made.name, file)
      except BaseException:
        pathlib.Path(made.name).unlink(missing_ok=True)
        raise
  except OSError:
    pass
