"""Fields that a config may leave to the data, as None.

own.py does, because nobody can know them before the data are read. They
are chosen once, when they have been, and a run's config.json has what was
chosen. The reasons stand in configs/own.py.
"""

from collections.abc import Mapping
import dataclasses
from typing import TYPE_CHECKING, Any

from sce_jax.data.info import DatasetInfo

if TYPE_CHECKING:  # check.py imports this module.
  from sce_jax.config.check import Config

# With what stands in their place while a config is checked without data.
FIELDS: Mapping[str, Any] = {
  'model.name': 'digits_cnn',
  'train.epochs': 1,
  'train.batch_size': 1,
  'loss.alpha': 1.0,
  'loss.beta': 1.0,
  'optim.weight_decay': 0.0,
}
# Images at least this high and wide go through three poolings.
_SMALL = 16
# Beyond so many classes a new network's p_y, and with it the gradient of RCE,
# is so small that CE must carry the training, as in the paper's CIFAR-100.
_MANY_CLASSES = 30


def values(info: DatasetInfo) -> dict[str, Any]:
  """What each of FIELDS is on a data set."""
  size = info.num_train
  # A power of two, from 8, which as many devices can share, on.
  most = 64 if size < 20_000 else 128
  batch_size = min(max(_power_of_two(size // 8), 8), most, _power_of_two(size))
  model, memorises = 'mlp', True
  if not info.has_features:
    height, width, channels = info.image_shape
    side = min(height, width)
    memorises = channels == 1 and side <= 32
    if side < _SMALL:
      model = 'digits_cnn'
    elif memorises:
      model = 'mnist_cnn'
    else:
      model = 'cifar_cnn' if side <= 64 else 'resnet34'
  alpha, beta = (0.01 if memorises else 0.1), 1.0
  if info.num_classes > _MANY_CLASSES:
    alpha, beta = 6.0, 0.1
  return {
    'model.name': model,
    'train.epochs': 60 if size < 5_000 else 40 if size < 50_000 else 30,
    'train.batch_size': batch_size,
    'loss.alpha': alpha,
    'loss.beta': beta,
    'optim.weight_decay': 0.01 if info.has_features else 0.0,
  }


def _power_of_two(most: int) -> int:
  return 2 ** max(most.bit_length() - 1, 0)


def left(config: Mapping[str, Any]) -> tuple[str, ...]:
  """Which fields a config, as plain dicts, leaves to the data."""

  def is_left(path: str) -> bool:
    name, field = path.split('.')
    section = config.get(name)
    if not isinstance(section, Mapping) or section.get(field, 0) is not None:
      return False
    return name != 'loss' or section.get('name') == 'sl'

  return tuple(path for path in FIELDS if is_left(path))


def with_values(
  config: Mapping[str, Any], chosen: Mapping[str, Any]
) -> dict[str, Any]:
  """A config, as plain dicts, with other values of some fields."""
  changed = {**config}
  for path, value in chosen.items():
    name, field = path.split('.')
    changed[name] = {**changed[name], field: value}
  return changed


def complete(config: 'Config', info: DatasetInfo) -> 'Config':
  """A config in which the data have chosen what it left to them."""
  chosen = {path: values(info)[path] for path in config.left}
  if 'optim.weight_decay' in chosen and config.loss.hparams.get('l1'):
    chosen['optim.weight_decay'] = 0.0  # As base.Penalty has it.
  if not chosen:
    return config

  def of(name: str) -> dict[str, Any]:
    prefix = f'{name}.'
    return {
      path.removeprefix(prefix): value
      for path, value in chosen.items()
      if path.startswith(prefix)
    }

  loss = config.loss
  return dataclasses.replace(
    config,
    model=dataclasses.replace(config.model, **of('model')),
    train=dataclasses.replace(config.train, **of('train')),
    optim=dataclasses.replace(config.optim, **of('optim')),
    loss=dataclasses.replace(loss, hparams={**loss.hparams, **of('loss')}),
    left=(),
  )
