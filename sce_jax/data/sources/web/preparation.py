"""Images made small, once: shard by shard, continued after any interruption.

A shard is written whole or not at all, and says by a file beside it that it is.
So a preparation that was interrupted, by kill -9 too, continues at the shard it
was at. It needs memory for one shard. In a cloud each shard is copied up when
it is made; readers need local files, so it stays here, too.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import shutil
import sys
import time
from typing import Any

import numpy as np

from sce_jax.data import decode, records, threads
from sce_jax.data.decode import UnreadableError
from sce_jax.data.sources import bar, cloud
from sce_jax.data.sources.web import prepared
from sce_jax.data.sources.web.archives import ImageFiles
from sce_jax.data.sources.web.listing import Listing
from sce_jax.data.sources.web.mirror import Mirror
from sce_jax.data.sources.web.prepared import MANIFEST, SHARDS, UNREADABLE
from sce_jax.errors import UserError
from sce_jax.storage import lock, paths

SHARD_RECORDS = 2048
# How many images tell how large the others will be.
_SAMPLE = 64
# Seconds between two tries to take a folder that another process prepares.
_WAIT = 5.0


@dataclasses.dataclass(frozen=True)
class Settings:
  """How images are prepared.

  Attributes:
    short_side: pixels, of the images that are kept.
    quality: of their JPEG.
    max_unreadable: the share of files that may be unreadable or missing.
  """

  short_side: int
  quality: int
  max_unreadable: float


def folder(name: str, settings: Settings) -> str:
  """Where a data set is prepared, below the folder of all data."""
  return f'{name}/short{settings.short_side}-q{settings.quality}'


def prepare(
  name: str,
  find: Callable[[], Listing | None],
  wanted: Mapping[str, int | None],
  settings: Settings,
  data_dir: str,
) -> prepared.Prepared:
  """A prepared data set; what is not prepared yet is.

  Args:
    name: of the data set.
    find: reads its lists; None: there are none, so it must be prepared.
    wanted: of which splits how many of the first images; None: all.
    settings: how.
    data_dir: the folder of all data, here or in a cloud.

  Raises:
    UserError: it is not prepared and cannot be; one line.
  """
  inside = folder(name, settings)
  place = Mirror(pathlib.Path(data_dir, inside), None)
  if paths.is_cloud(data_dir):
    place = Mirror(
      cloud.mirror(data_dir) / inside, paths.path(data_dir) / inside
    )
    if place.fetch(MANIFEST):  # Another machine may have prepared more.
      made = prepared.read_manifest(place.here)
      assert made is not None
      place.fetch(made['index'])
  listing = find()
  found = prepared.load(place.here)
  if found is not None and listing is not None:
    _check_same(found, listing)
  if found is not None and _has(place, found, wanted):
    return found
  if listing is None:
    there = place.there or place.here
    lacks = 'is not' if found is None else 'is only in part'
    raise UserError(
      f'{name} {lacks} prepared in {os.fspath(there)}: give the folder with its'
      ' images and lists with --config.data.path, or a folder where it is'
      ' prepared with --data_dir'
    )
  try:
    place.here.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise UserError(
      f'{place.here} cannot be made ({error.strerror}): name another folder'
      ' with --data_dir'
    ) from None
  with _alone(place.here), decode.without_warnings():
    _prepare(listing, wanted, settings, place)
  records.close()
  made_now = prepared.load(place.here)
  assert made_now is not None
  return made_now


def _check_same(found: prepared.Prepared, listing: Listing) -> None:
  if found.manifest['lists'] != listing.digest:
    raise UserError(
      f'{found.folder} was prepared from other lists than those in'
      f' {listing.path}: name another folder with --data_dir, or leave'
      ' --config.data.path out to use what is prepared'
    )


def _has(
  place: Mirror, found: prepared.Prepared, wanted: Mapping[str, int | None]
) -> bool:
  """Whether the wanted part is prepared, and its shards are here."""
  for split, limit in wanted.items():
    listed = found.listed(split)
    if found.prepared(split) < (
      listed if limit is None else min(limit, listed)
    ):
      return False
  return all(place.is_whole(f'{SHARDS}/{x}') for x in found.manifest['shards'])


@contextlib.contextmanager
def _alone(folder: pathlib.Path) -> Iterator[None]:
  """Keeps other processes of this machine out, or waits for them."""
  held = None
  while held is None:
    try:
      held = lock.acquire(folder)
    except lock.LockHeldError:
      print(f'another process prepares {folder}; waits for it', file=sys.stderr)
      while lock.is_held(folder):
        time.sleep(_WAIT)
  try:
    yield
  finally:
    held.close()


def _prepare(
  listing: Listing,
  wanted: Mapping[str, int | None],
  settings: Settings,
  place: Mirror,
) -> None:
  before = prepared.load(place.here)
  # Each split's shards: (file, first row, end). What is prepared stays.
  parts: dict[str, list[tuple[str, int, int]]] = {}
  for split, rows in listing.splits.items():
    ends = [0 if before is None else before.prepared(split)]
    if split in wanted:
      limit = wanted[split]
      ends.append(len(rows) if limit is None else min(limit, len(rows)))
    parts[split] = _cut(split, max(ends), len(rows))
  every = [(split, x) for split, own in parts.items() for x in own]
  # Their shards: those that are not whole.
  to_do = {x[0] for _, x in every if not place.is_whole(x[0])}
  names = [
    listing.splits[split].names[i]
    for split, (shard, start, end) in every
    if shard in to_do
    for i in range(start, end)
  ]
  total = sum(end - start for _, (_, start, end) in every)
  files = ImageFiles(listing.root, names)
  _check_missing(listing, files, total, settings)
  make = functools.partial(_make, files, settings)
  if names:
    size = _check_space(place.here, names, make)
    print(
      f'prepares {len(names):,} of {total:,} images in {place.here}, about'
      f' {_size(size)}: short side {settings.short_side}, JPEG quality'
      f' {settings.quality}',
      file=sys.stderr,
    )
  done = total - len(names)
  with bar.show('preparing', total, 'images', done) as advance:
    unreadable = 0
    for split, (shard, start, end) in every:
      if shard in to_do:
        own = listing.splits[split].names[start:end]
        _write_shard(place, shard, own, make)
        advance(end - start)
      unreadable += len(place.told(shard)['unreadable'])
      if unreadable > settings.max_unreadable * total:
        raise _too_many(listing, place, shard, unreadable, total, settings)
  _finish(listing, settings, place, parts)


def _cut(split: str, count: int, size: int) -> list[tuple[str, int, int]]:
  """The shards with the first `count` of a split's `size` images."""
  return [
    (
      f'{SHARDS}/{split}-{start // SHARD_RECORDS:05d}.array_record',
      start,
      min(start + SHARD_RECORDS, size),
    )
    for start in range(0, count, SHARD_RECORDS)
  ]


