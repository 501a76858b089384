"""This program, training on random data: what the benchmarks time."""

from collections.abc import Sequence
import dataclasses
from typing import Any

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from configs import cifar10, cifar100, digits, mnist
from experiments.benchmarks import harness
from sce_jax.config import check as config_lib
from sce_jax.data import dataset as dataset_lib
from sce_jax.data import datasets
from sce_jax.engine import trainer
from sce_jax.parallel import runners

# A network's config, with the recipe that suits it.
NETWORKS = {
  'digits_cnn': (digits, 'small'),
  'mnist_cnn': (mnist, 'paper'),
  'cifar_cnn': (cifar10, 'apl'),
  'resnet44': (cifar100, 'paper'),
  'resnet34': (cifar100, 'apl'),
  'resnet50': (cifar100, 'apl'),
}


@dataclasses.dataclass(frozen=True)
class Workload:
  """What is trained.

  Attributes:
    network: a key of NETWORKS.
    batch: examples a step and run.
    steps: steps a dispatch.
    dtype: 'float32' or 'bfloat16'.
    loss: a loss's name.
    runs: how many runs in one program.
    method: how they are carried, see trials.py; None for the platform's.
    runner: 'pmap', 'jit' or 'spread' (runs over devices).
    devices: how many devices; None for all.
    augment: whether images are augmented, as the config says.
  """

  network: str
  batch: int = 128
  steps: int = 8
  dtype: str = 'float32'
  loss: str = 'sl'
  runs: int = 1
  method: str | None = None
  runner: str = 'pmap'
  devices: int | None = None
  augment: bool = False

  def config(self) -> dict[str, Any]:
    """The config, checked."""
    module, recipe = NETWORKS[self.network]
    config = module.get_config(f'{self.loss},symmetric,0.4,recipe={recipe}')
    config.model.name = self.network
    config.model.dtype = self.dtype
    config.train.batch_size = self.batch
    config.train.steps_per_dispatch = self.steps
    if not self.augment:
      for field, off in (
        ('pad_crop', 0),
        ('shift', 0.0),
        ('rotate', 0.0),
        ('flip', False),
      ):
        config.data.augment[field] = off
    return config_lib.check_config(config)


class Training:
  """A workload that has been set up; a call trains for one dispatch."""

  def __init__(self, workload: Workload):
    self.workload = workload
    config = workload.config()
    devices = jax.devices()[: workload.devices]
    if workload.runner == 'spread':
      runner: runners.Runner = runners.RunParallelRunner(devices)
    else:
      runner = runners.make_runner(workload.runner, devices)
    split = random_split(config['data']['name'], self.images_per_run)
    data = dataset_lib.Dataset(config['data']['name'], split, split, {})
    self.program = trainer.Trainer(
      config, data, workload.runs, runner, workload.method
    )
    self._own = self.program.own(
      range(workload.runs),
      [split] * workload.runs,
      [config_lib.loss_parameters(config)] * workload.runs,
    )
    self._state = self.program.init(self._own)

  @property
  def images_per_run(self) -> int:
    """Images that a run sees in a dispatch."""
    return self.workload.batch * self.workload.steps

  @property
  def images(self) -> int:
    """Images that all runs together see in a dispatch."""
    return self.images_per_run * self.workload.runs

  def __call__(self) -> None:
    self._state, sums = self.program.train(self._state, self._own, 0)
    jax.block_until_ready((self._state, sums))

  def evaluate(self) -> None:
    """Evaluates on as many images as a dispatch has."""
    jax.block_until_ready(self.program.evaluate(self._state, self._own, 'test'))

  def compiled(self) -> Any:
    """The compiled dispatch, for jax.stages' analyses."""
    return self.program.lower(self._state, self._own, 0).compile()


def random_split(dataset: str, size: int) -> dataset_lib.Split:
  """Random images and labels of a data set's shape."""
  info = datasets.DATASETS[dataset]
  rng = np.random.default_rng(0)
  labels = rng.integers(0, info.num_classes, size, np.int32)
  top = int(info.pixel_max) + 1
  return dataset_lib.Split(
    rng.integers(0, top, (size, *info.image_shape), np.uint8),
    labels,
    labels,
    np.arange(size, dtype=np.int32),
  )


@dataclasses.dataclass(frozen=True)
class Roofline:
  """What a device can do at most, as measured.

  Attributes:
    flops: floating-point operations a second of a product of square matrices,
      by type.
    bandwidth: bytes a second, read and written, of a scaled copy.
  """

  flops: dict[str, float]
  bandwidth: float

  def floor(self, dtype: str, flops: float, num_bytes: float) -> float:
    """Seconds that so much work takes at least."""
    return max(flops / self.flops[dtype], num_bytes / self.bandwidth)


def measure_roofline(
  dtypes: Sequence[str] = ('float32', 'bfloat16'),
) -> Roofline:
  """Measures the first device: the best of several, each in one dispatch."""
  small = jax.default_backend() == 'cpu'
  size, repeats = (2048, 4) if small else (8192, 20)

  def seconds(step, x):
    # A loop in one dispatch, so that dispatching does not count.
    run = jax.jit(lambda x: lax.fori_loop(0, repeats, lambda _, x: step(x), x))
    call = {'': lambda: jax.block_until_ready(run(x))}
    return min(harness.interleave(call, 5)['']) / repeats

  def product(x):
    y = lax.dot_general(
      x, x, (((1,), (0,)), ((), ())), preferred_element_type=jnp.float32
    )
    return y.astype(x.dtype)

  flops = {
    dtype: 2 * size**3 / seconds(product, jnp.zeros((size, size), dtype))
    for dtype in dtypes
  }
  x = jnp.ones((64 if small else 1024, 2**20), jnp.float32)
  return Roofline(flops, 2 * x.nbytes / seconds(lambda x: x * 1.5, x))
