"""What a data set's own lists say: files, labels, splits."""

from collections.abc import Mapping, Sequence
import dataclasses
import functools
import hashlib
import pathlib
from typing import Any

from jaxtyping import Float64, Int32, Int64
import numpy as np

from sce_jax.data import ids
from sce_jax.data.sources import summary
from sce_jax.errors import UserError
from sce_jax.storage import typed

NOISY_TRAIN, CLEAN_TRAIN = 'noisy_train', 'clean_train'
VALIDATION, TEST = 'validation', 'test'
# What cannot be had twice stands first: an image in two splits is kept there.
SPLITS = (TEST, VALIDATION, CLEAN_TRAIN, NOISY_TRAIN)


@dataclasses.dataclass(frozen=True)
class Rows:
  """The examples of a split, in the order of the hashes of their names.

  The first of them are then a random sample.

  Attributes:
    names: of the files, relative to the data set's folder.
    noisy_label: -1 where it is not known.
    clean_label: -1 where it is not known.
  """

  names: Sequence[str]
  noisy_label: Int32[np.ndarray, ' N']
  clean_label: Int32[np.ndarray, ' N']

  def __len__(self) -> int:
    return len(self.names)


@dataclasses.dataclass(frozen=True)
class Listing:
  """A data set as its lists have it.

  Attributes:
    name: its name.
    path: what was given as config.data.path.
    root: the folder that the files' names are relative to.
    class_names: of the classes, in order.
    splits: by their names, of SPLITS.
    warnings: what the user should look at, a sentence each.
    notes: what is known beyond, a sentence each.
  """

  name: str
  path: str
  root: pathlib.Path
  class_names: tuple[str, ...]
  splits: Mapping[str, Rows]
  warnings: tuple[str, ...] = ()
  notes: tuple[str, ...] = ()

  @functools.cached_property
  def digest(self) -> str:
    """The same for lists that say the same."""
    made = hashlib.blake2b(digest_size=8)
    made.update('\n'.join(self.class_names).encode())
    for split, rows in sorted(self.splits.items()):
      made.update('\n'.join(['', split, *rows.names]).encode())
      made.update(rows.noisy_label.tobytes() + rows.clean_label.tobytes())
    return made.hexdigest()

  @property
  def both(self) -> list[list[int]] | None:
    """Counts of examples with both labels: clean i, noisy j; None: no such."""
    size = len(self.class_names)
    counts = np.zeros((size, size), np.int64)
    for rows in self.splits.values():
      has_both = (rows.noisy_label >= 0) & (rows.clean_label >= 0)
      labels = rows.clean_label[has_both], rows.noisy_label[has_both]
      np.add.at(counts, labels, 1)
    return counts.tolist() if counts.any() else None


def transition(both: Any) -> Float64[np.ndarray, 'K K']:
  """The matrix T[i, j] = P(noisy j | clean i) that counts of both give.

  A class without any such example keeps its label.
  """
  counts = np.array(both, np.float64)
  empty = counts.sum(axis=1) == 0
  counts[empty, empty] = 1.0
  return counts / counts.sum(axis=1, keepdims=True)


def make(
  name: str,
  path: str,
  root: pathlib.Path,
  class_names: Sequence[str],
  splits: Mapping[str, Sequence[str]],
  noisy: Mapping[str, int],
  clean: Mapping[str, int],
  *,
  warnings: Sequence[str] = (),
  notes: Sequence[str] = (),
) -> Listing:
  """A listing of files by split and labels by file.

  A file that stands twice is kept once, in the first split of SPLITS. One that
  has no label that its split is used with is left out. Both are warned of.

  Raises:
    UserError: a label is no class, a name leaves the folder, or there is
      nothing to train on.
  """
  found = [*warnings]
  seen: set[str] = set()
  made = {}
  for split in SPLITS:
    names = [x for x in dict.fromkeys(splits.get(split, ())) if x not in seen]
    twice = len(splits.get(split, ())) - len(names)
    if twice:
      found.append(
        f'{twice:,} lines of the {split} list are left out: these files stand'
        ' twice in it, or in the list of another split'
      )
    seen.update(names)
    labels = noisy if split == NOISY_TRAIN else clean
    labelled = [x for x in names if x in labels]
    if len(labelled) < len(names):
      first = next(x for x in names if x not in labels)
      found.append(
        f'{len(names) - len(labelled):,} files of the {split} list have no'
        f' label, and are left out, such as {first}'
      )
    if labelled:
      made[split] = _rows(path, labelled, noisy, clean)
  if not {NOISY_TRAIN, CLEAN_TRAIN} & made.keys():
    raise UserError(f'{path}: no training image has a label')
  for split, rows in made.items():
    for given in (rows.noisy_label, rows.clean_label):
      if given.max() >= len(class_names):
        row = int(given.argmax())
        raise UserError(
          f'{path}: {rows.names[row]} ({split}) has label {given[row]}, but'
          f' there are names of {len(class_names)} classes, 0 to'
          f' {len(class_names) - 1}: is the file of class names another one?'
        )
  return Listing(
    name, path, root, tuple(class_names), made, tuple(found), tuple(notes)
  )


