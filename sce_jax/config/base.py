"""All fields of a config, with their meaning and default.

Light: no jax, so that config files and --help need none.
"""

from collections.abc import Mapping
from typing import Any

from ml_collections import config_dict

from sce_jax.config import published


class _OptionalTuple(config_dict.FieldReference):
  """A list that may be None, which its flag gives as (None,)."""

  def __init__(self):
    super().__init__(None, tuple)

  def set(self, value: Any, type_safe: bool = True) -> None:
    is_none = isinstance(value, tuple | list) and list(value) == [None]
    super().set(None if is_none else value, type_safe)


class _Preset(config_dict.FieldReference):
  """A hyper-parameter as the config file has it, until it is given a value."""

  def __init__(self, value: Any):
    # None, a number that is chosen when the data have been read.
    super().__init__(value, float if value is None else None)
    self.given = False

  def set(self, value: Any, type_safe: bool = True) -> None:
    super().set(value, type_safe)
    self.given = True

  def __setstate__(self, state: dict[str, Any]) -> None:
    super().__setstate__(state)
    self.given = state['given']


class _LossName(config_dict.FieldReference):
  """The name of a loss: another one brings its own presets into its section.

  Those of the loss before go, unless they have been given a value since: that
  is refused when the config is checked, if the loss does not have it.
  """

  def __init__(
    self,
    name: str,
    section: config_dict.ConfigDict,
    presets: Mapping[str, Mapping[str, Any]],
  ):
    self._section = section
    self._presets = presets
    super().__init__(name)

  def set(self, value: Any, type_safe: bool = True) -> None:
    super().set(value, type_safe)
    section = self._section
    with section.unlocked():
      for key, field in section.items(preserve_field_references=True):
        if isinstance(field, _Preset) and not field.given:
          del section[key]
      for key, preset in self._presets.get(value, {}).items():
        if key not in section:
          section[key] = _Preset(preset)

  def __setstate__(self, state: dict[str, Any]) -> None:
    super().__setstate__(state)
    self._section, self._presets = state['_section'], state['_presets']


class Penalty(config_dict.FieldReference):
  """A recipe's weight decay or L2, which methods with an L1 penalty do without.

  What it is given later it keeps with any method.
  """

  def __init__(self, value: float, loss: config_dict.ConfigDict):
    self._loss = loss
    super().__init__(value)
    self._given = False

  def set(self, value: float, type_safe: bool = True) -> None:
    super().set(value, type_safe)
    self._given = True

  def get(self) -> float:
    return 0.0 if self._loss.get('l1') and not self._given else super().get()

  def __setstate__(self, state: dict[str, Any]) -> None:
    super().__setstate__(state)
    self._loss, self._given = state['_loss'], state['_given']


def loss_section(
  name: str,
  presets: Mapping[str, Mapping[str, Any]],
  dataset: str,
  noise: str,
  rate: float,
) -> config_dict.ConfigDict:
  """The `loss` section: a method and its hyper-parameters.

  Those that are not in it have the defaults of sce_jax/methods/table.py.

  Args:
    name: a key of sce_jax.methods.SPECS.
    presets: a config's own values by method, before the published ones.
    dataset: the data set's name.
    noise: a noise's name.
    rate: the noise rate, for a method that is told it or has published settings
      for it.
  """
  all_presets = published.presets(dataset, noise, rate)
  for method, values in presets.items():
    all_presets[method] = {**all_presets.get(method, {}), **values}
  section = config_dict.ConfigDict()
  section.name = _LossName(name, section, all_presets)
  return section


