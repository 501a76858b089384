"""Small random stand-ins for the data sets that must be downloaded.

They lie in tfds's own format under tfds's own names and features, so that the
project's loading code reads them as it would the real ones.
"""

import io
import pathlib

import numpy as np
from PIL import Image
import tensorflow_datasets as tfds

from sce_jax.data.sources import builders

TRAIN, TEST = 56, 40
NAMES = (
  'mnist',
  'fashion_mnist',
  'cifar10',
  'cifar100',
  'cifar10_n',
  'cifar100_n',
)


def write_all(folder: pathlib.Path) -> None:
  """Writes a fake of each data set into a tfds folder."""
  for name in NAMES:
    write(name, folder)


def write(name: str, folder: pathlib.Path) -> None:
  """Writes a fake of one data set."""
  builder = builders.make(name, str(folder), file_format='array_record')
  features = builder.info.features
  pathlib.Path(builder.data_dir).mkdir(parents=True)
  rng = np.random.default_rng(0)
  writer = tfds.core.SequentialWriter(
    builder.info, max_examples_per_shard=10_000, file_format='array_record'
  )
  writer.initialize_splits(['train', 'test'])
  for split, size in (('train', TRAIN), ('test', TEST)):
    writer.add_examples(
      {split: [_example(features, split, i, rng) for i in range(size)]}
    )
  writer.close_splits(['train', 'test'])


def _example(features, split, i, rng):
  example = {}
  for key, feature in features.items():
    if key == 'image':
      pixels = rng.integers(0, 256, feature.shape, np.uint8)
      example[key] = _png(pixels)
    elif key == 'id':
      example[key] = f'{split}_{10 * i}'
    elif key == 'label':
      example[key] = i % feature.num_classes
    elif hasattr(feature, 'num_classes'):
      example[key] = int(rng.integers(feature.num_classes))
    else:
      example[key] = 0
  return example


def _png(pixels):
  buffer = io.BytesIO()
  Image.fromarray(np.squeeze(pixels)).save(buffer, format='png')
  buffer.seek(0)
  return buffer
