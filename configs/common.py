"""What the configs share: the argument string and the scales.

The argument string picks an experiment, LOSS,NOISE,RATE and then options:

  --config=configs/cifar10.py:sl,symmetric,0.4,recipe=apl,seed=1,tiny

Trailing parts of LOSS,NOISE,RATE may be left out, and any option. Any field can
be changed after it, on the command line: --config.optim.learning_rate=0.1,
--config.data.limit=None. With --config.loss.name=NAME the loss has the values
that the argument NAME gives it.
"""

from collections.abc import Iterator, Mapping
import dataclasses
import itertools
from typing import Any

from ml_collections import config_dict

from sce_jax.config import base, fields


@dataclasses.dataclass(frozen=True)
class ConfigArgs:
  """What an argument string says.

  Attributes:
    loss: a loss's name.
    noise: a noise's name.
    rate: the noise rate.
    recipe: whose settings.
    seed: of everything random.
    tiny: whether to make a run of seconds, which only shows that it runs.
  """

  loss: str
  noise: str
  rate: float
  recipe: str
  seed: int = 0
  tiny: bool = False


def parse(
  argument: str | None, default: ConfigArgs, recipes: tuple[str, ...]
) -> ConfigArgs:
  """Reads an argument string.

  Args:
    argument: LOSS,NOISE,RATE and options; None or '' for the default.
    default: what is not said.
    recipes: the recipes there are.

  Raises:
    ValueError: a part cannot be read; the message says which and why.
  """
  said = {}
  positions = iter(('loss', 'noise', 'rate'))
  for part in (argument or '').split(','):
    part = part.strip()
    if not part:
      continue
    key, equals, value = part.partition('=')
    key = key.lower()
    if part.lower() == 'tiny':
      key, value = 'tiny', 'true'
    elif not equals:
      key, value = next(positions, ''), part
    if key not in ConfigArgs.__dataclass_fields__:
      raise ValueError(
        f'config argument {part!r} is not understood: give'
        ' LOSS,NOISE,RATE and recipe=, seed=, tiny, such as'
        f' {default.loss},{default.noise},{default.rate}'
      )
    said[key] = _read(key, value)
  choice = dataclasses.replace(default, **said)
  if choice.recipe not in recipes:
    raise ValueError(
      f'recipe {choice.recipe!r} is not known here: use one of'
      f' {", ".join(recipes)}'
    )
  return choice


def _read(key, value):
  try:
    if key in ('rate', 'seed'):
      return {'rate': float, 'seed': int}[key](value)
  except ValueError:
    kind = {'rate': 'a number in [0, 1)', 'seed': 'a whole number'}[key]
    raise ValueError(f'config argument {key}={value!r}: give {kind}') from None
  if key in ('loss', 'noise', 'recipe'):
    return fields.as_name(value)
  if key == 'tiny':
    if value not in ('true', 'false'):
      raise ValueError(f'config argument tiny={value!r}: give true or false')
    return value == 'true'
  return value


@dataclasses.dataclass(frozen=True)
class Scale:
  """What an experiment's --scale changes in a config.

  Attributes:
    seeds: how many.
    changes: fields by path.
    note: how this differs from the published protocol, in a sentence; '' if it
      does not.
    few: whether an experiment with many noises takes only a few of them.
    epochs: the share of the config's epochs that is trained; the learning rate
      falls as much earlier.
  """

  seeds: int
  changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  note: str = ''
  few: bool = False
  epochs: float = 1.0


