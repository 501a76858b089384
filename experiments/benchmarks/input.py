"""Examples a second: what each data path gives, and what a training step eats.

  python -m experiments.benchmarks.input [--json=FILE]

The paths:

  record file   load.read of digits from its tfds folder, by random access,
                opening included. It is done once, before training, hence no
                share of a step. The file was just written, so the system has
                it in memory; digits' records hold 64 plain bytes, where those
                of the larger data sets hold images to decode.
  on device     batches of 128 as the compiled step makes them from random
                images of CIFAR-10's shape and number: an order of all
                examples drawn once a dispatch, what augments a batch drawn
                for each, then gathered, scaled, augmented, normalised. Many
                batches in one dispatch, which returns them all. The order
                takes as long however few they are: it weighs more than in
                training, where a dispatch has 39. With the settings of
                configs/cifar10.py: recipe=apl for none and for crops,
                recipe=paper for shifts.
  training step of the 8-layer CNN on such images with SL, gathering them but
                without augmentation, as many steps in one dispatch.

All take turns, the medians are shown. A path's share of the step's time is the
fastest step's images a second over the path's.
"""

from collections.abc import Callable, Sequence
import contextlib
import functools
import tempfile
from typing import Any

import jax
from jax import lax
import jax.numpy as jnp

from configs import cifar10, digits
from experiments.benchmarks import harness, workload
from sce_jax.config import check as config_lib
from sce_jax.config.check import Config
from sce_jax.data import augment, batches
from sce_jax.data import dataset as dataset_lib
from sce_jax.data.info import DatasetInfo
from sce_jax.data.sources import prepare
from sce_jax.errors import UserError

FILE = 'record file, tfds random access'
STEP = 'the training step ({})'
# How a path on the device augments: the recipe, and whether.
ON_DEVICE = {
  'on device: gather': ('apl', False),
  'on device: gather, crop and flip': ('apl', True),
  'on device: gather, shift bilinear and flip': ('paper', True),
}
BATCH, IMAGES = 128, 50_000


def main(argv: Sequence[str] | None = None) -> None:
  parser = harness.Parser('input', __doc__, rounds=5)
  parser.add_argument(
    '--steps', type=harness.count, default=16, help='batches in a dispatch'
  )
  args = parser.parse(argv)
  try:
    rows = measure(args.rounds, args.steps)
  except UserError as error:  # Digits cannot be prepared.
    harness.refuse(str(error))
  harness.report('input', rows, args, harness.machine())


def measure(
  rounds: int,
  steps: int,
  network: str = 'cifar_cnn',
  images: int = IMAGES,
  data_dir: str | None = None,
) -> list[dict[str, Any]]:
  """Times all paths and the step in turn.

  Args:
    rounds: how often each has its turn.
    steps: batches in a dispatch.
    network: whose step, see workload.NETWORKS.
    images: how many images on the device are gathered from.
    data_dir: a tfds folder for digits; None for a temporary one.

  Returns:
    A row for each path, then one for the step in each type.

  Raises:
    UserError: digits cannot be prepared.
  """
  dtypes = ['float32']
  if jax.default_backend() != 'cpu':
    dtypes.append('bfloat16')
  with contextlib.ExitStack() as stack:
    if data_dir is None:
      data_dir = stack.enter_context(tempfile.TemporaryDirectory())
      harness.say('prepares digits')
      prepare.download_and_prepare('digits', data_dir)
    digits_config = config_lib.check_config(digits.get_config()).data
    read = functools.partial(dataset_lib.read, digits_config, data_dir)
    info = read().info
    harness.say('compiles')
    calls: dict[str, Callable[[], object]] = {FILE: read}
    examples = {FILE: info.num_train + info.num_test}
    for name, (recipe, augmented) in ON_DEVICE.items():
      config = config_lib.check_config(cifar10.get_config(f'recipe={recipe}'))
      dataset = workload.random_dataset('cifar_cnn', config, images, 1)
      on_device = batches.to_device_split(dataset.train, dataset.pixel_mean)
      run = make_batches(config, dataset.info, steps, augmented)
      calls[name] = functools.partial(
        _wait_for, run, on_device, jnp.asarray(dataset.train.label)
      )
      examples[name] = steps * BATCH
    for dtype in dtypes:
      training = workload.Training(
        workload.Workload(network, batch=BATCH, steps=steps, dtype=dtype)
      )
      calls[STEP.format(dtype)] = training
      examples[STEP.format(dtype)] = training.images
    seconds = harness.medians(harness.interleave(calls, rounds))
  rates = {name: examples[name] / seconds[name] for name in calls}
  fastest = max(rates[STEP.format(dtype)] for dtype in dtypes)
  return [
    {
      'path': name,
      'examples/s': rate,
      "share of the step's time": None if name == FILE else fastest / rate,
    }
    for name, rate in rates.items()
  ]


def _wait_for(run, split, labels):
  jax.block_until_ready(run(split, labels, jax.random.key(0)))


def make_batches(
  config: Config, info: DatasetInfo, steps: int, augmented: bool
) -> Callable[[batches.DeviceSplit, jax.Array, jax.Array], batches.Batch]:
  """Compiles a dispatch that makes batches as epoch.train_steps does.

  Args:
    config: the config.
    info: the description of its data set.
    steps: how many batches.
    augmented: whether they are augmented.

  Returns:
    A function of a split, its labels and a key that gives the batches, one
    after the other along the leading axis.
  """
  augment_config = config.data.augment
  normalization = batches.Normalization.of(config.data, info)

  def run(split, labels, key):
    size = labels.shape[0]
    order = jax.random.permutation(key, size)
    positions = jnp.arange(size, dtype=jnp.int32)

    def body(_, number):
      place = number * BATCH + jnp.arange(BATCH, dtype=jnp.int32)
      augmentation = None
      if augmented:
        params = augment.sample_params(
          jax.random.fold_in(key, number),
          BATCH,
          split.image.shape[1:],
          augment_config,
        )
        augmentation = (params, augment_config)
      # Many steps may need more than there is: from the start again.
      return None, batches.take(
        split,
        labels,
        positions,
        order[place % size],
        None,
        normalization,
        augmentation,
      )

    # The batches are the result, so the compiler leaves no part of one out.
    return lax.scan(body, None, jnp.arange(steps, dtype=jnp.int32))[1]

  return jax.jit(run)


if __name__ == '__main__':
  main()
