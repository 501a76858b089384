"""This program's side of the comparison with PyTorch."""

from collections.abc import Callable
import importlib.metadata

import jax
import numpy as np

from configs import cifar10
from sce_jax import config as config_lib
from sce_jax import parallel, program
from sce_jax.data import load


def gpu() -> str:
  """The name of the GPU that jax uses, '' if there is none."""
  device = jax.devices()[0]
  return device.device_kind if device.platform == 'gpu' else ''


def make_steps(
  variant: str, steps: int, batch: int, num_classes: int, threads: int
) -> tuple[Callable[[], None], str]:
  """A function that takes some training steps in one dispatch, and a version.

  Args:
    variant: 'float32' or 'bfloat16'.
    steps: how many steps a call.
    batch: examples a step.
    num_classes: number of classes.
    threads: how many threads a CPU computes with; XLA takes as many by itself.
  """
  del threads
  config = cifar10.get_config('sl,symmetric,0.4,recipe=apl')
  config.data.augment.flip = False
  config.data.augment.pad_crop = 0
  config.optim.weight_decay = 0.0
  config.optim.clip_norm = None
  config.model.dtype = variant
  config.train.batch_size = batch
  config.train.steps_per_dispatch = steps
  checked = config_lib.check(config)
  rng = np.random.default_rng(0)
  size = batch * steps
  labels = rng.integers(0, num_classes, size, np.int32)
  split = load.Split(
    rng.integers(0, 256, (size, 32, 32, 3), np.uint8),
    labels,
    labels,
    np.arange(size, dtype=np.int32),
  )
  # PyTorch has one device, whatever there is.
  runner = parallel.make_runner(checked['train']['runner'], jax.devices()[:1])
  data = load.Data('cifar10', split, split, {})
  p = program.Program(checked, data, runner=runner)
  own = p.own([0], [split], [config_lib.loss_parameters(checked)])
  state = p.init(own)

  def run():
    nonlocal state
    state, sums = p.train(state, own, 0)
    jax.block_until_ready(sums)

  return run, f'jax {importlib.metadata.version("jax")}'
