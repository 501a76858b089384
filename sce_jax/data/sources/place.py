"""Where data are: config.data.path, and --data_dir."""

import os
import pathlib

from sce_jax.data.data_config import DataConfig
from sce_jax.errors import UserError
from sce_jax.storage import paths

_OWN = (
  'a folder of class folders, a table (.csv, .tsv, .jsonl, .parquet) or an .npz'
)


def path(data_config: DataConfig, what: str = _OWN) -> pathlib.Path:
  """The file or folder that config.data.path names.

  Args:
    data_config: the `data` section of a config.
    what: it must be, for messages.

  Raises:
    UserError: it names none, it is not there, or it is in a cloud.
  """
  given = data_config.path
  if not given:
    raise UserError(
      f'config.data.source={data_config.source} needs the data: give'
      f' --config.data.path=..., {what}'
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


def folder(data_config: DataConfig, what: str) -> pathlib.Path:
  """As `path`, but a folder.

  Raises:
    UserError: as in `path`, or it is a file.
  """
  found = path(data_config, f'the folder with {what}')
  if not found.is_dir():
    raise UserError(f'{found} is a file: give the folder with {what}')
  return found


def data_dir(given: str | None) -> str:
  """The folder of prepared data: the given one, or TFDS_DATA_DIR or tfds's own.

  Raises:
    UserError: it is below a home that there is not.
  """
  named = given or os.environ.get('TFDS_DATA_DIR')
  try:
    return paths.expand(named or os.path.join('~', 'tensorflow_datasets'))
  except UserError as error:
    raise UserError(f'{error}, with --data_dir or TFDS_DATA_DIR') from None
