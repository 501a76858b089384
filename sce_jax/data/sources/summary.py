"""What is found in a user's own data, and what is said of it.

A summary is plain data for a run's data.json:

source      how it was read
path        where it is
classes     for each split the number of examples by class
image_shape (height, width, channels), or (D,) of feature vectors
notes       what was done, a sentence each
warnings    what the user should look at, a sentence each
unreadable  files that were left out: 'file' and 'reason'
decoding    how files became pixels, see decode.description; other files are
            read alike when the network is used
"""

from collections.abc import Mapping, Sequence
import hashlib
import re
from typing import Any

from jaxtyping import Int32
import numpy as np

from sce_jax.data import features
from sce_jax.data.sources.columns import Part
from sce_jax.errors import UserError, one_line
from sce_jax.storage import typed

SPLITS = ('training', 'test')
# Classes that a line names; data.json has all.
_SHOWN = 8
_NUMBER = re.compile('-?[0-9]{1,18}')
# A whole number as pandas writes it where some of a column are missing.
_WHOLE = re.compile(r'(-?[0-9]+)(\.0+)?')
_BOOLEANS = {'true': '1', 'false': '0'}


def class_names(where: str, labels: Sequence[str]) -> tuple[str, ...]:
  """The different labels, in order: by value if all are whole numbers.

  Args:
    where: what they are the labels of, for the message.
    labels: of the examples, as text.

  Raises:
    UserError: there are fewer than two, or one cannot be written to a file.
  """
  names = set(labels)
  bad = next((name for name in names if not typed.is_text(name)), None)
  if bad is not None:
    raise UserError(f'{where}: label {bad!r} is no text of Unicode: rename it')
  if len(names) < 2:
    only = f', {next(iter(names))!r}' if names else ''
    raise UserError(
      f'{where} has {len(names)} class{only}: at least 2 are needed'
    )
  if all(_NUMBER.fullmatch(name) for name in names):
    return tuple(sorted(names, key=lambda name: (int(name), name)))
  return tuple(sorted(names))


def written_alike(
  columns: Sequence[Sequence[str | None]],
) -> list[list[str | None]]:
  """Labels with each class written in one way, where all are whole numbers.

  '0.0' becomes '0', as pandas writes it where a column has missing values; and
  beside numbers True becomes '1', False '0'. Other labels stay as they are.

  Args:
    columns: labels, clean labels, ... of one data set; None: not known.
  """
  known = {text for column in columns for text in column if text is not None}
  whole = {text: _WHOLE.fullmatch(text) for text in known}
  made: dict[str | None, str | None] = {
    text: _BOOLEANS.get(text.lower()) if match is None else match[1]
    for text, match in whole.items()
  }
  if None in made.values() or not any(whole.values()):
    return [list(column) for column in columns]
  made[None] = None
  return [[made[text] for text in column] for column in columns]


def check_clean_labels(
  where: str, labels: Sequence[str | None], clean: Sequence[str | None]
) -> None:
  """Checks that clean labels name the classes that the labels name.

  Args:
    where: what they are the labels of, for the message.
    labels: as text.
    clean: the true ones; None: not known.

  Raises:
    UserError: they have no class in common.
  """
  known = [text for text in clean if text is not None]
  if known and labels and not set(known) & set(labels):
    raise UserError(
      f'{where}: no clean label, such as {known[0]!r}, is also a label, such as'
      f' {labels[0]!r}: write the classes of both alike'
    )


def numbers(
  names: Sequence[str], labels: Sequence[str | None]
) -> Int32[np.ndarray, ' N']:
  """The labels' places among the names; -1 for None."""
  places: dict[str | None, int] = {name: k for k, name in enumerate(names)}
  places[None] = -1
  return np.array([places[label] for label in labels], np.int32)


def digest(content: bytes) -> bytes:
  """16 bytes that are the same for the same content."""
  return hashlib.blake2b(content, digest_size=16).digest()


def warnings(names: Sequence[str], parts: Sequence[Part]) -> list[str]:
  """What the user should look at: rare classes, alike labels, copies, ...

  Args:
    names: of the classes.
    parts: the training split, and the test split if there is one.
  """
  return [
    *_rare(names, parts[0].label),
    *_alike(names),
    *_copies(parts),
    *_constant(np.asarray(parts[0].image)),
  ]


