"""Where a user's own data are: config.data.path."""

import pathlib

from sce_jax.data.data_config import DataConfig
from sce_jax.errors import UserError
from sce_jax.storage import paths


def path(data_config: DataConfig) -> pathlib.Path:
  """The file or folder that config.data.path names.

  Raises:
    UserError: it names none, it is not there, or it is in a cloud.
  """
  given = data_config.path
  if not given:
    raise UserError(
      f'config.data.source={data_config.source} needs the data: give'
      ' --config.data.path=..., a folder of class folders, a table (.csv,'
      ' .tsv, .jsonl, .parquet) or an .npz'
    )
  if paths.is_cloud(given):
    raise UserError(
      f'{given} is in a cloud, where data of your own are not read: copy them'
      ' to this machine'
    )
  found = pathlib.Path(paths.expand(given))
  try:
    is_there = found.exists()
  except (OSError, ValueError):  # Too long, or with a zero byte.
    is_there = False
  if not is_there:
    raise UserError(f'config.data.path: there is no {given}')
  return found
