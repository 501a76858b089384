"""The folder that a preparation leaves: what is in it, and how it is opened.

DATA_DIR/NAME/short256-q90/
  manifest.json                     what follows describes; written last
  index-DIGEST.npz                  a row for each image that can be read
  unreadable.csv                    file,reason
  shards/SPLIT-00012.array_record   images, as decode.jpeg makes them
  shards/SPLIT-00012.json           written after its shard, which is then whole

A record is the content of a JPEG file and nothing else; of an image that cannot
be read it is empty, so that numbers stay what they are. Records of all shards
are numbered in the manifest's order of shards. Of each split a part may be
prepared, which begins at its beginning: a random sample, see listing.Rows.

The index has the arrays `name` (the file's, UTF-8), `split` (the place among
the manifest's splits), `noisy_label` and `clean_label` (-1: not known),
`record` and `example_id`.
"""

from collections.abc import Mapping
import csv
import dataclasses
import io
import json
import pathlib
from typing import Any, TypedDict

from jaxtyping import Int32, Int64, Shaped
import numpy as np

from sce_jax.data import records
from sce_jax.data.sources import summary
from sce_jax.data.sources.web import listing
from sce_jax.errors import UserError
from sce_jax.storage import typed
from sce_jax.storage.typed import Count

FORMAT = 1
MANIFEST, UNREADABLE, SHARDS = 'manifest.json', 'unreadable.csv', 'shards'
_LABEL = 'noisy_label'
_COLUMNS = (
  'name',
  'split',
  _LABEL,
  'clean_label',
  'record',
  'example_id',
)


class _Counts(TypedDict):
  listed: Count
  prepared: Count
  examples: Count


class _Manifest(TypedDict):
  short_side: Count
  quality: Count
  class_names: typed.Classes
  lists: str
  splits: dict[str, _Counts]
  shards: list[str]
  records: list[Count]
  index: str
  both: list[list[Count]] | None
  notes: list[str]
  warnings: list[str]


@dataclasses.dataclass(frozen=True)
class Prepared:
  """A prepared data set.

  Attributes:
    folder: where it is, a local folder.
    manifest: what manifest.json holds.
    index: the arrays of the index, by their names.
  """

  folder: pathlib.Path
  manifest: Mapping[str, Any]
  index: Mapping[str, Shaped[np.ndarray, ' N']]

  @property
  def class_names(self) -> tuple[str, ...]:
    """The names of the classes."""
    return tuple(self.manifest['class_names'])

  def rows(self, split: str) -> Int64[np.ndarray, ' M']:
    """The rows of the index that a split has, in order."""
    splits = list(self.manifest['splits'])
    if split not in splits:
      return np.zeros(0, np.int64)
    return np.flatnonzero(self.index['split'] == splits.index(split))

  def unreadable(self) -> list[dict[str, str]]:
    """Files that could not be read: 'file' and 'reason'."""
    file = self.folder / UNREADABLE
    try:
      text = file.read_bytes().decode()
      rows = list(csv.DictReader(io.StringIO(text, newline='')))
      if not all(x.keys() == {'file', 'reason'} for x in rows):
        raise ValueError('it has other columns than file and reason')
      typed.check(rows, list[dict[str, str]])
    except FileNotFoundError:
      return []
    except (OSError, ValueError, csv.Error) as error:
      raise _damaged(file, error) from None
    return rows

  def prepared(self, split: str) -> int:
    """How many listed images of a split have been prepared."""
    return self.manifest['splits'].get(split, {}).get('prepared', 0)

  def listed(self, split: str) -> int:
    """How many images of a split are listed."""
    return self.manifest['splits'].get(split, {}).get('listed', 0)

  def names(self, rows: Int64[np.ndarray, ' M']) -> Shaped[np.ndarray, ' M']:
    """The files' names of rows of the index, as texts."""
    try:
      names = [x.decode() for x in self.index['name'][rows]]
    except UnicodeDecodeError as error:
      raise _damaged(self.folder / self.manifest['index'], error) from None
    return np.array(names, object)

  def labels(
    self, name: str, rows: Int64[np.ndarray, ' M']
  ) -> Int32[np.ndarray, ' M']:
    """Labels of rows of the index: 'noisy_label' or 'clean_label'."""
    return self.index[name][rows].astype(np.int32)

  def images(self, rows: Int64[np.ndarray, ' M']) -> records.Records:
    """The images of rows of the index."""
    return records.Records(
      tuple(str(self.folder / SHARDS / x) for x in self.manifest['shards']),
      tuple(self.manifest['records']),
      self.index['record'][rows].astype(np.int64),
    )


def _damaged(file: pathlib.Path, error: Exception) -> UserError:
  return UserError(
    f'{file} cannot be read ({error}): remove'
    f' {"it" if file.name == MANIFEST else MANIFEST}, and it is made again from'
    ' the shards'
  )


