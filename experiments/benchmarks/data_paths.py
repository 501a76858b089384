"""How fast examples are read, and batches made."""

from collections.abc import Callable
import contextlib
import functools
import tempfile

import jax
from jax import lax
import jax.numpy as jnp

from configs import digits
from experiments.benchmarks import harness, workload
from experiments.benchmarks.workload import Training, Workload
from sce_jax.config import check as config_lib
from sce_jax.config.check import Config
from sce_jax.data import augment, batches
from sce_jax.data import dataset as dataset_lib
from sce_jax.data.info import DatasetInfo
from sce_jax.engine.order import permutation

# Path: recipe of configs/cifar10.py, and whether it augments.
ON_DEVICE = {
  'on device: gather': ('apl', False),
  'on device: gather, crop and flip': ('apl', True),
  'on device: gather, shift bilinear and flip': ('paper', True),
}
BATCH = 128
_FILE = 'record file, tfds random access'


def data_paths(
  steps: int = 16,
  network: str = 'cifar_cnn',
  num_train: int = 50_000,
  data_dir: str | None = None,
  rounds: int = 5,
) -> harness.Report:
  """Examples a second of each data path, against a training step.

  record file     digits read from its tfds folder by random access, opening
                  included. It is done once, before training, hence no share of
                  a step. The file may be in the system's memory; digits'
                  records hold 64 plain bytes, where those of larger data sets
                  hold images to decode.
  on device       batches of 128 as the compiled step makes them from random
                  images of CIFAR-10's shape: shuffled once a dispatch,
                  gathered, scaled, augmented, normalised, with the settings of
                  configs/cifar10.py: recipe=apl for crops, recipe=paper for
                  shifts. One dispatch returns many batches.
  training step   of a network with SL, without augmentation, as many steps in
                  one dispatch.

  All take turns. A path's share of a step is the fastest step's images a second
  over the path's.
  """
  calls: dict[str, Callable[[], object]] = {}
  with contextlib.ExitStack() as stack:
    if data_dir is None:
      data_dir = stack.enter_context(tempfile.TemporaryDirectory())
    config = config_lib.check_config(digits.get_config())
    calls[_FILE] = functools.partial(dataset_lib.read, config.data, data_dir)
    # The first time it is prepared, too, where it must be.
    info = dataset_lib.read(config.data, data_dir).info
    for name, (recipe, augmented) in ON_DEVICE.items():
      config = Workload('cifar_cnn', augment=augmented, recipe=recipe).config()
      dataset = workload.random_dataset('cifar_cnn', config, num_train, 1)
      calls[name] = functools.partial(
        make_batches(config, dataset.info, steps),
        jax.device_put(
          batches.to_device_split(dataset.train, dataset.pixel_mean)
        ),
        jnp.asarray(dataset.train.label),
        jax.random.key(0),
      )
    trainings = {
      f'the training step ({dtype})': Training(
        Workload(network, BATCH, steps, dtype)
      )
      for dtype in harness.by_platform(['float32'], ['float32', 'bfloat16'])
    }
    seconds = harness.time_in_turns(calls | trainings, rounds)
  rates = {name: steps * BATCH / value for name, value in seconds.items()}
  rates[_FILE] = (info.num_train + info.num_test) / seconds[_FILE]
  fastest = max(rates[name] for name in trainings)
  return harness.Report(
    [
      {
        'path': name,
        'examples/s': rate,
        'share of a step': None if name == _FILE else fastest / rate,
      }
      for name, rate in rates.items()
    ]
  )


def make_batches(
  config: Config, info: DatasetInfo, steps: int
) -> jax.stages.Wrapped:
  """Compiles a dispatch that makes batches as epoch.train_steps does.

  Args:
    config: the config.
    info: the description of its data set.
    steps: how many batches.

  Returns:
    A function of a split, its labels and a key that gives the batches, one
    after the other along the leading axis.
  """
  normalization = batches.Normalization.of(config.data, info)
  augment_config = config.data.augment

  def run(split, labels, key):
    size, image_shape = labels.shape[0], split.pixel_mean.shape
    order = permutation(key, size)
    positions = jnp.arange(size, dtype=jnp.int32)

    def make(number):
      # Past the end from the start again.
      place = (number * BATCH + jnp.arange(BATCH, dtype=jnp.int32)) % size
      params = augment.sample_params(
        jax.random.fold_in(key, number), BATCH, image_shape, augment_config
      )
      augmentation = params, augment_config
      return batches.take(
        split,
        labels,
        positions,
        order[place],
        None,
        normalization,
        augmentation,
      )

    # The batches are the result, so that the compiler leaves no part out.
    return lax.map(make, jnp.arange(steps, dtype=jnp.int32))

  return jax.jit(run)
