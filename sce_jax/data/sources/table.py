"""A table of image files and labels: CSV, TSV, JSON lines or Parquet.

Columns: `file_name` (or `path`, or `image`), relative to the table's folder,
and `label`, a text or number; optional `split` and `clean_label`, which may be
empty. As Hugging Face's imagefolder has it.
"""

from collections.abc import Sequence
import json
import math
import os
import pathlib
import posixpath
from typing import Any

from sce_jax.data import image_files
from sce_jax.data.data_config import DataConfig
from sce_jax.data.sources import listed, place, summary
from sce_jax.data.sources.columns import Columns
from sce_jax.data.sources.listed import SPLIT_NAMES, TRAIN, Listing
from sce_jax.errors import UserError, reason_of

EXTENSIONS = ('.csv', '.tsv', '.jsonl', '.parquet')
FILE_COLUMNS = ('file_name', 'path', 'image')


def read(data_config: DataConfig, data_dir: str | None) -> Columns:
  """Reads config.data.path, a table or a folder with one.

  Args:
    data_config: the `data` section of a config.
    data_dir: not used.

  Raises:
    UserError: it is no table of images that are there.
  """
  del data_dir
  path = place.path(data_config)
  if path.is_dir():
    tables = find(path)
    if len(tables) != 1:
      raise UserError(
        f'{path} holds {len(tables)} tables ({", ".join(EXTENSIONS)}): name one'
        ' with config.data.path'
      )
    path = tables[0]
  return listed.read(_listing(path), data_config)


def find(folder: pathlib.Path) -> list[pathlib.Path]:
  """The tables that lie in a folder."""
  return sorted(
    file
    for file in folder.iterdir()
    if file.suffix.lower() in EXTENSIONS
    and not image_files.is_hidden(file.name)
    and file.is_file()
  )


def misfit(path: pathlib.Path) -> str | None:
  """Why a file is no table with the columns that are needed; None: it is."""
  try:
    _columns(path, _rows(path)[0])
  except UserError as error:
    return str(error)
  return None


def _listing(path: pathlib.Path) -> Listing:
  header, rows = _rows(path)
  columns = _columns(path, header)
  kinds, labels, clean_labels = [], [], []
  first: dict[str, int] = {}
  unlabelled = []
  for number, row in enumerate(rows):
    where = f'{path}, row {number + 1}'
    name, label, split, clean = (
      '' if column is None else _text(f'{where}: {header[column]}', row[column])
      for column in columns
    )
    if not name.strip():
      raise UserError(f'{where} has no {header[columns[0] or 0]}')
    name = posixpath.normpath(name)
    if name in first:
      raise UserError(
        f'{path}: {name!r} stands twice, in rows {first[name] + 1} and'
        f' {number + 1}: keep one of them'
      )
    first[name] = number
    if not label.strip():
      unlabelled.append(number)
      continue
    kind = SPLIT_NAMES.get(split.strip().lower() or TRAIN)
    if kind is None:
      raise UserError(
        f'{where}: split is {split!r}: use one of {", ".join(SPLIT_NAMES)}'
      )
    kinds.append(kind)
    labels.append(label)
    clean_labels.append(clean if clean.strip() else None)
  if unlabelled:
    raise UserError(
      f'{path}: {len(unlabelled)} of {len(rows)} rows have no label, the first'
      f' is row {unlabelled[0] + 1}: label them or take them out'
    )
  if not rows:
    raise UserError(f'{path} has no rows')
  gone = listed.missing(path.parent, list(first))
  if gone:
    raise UserError(
      f'{path}: {len(gone)} of {len(first)} files are not there, the first is'
      f' {gone[0][:200]!r}; names are relative to {path.parent}'
    )
  texts = summary.written_alike([labels, clean_labels])
  files: dict[str, list[tuple[str, str, str | None]]] = {}
  for kind, name, text, true in zip(kinds, first, *texts, strict=True):
    files.setdefault(kind, []).append((name, str(text), true))
  return Listing(
    f'table, {path.name}',
    str(path),
    path.parent,
    files,
    columns[3] is not None,
    tuple(_unlisted(path.parent, list(first))),
  )