def _make(
  files: ImageFiles, settings: Settings, name: str
) -> tuple[bytes, list[str], str | None]:
  """A file's record, what was done to it, and why it cannot be read."""
  try:
    content = files.read(name)
    found = decode.header(content)
    done = list(found.conversions)
    if found.is_grey:
      done.append('grey, made RGB')
    if max(found.size) > decode.LONGEST * min(found.size):
      done.append(f'more than {decode.LONGEST} times as long as wide, squeezed')
    made = decode.jpeg(content, settings.short_side, settings.quality)
  except UnreadableError as error:
    return b'', [], error.reason
  return made, done, None


def _write_shard(
  place: Mirror, shard: str, names: Sequence[str], make: Callable[[str], Any]
) -> None:
  made = threads.in_threads(make, names)
  counts: dict[str, int] = {}
  for _, done, _ in made:
    for what in done:
      counts[what] = counts.get(what, 0) + 1
  reasons = {
    names[i]: reason for i, (_, _, reason) in enumerate(made) if reason
  }
  told = {'records': len(made), 'unreadable': reasons, 'done': counts}
  place.write_shard(shard, [record for record, _, _ in made], told)


def _check_missing(
  listing: Listing, files: ImageFiles, total: int, settings: Settings
) -> None:
  """Checks that most images are there, before hours are spent."""
  count = len(files.missing)
  if count and count > settings.max_unreadable * total:
    raise UserError(
      f'{listing.path}: {count:,} of {total:,} listed images are not there,'
      f' more than config.data.max_unreadable={settings.max_unreadable:g}'
      f' allows; the first: {files.missing[0]}; they are looked for in'
      f' {listing.root}, and in tars there and in its images/'
    )


