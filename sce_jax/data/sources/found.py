"""Data of one's own, whose kind is found by looking at config.data.path."""

from collections.abc import Sequence
import dataclasses
import pathlib

from sce_jax.data.data_config import DataConfig
from sce_jax.data.sources import folder, npz, place, table
from sce_jax.data.sources.columns import Columns
from sce_jax.errors import UserError


def read(data_config: DataConfig, data_dir: str | None) -> Columns:
  """Reads config.data.path: a folder, a table or an .npz.

  A folder with one table that names files and labels is a table; any other is
  a folder of class folders.

  Args:
    data_config: the `data` section of a config.
    data_dir: not used.

  Raises:
    UserError: it is none of them, or cannot be used as what it is.
  """
  path = place.path(data_config)
  suffix = path.suffix.lower()
  if path.is_dir():
    tables = table.find(path)
    reasons = [table.misfit(x) for x in tables]
    if reasons == [None]:
      return table.read(data_config, data_dir)
    return _read_folder(data_config, data_dir, tables, reasons)
  if suffix in table.EXTENSIONS:
    return table.read(data_config, data_dir)
  if suffix == '.npz':
    return npz.read(data_config, data_dir)
  raise UserError(
    f'{path} cannot be used: give a folder of class folders, a table'
    f' ({", ".join(table.EXTENSIONS)}) or an .npz'
  )


def _read_folder(
  data_config: DataConfig,
  data_dir: str | None,
  tables: Sequence[pathlib.Path],
  reasons: Sequence[str | None],
) -> Columns:
  """Reads class folders, and says why the tables beside them are not used."""
  several = f'there are {len(tables)} tables: name one with config.data.path'
  warnings = [
    f'{path.name} beside the folders is not used: {reason or several}'
    for path, reason in zip(tables, reasons, strict=True)
  ]
  try:
    columns = folder.read(data_config, data_dir)
  except UserError as error:
    raise UserError('; '.join([str(error), *warnings])) from None
  told = columns.summary
  told = {**told, 'warnings': [*warnings, *told['warnings']]}
  return dataclasses.replace(columns, summary=told)