def _unlisted(root: pathlib.Path, names: Sequence[str]) -> list[str]:
  """A warning if images lie beside the table's that it does not name."""
  listed_names = set(names)
  found = [
    posixpath.normpath(posixpath.join(folder, name))
    for folder in sorted({posixpath.dirname(name) for name in names})
    for name in os.listdir(root / folder)
    if image_files.is_image(name) and not image_files.is_hidden(name)
  ]
  others = sorted(set(found) - listed_names)
  if not others:
    return []
  return [
    f'{len(others):,} images beside those of the table are not in it, such as'
    f' {others[0]}'
  ]


def _columns(
  path: pathlib.Path, header: Sequence[str]
) -> tuple[int | None, ...]:
  """The places of file name, label, split and clean label; None: not there."""
  names = [name.strip().lower() for name in header]
  file_name = next((name for name in FILE_COLUMNS if name in names), None)
  if file_name is None or 'label' not in names:
    raise UserError(
      f'{path} lacks the column {"label" if file_name else "file_name"!r}: it'
      ' must have file_name (or path, or image) and label; it has'
      f' {", ".join(map(repr, header[:20])) or "none"}'
    )
  wanted = (file_name, 'label', 'split', 'clean_label')
  for name in wanted:
    if names.count(name) > 1:
      raise UserError(f'{path} has the column {name!r} twice: rename one')
  return tuple(names.index(name) if name in names else None for name in wanted)


def _rows(path: pathlib.Path) -> tuple[list[str], list[list[Any]]]:
  """Header and rows.

  Raises:
    UserError: the file cannot be read as what its name says.
  """
  suffix = path.suffix.lower()
  try:
    if suffix == '.jsonl':
      return _json_lines(path)
    import pandas as pd  # noqa: PLC0415  Other data need not wait for it.

    if suffix == '.parquet':
      frame = pd.read_parquet(path).astype(object)
      frame = frame.where(frame.notna(), None)
    else:
      frame = pd.read_csv(
        path,
        sep='\t' if suffix == '.tsv' else ',',
        dtype=str,
        header=None,
        keep_default_na=False,
        encoding='utf-8-sig',
        index_col=False,
      )
      header = [str(x) for x in frame.iloc[0]]
      return header, frame.iloc[1:].to_numpy(object).tolist()
    return [str(x) for x in frame.columns], frame.to_numpy(object).tolist()
  except ImportError as error:
    raise UserError(
      f'{path}: a Parquet file needs pyarrow: pip install pyarrow ({error})'
      if suffix == '.parquet'
      else f'{path} cannot be read: {error}'
    ) from None
  except Exception as error:  # noqa: BLE001  Of any parser.
    line = reason_of(error)
    raise UserError(f'{path} cannot be read as {suffix}: {line}') from None


def _json_lines(path: pathlib.Path) -> tuple[list[str], list[list[Any]]]:
  records = []
  text = path.read_text(encoding='utf-8-sig')
  for number, line in enumerate(text.split('\n')):
    if not line.strip():
      continue
    try:
      record = json.loads(line)
    except (ValueError, RecursionError) as error:
      raise ValueError(f'line {number + 1}: {error}') from None
    if not isinstance(record, dict):
      raise ValueError(f'line {number + 1} is no object')
    records.append(record)
  header = list({name: None for record in records for name in record})
  return header, [[record.get(name) for name in header] for record in records]


def _text(where: str, value: Any) -> str:
  """A cell as text: whole numbers without a point, what is missing empty.

  Raises:
    UserError: it is neither a text nor a number, but images themselves, say.
  """
  if isinstance(value, bytes):
    value = value.decode(errors='replace')
  if value is not None and not isinstance(value, str | int | float):
    raise UserError(
      f'{where} is of type {type(value).__name__}: give texts or numbers, and'
      ' images as names of files'
    )
  if value is None or value != value:  # NaN is what is missing, too.
    return ''
  if isinstance(value, float) and math.isfinite(value) and value.is_integer():
    value = int(value)
  return str(value)