def _rare(names: Sequence[str], labels: np.ndarray) -> list[str]:
  counts = np.bincount(labels, minlength=len(names))
  lines = []
  for number, what in ((0, 'no training example'), (1, 'one training example')):
    rare = [repr(names[k]) for k in np.flatnonzero(counts == number).tolist()]
    if rare:
      lines.append(
        f'{_count(rare, "class", "classes")} with {what}: ' + some(rare)
      )
  return lines


def _alike(names: Sequence[str]) -> list[str]:
  groups: dict[str, list[str]] = {}
  for name in names:
    groups.setdefault(' '.join(name.split()).casefold(), []).append(name)
  return [
    f'labels {" and ".join(map(repr, group))} differ only by case or spaces,'
    ' and are used as different classes'
    for group in groups.values()
    if len(group) > 1
  ]


def _copies(parts: Sequence[Part]) -> list[str]:
  """Examples of equal content: within a class, across classes and splits."""
  is_image = np.asarray(parts[0].image).ndim > 2
  what = 'images' if is_image else 'rows'
  first: dict[bytes, tuple[int, int]] = {}
  found: dict[str, list[tuple[str, str]]] = {}
  for p, part in enumerate(parts):
    for i, key in enumerate(part.digests or ()):
      q, j = first.setdefault(key, (p, i))
      if (q, j) == (p, i):
        continue
      if q != p:
        kind = f'test {what} that are copies of training {what}'
      elif part.label[i] == parts[q].label[j]:
        kind = f'copies of {what} with the same label'
      else:
        kind = f'copies of {what} with another label'
      pair = str(part.ids[i]), str(parts[q].ids[j])
      found.setdefault(kind, []).append(pair)
  return [
    f'{kind}: {len(pairs):,}, such as {pairs[0][0]} of {pairs[0][1]}'
    for kind, pairs in sorted(found.items())
  ]


def _constant(images: np.ndarray) -> list[str]:
  """Features that tell nothing."""
  if images.ndim != 2:
    return []
  std = features.statistics(images)[1]
  found = np.flatnonzero(std == features.CONSTANT).astype(str).tolist()
  if not found:
    return []
  return [
    f'{_count(found, "feature", "features")} of the same value in all training'
    f' examples, not used: {some(found)}'
  ]


def by_class(
  names: Sequence[str], parts: Sequence[Part]
) -> dict[str, dict[str, int]]:
  """The number of examples by class, of each split."""
  return {
    split: dict(
      zip(
        names,
        np.bincount(part.label, minlength=len(names)).tolist(),
        strict=True,
      )
    )
    for split, part in zip(SPLITS, parts, strict=False)
  }


def lines(summary: Mapping[str, Any]) -> list[str]:
  """A summary as text, for the screen."""
  if not summary:
    return []
  what = 'feature vectors of {} numbers'
  if len(summary['image_shape']) > 1:
    what = 'images of {} x {} pixels, {} channel(s)'
  what = what.format(*summary['image_shape'])
  shown = [f'{summary["path"]} ({summary["source"]}): {what}']
  for split, counts in summary['classes'].items():
    each = [f'{name!r} {number}' for name, number in counts.items()]
    shown.append(
      f'{split}: {sum(counts.values()):,} examples,'
      f' {len(counts)} classes: {some(each)}'
    )
  shown += summary['notes']
  unreadable = summary['unreadable']
  if unreadable:
    shown.append(
      f'warning: {_count(unreadable, "file", "files")} left out, named in'
      f' data.json; the first: {unreadable[0]["file"]}'
      f' ({unreadable[0]["reason"]})'
    )
  shown += [f'warning: {line}' for line in summary['warnings']]
  return [one_line(line) for line in shown]


def some(items: Sequence[str]) -> str:
  """The first few of a list, and how many more there are."""
  more = len(items) - _SHOWN
  return ', '.join([*items[:_SHOWN], *([f'{more:,} more'] if more > 0 else [])])


def _count(items: Sequence[Any], one: str, many: str) -> str:
  return f'{len(items):,} {one if len(items) == 1 else many}'
