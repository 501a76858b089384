"""Labels in files, for programs that know nothing of this one.

What `save_npz` has written are the classes' numbers, from 0 on. Other files may
have titles of classes, too; and where `info.numbers_are_titles`, their numbers
are titles.
"""

from collections.abc import Callable, Mapping, Sequence
import csv
import functools
import io
import os
from typing import Any

from jaxtyping import Int32, Int64, Integer
import numpy as np

from sce_jax.data import ids as ids_lib
from sce_jax.data import info as info_lib
from sce_jax.errors import UserError, reason_of
from sce_jax.noise import Replaced, checks
from sce_jax.storage import digests, paths

# The label of an example that is not to be used.
DROP = -1
_LABELS = ('ids', 'labels', 'clean_labels')
_REPLACED = ('replaced_ids', 'replaced_by', 'replaced_from')
# Classes that a message names.
_SHOWN = 8
# What a digest begins with that is of both; earlier versions' was of the first.
_OF_ALL = 'all:'


def save_npz(
  path: str | os.PathLike,
  ids: Integer[np.ndarray, ' N'],
  labels: Integer[np.ndarray, ' N'],
  clean_labels: Integer[np.ndarray, ' N'] | None = None,
  replaced: Replaced | None = None,
) -> None:
  """Writes labels to an .npz that plain `numpy.load` reads.

  The arrays are `ids` (int64[N]), `labels` and, where they are known,
  `clean_labels` (int32[N]). Where images were replaced there are
  `replaced_ids`, whose were, and `replaced_by`, ids in the data set that is
  named in `replaced_from`. By `digest`, a text, `read` finds damage. The file
  is written atomically.

  Args:
    path: ends in .npz; its folder exists.
    ids: unique integers naming the examples.
    labels: noisy labels.
    clean_labels: clean labels of the same examples, if they are known.
    replaced: which of the images were replaced; None: none was.

  Raises:
    ValueError: the path or an array is malformed.
    OSError: the file cannot be written.
  """
  path = paths.path(path)
  if path.suffix != '.npz':
    raise ValueError(f'labels are saved as .npz, not as {path.name!r}')
  checks.check_ids(ids)
  checks.check_integers('labels', labels, size=len(ids))
  arrays: dict[str, Any] = {
    'ids': ids.astype(np.int64),
    'labels': labels.astype(np.int32),
  }
  if clean_labels is not None:
    checks.check_integers('clean labels', clean_labels, size=len(ids))
    arrays['clean_labels'] = clean_labels.astype(np.int32)
  if replaced is not None:
    arrays['replaced_ids'] = replaced.ids
    arrays['replaced_by'] = replaced.images
    arrays['replaced_from'] = np.array(replaced.source)
  arrays['digest'] = np.array(_digest(arrays, replaced is not None))
  content = io.BytesIO()
  np.savez_compressed(content, **arrays)
  paths.write(path, content.getvalue())


def read(
  path: str | os.PathLike,
  titles: Sequence[str] = (),
) -> tuple[Int64[np.ndarray, ' N'], Int32[np.ndarray, ' N']]:
  """Reads the ids of examples and their labels.

  Args:
    path: an .npz with the arrays `ids` and `labels`, as `save_npz` writes it,
      or a .csv with the columns `example_id` and `label`.
    titles: of the classes, so that labels may be titles; (): they are the
      classes' numbers.

  Returns:
    The numbers of the ids, see ids.py, and the labels.

  Raises:
    UserError: the file cannot be read, or holds something else; one line.
  """
  return _read(path, {'.npz': _read_npz, '.csv': _read_csv}, _Classes(titles))


def read_clean(path: str | os.PathLike) -> Int32[np.ndarray, ' N'] | None:
  """The true labels that `save_npz` has written, -1 where one is not known.

  None: the file has none. It is one that `read` reads.

  Raises:
    UserError: they are not whole numbers, one for each example.
  """
  arrays = _further_arrays(path)
  if 'clean_labels' not in arrays:
    return None
  clean, size = arrays['clean_labels'], len(arrays['ids'])
  try:
    checks.check_integers('clean labels', clean, size=size)
  except ValueError as error:
    raise UserError(f'{os.fspath(path)}: {error}') from None
  return clean.astype(np.int32)