def _rows(
  path: str,
  names: Sequence[str],
  noisy: Mapping[str, int],
  clean: Mapping[str, int],
) -> Rows:
  for name in names:
    if name.startswith('/') or '..' in name.split('/'):
      raise UserError(f'{path}: {name!r} in a list leaves the folder')
    if not typed.is_text(name):
      raise UserError(f'{path}: {name!r} in a list is not in UTF-8')
  order = np.argsort(numbers(names), kind='stable').tolist()
  ordered = [names[i] for i in order]
  return Rows(
    ordered,
    np.array([noisy.get(x, -1) for x in ordered], np.int32),
    np.array([clean.get(x, -1) for x in ordered], np.int32),
  )


def numbers(names: Sequence[str]) -> Int64[np.ndarray, ' N']:
  """The example ids of files."""
  return ids.to_numbers(names)


def count_warning(listing: Listing, published: Mapping[str, Any]) -> list[str]:
  """How the numbers of examples differ from the published ones, in a line.

  Args:
    listing: a data set.
    published: by split the number of examples, or the numbers by class.
  """
  differing = []
  for split, expected in published.items():
    rows = listing.splits.get(split)
    size = 0 if rows is None else len(rows)
    is_by_class = not isinstance(expected, int)
    total = sum(expected) if is_by_class else expected
    if size != total:
      differing.append(f'{split} {size:,} ({total:,})')
    elif rows is not None and is_by_class:
      labels = rows.noisy_label if split == NOISY_TRAIN else rows.clean_label
      counts = np.bincount(labels, minlength=len(expected)).tolist()
      differing += [
        f'{name!r} in {split} {found:,} ({wanted:,})'
        for name, found, wanted in zip(
          listing.class_names, counts, expected, strict=False
        )
        if found != wanted
      ]
  if not differing:
    return []
  return [
    'numbers of examples that differ from the published ones (in brackets): '
    + summary.some(differing)
  ]


def with_warnings(listing: Listing, warnings: Sequence[str]) -> Listing:
  """A listing with more to look at."""
  return dataclasses.replace(listing, warnings=(*listing.warnings, *warnings))


def lines(file: pathlib.Path) -> list[tuple[int, str]]:
  """The lines of a list that are not empty, with their numbers from 1 on.

  Raises:
    UserError: it cannot be read.
  """
  try:
    text = file.read_bytes().decode('utf-8-sig')
  except OSError as error:
    raise UserError(
      f'{file} cannot be read ({error.strerror or error})'
    ) from None
  except UnicodeDecodeError as error:
    raise UserError(
      f'{file} is no text in UTF-8, from byte {error.start} on: is it damaged?'
    ) from None
  # Not splitlines: a name may have other characters that end a line.
  split = enumerate(text.replace('\r\n', '\n').split('\n'), 1)
  return [(number, line) for number, line in split if line.strip()]


def labels(
  file: pathlib.Path, separator: str = ' '
) -> tuple[dict[str, int], list[str]]:
  """A file of lines 'NAME LABEL', and what is wrong with some of them.

  Names have commas and may have spaces: the last one separates.

  Raises:
    UserError: no line can be read, or a name has two labels.
  """
  found: dict[str, int] = {}
  bad = []
  every = lines(file)
  for number, line in every:
    name, _, label = line.strip().rpartition(separator)
    if not (name and label.isascii() and label.isdecimal()):
      bad.append(number)
      continue
    value = min(int(label[:9]), 2**30)
    if found.setdefault(name.strip(), value) != value:
      raise UserError(
        f'{file}, line {number}: {name!r} has label {value} here and'
        f' {found[name.strip()]} before: keep one of them'
      )
  if every and not found:
    raise UserError(f'{file}: no line reads NAME LABEL; the first: {every[0]}')
  if not bad:
    return found, []
  return found, [
    f'{file.name}: {len(bad):,} lines without a name or a label are left out,'
    f' the first is line {bad[0]}'
  ]
