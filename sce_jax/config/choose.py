"""Fields that a config may leave to the data, as None.

configs/own.py does, because nobody can know them before the data are read. They
are chosen once, when they have been, and a run's config.json has what was
chosen. The reasons stand in configs/own.py.
"""

import dataclasses
from typing import TYPE_CHECKING, Any

from sce_jax.data.info import DatasetInfo

if TYPE_CHECKING:  # check.py imports this module.
  from sce_jax.config.check import Config

FIELDS = (
  'model.name',
  'train.epochs',
  'train.batch_size',
  'loss.alpha',
  'loss.beta',
)
# Images at least this high and wide go through three poolings.
_SMALL = 16
# Beyond so many classes a new network's p_y, and with it the gradient of RCE,
# is so small that CE must carry the training, as in the paper's CIFAR-100.
_MANY_CLASSES = 30


def values(info: DatasetInfo) -> dict[str, Any]:
  """What each of FIELDS is on a data set."""
  height, width, channels = info.image_shape
  side, size = min(height, width), info.num_train
  # A power of two that leaves at least eight steps an epoch, if it can.
  most = 64 if size < 20_000 else 128
  batch_size = min(most, 2 ** max((size // 8).bit_length() - 1, 0))
  is_drawing = channels == 1 and side <= 32
  if side < _SMALL:
    model = 'digits_cnn'
  elif is_drawing:
    model = 'mnist_cnn'
  else:
    model = 'cifar_cnn' if side <= 64 else 'resnet34'
  alpha, beta = (0.01 if is_drawing else 0.1), 1.0
  if info.num_classes > _MANY_CLASSES:
    alpha, beta = 6.0, 0.1
  return {
    'model.name': model,
    'train.epochs': 60 if size < 5_000 else 40 if size < 50_000 else 30,
    'train.batch_size': batch_size,
    'loss.alpha': alpha,
    'loss.beta': beta,
  }


def complete(config: 'Config', info: DatasetInfo) -> 'Config':
  """A config in which the data have filled what it left to them."""
  left = [
    *vars(config.model).values(),
    *vars(config.train).values(),
    *config.loss.hparams.values(),
  ]
  if None not in left:
    return config
  chosen = values(info)

  def filled(name: str) -> Any:
    section = getattr(config, name)
    missing = {
      field: chosen[f'{name}.{field}']
      for field, value in vars(section).items()
      if value is None and f'{name}.{field}' in chosen
    }
    return dataclasses.replace(section, **missing) if missing else section

  hparams = {
    name: chosen.get(f'loss.{name}') if value is None else value
    for name, value in config.loss.hparams.items()
  }
  return dataclasses.replace(
    config,
    model=filled('model'),
    train=filled('train'),
    loss=dataclasses.replace(config.loss, hparams=hparams),
  )
