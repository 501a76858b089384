"""Checks a config once, and makes frozen sections with types of it."""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import math
import re
import types
import typing
from typing import Any

from sce_jax import methods, models, noise
from sce_jax.config import base, choose, fields
from sce_jax.data import augment, batches, crops, labels
from sce_jax.data.data_config import DataConfig
from sce_jax.data.dataset import SOURCES, WEB
from sce_jax.data.info import DatasetInfo
from sce_jax.data.labels import NoiseConfig
from sce_jax.data.sources.web import choosing
from sce_jax.engine import optim
from sce_jax.engine.evaluate import EvalConfig
from sce_jax.engine.optim import OptimConfig
from sce_jax.engine.plan import TrainConfig
from sce_jax.errors import UserError
from sce_jax.models import ModelConfig
from sce_jax.noise import consensus
from sce_jax.parallel import runners


@dataclasses.dataclass(frozen=True)
class LossConfig:
  """The `loss` section of a config: a method and its hyper-parameters.

  Attributes:
    name: a key of methods.SPECS.
    hparams: all its hyper-parameters but those that it computes.
  """

  name: str
  hparams: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class CheckpointConfig:
  """The `checkpoint` section of a config; see config/base.py."""

  every: int
  keep: int


@dataclasses.dataclass(frozen=True)
class Config:
  """A checked config. config/base.py explains each field.

  Attributes:
    left: fields that it leaves to the data, by their paths. What stands in
      them means nothing until choose.complete has seen the data.
  """

  seed: int
  data: DataConfig
  noise: NoiseConfig
  loss: LossConfig
  model: ModelConfig
  optim: OptimConfig
  train: TrainConfig
  eval: EvalConfig
  checkpoint: CheckpointConfig
  left: tuple[str, ...] = ()

  def to_dict(self) -> dict[str, Any]:
    """The config as plain nested dicts, as it was before it was checked."""
    values = dataclasses.asdict(self)
    values['loss'] = {'name': self.loss.name, **self.loss.hparams}
    del values['left']
    return choose.with_values(values, dict.fromkeys(self.left))

  @property
  def traced_hparams(self) -> dict[str, Any]:
    """The method's hyper-parameters that are arguments of the program."""
    return methods.of_kind(self.loss.name, self.loss.hparams, 'traced')

  @property
  def compile_key(self) -> str:
    """Equal for configs whose runs can share a program."""
    values = self.to_dict()
    for section in ('seed', 'noise', 'loss'):
      del values[section]
    static = methods.of_kind(self.loss.name, self.loss.hparams, 'static')
    return fields.fingerprint(
      values | {'loss': {'name': self.loss.name, **static}}
    )


def _at_least(low: int) -> tuple[Callable[[Any], bool], str]:
  return lambda x: x >= low, f'at least {low}'


def _one_of(names) -> tuple[Callable[[Any], bool], str]:
  return lambda x: x in names, f'one of {", ".join(names)}'


def _is_regex(text: str) -> bool:
  try:
    re.compile(text)
  except re.error:
    return False
  return True


def _is_increasing(values: tuple) -> bool:
  return all(a < b for a, b in zip((0, *values), values, strict=False))


_SHARE = (lambda x: 0 <= x < 1, 'in [0, 1)')
_POSITIVE = (lambda x: x > 0, 'above 0')
_COUNT = _at_least(1)
_NOT_NEGATIVE = _at_least(0)
_REGEX = (_is_regex, 'a regular expression')

