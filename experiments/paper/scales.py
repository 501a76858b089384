"""How long and on how much data the experiments train, at each scale.

full is the config's own protocol. short is what two CPU cores can finish: less
data or fewer epochs, said on every output. tiny only shows that all runs.
"""

from collections.abc import Mapping
import dataclasses
import importlib
from typing import Any

from ml_collections import config_dict

from configs import common
from sce_jax.errors import UserError

SCALES = ('full', 'short', 'tiny')
DATASETS = ('digits', 'mnist', 'cifar10', 'cifar100')


@dataclasses.dataclass(frozen=True)
class Protocol:
  """What a scale changes in a data set's config.

  Attributes:
    seeds: how many.
    changes: fields of the config by path.
    examples: training examples, for the expected time.
    note: how it differs from the published protocol, in a sentence; '' if it
      does not.
  """

  seeds: int
  changes: Mapping[str, Any]
  examples: int
  note: str = ''


_TINY = 'A tiny run, which only shows that everything works: read no figure.'
_CIFAR_SHORT = {
  'data.limit': 5000,
  'train.epochs': 20,
  'optim.boundaries': (14, 18),
  'eval.train_every': 2,
}

_PROTOCOLS = {
  ('digits', 'full'): Protocol(
    5, {}, 1198, "Nobody's published protocol: scikit-learn's 8x8 digits."
  ),
  ('digits', 'short'): Protocol(
    3, {}, 1198, "Nobody's published protocol: scikit-learn's 8x8 digits."
  ),
  ('digits', 'tiny'): Protocol(
    2,
    {
      'data.limit': 96,
      'train.epochs': 3,
      'train.batch_size': 32,
      'eval.train_every': 1,
      'checkpoint.every': 3,
    },
    96,
    _TINY,
  ),
  ('mnist', 'full'): Protocol(5, {'eval.train_every': 5}, 60000),
  ('mnist', 'short'): Protocol(
    3,
    {
      'data.limit': 2000,
      'train.epochs': 15,
      'optim.boundaries': (6, 11),
      'eval.train_every': 3,
      # At 0.99 the running statistics of so few steps are those of a network
      # that is no more, and so is the test accuracy.
      'model.batch_norm_momentum': 0.9,
    },
    2000,
    'Short: the first 2,000 training and test images and 15 epochs, the'
    ' learning rate falling after 6 and 11, batch-norm momentum 0.9; the paper'
    ' trains on 60,000 for 50 epochs, falling after 11 and 31, with 0.99.',
  ),
  ('cifar10', 'full'): Protocol(3, {'eval.train_every': 10}, 50000),
  ('cifar10', 'short'): Protocol(
    1,
    _CIFAR_SHORT,
    5000,
    'Short: the first 5,000 training and test images and 20 epochs, the'
    ' learning rate falling after 14 and 18; the paper trains on 50,000 for 120'
    ' epochs, falling after 41 and 81.',
  ),
  ('cifar100', 'full'): Protocol(3, {'eval.train_every': 10}, 50000),
  ('cifar100', 'short'): Protocol(
    1,
    _CIFAR_SHORT,
    5000,
    'Short: the first 5,000 training and test images and 20 epochs; the paper'
    ' trains on 50,000 for 150.',
  ),
}
_TINY_OTHERS = Protocol(
  1,
  {
    'data.limit': 40,
    'train.epochs': 2,
    'train.batch_size': 16,
    'optim.boundaries': (1,),
    'eval.batch_size': 16,
    'eval.train_every': 1,
  },
  40,
  _TINY,
)


def protocol(dataset: str, scale: str) -> Protocol:
  """The protocol of a data set at a scale.

  Raises:
    UserError: there is no such data set or scale.
  """
  if dataset not in DATASETS:
    raise UserError(
      f'--dataset={dataset} is not known here: use one of {", ".join(DATASETS)}'
    )
  if scale not in SCALES:
    raise UserError(
      f'--scale={scale} is not known: use one of {", ".join(SCALES)}'
    )
  return _PROTOCOLS.get((dataset, scale), _TINY_OTHERS)


def config(
  dataset: str,
  scale: str,
  *,
  loss: str = 'sl',
  noise: str = 'symmetric',
  rate: float = 0.4,
  seed: int = 0,
  recipe: str | None = None,
  changes: Mapping[str, Any] | None = None,
) -> config_dict.ConfigDict:
  """A run's config.

  Args:
    dataset: one of DATASETS.
    scale: one of SCALES.
    loss: its config name.
    noise: its config name.
    rate: the noise rate.
    seed: the seed.
    recipe: whose settings; None for the data set's default.
    changes: fields by path, on top of those of the scale.
  """
  module = importlib.import_module(f'configs.{dataset}')
  argument = f'{loss},{noise},{rate},seed={seed}'
  if recipe:
    argument += f',recipe={recipe}'
  run = module.get_config(argument)
  return change(run, {**protocol(dataset, scale).changes, **(changes or {})})


def change(
  run: config_dict.ConfigDict, changes: Mapping[str, Any]
) -> config_dict.ConfigDict:
  """Sets fields of a config, given by their paths; returns it.

  Raises:
    UserError: it has no such field.
  """
  for path, value in changes.items():
    *sections, name = path.split('.')
    section = run
    for part in sections:
      section = section.get(part, {})
    if name not in section:
      raise UserError(
        f'the config has no field {path!r}; all fields: configs/common.py'
      )
    section[name] = value
  return run


def asymmetric(dataset: str) -> str:
  """The name of a data set's asymmetric noise.

  Digits has none of its own: pair flip, each class to the next.
  """
  return {
    'mnist': 'asymmetric_mnist',
    'cifar10': 'asymmetric_cifar10',
    'cifar100': 'asymmetric_cifar100',
  }.get(dataset, 'asymmetric_mnist')


def loss_changes(
  name: str, dataset: str, changes: Mapping[str, Any]
) -> dict[str, Any]:
  """Paths of a loss's parameters, with those that are not given."""
  section = dict(common.loss_section(name, dataset))
  section.pop('name')
  return {f'loss.{k}': v for k, v in {**section, **changes}.items()}
