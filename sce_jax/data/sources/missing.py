"""Why a data set is not where it was looked for, and what to do about it."""

import difflib
import os
import re

from sce_jax.errors import UserError
from sce_jax.storage import paths

# What tfds writes last: a folder without it is not prepared.
PREPARED = 'dataset_info.json'
_SHOWN = 5


def check_folder(name: str, data_dir: str) -> None:
  """Checks that a tfds folder is not the data set's own folder in it.

  Raises:
    UserError: it is.
  """
  folder, base = paths.path(data_dir), base_name(name)
  if not paths.is_cloud(folder):
    folder = folder.absolute()  # It may be typed as a dot.
  # NAME/VERSION or NAME/CONFIG/VERSION.
  for own in (folder, *list(folder.parents)[:2]):
    if own.name == base and not (folder / base).exists() and _versions(own):
      raise UserError(
        f'{data_dir} is the folder of data set {base!r}, not the one that it'
        f' lies in: give --data_dir={os.fspath(own.parent)} (or TFDS_DATA_DIR)'
      )


def explain(name: str, data_dir: str, wanted: str = '') -> str:
  """What is wrong with where a data set was looked for, in half a sentence.

  Args:
    name: what tfds calls it.
    data_dir: the tfds folder.
    wanted: the version that was looked for, if it is known.
  """
  folder, base = paths.path(data_dir), base_name(name)
  versions = _versions(folder / base) if base else []
  if versions:
    first = f'{base}/{versions[-1]}'
    typed = ':'.join(first.rsplit('/', 1))
    return (
      f'data set {name!r}: of {base!r} only {_some(versions)} is in {data_dir}'
      + (f', not version {wanted}' if wanted else '')
      + f': use --config.data.name={typed}'
    )
  if not paths.is_cloud(folder) and not folder.exists():
    near = [x.name for x in _folders(folder.parent)]
    meant = difflib.get_close_matches(folder.name, near, 1)
    hint = f', but {folder.parent / meant[0]}' if meant else ''
    return (
      f'data set {name!r}: there is no folder {data_dir}{hint}: give the right'
      ' one with --data_dir or TFDS_DATA_DIR'
    )
  others = _folders(folder) if not paths.is_cloud(folder) else []
  names = [other.name for other in others if _versions(other)]
  close = difflib.get_close_matches(base, names, 1)
  return (
    f'data set {name!r} is not in {data_dir}'
    + (f', which holds {_some(names)}' if names else '')
    + (f' (is --config.data.name={close[0]} meant?)' if close else '')
  )


def _versions(folder: paths.Path) -> list[str]:
  """What is prepared of a data set: VERSION or CONFIG/VERSION, in order."""
  if paths.is_cloud(folder):
    files = [
      file
      for file in paths.listing(folder)
      if re.fullmatch(f'([^/]+/){{1,2}}{PREPARED}', file)
    ]
    return [file.removesuffix(f'/{PREPARED}') for file in files]
  found = [*folder.glob(f'*/{PREPARED}'), *folder.glob(f'*/*/{PREPARED}')]
  return sorted(x.parent.relative_to(folder).as_posix() for x in found)


def _folders(folder: paths.Path) -> list[paths.Path]:
  try:
    return sorted(x for x in folder.iterdir() if x.is_dir())
  except OSError:
    return []


def _some(names: list[str]) -> str:
  more = [f'{len(names) - _SHOWN} more'] if len(names) > _SHOWN else []
  return ', '.join(names[:_SHOWN] + more)


def base_name(name: str) -> str:
  """The name of a data set's folder: of NAME/CONFIG:VERSION it is NAME."""
  return re.split('[/:]', name)[0]
