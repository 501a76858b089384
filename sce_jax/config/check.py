"""Checks a config before anything is compiled, and compares configs."""

from collections.abc import Callable, Mapping, Sequence
import math
import re
from typing import Any

from jaxtyping import Float64
import numpy as np

from sce_jax import losses, models
from sce_jax.config import fields
from sce_jax.data import augment, batches, datasets
from sce_jax.data import dataset as dataset_lib
from sce_jax.engine import optim
from sce_jax.errors import UserError
from sce_jax.parallel import runners


def _at_least(low: int) -> tuple[Callable[[Any], bool], str]:
  return lambda x: x >= low, f'a number of at least {low}'


def _share(x: float) -> bool:
  return 0 <= x < 1


def _one_of(names) -> tuple[Callable[[Any], bool], str]:
  return lambda x: x in names, f'one of {", ".join(names)}'


def _is_regex(text: str) -> bool:
  try:
    re.compile(text)
  except re.error:
    return False
  return True


_SHARE = (_share, 'a number in [0, 1)')
_POSITIVE = (lambda x: x > 0, 'a number above 0')
_COUNT = _at_least(1)
_NOT_NEGATIVE = _at_least(0)
_REGEX = (_is_regex, 'a regular expression')
_INCREASING = (
  lambda x: all(a < b for a, b in zip((0, *x), x, strict=False)),
  'epochs in increasing order, above 0',
)

# What each field must be; None passes where a field may be None.
_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
  'seed': (lambda x: 0 <= x < 2**32, 'a whole number in [0, 2^32)'),
  'data.name': _one_of(datasets.DATASETS),
  'data.normalization': _one_of(batches.NORMALIZATIONS),
  'data.limit': _COUNT,
  'data.augment.pad_crop': _NOT_NEGATIVE,
  'data.augment.shift': _SHARE,
  'data.augment.rotate': (lambda x: 0 <= x <= 180, 'degrees in [0, 180]'),
  'data.augment.fill': _one_of(augment.FILLS),
  'noise.rate': _SHARE,
  'noise.mode': _one_of(('exact', 'iid')),
  'noise.seed': _NOT_NEGATIVE,
  'loss.name': _one_of(losses.LOSSES),
  'loss.transition': _one_of(('true', 'anchors')),
  'loss.percentile': (lambda x: 0 <= x <= 100, 'a number in [0, 100]'),
  'loss.neighbours': _COUNT,
  'loss.window': _COUNT,
  'loss.warm_up': _NOT_NEGATIVE,
  'model.name': _one_of(models.MODELS),
  'model.initializer': _one_of(models.INITIALIZERS),
  'model.batch_norm_momentum': _SHARE,
  'model.batch_norm_epsilon': _POSITIVE,
  'model.dtype': _one_of(models.DTYPES),
  'model.layout': _one_of(models.LAYOUTS),
  'optim.learning_rate': _POSITIVE,
  'optim.schedule': _one_of(optim.SCHEDULES),
  'optim.boundaries': _INCREASING,
  'optim.factor': _POSITIVE,
  'optim.final_learning_rate': _NOT_NEGATIVE,
  'optim.update': _one_of(('epoch', 'step')),
  'optim.time_decay': _NOT_NEGATIVE,
  'optim.momentum': _SHARE,
  'optim.weight_decay': _NOT_NEGATIVE,
  'optim.weight_decay_names': _REGEX,
  'optim.l2': _NOT_NEGATIVE,
  'optim.l2_names': _REGEX,
  'optim.clip_norm': _POSITIVE,
  'train.epochs': _COUNT,
  'train.batch_size': _COUNT,
  'train.last_batch': _one_of(('train', 'drop')),
  'train.steps_per_dispatch': _COUNT,
  'train.runner': _one_of(runners.RUNNERS),
  'eval.batch_size': _COUNT,
  'eval.train_every': _COUNT,
  'checkpoint.every': _COUNT,
  'checkpoint.keep': _COUNT,
}


def check_config(config: fields.Config) -> dict[str, Any]:
  """Checks the values of a config's fields, and that they fit together.

  Args:
    config: the config.

  Returns:
    The config as plain nested dicts.

  Raises:
    UserError: one line that names what is wrong and what it should be.
  """
  config = fields.plain(config)
  values = fields.flatten(config)
  for path, (is_right, wanted) in _FIELDS.items():
    value = values.get(path)  # Some losses' fields are theirs alone.
    if value is not None and not _passes(is_right, value):
      raise UserError(f'config.{path} is {value!r}: it must be {wanted}')
  dataset = config['data']['name']
  try:
    matrix = dataset_lib.transition_matrix(dataset, config['noise'])
    if matrix is None:  # People's labels: not known before they are read.
      matrix = np.eye(datasets.DATASETS[dataset].num_classes)
    losses.check_hyper_parameters(
      config['loss']['name'], loss_parameters(config, matrix)
    )
  except ValueError as error:
    raise UserError(str(error)) from None
  return config


def check_same_program(configs: Sequence[fields.Config]) -> None:
  """Checks that runs can share one program.

  Raises:
    UserError: they differ in more than seed, noise and loss parameters.
  """
  first, *others = [fields.static_fields(config) for config in configs]
  for other in others:
    changes = fields.differences(first, other)
    if changes:
      raise UserError(
        f'runs that differ in {"; ".join(changes)} cannot train together:'
        ' they may differ in seed, noise and loss parameters'
      )


def loss_parameters(
  config: Mapping[str, Any],
  transition_matrix: Float64[np.ndarray, 'K K'] | None = None,
) -> dict[str, Any]:
  """The hyper-parameters of a config's loss.

  Args:
    config: the config.
    transition_matrix: for a loss that corrects with the true noise.
  """
  values = {
    k: v for k, v in config['loss'].items() if f'loss.{k}' not in _FIELDS
  }
  if 'transition_matrix' in losses.hyper_parameters(config['loss']['name']):
    values['transition_matrix'] = transition_matrix
  return values


def _passes(is_right: Callable[[Any], bool], value: Any) -> bool:
  if isinstance(value, float) and not math.isfinite(value):
    return False
  try:
    return is_right(value)
  except TypeError:  # Of a wrong type altogether.
    return False
