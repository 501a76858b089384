"""Image files with labels, whoever has listed them, as a data set."""

from collections.abc import Sequence
import dataclasses
import itertools
import pathlib

from jaxtyping import Int
import numpy as np

from sce_jax.data import decode
from sce_jax.data.data_config import DataConfig
from sce_jax.data.sources import images, summary
from sce_jax.data.sources.columns import Columns, Part
from sce_jax.errors import UserError

# What splits are called; what is trained on comes first, what is tested on
# second: the first of these that is there.
TRAIN, TEST, VALIDATION = 'train', 'test', 'validation'
SPLIT_NAMES = {
  'train': TRAIN,
  'training': TRAIN,
  'test': TEST,
  'testing': TEST,
  'val': VALIDATION,
  'valid': VALIDATION,
  'validation': VALIDATION,
}


@dataclasses.dataclass(frozen=True)
class Listing:
  """Image files and their labels.

  Attributes:
    source: how they were found.
    path: what was given as config.data.path.
    root: the folder that the files' names are relative to.
    files: of each split, by its name: (file, label, clean label or None).
    has_clean_labels: whether clean labels are given at all.
    warnings: what the user should look at, a sentence each.
  """

  source: str
  path: str
  root: pathlib.Path
  files: dict[str, list[tuple[str, str, str | None]]]
  has_clean_labels: bool = False
  warnings: tuple[str, ...] = ()


def read(listing: Listing, config: DataConfig) -> Columns:
  """Decodes what is listed.

  Raises:
    UserError: it is no data set that can be learned from.
  """
  where = listing.path
  notes = []
  test = next((s for s in (TEST, VALIDATION) if listing.files.get(s)), None)
  splits = [TRAIN, *([test] if test else [])]
  if not listing.files.get(TRAIN):
    raise UserError(f'{where} has no training images')
  if test == VALIDATION:
    notes.append('the validation split is used as the test split')
  notes += [
    f'the {split} split, {len(found):,} images, is not used'
    for split, found in listing.files.items()
    if split not in splits and found
  ]
  chosen = [
    [listing.files[s][i] for i in some_of(len(listing.files[s]), config.limit)]
    for s in splits
  ]
  # Before minutes are spent on decoding.
  summary.class_names(f'{where}, training split', [x[1] for x in chosen[0]])
  every = [row for split in splits for row in listing.files[split]]
  _, labels, clean_labels = zip(*every, strict=True)
  summary.check_clean_labels(where, labels, clean_labels)
  rows = [row for part in chosen for row in part]
  loaded = images.load(
    listing.root,
    [row[0] for row in rows],
    config.image_size,
    config.max_unreadable,
  )
  ends = np.searchsorted(loaded.rows, [0, len(chosen[0]), len(rows)])
  read_rows = [rows[i] for i in loaded.rows]
  summary.class_names(
    f'{where}, training split', [x[1] for x in read_rows[: ends[1]]]
  )
  # Of all rows, or class numbers would depend on config.data.limit.
  unreadable = {x['file'] for x in loaded.unreadable}
  names = summary.class_names(
    where,
    [
      text
      for file, *texts in every
      if file not in unreadable
      for text in texts
      if text is not None
    ],
  )
  lost = sorted({row[1] for row in rows} - set(names))
  parts = []
  for start, end in itertools.pairwise(ends.tolist()):
    own = read_rows[start:end]
    if not own:
      continue
    clean = summary.numbers(names, [row[2] for row in own])
    parts.append(
      Part(
        loaded.images[start:end],
        summary.numbers(names, [row[1] for row in own]),
        np.array([row[0] for row in own], object),
        clean if listing.has_clean_labels else None,
        loaded.digests[start:end],
      )
    )
  return Columns(
    parts[0],
    parts[1] if len(parts) > 1 else None,
    len(names),
    names,
    id_feature='file name',
    summary={
      'source': listing.source,
      'path': where,
      'classes': summary.by_class(names, parts),
      'image_shape': list(loaded.images.shape[1:]),
      'notes': [*notes, *loaded.notes],
      'warnings': [
        *listing.warnings,
        *loaded.warnings,
        *(f'no example of class {name!r} can be read' for name in lost[:8]),
        *summary.warnings(names, parts),
      ],
      'unreadable': loaded.unreadable,
      'decoding': decode.description(is_resized=True),
    },
  )


def some_of(size: int, limit: int | None) -> Int[np.ndarray, ' M']:
  """Which of `size` examples a limit leaves: drawn at random, always the same.

  The first ones would be of one class, where files are in order.
  """
  if limit is None or limit >= size:
    return np.arange(size)
  return np.sort(np.random.default_rng(0).permutation(size)[:limit])


def missing(root: pathlib.Path, names: Sequence[str]) -> list[str]:
  """The names that are no files."""

  def is_file(name):
    try:
      return (root / name).is_file()
    except (OSError, ValueError):  # Too long, or with a zero byte.
      return False

  return [name for name in names if not is_file(name)]
