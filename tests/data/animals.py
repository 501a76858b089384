"""A small data set of another name, other features, and no test split."""

from collections.abc import Mapping, Sequence
import pathlib
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

CLASSES = ('ape', 'bee', 'cow')
SHAPE = (8, 6, 3)
PICTURE = tfds.features.Tensor(shape=SHAPE, dtype=np.uint8)
KIND = tfds.features.ClassLabel(names=CLASSES)
SIZE = 48


def picture(i: int) -> np.ndarray:
  """The picture of example i."""
  return np.random.default_rng(i).integers(0, 256, SHAPE, np.uint8)


def examples(*kinds: int, **more: Any) -> list[dict[str, Any]]:
  """An example of each kind."""
  return [
    {'picture': picture(i), 'kind': kind, **more}
    for i, kind in enumerate(kinds)
  ]


def write(
  folder: pathlib.Path,
  features: Mapping[str, Any] | None = None,
  splits: Mapping[str, Sequence[Any]] | None = None,
  supervised: tuple[str, str] | None = None,
) -> None:
  """Writes the data set 'animals', of which only its files tell.

  Args:
    folder: the tfds folder.
    features: by name; None: 'picture' and 'kind'.
    splits: the examples of each split; None: SIZE to train on.
    supervised: which features are input and target, if the data set says so.
  """
  if features is None:
    features = {'picture': PICTURE, 'kind': KIND}
  if splits is None:
    splits = {'train': examples(*(i % 3 for i in range(SIZE)))}
  identity = tfds.core.DatasetIdentity(
    name='animals',
    version=tfds.core.Version('1.0.0'),
    data_dir=str(folder / 'animals' / '1.0.0'),
    module_name='',
  )
  pathlib.Path(identity.data_dir).mkdir(parents=True)
  writer = tfds.core.SequentialWriter(
    tfds.core.DatasetInfo(
      builder=identity,
      features=tfds.features.FeaturesDict(features),
      supervised_keys=supervised,
    ),
    max_examples_per_shard=1000,
    file_format='array_record',
  )
  writer.initialize_splits(list(splits))
  writer.add_examples(splits)
  writer.close_all()
