"""This program, training on random data: what the benchmarks time."""

from collections.abc import Sequence
import dataclasses
from types import ModuleType
from typing import Any, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from configs import cifar10, cifar100, digits, mnist
from experiments.benchmarks import harness
from sce_jax.config import check as config_lib
from sce_jax.config.check import Config
from sce_jax.data import dataset as dataset_lib
from sce_jax.data.dataset import Dataset
from sce_jax.data.sources.columns import Columns, Part
from sce_jax.engine.trainer import Trainer
from sce_jax.parallel import runners


class Shape(NamedTuple):
  """A config module, the recipe that suits the network, and its images."""

  module: ModuleType
  recipe: str
  image_shape: tuple[int, int, int]
  num_classes: int


NETWORKS = {
  'digits_cnn': Shape(digits, 'small', (8, 8, 1), 10),
  'mnist_cnn': Shape(mnist, 'paper', (28, 28, 1), 10),
  'cifar_cnn': Shape(cifar10, 'apl', (32, 32, 3), 10),
  'resnet44': Shape(cifar100, 'paper', (32, 32, 3), 100),
  'resnet34': Shape(cifar100, 'apl', (32, 32, 3), 100),
  'resnet50': Shape(cifar100, 'apl', (32, 32, 3), 100),
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

  def config(self) -> Config:
    """The config, checked."""
    module, recipe, *_ = NETWORKS[self.network]
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
    size = self.images_per_run
    dataset = random_dataset(workload.network, config, size, size)
    self.trainer = Trainer(
      config,
      dataset.info,
      workload.runs,
      runner=runner,
      strategy=workload.method,
    )
    self.trainer.load(dataset)
    self._inputs = self.trainer.make_inputs(
      range(workload.runs),
      [dataset.train.label] * workload.runs,
      [config.traced_hparams] * workload.runs,
    )
    self._state = self.trainer.init(self._inputs)

  @property
  def images_per_run(self) -> int:
    """Images that a run sees in a dispatch."""
    return self.workload.batch * self.workload.steps

  @property
  def images(self) -> int:
    """Images that all runs together see in a dispatch."""
    return self.images_per_run * self.workload.runs

  def __call__(self) -> None:
    self._state, sums = self.trainer.train(self._state, self._inputs, 0)
    jax.block_until_ready((self._state, sums))

  def evaluate(self) -> None:
    """Evaluates on as many images as a dispatch has."""
    jax.block_until_ready(
      self.trainer.evaluate(self._state, self._inputs, 'test')
    )

  def compiled(self) -> Any:
    """The compiled dispatch, for jax.stages' analyses."""
    return self.trainer.lower(self._state, self._inputs, 0).compile()


def random_dataset(
  network: str, config: Config, num_train: int, num_test: int
) -> Dataset:
  """Random images and labels of the shape that a network is for."""
  shape = NETWORKS[network]
  rng = np.random.default_rng(0)

  def split(size):
    top = int(config.data.pixel_max) + 1
    labels = rng.integers(0, shape.num_classes, size, np.int32)
    images = rng.integers(0, top, (size, *shape.image_shape), np.uint8)
    return Part(images, labels, np.arange(size, dtype=np.int32))

  return dataset_lib.from_columns(
    Columns(split(num_train), split(num_test), shape.num_classes), config.data
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

  def min_seconds(self, dtype: str, flops: float, num_bytes: float) -> float:
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