def _too_many(
  listing: Listing,
  place: Mirror,
  shard: str,
  count: int,
  total: int,
  settings: Settings,
) -> UserError:
  name, reason = next(iter(place.told(shard)['unreadable'].items()))
  return UserError(
    f'{listing.path}: {count:,} of {total:,} images cannot be read, more than'
    f' config.data.max_unreadable={settings.max_unreadable:g} allows, such as'
    f' {name} ({reason}); what is prepared is kept'
  )


def _check_space(
  folder: pathlib.Path, names: Sequence[str], make: Callable[[str], Any]
) -> float:
  """Checks that what is to be written fits on the disk; its size in bytes."""
  chosen = names[:: max(1, len(names) // _SAMPLE)][:_SAMPLE]
  sizes = [len(x) for x, _, _ in threads.in_threads(make, chosen) if x]
  # A tenth more: a sample is a sample, and there is the index.
  need = 1.1 * len(names) * float(np.mean(sizes or [0]))
  free = shutil.disk_usage(folder).free
  if need > free:
    raise UserError(
      f'{folder}: {len(names):,} images take about {_size(need)} there, and'
      f' {_size(free)} are free: name another folder with'
      ' --data_dir, or prepare fewer images (--config.data.limit) or smaller'
      ' ones (--config.data.prepared_side)'
    )
  return need


def _size(count: int | float) -> str:
  """A number of bytes, to be read."""
  return f'{count / 1e9:,.1f} GB' if count > 1e9 else f'{count / 1e6:,.1f} MB'


def _finish(
  listing: Listing,
  settings: Settings,
  place: Mirror,
  parts: Mapping[str, Sequence[tuple[str, int, int]]],
) -> None:
  """Writes the index, and then the manifest that names it."""
  shard_names, sizes, splits, index = [], [], {}, {}
  reasons: dict[str, str] = {}
  counts: dict[str, int] = {}
  first = 0
  for split, own in parts.items():
    rows = listing.splits[split]
    end = own[-1][2] if own else 0
    bad = set()
    for shard, start, stop in own:
      told = place.told(shard)
      shard_names.append(shard.removeprefix(f'{SHARDS}/'))
      sizes.append(stop - start)
      bad |= told['unreadable'].keys()
      reasons |= told['unreadable']
      for what, number in told['done'].items():
        counts[what] = counts.get(what, 0) + number
    is_read = np.array([x not in bad for x in rows.names[:end]], bool)
    index[split] = rows, is_read, first
    first += end
    splits[split] = {
      'listed': len(rows),
      'prepared': end,
      'examples': int(is_read.sum()),
    }
  name, content = prepared.index_file(prepared.make_index(index))
  place.write(name, content)
  place.write(UNREADABLE, prepared.unreadable_file(reasons))
  manifest = {
    'format': prepared.FORMAT,
    'name': listing.name,
    'short_side': settings.short_side,
    'quality': settings.quality,
    'decode_version': decode.VERSION,
    'class_names': list(listing.class_names),
    'lists': listing.digest,
    'splits': splits,
    'shards': shard_names,
    'records': sizes,
    'index': name,
    'both': listing.both,
    'notes': [
      *listing.notes,
      *(
        f'{number:,} image{"s" * (number > 1)} {what}'
        for what, number in sorted(counts.items())
      ),
    ],
    'warnings': list(listing.warnings),
  }
  place.write(MANIFEST, json.dumps(manifest, indent=1) + '\n')
  for old in place.here.glob('index-*.npz'):
    if old.name != name:
      old.unlink(missing_ok=True)