TINY: Mapping[str, Any] = {
  'data.limit': 40,
  'train.epochs': 2,
  'train.batch_size': 16,  # Leaves a partial batch of 8.
  'optim.boundaries': (1,),
  'eval.batch_size': 16,
  'eval.train_every': 1,
  'checkpoint.every': 1,
}
TINY_NOTE = (
  'A tiny run, which only shows that everything works: read no figure.'
)
# full is the config's own protocol; short is what two CPU cores can finish.
# What a config file's own SCALES has stands in place of these. It may also have
# ASYMMETRIC, the name of its asymmetric noise, RUNS_PER_PROGRAM, how many runs
# are trained together, and NOISES = (GIVEN,), if its labels come with wrong
# ones and true ones are not known: experiments then add no noise.
SCALES: Mapping[str, Scale] = {
  'full': Scale(3),
  'quarter': Scale(
    1,
    {'eval.train_every': 10},
    'A quarter: all images, a quarter of the epochs, the learning rate falling'
    ' as much earlier.',
    few=True,
    epochs=0.25,
  ),
  'short': Scale(3, few=True),
  'tiny': Scale(1, TINY, TINY_NOTE, few=True),
}
WEB_SHORT = Scale(
  1,
  {
    'data.limit': 20_000,
    'data.image_size': 64,
    'train.epochs': 5,
    'optim.boundaries': (3,),
  },
  'Short: 20,000 images of each split at 64 pixels and 5 epochs; the papers'
  ' train on all of them, at their size, for longer.',
  few=True,
)
ASYMMETRIC = 'pair_flip'
RUNS_PER_PROGRAM = 4
GIVEN = 'as given'
NOISES: tuple[str, ...] | None = None


def grid(*noises: tuple[str, float]) -> Iterator[dict[str, str]]:
  """The runs of a data set's sweep: CE, GCE and SL, three seeds.

  Args:
    *noises: noises with their rates, beside symmetric noise at three.
  """
  symmetric = [('symmetric', rate) for rate in (0.2, 0.4, 0.6)]
  for loss, (noise, rate), seed in itertools.product(
    ('ce', 'gce', 'sl'), (*symmetric, *noises), range(3)
  ):
    yield {'argument': f'{loss},{noise},{rate},seed={seed}'}


def base_config(
  choice: ConfigArgs,
  dataset: str,
  presets: Mapping[str, Mapping[str, Any]] | None = None,
) -> config_dict.ConfigDict:
  """All fields of the config that an argument string describes.

  Args:
    choice: what the argument string says.
    dataset: the data set's name.
    presets: as in `base.base_config`.
  """
  return base.base_config(
    dataset, choice.loss, choice.noise, choice.rate, choice.seed, presets
  )


def apply_tiny(
  c: config_dict.ConfigDict, choice: ConfigArgs
) -> config_dict.ConfigDict:
  """Makes the tiny variant if asked for."""
  if choice.tiny:
    c.update_from_flattened_dict(TINY)
  return c


def use_apl(
  c: config_dict.ConfigDict, learning_rate: float, weight_decay: float
) -> None:
  """Sets what all settings of Active Passive Loss (ICML 2020) share."""
  c.model.initializer = 'apl'
  c.model.batch_norm_momentum = 0.9
  c.model.batch_norm_epsilon = 1e-5
  c.optim.learning_rate = learning_rate
  c.optim.schedule = 'cosine'
  set_penalty(c, 'weight_decay', weight_decay)
  c.optim.clip_norm = 5.0


def set_penalty(c: config_dict.ConfigDict, field: str, value: float) -> None:
  """Sets a recipe's optim.weight_decay or optim.l2, see base.Penalty."""
  del c.optim[field]  # Which would only be given the new field's value.
  c.optim[field] = base.Penalty(value, c.loss)


def web_config(choice: ConfigArgs, dataset: str) -> config_dict.ConfigDict:
  """What configs of images from the web share.

  Args:
    choice: what the argument string says.
    dataset: the name of the data set and of its source.
  """
  c = base_config(choice, dataset)
  c.data.source = dataset
  c.data.feed = 'stream'
  c.data.augment.crop = 'random'
  c.data.clean_labels = False
  c.data.image_size = 224
  c.data.normalization = 'mean_std'
  # ImageNet's, which pretrained networks were shown.
  c.data.mean = (0.485, 0.456, 0.406)
  c.data.std = (0.229, 0.224, 0.225)
  c.data.augment.flip = True
  c.model.name = 'imagenet_resnet50'
  c.model.init_from = 'required'
  c.model.use_bias = False
  c.model.batch_norm_momentum = 0.9
  c.model.batch_norm_epsilon = 1e-5
  c.checkpoint.every = 1
  return c