def read_replaced(path: str | os.PathLike) -> Replaced | None:
  """Which images were replaced, as `save_npz` has written it; None: none was.

  It is a file that `read` reads.

  Raises:
    UserError: `read` cannot read it, or its ids do not fit together.
  """
  ids, _ = read(path)
  arrays = _further_arrays(path)
  if 'replaced_ids' not in arrays:
    return None
  try:
    own = arrays['replaced_ids']
    other = arrays.get('replaced_by', np.zeros(0))
    checks.check_ids(own)
    checks.check_ids(other, size=len(own))
    if not np.isin(own, ids).all():
      raise ValueError('replaced_ids has ids that are not among ids')
  except ValueError as error:
    raise UserError(f'{os.fspath(path)}: {error}') from None
  source = str(arrays.get('replaced_from', ''))
  return Replaced(source, own.astype(np.int64), other.astype(np.int64))


def _further_arrays(path: str | os.PathLike) -> dict[str, np.ndarray]:
  """All arrays of an .npz that `read` reads; none of another file.

  Raises:
    UserError: it is damaged.
  """
  file = paths.path(path)
  if file.suffix != '.npz':
    return {}
  try:
    return _arrays(_content(path))
  except UserError:
    raise
  except ValueError as error:
    raise UserError(f'{os.fspath(path)}: {error}') from None


def read_choices(
  path: str | os.PathLike,
  titles: Sequence[str] = (),
  example_ids: Int64[np.ndarray, ' M'] | None = None,
) -> tuple[Int64[np.ndarray, ' N'], Int32[np.ndarray, ' N']]:
  """Reads what was decided about some examples: their labels, or to drop them.

  Args:
    path: a .csv with the columns `example_id` and `label`, a class or drop, as
      an audit's page saves it.
    titles: as in `read`.
    example_ids: of the training examples, which the choices must be of; None:
      they are not known.

  Returns:
    The numbers of the ids, see ids.py, and the labels; DROP: not to be used.

  Raises:
    UserError: the file cannot be read, holds something else, or names an
      example that is not among these; one line.
  """
  reader = functools.partial(_read_csv, drop='drop')
  return _read(path, {'.csv': reader}, _Classes(titles), example_ids)


class _Classes:
  """The classes that labels in a file may name.

  Args:
    titles: of the classes; (): not known, labels are numbers.
  """

  def __init__(self, titles: Sequence[str]):
    self._places = {title: place for place, title in enumerate(titles)}
    self.numbers_are_titles = info_lib.numbers_are_titles(titles)
    shown = ', '.join(map(repr, titles[:_SHOWN]))
    if len(titles) > _SHOWN:
      shown += f' and {len(titles) - _SHOWN} more'
    if not titles:
      self.what = 'a whole number'
    elif self.numbers_are_titles:
      self.what = f'one of the classes {shown}'
    else:
      self.what = f'one of the classes {shown}, or a whole number'

  def place(self, text: str) -> int:
    """The number of the class that a label names.

    Raises:
      ValueError: it names none.
    """
    for title in (text, text.strip()):
      if title in self._places:
        return self._places[title]
    if self.numbers_are_titles:
      raise ValueError
    return int(text)