def base_config(
  dataset: str,
  loss: str,
  noise: str = 'clean',
  rate: float = 0.0,
  seed: int = 0,
  presets: Mapping[str, Mapping[str, Any]] | None = None,
) -> config_dict.ConfigDict:
  """All fields, with the values that most configs keep.

  Args:
    dataset: the data set's name.
    loss: a key of sce_jax.methods.SPECS.
    noise: a noise's name.
    rate: the noise rate.
    seed: of everything random.
    presets: hyper-parameters by method that differ from published.py.
  """
  c = config_dict.ConfigDict()
  # Every random number of a run comes from it.
  c.seed = seed

  c.data = d = config_dict.ConfigDict()
  d.source = 'tfds'  # How it is read, a key of sce_jax.data.dataset.SOURCES.
  d.name = dataset  # What the source calls it: any tfds data set of images.
  # Data of one's own (sources path, folder, table, npz): where they are.
  d.path = config_dict.placeholder(str)
  # Height and width that images are resized to, 8 to 1024; None: of files
  # chosen from their sizes, at most 64, and said; arrays keep their size.
  d.image_size = config_dict.placeholder(int)
  # Share of the training examples, in [0, 1), that is held out as the test
  # split where there is none; its labels are as noisy as the others. 0: none.
  d.held_out = 0.0
  # Share of the training examples, in [0, 1), that is not trained on: their
  # labels are as noisy as the others, and settings may be chosen by them. The
  # same examples whatever the seed and the noise. 0: none.
  d.validation = 0.0
  # The share of files, in [0, 1], that may be unreadable; they are left out.
  d.max_unreadable = 0.01
  d.pixel_max = 255.0  # The stored pixel value that becomes 1.
  # Of each channel of the training images scaled to [0, 1]; None: measured.
  d.mean = _OptionalTuple()
  d.std = _OptionalTuple()
  # Whether the labels are the true ones; False: nobody knows the true ones.
  d.clean_labels = True
  # Further labels that can be named as the noise: its name, and the feature.
  d.label_sets = config_dict.ConfigDict()
  # Pixels: unit: x / pixel_max, in [0, 1]; pixel_mean: that less the mean
  # training image; mean_std: that, less each channel's mean, over its std.
  d.normalization = 'unit'
  # Use only the first examples of each split (of data of one's own so many
  # drawn at random, always the same); None: all.
  d.limit = config_dict.placeholder(int)
  # What was decided about some labels: a .csv (example_id,label or drop), as
  # an audit's page saves it. It replaces the labels, noise included.
  d.relabel = config_dict.placeholder(str)
  # How pixels reach the device: resident: all lie on it; stream: they are read
  # and decoded on the host while it computes, and only one run is trained at a
  # time. Files that are decoded as they are read can only be streamed.
  d.feed = 'resident'
  # stream: processes that read and decode; 0: threads; None: chosen by the
  # machine. The batches are the same, and a run may be resumed with others.
  d.workers = config_dict.placeholder(int)
  # Of the sources clothing1m, animal10n, food101n and webvision_mini:
  # noisy_train, clean_train or noisy_and_clean, each as the data set has it.
  d.train_split = 'noisy_train'
  # Train on so many images of each class; 0: on as many as the smallest class
  # has; None: on all.
  d.per_class = config_dict.placeholder(int)
  d.per_class_seed = 0  # Which ones.
  # Images are kept as JPEGs of this quality whose short side is so long.
  d.prepared_side = 256
  d.prepared_quality = 90
  d.augment = a = config_dict.ConfigDict()
  # Of files that are decoded as they are read, the square that training sees:
  # center, random, or resized, a random part (8 to 100 %) made that large.
  a.crop = 'center'
  a.pad_crop = 0  # Pad by so many pixels, then crop at random; 0: off.
  a.shift = 0.0  # Largest shift, as a share of the image's size; 0: off.
  a.rotate = 0.0  # Largest rotation, degrees; 0: off.
  a.flip = False  # Mirror half of the images left to right.
  a.fill = 'black'  # What lies outside the image: black or nearest.

  c.noise = n = config_dict.ConfigDict()
  # Label noise: a key of sce_jax.noise.NOISE or of data.label_sets, the latter
  # after matched_ for labels drawn as they confuse classes, file or
  # matched_file, or one of sce_jax.noise.FROM_PROBABILITIES.
  n.name = noise
  n.rate = rate  # Its rate, in [0, 1); not read for labels as given or matched.
  # exact: the rate's share of each class; iid: each drawn. Not read by noises
  # that look at the image, see sce_jax/noise/instance.py.
  n.mode = 'exact'
  n.seed = config_dict.placeholder(int)  # None: the config's seed.
  # file: an .npz (ids, labels) or .csv (example_id,label) of all examples; for
  # noise that is made of a network's probabilities: probabilities.npz of an
  # audit.
  n.path = config_dict.placeholder(str)
  # A noise with a matrix, drawn of the labels that the first one has left, and
  # its rate; '': none.
  n.second = ''
  n.second_rate = 0.0
  # Class imbalance, before the noise: exponential or step, and the ratio of the
  # largest share of a class that is kept to the smallest; '': none.
  n.imbalance = ''
  n.imbalance_ratio = 1.0
  # Open-set noise: the data set of tfds, or the path of data of one's own,
  # whose images replace a share of the training images; '': none.
  n.open_set_from = ''
  n.open_set_rate = 0.0

  # A key of sce_jax.methods.SPECS and its hyper-parameters.
  c.loss = loss_section(loss, presets or {}, dataset, noise, rate)

  c.model = m = config_dict.ConfigDict()
  # Network, a key of sce_jax.models.MODELS. It, the epochs, the batch size, the
  # weight decay, and SL's alpha and beta may be None: chosen by the data, see
  # own.py.
  m.name = ''
  # What its parameters begin from. A file: weights in safetensors or PyTorch's
  # .pth, of torchvision's or timm's ResNet-50 or of an exported network, or
  # hf://OWNER/REPOSITORY/FILE; random: as None, newly drawn, which is said in
  # all results; required: it must be given.
  m.init_from = config_dict.placeholder(str)
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
  o.schedule = 'step'  # constant, step, exponential or cosine.
  o.boundaries = (40, 80)  # step: epochs at which the rate falls.
  # step: what it is multiplied with there; exponential: after each epoch.
  o.factor = 0.1
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
  t.drop_remainder = (
    False  # Whether an epoch's last, partial batch is left out.
  )
  # Train on so many full batches an epoch, drawn anew each epoch with as many
  # examples of each class, by their noisy labels; None: on each example once.
  t.balanced_batches = config_dict.placeholder(int)
  # Steps run in one dispatch, at most; None: an epoch. SIGTERM waits for its
  # end, so that it has no more than take 1.5 s, as measured: engine/pace.py.
  t.steps_per_dispatch = config_dict.placeholder(int)
  t.runner = 'pmap'  # pmap or jit, see sce_jax/parallel/runners.py.
  # Whether each example's outputs are summed over the epochs, for audits.
  t.record_averages = False
  # Then also the margins of the logits, which give AUM.
  t.record_margins = False

  c.eval = e = config_dict.ConfigDict()
  e.batch_size = 500  # Over all devices.
  # Evaluate on the training split every so many epochs; None: at the end.
  e.train_every = config_dict.placeholder(int)

  c.checkpoint = k = config_dict.ConfigDict()
  k.every = 10  # Epochs between checkpoints; there is one at the end, too.
  k.keep = 2  # How many are kept.
  return c
