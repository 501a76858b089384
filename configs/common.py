"""What the configs share: the fields, the argument string, the losses' values.

The argument string picks an experiment, LOSS,NOISE,RATE and then options:

  --config=configs/cifar10.py:sl,symmetric,0.4,recipe=apl,seed=1,tiny

A leading part may be left out. Any field can be changed after it, on the
command line: --config.optim.learning_rate=0.1
"""

from collections.abc import Iterator
import dataclasses
import itertools
import math

from ml_collections import config_dict

# log 0 as both public codes have it: they clip a one-hot label at 1e-4. The
# paper's text speaks of -4 (benchmarks) and -6 (CIFAR-10 analysis).
PUBLIC_CODES_LOG_ZERO = math.log(1e-4)


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
    if part == 'tiny':
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
  if key == 'tiny':
    if value not in ('true', 'false'):
      raise ValueError(f'config argument tiny={value!r}: give true or false')
    return value == 'true'
  return value


# SL's weights of cross entropy and reverse cross entropy, which differ from
# data set to data set (the authors'; digits: measured), and what log 0 is.
_SL = {
  'digits': (0.01, 1.0, -4.0),
  'mnist': (0.01, 1.0, PUBLIC_CODES_LOG_ZERO),
  'cifar10': (0.1, 1.0, PUBLIC_CODES_LOG_ZERO),
  'cifar10_n': (0.1, 1.0, PUBLIC_CODES_LOG_ZERO),
  'cifar100': (6.0, 0.1, PUBLIC_CODES_LOG_ZERO),
  'cifar100_n': (6.0, 0.1, PUBLIC_CODES_LOG_ZERO),
}


def loss_section(name: str, dataset: str) -> config_dict.ConfigDict:
  """The `loss` section: a loss and its hyper-parameters for a data set."""
  alpha, beta, log_zero = _SL[dataset]
  values = {
    'sl': {'alpha': alpha, 'beta': beta, 'log_zero': log_zero},
    'rce': {'log_zero': log_zero},
    'lsr': {'smoothing': 0.1},  # Szegedy et al., 2016.
    'gce': {'q': 0.7},  # Zhang and Sabuncu, 2018.
    'bootstrap_soft': {'weight': 0.95},  # Reed et al., 2015.
    'bootstrap_hard': {'weight': 0.8},
    'focal': {'gamma': 0.5},  # As in Ma et al., 2020.
    # 'true': the matrix that the labels are drawn from. 'anchors': estimated,
    # Patrini et al., 2017; a network is trained with CE first.
    'forward': {'transition': 'true', 'percentile': 97.0},
    'backward': {'transition': 'true', 'percentile': 97.0},
    # The labels' weight until the turning point, the nearest neighbours, and
    # epochs: Ma et al., 2018, and their code.
    'd2l': {'weight': 1.0, 'neighbours': 20, 'window': 5, 'warm_up': 5},
  }
  section = config_dict.ConfigDict({'name': name})
  section.update(values.get(name, {}))
  return section


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


def base_config(choice: ConfigArgs, dataset: str) -> config_dict.ConfigDict:
  """All fields, with the values that most configs keep."""
  c = config_dict.ConfigDict()
  # Every random number of a run comes from it.
  c.seed = choice.seed

  c.data = d = config_dict.ConfigDict()
  d.name = dataset  # Data set, a key of sce_jax.data.DATASETS.
  # Pixels: unit: x / maximum, in [0, 1]; pixel_mean: that less the mean
  # training image; mean_std: that, less each channel's mean, over its std.
  d.normalization = 'unit'
  # Use only the first examples of each split; None: all.
  d.limit = config_dict.placeholder(int)
  d.augment = a = config_dict.ConfigDict()
  a.pad_crop = 0  # Pad by so many pixels, then crop at random; 0: off.
  a.shift = 0.0  # Largest shift, as a share of the image's size; 0: off.
  a.rotate = 0.0  # Largest rotation, degrees; 0: off.
  a.flip = False  # Mirror half of the images left to right.
  a.fill = 'black'  # What lies outside the image: black or nearest.

  c.noise = n = config_dict.ConfigDict()
  # Label noise, a key of sce_jax.noise.NOISE or a human label of the data set.
  n.name = choice.noise
  n.rate = choice.rate  # Its rate, in [0, 1); not read for human labels.
  n.mode = 'exact'  # exact: the rate's share of each class; iid: each drawn.
  n.seed = config_dict.placeholder(int)  # None: the config's seed.

  c.loss = loss_section(
    choice.loss, dataset
  )  # A key of losses.LOSSES, its parameters.

  c.model = m = config_dict.ConfigDict()
  m.name = ''  # Network, a key of sce_jax.models.MODELS.
  m.initializer = 'he_normal'  # A key of sce_jax.models.INITIALIZERS.
  m.use_bias = True  # Whether convolutions have biases.
  # Batch norm's running statistics keep this share in a step (Keras's
  # convention; torch's momentum is 1 - this).
  m.batch_norm_momentum = 0.99
  m.batch_norm_epsilon = 1e-3  # Added to the variance.
  m.dtype = 'float32'  # Of activations: float32 or bfloat16.
  # Memory layout, nhwc or chwn; None: the platform's faster one.
  m.layout = config_dict.placeholder(str)

  c.optim = o = config_dict.ConfigDict()
  o.learning_rate = 0.1  # At the start.
  o.schedule = 'step'  # constant, step or cosine.
  o.boundaries = (40, 80)  # step: epochs at which the rate falls.
  o.factor = 0.1  # step: what it is multiplied with there.
  o.final_learning_rate = 0.0  # cosine: at the end.
  o.update = 'epoch'  # The rate changes every epoch or every step.
  o.time_decay = 0.0  # The rate is divided by 1 + time_decay * step (Keras).
  o.momentum = 0.9
  o.nesterov = False
  o.weight_decay = 0.0  # Added to the clipped gradient: this times w (torch).
  o.weight_decay_names = ''  # Of parameters whose path has this regex.
  o.l2 = 0.0  # Penalty l2 * |w|^2, so 2 * l2 * w in the gradient (Keras).
  o.l2_names = ''  # Of parameters whose path has this regex.
  o.clip_norm = config_dict.placeholder(
    float
  )  # Global norm; None: no clipping.

  c.train = t = config_dict.ConfigDict()
  t.epochs = 120
  t.batch_size = 128  # Over all devices.
  t.last_batch = 'train'  # The epoch's last, partial batch: train or drop.
  # Steps run in one dispatch; None: an epoch. SIGTERM waits for its end.
  t.steps_per_dispatch = config_dict.placeholder(int)
  t.runner = 'pmap'  # pmap or jit, see sce_jax/parallel/runners.py.

  c.eval = e = config_dict.ConfigDict()
  e.batch_size = 500  # Over all devices.
  # Evaluate on the training split every so many epochs; None: at the end.
  e.train_every = config_dict.placeholder(int)

  c.checkpoint = k = config_dict.ConfigDict()
  k.every = 10  # Epochs between checkpoints; there is one at the end, too.
  k.keep = 2  # How many are kept.
  return c


def apply_tiny(
  c: config_dict.ConfigDict, choice: ConfigArgs
) -> config_dict.ConfigDict:
  """Makes the tiny variant if asked for."""
  if choice.tiny:
    c.data.limit = 40
    c.train.batch_size = 16  # Leaves a partial batch of 8.
    c.train.epochs = 2
    c.optim.boundaries = (1,)
    c.eval.batch_size = 16
    c.checkpoint.every = 1
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
  c.optim.weight_decay = weight_decay
  c.optim.clip_norm = 5.0