# What each field must be, beyond its type; None passes where it may be None.
_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
  'seed': (lambda x: 0 <= x < 2**32, 'in [0, 2^32)'),
  'data.source': _one_of(SOURCES),
  'data.image_size': (lambda x: 8 <= x <= 1024, 'in [8, 1024]'),
  'data.held_out': _SHARE,
  'data.validation': _SHARE,
  'data.max_unreadable': (lambda x: 0 <= x <= 1, 'in [0, 1]'),
  'data.pixel_max': _POSITIVE,
  'data.std': (lambda x: all(v > 0 for v in x), 'finite numbers above 0'),
  'data.normalization': _one_of(batches.NORMALIZATIONS),
  'data.limit': _COUNT,
  'data.feed': _one_of(('resident', 'stream')),
  'data.workers': _NOT_NEGATIVE,
  'data.augment.crop': _one_of(crops.CROPS),
  'data.train_split': _one_of(choosing.TRAIN_SPLITS),
  'data.per_class': _NOT_NEGATIVE,
  'data.per_class_seed': _NOT_NEGATIVE,
  'data.prepared_side': (lambda x: 8 <= x <= 2048, 'in [8, 2048]'),
  'data.prepared_quality': (lambda x: 1 <= x <= 100, 'in [1, 100]'),
  'data.augment.pad_crop': _NOT_NEGATIVE,
  'data.augment.shift': _SHARE,
  'data.augment.rotate': (lambda x: 0 <= x <= 180, 'degrees in [0, 180]'),
  'data.augment.fill': _one_of(augment.FILLS),
  'noise.rate': _SHARE,
  'noise.mode': _one_of(('exact', 'iid')),
  'noise.seed': (lambda x: 0 <= x < 2**64, 'in [0, 2^64)'),
  'noise.second_rate': _SHARE,
  'noise.imbalance': _one_of(('', *noise.PROFILES)),
  'noise.imbalance_ratio': _at_least(1),
  'noise.open_set_rate': _SHARE,
  'model.name': _one_of(models.MODELS),
  'model.initializer': _one_of(models.INITIALIZERS),
  'model.batch_norm_momentum': _SHARE,
  'model.batch_norm_epsilon': _POSITIVE,
  'model.init_from': (lambda x: bool(x.strip()), 'a file, or random'),
  'model.dtype': _one_of(models.DTYPES),
  'model.layout': _one_of(models.LAYOUTS),
  'optim.learning_rate': _POSITIVE,
  'optim.schedule': _one_of(optim.SCHEDULES),
  'optim.boundaries': (
    _is_increasing,
    'epochs: whole numbers above 0 in increasing order',
  ),
  'optim.factor': _POSITIVE,
  'optim.final_learning_rate': _NOT_NEGATIVE,
  'optim.update': _one_of(optim.UPDATES),
  'optim.time_decay': _NOT_NEGATIVE,
  'optim.momentum': _SHARE,
  'optim.weight_decay': _NOT_NEGATIVE,
  'optim.weight_decay_names': _REGEX,
  'optim.l2': _NOT_NEGATIVE,
  'optim.l2_names': _REGEX,
  'optim.clip_norm': _POSITIVE,
  'train.epochs': _COUNT,
  'train.batch_size': _COUNT,
  'train.balanced_batches': _COUNT,
  'train.steps_per_dispatch': _COUNT,
  'train.runner': _one_of(runners.RUNNERS),
  'eval.batch_size': _COUNT,
  'eval.train_every': _COUNT,
  'checkpoint.every': _COUNT,
  'checkpoint.keep': _COUNT,
}
_KINDS = {
  int: 'a whole number',
  float: 'a number',
  str: 'a text',
  bool: 'true or false',
}
_ELEMENTS = {int: 'whole numbers', float: 'finite numbers', str: 'texts'}


# Fields of the data section that only some sources read.
_READ_BY: Mapping[str, Sequence[str]] = {
  **dict.fromkeys(
    ('path', 'image_size'), tuple(x for x in SOURCES if x != 'tfds')
  ),
  'label_sets': ('tfds',),
  **dict.fromkeys(
    ('train_split', 'per_class', 'prepared_side', 'prepared_quality'),
    tuple(WEB),
  ),
}


