"""A folder with a folder for each class: root/class/... or root/split/class/...

As in torchvision, tfds and Keras: the class is the first folder's name, files
may lie deeper, links are followed, hidden files and folders are left out.
"""

import collections
from collections.abc import Collection, Mapping, Sequence
import itertools
import pathlib
import posixpath

from sce_jax.data import image_files
from sce_jax.data.data_config import DataConfig
from sce_jax.data.sources import listed, place, summary
from sce_jax.data.sources.columns import Columns
from sce_jax.data.sources.listed import SPLIT_NAMES, TRAIN, Listing
from sce_jax.errors import UserError


def read(data_config: DataConfig, data_dir: str | None) -> Columns:
  """Reads config.data.path, a folder of class folders.

  Args:
    data_config: the `data` section of a config.
    data_dir: not used.

  Raises:
    UserError: it is no such folder.
  """
  del data_dir
  path = place.path(data_config)
  if not path.is_dir():
    raise UserError(f'{path} is a file, not a folder of class folders')
  return listed.read(find(path), data_config)


def find(path: pathlib.Path) -> Listing:
  """Lists the images of a folder, in order of their names.

  Raises:
    UserError: there are none, or splits stand beside classes, or beside folders
      that seem to be splits of an unknown name.
  """
  found: dict[str, list[str]] = {}
  loose: list[str] = []
  others: list[str] = []
  for file in image_files.find(path, others):
    first, slash, _ = file.partition('/')
    if slash:
      found.setdefault(first, []).append(file)
    else:
      loose.append(file)
  if not found:
    what = (
      f'{len(loose)} images, but not in class folders'
      if loose
      else (f'no images ({", ".join(image_files.EXTENSIONS)})')
    )
    raise UserError(
      f'{path} holds {what}: give a folder with a folder for each class, such'
      ' as cats/1.jpg and dogs/2.jpg, or a table of files and labels'
    )
  warnings = []
  if loose:
    warnings.append(
      f'{len(loose)} image(s) in no class folder are left out, such as'
      f' {loose[0]}'
    )
  warnings += _other_files(others)
  splits = {name: SPLIT_NAMES.get(name.lower()) for name in found}
  named = {split for split in splits.values() if split is not None}
  files: dict[str, list[tuple[str, str, str | None]]] = {}
  if TRAIN not in named and None not in splits.values():
    raise UserError(
      f'{path} has {" and ".join(map(repr, found))}, but no folder train: give'
      ' that name to the images that are to be trained on'
    )
  _check_siblings(path, found, splits)
  if TRAIN not in named or (None in splits.values() and len(named) < 2):
    # All are classes: one may be called test, and of vehicles one is a train.
    warnings += _empty(path, '', found)
    files[TRAIN] = [
      (file, name, None) for name, own in found.items() for file in own
    ]
    return Listing('folder', str(path), path, files, False, tuple(warnings))
  other = [name for name, split in splits.items() if split is None]
  if other:
    raise UserError(
      f'{path} has folders of splits and {other[0]!r} beside them: keep either'
      f' splits ({", ".join(SPLIT_NAMES)}) or classes in one folder'
    )
  warnings += _empty(path, '', found)
  for name, own in found.items():
    classes = {file.split('/')[1] for file in own}
    warnings += _empty(path / name, f'{name}/', classes)
    for file in own:
      parts = file.split('/')
      if len(parts) < 3:
        raise UserError(
          f'{path / file} lies in a split, but in no class folder: put it into'
          ' one'
        )
      files.setdefault(str(splits[name]), []).append((file, parts[1], None))
  return Listing('folder', str(path), path, files, False, tuple(warnings))


def _check_siblings(
  path: pathlib.Path,
  found: Mapping[str, Sequence[str]],
  splits: Mapping[str, str | None],
) -> None:
  """Refuses a split beside a folder of the same classes that is no split.

  Both would be taken for classes.
  """
  classes = {
    name: {file.split('/')[1] for file in own if file.count('/') > 1}
    for name, own in found.items()
  }
  for name, other in itertools.product(found, repeat=2):
    shared = sorted(classes[name] & classes[other])
    if splits[name] is not None and splits[other] is None and shared:
      raise UserError(
        f'{path}: {name!r} is the name of a split, and {other!r} is not, but'
        f' both have a folder {shared[0]!r}: call splits'
        f' {", ".join(SPLIT_NAMES)}, or rename {name!r} if it is a class'
      )


def _other_files(names: Sequence[str]) -> list[str]:
  """A warning if class folders have files that are not called as images are."""
  counts = collections.Counter(
    posixpath.splitext(name)[1].lower() for name in names if '/' in name
  )
  if not counts:
    return []
  each = [
    f'{count:,} {ending or "without an ending"}'
    for ending, count in counts.most_common()
  ]
  return [
    f'{counts.total():,} files in class folders are left out, for their names'
    f' do not end in {", ".join(image_files.EXTENSIONS)}: {summary.some(each)};'
    ' a table can name image files of any ending'
  ]


def _empty(
  folder: pathlib.Path, prefix: str, found: Collection[str]
) -> list[str]:
  """A warning if folders have no images below them."""
  empty = sorted(
    prefix + x.name
    for x in folder.iterdir()
    if not image_files.is_hidden(x.name) and x.name not in found and x.is_dir()
  )
  if not empty:
    return []
  shown = summary.some([repr(name) for name in empty])
  return [f'{len(empty)} folder(s) without images: {shown}']
