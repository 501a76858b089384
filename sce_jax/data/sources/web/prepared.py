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
from typing import Any

from jaxtyping import Int32, Int64, Shaped
import numpy as np

from sce_jax.data import records
from sce_jax.data.sources import summary
from sce_jax.data.sources.web import listing
from sce_jax.errors import UserError

FORMAT = 1
MANIFEST, UNREADABLE, SHARDS = 'manifest.json', 'unreadable.csv', 'shards'
_COLUMNS = (
  'name',
  'split',
  'noisy_label',
  'clean_label',
  'record',
  'example_id',
)


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
    try:
      text = (self.folder / UNREADABLE).read_text()
    except OSError:
      return []
    return list(csv.DictReader(io.StringIO(text)))

  def prepared(self, split: str) -> int:
    """How many listed images of a split have been prepared."""
    return self.manifest['splits'].get(split, {}).get('prepared', 0)

  def listed(self, split: str) -> int:
    """How many images of a split are listed."""
    return self.manifest['splits'].get(split, {}).get('listed', 0)

  def names(self, rows: Int64[np.ndarray, ' M']) -> Shaped[np.ndarray, ' M']:
    """The files' names of rows of the index, as texts."""
    return np.array([x.decode() for x in self.index['name'][rows]], object)

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


def load(folder: pathlib.Path) -> Prepared | None:
  """Opens a prepared data set; None if there is none.

  Raises:
    UserError: it is damaged, or of another version.
  """
  try:
    manifest = json.loads((folder / MANIFEST).read_bytes())
  except FileNotFoundError:
    return None
  except (OSError, ValueError) as error:
    raise UserError(
      f'{folder / MANIFEST} cannot be read ({error}): remove it, and the index'
      ' is made again from the shards'
    ) from None
  if not isinstance(manifest, dict) or manifest.get('format') != FORMAT:
    raise UserError(
      f'{folder} was prepared by another version of sce_jax: name another'
      ' folder with --data_dir, or remove it'
    )
  try:
    with np.load(folder / manifest['index'], allow_pickle=False) as arrays:
      index = {name: arrays[name] for name in _COLUMNS}
  except Exception as error:  # noqa: BLE001  Of several types.
    raise UserError(
      f'{folder / str(manifest.get("index"))} cannot be read ({error}): remove'
      f' {MANIFEST}, and it is made again from the shards'
    ) from None
  return Prepared(folder, manifest, index)


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