def check_config(config: fields.RawConfig | Config) -> Config:
  """Checks a config alone, before any data are read.

  Args:
    config: the config.

  Returns:
    The config with types, and with the defaults of hyper-parameters that it
    leaves out.

  Raises:
    UserError: one line that names what is wrong and what it should be.
  """
  if isinstance(config, Config):
    return config
  values = fields.plain(config)
  left = choose.left(values)
  values = choose.with_values(values, {x: choose.FIELDS[x] for x in left})
  checked = dataclasses.replace(_section(Config, values, ''), left=left)
  _check_source(checked.data)
  _check_method(checked)
  _check_initial(checked)
  labels.check_name(checked.noise, checked.data.label_sets)
  return checked


def _check_source(data: DataConfig) -> None:
  """Checks that nothing is given which the source of the data does not read."""
  unread = fields.plain(_all_fields())['data']
  for name, sources in _READ_BY.items():
    value = getattr(data, name)
    if data.source not in sources and value != unread[name]:
      raise UserError(
        f'config.data.{name} is {value!r}, but'
        f' config.data.source={data.source} does not read it: leave it out'
        + (', or use configs/own.py' if name == 'path' else '')
      )


def _check_method(config: Config) -> None:
  method = methods.build(config.loss.name, config.loss.hparams)
  if method.uses_features and config.data.feed == 'stream':
    raise UserError(
      f'loss {config.loss.name!r} looks at training images after each epoch,'
      ' which config.data.feed=stream does not keep on the device: use resident'
    )
  is_cropped = config.data.augment.crop != 'center'
  if method.two_views and not (config.data.augment.is_on or is_cropped):
    raise UserError(
      f'loss {config.loss.name!r} compares two augmentations of each image, and'
      ' config.data.augment has none: add one, such as'
      ' --config.data.augment.pad_crop=2 (images only)'
    )
  starts = methods.find(config.loss.name).starts_after
  is_known = 'train.epochs' not in config.left
  if starts and is_known and config.loss.hparams[starts] >= config.train.epochs:
    raise UserError(
      f'loss {config.loss.name!r}: {starts} is {config.loss.hparams[starts]},'
      f' but there are only {config.train.epochs} epochs, so that it would'
      f' never begin: lower --config.loss.{starts}, or train longer'
    )
  if config.train.record_margins and not config.train.record_averages:
    raise UserError(
      'config.train.record_margins does nothing without'
      ' config.train.record_averages: set both'
    )


def _check_initial(config: Config) -> None:
  if config.model.init_from == 'required':
    raise UserError(
      'this config begins from weights pretrained on ImageNet: download'
      ' https://download.pytorch.org/models/resnet50-0676ba61.pth and give it'
      ' with --config.model.init_from=FILE (to an experiment in a config file'
      ' of your own, see sce_jax/data/README.md), or give'
      ' hf://timm/resnet50.tv_in1k/model.safetensors there (needs pip install'
      ' huggingface_hub), or random for weights that are not pretrained'
    )


def check_fits(config: Config, info: DatasetInfo) -> None:
  """Checks that a config can be used on a data set, before anything is written.

  Raises:
    UserError: its noise, method, network or augmentation does not fit the
      data.
  """
  config = choose.complete(config, info)
  _check_method(config)  # Now the number of epochs is known in any case.
  if info.has_features:
    what = f'the examples of {info.name!r} are feature vectors'
    if config.model.name not in models.FOR_FEATURES:
      raise UserError(
        f'config.model.name is {config.model.name!r}, a network for images, but'
        f' {what}: it must be one of {", ".join(models.FOR_FEATURES)}'
      )
    if methods.build(config.loss.name, config.loss.hparams).two_views:
      raise UserError(
        f'loss {config.loss.name!r} compares two augmentations of each image,'
        f' but {what}: use another loss'
      )
    if config.data.augment.is_on:
      raise UserError(
        f'config.data.augment is for images, but {what}: leave it out'
      )
  most = consensus.MOST_CLASSES
  if config.loss.hparams.get('transition') == 'hoc' and info.num_classes > most:
    raise UserError(
      f'config.loss.transition=hoc is for at most {most} classes, and'
      f' {info.name!r} has {info.num_classes}: use another estimator, such as'
      ' dual_t'
    )
  # Noise that is drawn needs data whose labels are all true; of data that come
  # with clean labels beside their own it is the config that says they are not.
  true = info.clean_labels and config.data.clean_labels
  labels.check_fits(config.noise, dataclasses.replace(info, clean_labels=true))