def _read(
  path: str | os.PathLike,
  readers: dict[str, Callable[[bytes, _Classes], tuple[Any, np.ndarray]]],
  classes: _Classes,
  example_ids: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
  where = paths.path(path)
  if where.suffix not in readers:
    raise UserError(
      f'{os.fspath(path)}: a file of labels ends in {" or ".join(readers)}'
    )
  content = _content(path)
  try:
    given, labels = readers[where.suffix](content, classes)
    numbers = ids_lib.to_numbers(given)
    checks.check_integers('labels', labels, size=len(numbers))
    limits = np.iinfo(np.int32)
    if (
      labels.size
      and not limits.min <= labels.min() <= labels.max() <= limits.max
    ):
      raise ValueError(f'labels must fit into {limits.dtype}')
  except ValueError as error:
    raise UserError(f'{os.fspath(path)}: {error}') from None
  if example_ids is not None:
    unknown = np.flatnonzero(~np.isin(numbers, example_ids))
    if unknown.size:
      raise UserError(
        f'{os.fspath(path)}: there is no training example'
        f' {str(given[unknown[0]])!r}: are these choices for other data, or do'
        ' config.data.limit or config.data.held_out leave it out?'
      )
  return numbers, labels.astype(np.int32)


def _content(path: str | os.PathLike) -> bytes:
  try:
    return paths.read(paths.path(path))
  except OSError as error:
    raise UserError(
      f'{os.fspath(path)}: the file of labels cannot be read'
      f' ({error.strerror or error})'
    ) from None


def _read_npz(
  content: bytes, classes: _Classes
) -> tuple[np.ndarray, np.ndarray]:
  arrays = _arrays(content)
  labels = arrays['labels']
  is_own = 'digest' in arrays  # Written by `save_npz`.
  is_number = np.issubdtype(labels.dtype, np.integer)
  is_title = is_number and classes.numbers_are_titles and not is_own
  if labels.ndim != 1 or not (is_title or labels.dtype.kind in 'US'):
    return arrays['ids'], labels
  found = {}
  for label in np.unique(labels).tolist():
    text = label.decode() if isinstance(label, bytes) else str(label)
    try:
      found[label] = classes.place(text)
    except ValueError:
      raise ValueError(f'label {text!r} is not {classes.what}') from None
  return arrays['ids'], np.array([found[x] for x in labels.tolist()], np.int64)


def _arrays(content: bytes) -> dict[str, np.ndarray]:
  """The arrays of an .npz file of labels.

  Raises:
    ValueError: it is none, or is damaged.
  """
  arrays = _load(content)
  missing = [name for name in ('ids', 'labels') if name not in arrays]
  if missing:
    raise ValueError(
      f'lacks {", ".join(missing)}: a file of labels holds ids and labels'
    )
  found = str(arrays.get('digest', ''))
  if found and found != _digest(arrays, found.startswith(_OF_ALL)):
    raise ValueError('is damaged (its labels have another digest)')
  return arrays


def _load(content: bytes) -> dict[str, np.ndarray]:
  known = (*_LABELS, *_REPLACED, 'digest')
  try:
    file = np.load(io.BytesIO(content), allow_pickle=False)
    if isinstance(file, np.lib.npyio.NpzFile):
      with file:
        return {name: file[name] for name in known if name in file}
  except Exception as error:  # noqa: BLE001  Of a damaged one, of any type.
    raise ValueError(f'is no .npz file ({reason_of(error)})') from None
  raise ValueError('is a single array, not an .npz file')


def _digest(arrays: Mapping[str, np.ndarray], of_all: bool) -> str:
  """The digest of labels; `of_all`: also of which images were replaced."""
  names = (*_LABELS, *_REPLACED) if of_all else _LABELS
  own = digests.of_arrays(*(arrays[name] for name in names if name in arrays))
  return _OF_ALL + own if of_all else own


def _read_csv(
  content: bytes, classes: _Classes, drop: str | None = None
) -> tuple[list[str], np.ndarray]:
  # newline: or else a \r alone, an old end of lines, is an error of csv's.
  text = io.StringIO(content.decode('utf-8-sig'), newline='')
  try:
    return _read_rows(csv.DictReader(text), classes, drop)
  except csv.Error as error:  # A field that is too long.
    raise ValueError(f'is no table that can be read ({error})') from None


def _read_rows(
  rows: csv.DictReader, classes: _Classes, drop: str | None
) -> tuple[list[str], np.ndarray]:
  missing = {'example_id', 'label'} - set(rows.fieldnames or ())
  if missing:
    raise ValueError(
      f'lacks the column(s) {", ".join(sorted(missing))}: a file of labels has'
      ' a header and the columns example_id and label'
    )
  ids, labels = [], []
  for row in rows:
    try:
      is_dropped = row['label'].strip() == drop
      labels.append(DROP if is_dropped else classes.place(row['label']))
      if drop and not is_dropped and labels[-1] < 0:
        raise ValueError
      ids.append(row['example_id'].strip())
    except (AttributeError, TypeError, ValueError):
      raise ValueError(
        f'line {rows.line_num}: give an example_id, and as label'
        f' {classes.what}{" or drop" if drop else ""}, not'
        f' {row["example_id"]!r} and {row["label"]!r}'
      ) from None
  try:
    return ids, np.array(labels, np.int32)
  except OverflowError:
    raise ValueError('labels must be whole numbers below 2^31') from None
