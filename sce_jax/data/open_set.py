"""Training images that are replaced by those of another data set."""

import dataclasses
import os
from typing import NoReturn

import numpy as np

from sce_jax import noise
from sce_jax.data import dataset as dataset_lib
from sce_jax.data import label_files, labels
from sce_jax.data.data_config import DataConfig
from sce_jax.data.dataset import Dataset, Split
from sce_jax.data.labels import NoiseConfig
from sce_jax.data.records import Records
from sce_jax.errors import UserError
from sce_jax.storage import digests, paths

# The true label of an image that is of none of the classes.
_NO_CLASS = -1
# What the name of data of one's own begins with; their digest follows.
_OWN = 'own-'


def key(noise_config: NoiseConfig, seed: int) -> tuple:
  """Equal for runs on one data set that are shown the same images."""
  if not noise_config.open_set_from:
    return ()
  n = noise_config
  return (
    n.open_set_from,
    n.open_set_rate,
    labels.noise_seed(n, seed),
    n.imbalance,
    n.imbalance_ratio,
    n.path if n.name == labels.FROM_FILE else None,
  )


def apply(
  dataset: Dataset,
  data_config: DataConfig,
  noise_config: NoiseConfig,
  seed: int,
  data_dir: str | None = None,
) -> Dataset:
  """The data set with the images replaced that a config says.

  The labels stay; the true label of such an example is none of the classes, -1,
  so that figures that count against true labels leave it out. The test split
  is not touched.

  Args:
    dataset: the data set; one with replaced images is returned as it is.
    data_config: the `data` section of its config.
    noise_config: the `noise` section.
    seed: the config's seed, used if noise_config has none.
    data_dir: the tfds folder.

  Raises:
    UserError: there is no other data set, its images are of another size or too
      few, or a file of labels was made with other images.
  """
  if dataset.replaced is not None:
    return dataset
  name, given = noise_config.open_set_from, None
  if noise_config.name == labels.FROM_FILE and noise_config.path is not None:
    given = label_files.read_replaced(noise_config.path)
    _check_rate(noise_config, given)
  if given is not None and not name:
    _refuse(noise_config.path, given)
  if not name:
    return dataset
  if isinstance(dataset.train.image, Records):
    raise UserError(
      'config.noise.open_set_from replaces images in memory, and those of'
      f' {dataset.info.name!r} are decoded as they are read: leave it out'
    )
  other, source = _other(dataset, data_config, name, data_dir)
  if given is not None and given.source != source:
    _refuse(noise_config.path, given)
  if given is None:
    rows = labels.left_rows(dataset, noise_config, seed)
    try:
      given = noise.replace(
        dataset.train.example_id[rows],
        other.example_id,
        source,
        noise_config.open_set_rate,
        labels.noise_seed(noise_config, seed),
      )
    except ValueError as error:
      raise UserError(str(error)) from None
  return _replaced(dataset, other, given)


def lines(dataset: Dataset, name: str | None) -> list[str]:
  """What the screen says of the replaced images.

  Args:
    dataset: what `apply` returned.
    name: what the config calls the data set that they are of.
  """
  replaced = dataset.replaced
  if replaced is None:
    return []
  return [
    f'{len(replaced.ids):,} training images are replaced by those of {name};'
    ' figures that count against true labels leave them out'
  ]


def _check_rate(
  noise_config: NoiseConfig, given: noise.Replaced | None
) -> None:
  """Checks that either the file or the config says how many are replaced."""
  name, rate = noise_config.open_set_from, noise_config.open_set_rate
  if given is not None and rate:
    raise UserError(
      f'{noise_config.path} says which images are replaced, {len(given.ids):,}'
      f' of them, and config.noise.open_set_rate={rate} how many: leave the'
      ' rate out'
    )
  if given is None and name and not rate:
    raise UserError(
      f'{noise_config.path} does not say which images are replaced by those of'
      f' config.noise.open_set_from={name}: give open_set_rate, or leave both'
      ' out'
    )


def _refuse(path: str | None, given: noise.Replaced) -> NoReturn:
  name = given.source
  what = '' if _is_digest(name) else f'={name}'
  where = ' to these data, wherever they lie' if _is_digest(name) else ''
  raise UserError(
    f'{path}: {len(given.ids):,} images of its examples were replaced by those'
    f' of {name!r}: set --config.noise.open_set_from{what}{where}'
  )


def _is_digest(source: str) -> bool:
  return source.startswith(_OWN)


def _other(
  dataset: Dataset, data_config: DataConfig, name: str, data_dir: str | None
) -> tuple[Split, str]:
  """The training examples of the other data set whose images are new.

  And what its images are known by: a name of tfds is the same everywhere, but
  data of one's own may lie anywhere, so these are known by what they hold.
  """
  is_path = _is_path(name)
  section = dataclasses.replace(
    data_config,
    source='path' if is_path else 'tfds',
    name='open_set' if is_path else name,
    path=name if is_path else None,
    held_out=0.0,
    mean=None,
    std=None,
    label_sets={},
    limit=None,
    relabel=None,
  )
  try:
    other = dataset_lib.load_on_all_processes(section, data_dir).train
  except UserError as error:
    raise UserError(f'config.noise.open_set_from={name}: {error}') from None
  shape = dataset.train.pixels.shape[1:]
  if other.pixels.shape[1:] != shape:
    sizes = ['x'.join(map(str, x)) for x in (other.pixels.shape[1:], shape)]
    raise UserError(
      f'config.noise.open_set_from={name} has images of {sizes[0]}, and'
      f' {dataset.info.name!r} of {sizes[1]}: name a data set of the same size'
    )
  source = name
  if is_path:
    ids = other.example_id.astype('<i8')
    source = _OWN + digests.of_arrays(ids, other.pixels)
  own = {image.tobytes() for image in dataset.train.pixels}
  new = [image.tobytes() not in own for image in other.pixels]
  return other.rows(np.flatnonzero(new)), source


def _is_path(name: str) -> bool:
  """Whether this is data of one's own: tfds has NAME and NAME/CONFIG."""
  is_there = os.sep in name and paths.path(name).exists()
  is_file = paths.path(name).suffix[1:].isalpha()
  return is_there or is_file or name.startswith(('.', '~', os.sep))


def _replaced(
  dataset: Dataset, other: Split, replaced: noise.Replaced
) -> Dataset:
  train = dataset.train
  rows = noise.rows_of(train.example_id, replaced.ids)
  theirs = noise.rows_of(other.example_id, replaced.images)
  for what, found, ids in (
    ('training example', rows, replaced.ids),
    (f'image of {replaced.source}', theirs, replaced.images),
  ):
    if (found < 0).any():
      raise UserError(
        f'there is no {what} {ids[np.flatnonzero(found < 0)[0]]}, which the'
        ' file of labels names: is it of other data?'
      )
  image = train.pixels.copy()
  image[rows] = other.pixels[theirs]
  clean = train.clean_label
  if clean is not None:
    clean = clean.copy()
    clean[rows] = _NO_CLASS
  split = dataclasses.replace(train, image=image, clean_label=clean)
  return dataclasses.replace(dataset, train=split, replaced=replaced)