def read_manifest(folder: pathlib.Path) -> dict[str, Any] | None:
  """The content of manifest.json; None: there is none.

  Raises:
    UserError: it is damaged, or of another version.
  """
  file = folder / MANIFEST
  try:
    manifest = json.loads(file.read_bytes())
  except FileNotFoundError:
    return None
  except (OSError, ValueError, RecursionError) as error:
    raise _damaged(file, error) from None
  if not isinstance(manifest, dict) or manifest.get('format') != FORMAT:
    raise UserError(
      f'{folder} was prepared by another version of sce_jax: name another'
      ' folder with --data_dir, or remove it'
    )
  try:
    _check_manifest(manifest)
  except ValueError as error:
    raise _damaged(file, error) from None
  return manifest


def _check_manifest(manifest: Mapping[str, Any]) -> None:
  """Checks that the values are what was written, and fit together."""
  typed.check(manifest, _Manifest)
  for name in (manifest['index'], *manifest['shards']):
    # It is also written, where the folder mirrors one in a cloud.
    if name in ('', '.', '..') or {'/', '\0'} & {*name}:
      raise ValueError(f'{name!r} is no file of this folder')
  records = manifest['records']
  if len(records) != len(manifest['shards']) or sum(records) >= typed.MOST:
    raise ValueError('its records are not those of its shards')
  both, size = manifest['both'], len(manifest['class_names'])
  if both is not None and [len(x) for x in both] != [size] * size:
    raise ValueError(f'it has {size} classes, and other counts')
  counts = [n for row in both or () for n in row]
  if counts and not 0 < sum(counts) < typed.MOST:
    raise ValueError(f'its counts are {sum(counts)} together')


def load(folder: pathlib.Path) -> Prepared | None:
  """Opens a prepared data set; None if there is none.

  Raises:
    UserError: it is damaged, or of another version.
  """
  manifest = read_manifest(folder)
  if manifest is None:
    return None
  file = folder / manifest['index']
  try:
    with (
      open(file, 'rb') as opened,
      np.load(opened, allow_pickle=False) as arrays,
    ):
      index = {name: arrays[name] for name in _COLUMNS}
    _check_index(index, manifest)
  except Exception as error:  # noqa: BLE001  Of several types.
    raise _damaged(file, error) from None
  return Prepared(folder, manifest, index)


def _check_index(
  index: Mapping[str, np.ndarray], manifest: Mapping[str, Any]
) -> None:
  """Checks that an index is of its manifest."""
  splits = list(manifest['splits'])
  size = len(manifest['class_names'])
  limits = {
    'split': (0, len(splits)),
    'noisy_label': (-1, size),
    'clean_label': (-1, size),
    'record': (0, sum(manifest['records'])),
  }
  shape = (len(index['name']),)
  for name, array in index.items():
    kind = np.bytes_ if name == 'name' else np.integer
    if array.shape != shape or not np.issubdtype(array.dtype, kind):
      raise ValueError(f'{name} is {array.dtype} of shape {[*array.shape]}')
    low, end = limits.get(name, (-(2**63), 2**63))
    if name != 'name' and array.size:
      least, most = int(array.min()), int(array.max())
      if not low <= least <= most < end:
        raise ValueError(f'{name} is from {least} to {most}')
  for number, split in enumerate(splits):
    own = index['split'] == number
    if own.sum() != manifest['splits'][split]['examples']:
      raise ValueError(f'it has {own.sum()} examples of {split}')
    name = _LABEL if split == listing.NOISY_TRAIN else 'clean_label'
    if (index[name][own] < 0).any():
      raise ValueError(f'an example of {split} has no label')


def index_file(index: Mapping[str, np.ndarray]) -> tuple[str, bytes]:
  """Name and content of an index."""
  content = io.BytesIO()
  arrays: dict[str, Any] = dict(index)
  np.savez_compressed(content, **arrays)
  made = content.getvalue()
  digest = summary.digest(b''.join(index[x].tobytes() for x in _COLUMNS))
  return f'index-{digest.hex()[:16]}.npz', made


def unreadable_file(reasons: Mapping[str, str]) -> str:
  """A table of what could not be read."""
  made = io.StringIO()
  writer = csv.writer(made, lineterminator='\n')
  writer.writerow(['file', 'reason'])
  writer.writerows(sorted(reasons.items()))
  return made.getvalue()


def make_index(
  splits: Mapping[str, tuple[listing.Rows, np.ndarray, int]],
) -> dict[str, np.ndarray]:
  """The index.

  Args:
    splits: in the manifest's order: what is listed, which of it can be read
      ([n] booleans of the prepared part), and the number of its first record.
  """
  made: dict[str, list[np.ndarray]] = {name: [] for name in _COLUMNS}
  for number, (rows, is_read, first) in enumerate(splits.values()):
    kept = np.flatnonzero(is_read)
    names = [rows.names[i] for i in kept.tolist()]
    made['name'].append(np.array([x.encode() for x in names], np.bytes_))
    made['split'].append(np.full(len(kept), number, np.uint8))
    made['noisy_label'].append(rows.noisy_label[kept])
    made['clean_label'].append(rows.clean_label[kept])
    made['record'].append(first + kept)
    made['example_id'].append(listing.numbers(names))
  return {name: np.concatenate(parts) for name, parts in made.items()}