def _section(kind: Any, values: Any, prefix: str) -> Any:
  """A section of a config, made of its fields."""
  where = f'config.{prefix}'.rstrip('.')
  if not isinstance(values, Mapping):
    raise UserError(f'{where} is {values!r}: it must be a section of fields')
  if kind is LossConfig:
    given = dict(values)
    name = given.pop('name', None)
    return LossConfig(name, methods.complete(name, given))
  hints = typing.get_type_hints(kind)
  hints.pop('left', None)  # No field of a config, but of what is made of it.
  for name in map(str, values):
    if name not in hints:
      meant = fields.near(prefix + name, fields.own(_all_fields()))
      raise UserError(
        f'there is no field config.{prefix}{name}{meant} (all fields:'
        ' sce_jax/config/base.py)'
      )
  made: dict[str, Any] = {}
  for name, hint in hints.items():
    if prefix + name in fields.LATER:
      values = {name: fields.LATER[prefix + name], **values}
    if name not in values:
      raise UserError(
        f'config.{prefix}{name} is missing: this config was made for another'
        ' version of sce_jax; all fields:'
        ' sce_jax/config/base.py'
      )
    path, value = prefix + name, values[name]
    if dataclasses.is_dataclass(hint):
      made[name] = _section(hint, value, f'{path}.')
    else:
      made[name] = _value(path, value, hint)
  return kind(**made)


def _all_fields() -> fields.RawConfig:
  return base.base_config('', '', '', 0.0, 0)


def _value(path: str, value: Any, hint: Any) -> Any:
  """A field's value, as its type wants it."""
  options = (
    typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
  )
  if value is None and types.NoneType in options:
    return None
  hint = next(option for option in options if option is not types.NoneType)
  kind = typing.get_origin(hint) or hint
  if isinstance(value, list):
    value = tuple(value)
  fits = _fits(value, hint)
  is_right, wanted = _RULES.get(path, (lambda _: True, ''))
  if not fits or not _passes(is_right, value):
    if _is_number(value) and _passes(is_right, value):
      # What is left that can be wrong with a number of the right kind.
      if isinstance(value, int) and abs(value) >= 2**64:
        wanted = 'of at most 64 bits'  # It may be too large for a float.
      elif not math.isfinite(value):
        wanted = 'that is finite'
    what = ' '.join(filter(None, [_kind_name(kind, hint), wanted]))
    if wanted.startswith(('one of', 'a regular', 'epochs', 'finite')):
      what = wanted
    raise UserError(f'config.{path} is {value!r}: it must be {what}')
  return value


def _is_number(value: Any) -> bool:
  return isinstance(value, int | float) and not isinstance(value, bool)


def _kind_name(kind: Any, hint: Any) -> str:
  inner = typing.get_args(hint)
  if kind is tuple and inner:
    return f'a list of {_ELEMENTS[inner[0]]}'
  return _KINDS.get(kind, 'a section')


def _fits(value: Any, hint: Any) -> bool:
  """Whether a value is of a type, numbers finite and of at most 64 bits."""
  kind, inner = typing.get_origin(hint) or hint, typing.get_args(hint)
  if kind in (int, float):
    # Left as it is in a field of floats: 1 and 1.0 are the same setting.
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if is_whole:
      return abs(value) < 2**64
    return kind is float and isinstance(value, float) and math.isfinite(value)
  if not isinstance(value, kind):
    return False
  if isinstance(value, tuple) and inner:
    return all(_fits(x, inner[0]) for x in value)
  if isinstance(value, Mapping) and inner:
    return all(
      _fits(k, inner[0]) and _fits(v, inner[1]) for k, v in value.items()
    )
  return True


def _passes(is_right: Callable[[Any], bool], value: Any) -> bool:
  try:
    return is_right(value)
  except TypeError:  # Elements of a wrong type.
    return False
