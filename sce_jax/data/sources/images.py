"""Image files into one array: read, decoded, kept for the next time.

In two passes. The first reads every file for its header and a digest of its
content, from which size and channels are chosen. The second decodes. What both
have found is kept, see shards.py: the first by the files' names, sizes and
times, the second by their content alone. Which files share a shard is drawn by
their hashes, so that one that is new or changed costs a shard of each pass, and
not all that follow it.
"""

from collections.abc import Callable, Iterator, Sequence
import dataclasses
import functools
import json
import os
import pathlib
from typing import Any

from jaxtyping import Int, UInt8
import numpy as np

from sce_jax.data import decode, threads
from sce_jax.data.decode import Header, UnreadableError
from sce_jax.data.sources import bar, memory, shards, summary
from sce_jax.errors import UserError
from sce_jax.storage import typed

# The sides that are chosen among where images have several sizes, or are
# large: what the networks here are made for, and what fits into memory.
_SIDES = (8, 16, 28, 32, 48, 64)
# About as many files are in a shard at most, and bytes of their pixels.
_SHARD_FILES = 512
_SHARD_BYTES = 2**26
# Where of the images of more than 8 bits no pixel is so bright, or so many are
# white, they are likely of another range than they are taken for.
_DARK, _WHITE = 64, 0.5
# Raised when records are made in another way.
_RECORDS = 1
# The first byte of a record: what follows is what was made of the file, or why
# it cannot be read.
_MADE, _REASON = b'\1', b'\0'


@dataclasses.dataclass(frozen=True)
class Loaded:
  """What files hold.

  Attributes:
    images: of those that can be read.
    rows: which of the files these are.
    digests: of their content, [M] of 16 bytes.
    notes: what was done, a sentence each.
    warnings: what the user should look at, a sentence each.
    unreadable: the other files: 'file' and 'reason'.
  """

  images: UInt8[np.ndarray, 'M H W C']
  rows: Int[np.ndarray, ' M']
  digests: Sequence[bytes]
  notes: list[str]
  warnings: list[str]
  unreadable: list[dict[str, str]]


@dataclasses.dataclass(frozen=True)
class _File:
  """A file of which the header could be read."""

  row: int
  path: pathlib.Path
  header: Header
  digest: bytes


def load(
  root: pathlib.Path,
  names: Sequence[str],
  image_size: int | None,
  max_unreadable: float,
) -> Loaded:
  """Decodes files; what has been decoded before is taken from the cache.

  Beside the images themselves it needs memory for one shard.

  Args:
    root: the folder that names are relative to.
    names: the files.
    image_size: height and width; None: chosen, see `choose_size`.
    max_unreadable: the share of files that may be unreadable.

  Raises:
    UserError: too many cannot be read, or memory is too small.
  """
  with decode.without_warnings():
    files, reasons = _read_headers(root, names)
    # Before minutes are spent on decoding.
    _check_readable(root, names, reasons, max_unreadable)
    size = choose_size([x.header.size for x in files])
    if image_size:
      size = image_size, image_size
    channels = 1 if all(x.header.is_grey for x in files) else 3
    images, kept = _decode(root, files, size, channels, reasons)
    _check_readable(root, names, reasons, max_unreadable)
  headers = [x.header for x in kept]
  return Loaded(
    images,
    np.array([x.row for x in kept], np.int64),
    [x.digest for x in kept],
    _notes(headers, size, channels),
    _warnings(headers, images),
    [{'file': names[i], 'reason': reasons[i]} for i in sorted(reasons)],
  )


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


def _check_readable(
  root: pathlib.Path,
  names: Sequence[str],
  reasons: dict[int, str],
  max_unreadable: float,
) -> None:
  count = len(reasons)
  if count and (count > max_unreadable * len(names) or count == len(names)):
    first = min(reasons)
    raise UserError(
      f'{root}: {count} of {len(names)} files cannot be read, more than'
      f' config.data.max_unreadable={max_unreadable:g} allows; the first:'
      f' {names[first]} ({reasons[first]})'
    )


def _read_headers(
  root: pathlib.Path, names: Sequence[str]
) -> tuple[list[_File], dict[int, str]]:
  """The first pass: files that can be read, and why the others cannot."""
  keys = [summary.digest(os.fsencode(name)) for name in names]
  where = os.path.realpath(root)

  def make(row: int) -> bytes:
    if not typed.is_text(names[row]):
      raise UnreadableError('its name is not in UTF-8: rename it')
    content = decode.read(root / names[row])
    found = dataclasses.asdict(decode.header(content))
    found['digest'] = summary.digest(content).hex()
    return json.dumps(found).encode()

  def name(rows: Sequence[int]) -> str:
    files = [(keys[i].hex(), _stat(root / names[i])) for i in rows]
    return _name('headers', where, files)

  made, reasons = {}, {}
  for row, record in _passed('reading', keys, _SHARD_FILES, name, make):
    if record[:1] == _REASON:
      reasons[row] = record[1:].decode()
      continue
    found = json.loads(record[1:])
    digest = bytes.fromhex(found.pop('digest'))
    size, conversions = map(tuple, (found['size'], found['conversions']))
    header = Header(size, found['is_grey'], conversions)
    made[row] = _File(row, root / names[row], header, digest)
  return [made[row] for row in sorted(made)], reasons


