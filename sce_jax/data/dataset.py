"""Reads a tfds data set without TensorFlow and applies label noise."""

from collections.abc import Mapping
import dataclasses
import os
from typing import Any
import zlib

from jaxtyping import Float64, Int32, Shaped, UInt8
import numpy as np
import tensorflow_datasets as tfds

from sce_jax import noise
from sce_jax.data import datasets
from sce_jax.data.sources import cloud, prepare
from sce_jax.errors import UserError
from sce_jax.parallel import processes
from sce_jax.storage import paths


@dataclasses.dataclass(frozen=True)
class Split:
  """A split in memory.

  Attributes:
    image: pixels as stored.
    label: the given labels, which the network sees.
    clean_label: the true labels.
    index: the examples' ids: their place in the original training order where
      the data set records it, else in tfds's order.
  """

  image: UInt8[np.ndarray, 'N H W C']
  label: Int32[np.ndarray, ' N']
  clean_label: Int32[np.ndarray, ' N']
  index: Int32[np.ndarray, ' N']

  def __len__(self) -> int:
    return len(self.label)


@dataclasses.dataclass(frozen=True)
class Dataset:
  """A data set in memory, before label noise.

  Attributes:
    name: its key in DATASETS.
    train: the training split; its given labels are the true ones.
    test: the test split, which noise never touches.
    human_labels: the training labels that people gave, by noise name.
  """

  name: str
  train: Split
  test: Split
  human_labels: Mapping[str, Int32[np.ndarray, ' N']]


def read(
  name: str, data_dir: str | None = None, limit: int | None = None
) -> Dataset:
  """Reads a data set, preparing it first if need be.

  Args:
    name: a key of DATASETS.
    data_dir: the tfds folder; None for TFDS_DATA_DIR or tfds's default. One
      in a cloud is copied down, see cloud.py.
    limit: read only so many examples of each split.

  Raises:
    UserError: it cannot be had; the message says what to do.
  """
  builder = _prepared_builder(name, data_dir)
  human = datasets.DATASETS[name].human_labels
  train, human_labels = _read_split(builder, 'train', human, limit)
  test, _ = _read_split(builder, 'test', {}, limit)
  return Dataset(name, train, test, human_labels)


def load_on_all_processes(
  config: Mapping[str, Any], data_dir: str | None
) -> Dataset:
  """A run's data, checked to be the same in all processes.

  Args:
    config: the whole config.
    data_dir: as in `read`.

  Raises:
    UserError: as in `read`, or the processes do not have the same.
  """
  data = processes.on_primary_then_others(
    lambda: read(
      config['data']['name'], data_dir, limit=config['data']['limit']
    )
  )
  if processes.num_processes() > 1:
    splits = {'training': data.train, 'test': data.test}
    processes.check_same(
      {
        f'the {name} data': [
          digest(x) for x in (split.image, split.clean_label, split.index)
        ]
        for name, split in splits.items()
      }
    )
  return data


def digest(array: Shaped[np.ndarray, '...']) -> int:
  """A checksum, by which processes see whether they have the same."""
  return zlib.crc32(array.tobytes())


def apply_label_noise(
  data: Dataset, config: Mapping[str, Any], seed: int
) -> Split:
  """The training split with the label noise of a config.

  Args:
    data: the data set.
    config: the `noise` section of a config.
    seed: the config's seed, used where the noise has none of its own.

  Raises:
    ValueError: the noise does not fit the data set.
  """
  matrix = transition_matrix(data.name, config)
  if matrix is None:
    given = data.human_labels[config['name']]
  else:
    given = noise.corrupt(
      data.train.clean_label,
      matrix,
      seed=seed if config['seed'] is None else config['seed'],
      mode=config['mode'],
      ids=data.train.index,
    )
  return dataclasses.replace(data.train, label=given)


def transition_matrix(
  name: str, config: Mapping[str, Any]
) -> Float64[np.ndarray, 'K K'] | None:
  """The transition matrix that a config's noise is drawn from.

  Args:
    name: a key of DATASETS.
    config: the `noise` section of a config.

  Returns:
    T[i, j] = P(noisy = j | clean = i); None for labels that people gave.

  Raises:
    ValueError: the noise is unknown or does not fit the data set.
  """
  info = datasets.DATASETS[name]
  if config['name'] in info.human_labels:
    return None
  for other, row in datasets.DATASETS.items():
    if config['name'] in row.human_labels:
      raise ValueError(
        f'noise {config["name"]!r} is a human label of data set {other!r}, not'
        f' of {name!r}: use configs/{other}.py'
      )
  return noise.transition_matrix(
    config['name'], info.num_classes, config['rate']
  )


def _prepared_builder(
  name: str, data_dir: str | None
) -> tfds.core.DatasetBuilder:
  data_dir = os.path.expanduser(
    data_dir
    or os.environ.get('TFDS_DATA_DIR')
    or os.path.join('~', 'tensorflow_datasets')
  )
  if paths.is_cloud(data_dir):
    data_dir = cloud.fetch(name, data_dir)
  # Reading looks for what is there; only preparing is told a format.
  builder = tfds.builder(name, data_dir=data_dir)
  if not builder.is_prepared():
    prepare.download_and_prepare(name, data_dir)
    builder = tfds.builder(name, data_dir=data_dir)
  file_format = builder.info.file_format
  if file_format is None or file_format.value != 'array_record':
    stored = file_format.value if file_format else 'unknown format'
    raise UserError(
      f'data set {name!r} in {builder.data_path} is stored as {stored}, which'
      ' only TensorFlow reads: convert it with `tfds convert_format'
      f' --dataset_dir={builder.data_path} --out_file_format=array_record'
      ' --out_path=NEW_DIR/...`, or name another folder with --data_dir'
    )
  return builder


def _read_split(
  builder: tfds.core.DatasetBuilder,
  split: str,
  human: Mapping[str, str],
  limit: int | None,
) -> tuple[Split, dict[str, np.ndarray]]:
  source = builder.as_data_source(split=split)
  records = source.__getitems__(range(len(source))[:limit])

  def column(feature):
    return np.array([r[feature] for r in records], np.int32)

  label = column('label')
  index = np.arange(len(records), dtype=np.int32)
  if 'id' in builder.info.features:
    index = np.array([_number(r['id']) for r in records], np.int32)
  data = Split(np.stack([r['image'] for r in records]), label, label, index)
  return data, {name: column(feature) for name, feature in human.items()}


def _number(identifier: Any) -> int:
  # CIFAR's is text, b'train_16399'.
  if isinstance(identifier, bytes):
    return int(identifier.rpartition(b'_')[2])
  return int(identifier)
