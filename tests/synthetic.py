"""A small data set in memory, and a config for it."""

from ml_collections import config_dict
import numpy as np

from configs import digits
from sce_jax.data import dataset as dataset_lib


def data(train: int = 44, test: int = 30) -> dataset_lib.Dataset:
  """Random images of digits' shape, with balanced labels."""
  rng = np.random.default_rng(0)
  return dataset_lib.Dataset(
    'digits', _split(rng, train), _split(rng, test), {}
  )


def _split(rng, size):
  label = rng.permutation(np.arange(size, dtype=np.int32) % 10)
  # Each class has a mean image of its own, so that there is much to learn.
  image = rng.integers(0, 9, (size, 8, 8, 1)) + label[:, None, None, None] % 8
  index = np.arange(size, dtype=np.int32)
  return dataset_lib.Split(image.astype(np.uint8), label, label, index)


def config(argument: str = 'sl,symmetric,0.4') -> config_dict.ConfigDict:
  """The digits config on a network with batch norm, two short epochs."""
  c = digits.get_config(argument)
  c.model.name = 'mnist_cnn'
  c.model.layout = 'chwn'
  c.optim.schedule = 'constant'
  c.train.epochs = 2
  c.train.batch_size = 16
  c.eval.batch_size = 16
  c.eval.train_every = 1
  c.checkpoint.every = 1
  return c