def _decode(
  root: pathlib.Path,
  files: Sequence[_File],
  size: tuple[int, int],
  channels: int,
  reasons: dict[int, str],
) -> tuple[UInt8[np.ndarray, 'M H W C'], list[_File]]:
  """The second pass: pixels, and whose they are; adds to the reasons."""
  shape = (*size, channels)
  of_each = size[0] * size[1] * channels
  memory.check(
    f'{root}: {len(files):,} images of {size[0]} x {size[1]} x {channels}',
    len(files) * of_each,
  )
  images = np.empty((len(files), *shape), np.uint8)
  is_read = np.ones(len(files), bool)

  def make(row: int) -> bytes:
    content = decode.read(files[row].path)
    if summary.digest(content) != files[row].digest:
      raise UnreadableError('changed while it was read', is_lasting=False)
    return decode.pixels(content, size, channels).tobytes()

  def name(rows: Sequence[int]) -> str:
    return _name('pixels', shape, [files[i].digest.hex() for i in rows])

  most = max(1, min(_SHARD_FILES, _SHARD_BYTES // of_each))
  keys = [file.digest for file in files]
  for row, record in _passed('decoding', keys, most, name, make):
    if record[:1] == _REASON:
      is_read[row] = False
      reasons[files[row].row] = record[1:].decode()
    else:
      images[row] = np.frombuffer(record, np.uint8, offset=1).reshape(shape)
  kept = [file for file, ok in zip(files, is_read, strict=True) if ok]
  return images if is_read.all() else images[is_read], kept


def _passed(
  what: str,
  keys: Sequence[bytes],
  most: int,
  name: Callable[[Sequence[int]], str],
  make: Callable[[int], bytes],
) -> Iterator[tuple[int, bytes]]:
  """The record of each row, shard by shard, with a bar on a terminal.

  Args:
    what: is done, for the bar.
    keys: a hash of each row, by which it is put into a shard.
    most: about as many rows are in a shard at most.
    name: the name of the shard of some rows.
    make: makes the record of a row, or raises an UnreadableError.
  """
  # A power of two: as data grow, most shards stay what they are.
  bits = max(0, (len(keys) - 1) // most).bit_length()
  rows_of: dict[int, list[int]] = {}
  for row, key in enumerate(keys):
    shard = int.from_bytes(key[:8], 'big') >> (64 - bits)
    rows_of.setdefault(shard, []).append(row)
  with bar.show(what, len(keys)) as done:
    for rows in rows_of.values():

      def make_all(rows: Sequence[int] = rows) -> tuple[list[bytes], bool]:
        made = threads.in_threads(functools.partial(_record, make), rows)
        return [record for record, _ in made], all(lasts for _, lasts in made)

      found = shards.records(name(rows), len(rows), make_all)
      yield from zip(rows, found, strict=True)
      done(len(rows))


def _record(make: Callable[[int], bytes], row: int) -> tuple[bytes, bool]:
  """A row's record, and whether it may be kept."""
  try:
    return _MADE + make(row), True
  except UnreadableError as error:
    return _REASON + error.reason.encode(errors='replace'), error.is_lasting


def _name(*parts: Any) -> str:
  """The name of a shard with what is made of all these."""
  text = json.dumps([_RECORDS, decode.VERSION, *parts])
  return summary.digest(text.encode()).hex()


def _stat(file: pathlib.Path) -> tuple[int, ...] | None:
  """What changes when a file does; None: it cannot be looked at."""
  try:
    found = os.stat(file)
  except (OSError, ValueError):
    return None
  return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _warnings(
  headers: Sequence[Header], images: UInt8[np.ndarray, 'M H W C']
) -> list[str]:
  """Whether images of more than 8 bits have become dark or white.

  Integers are taken for ones of 16 bits, also those that a camera has made of
  12; floats for ones in [0, 1] or [0, 255].
  """
  deep = [i for i, x in enumerate(headers) if decode.DEEP in x.conversions]
  if not deep:
    return []
  what = f'{len(deep):,} image{"s" * (len(deep) > 1)} of more than 8 bits'
  advice = 'scale them to 8 bits before, if that is not meant'
  most = max(int(images[i].max()) for i in deep)
  white = float(np.mean([(images[i] == 255).mean() for i in deep]))
  if most < _DARK:
    return [f'{what}: the brightest pixel became {most} of 255; {advice}']
  if white > _WHITE:
    return [f'{what}: {white:.0%} of the pixels became white; {advice}']
  return []


def _notes(
  headers: Sequence[Header], size: tuple[int, int], channels: int
) -> list[str]:
  """Which sizes there are, and what was done to how many images."""
  sizes = sorted({x.size for x in headers}, key=lambda size: size[0] * size[1])
  notes = []
  if len(sizes) > 1:
    ends = ' to '.join(f'{h} x {w}' for h, w in (sizes[0], sizes[-1]))
    notes.append(f'{len(sizes):,} sizes, {ends} pixels')
  counts: dict[str, int] = {}
  for header in headers:
    done = [*header.conversions]
    if header.size != size:
      done.append(f'resized to {size[0]} x {size[1]} pixels')
    if channels == 3 and header.is_grey:
      done.append('grey, made RGB')
    for what in done:
      counts[what] = counts.get(what, 0) + 1
  return notes + [
    f'{number:,} image{"s" * (number > 1)} {what}'
    for what, number in sorted(counts.items())
  ]
