"""Training on random data: what most benchmarks time."""

from collections.abc import Mapping, Sequence
import dataclasses
from types import ModuleType
from typing import Any, NamedTuple

import jax
import numpy as np

from configs import cifar10, cifar100, clothing1m, digits, mnist
from experiments.benchmarks import harness
from sce_jax import methods
from sce_jax.config import check as config_lib
from sce_jax.config.check import Config
from sce_jax.data import dataset as dataset_lib
from sce_jax.data import labels
from sce_jax.data.dataset import Dataset
from sce_jax.data.sources.columns import Columns, Part
from sce_jax.engine import compilation_cache
from sce_jax.engine.trainer import Trainer
from sce_jax.errors import UserError
from sce_jax.parallel import runners

# Beside runners.RUNNERS, which spread a batch over devices: this spreads runs.
RUN_PARALLEL = 'run_parallel'


class Shape(NamedTuple):
  """What a network is trained on, by a recipe of a config module."""

  module: ModuleType
  recipe: str
  image_shape: tuple[int, int, int]
  num_classes: int
  batch: int = 128
  cpu_steps: int = 2  # Steps that take about a second on a CPU.
  num_train: int = 50_000  # Examples of its data set.
  num_test: int = 10_000

  @property
  def steps(self) -> int:
    """Steps of a dispatch that is long enough to be timed."""
    return harness.by_platform(self.cpu_steps, 40)


NETWORKS = {
  'digits_cnn': Shape(digits, 'small', (8, 8, 1), 10, 64, 200, 1_198, 599),
  'mnist_cnn': Shape(mnist, 'paper', (28, 28, 1), 10, 128, 20, 60_000),
  'cifar_cnn': Shape(cifar10, 'apl', (32, 32, 3), 10, 128, 4),
  'resnet44': Shape(cifar100, 'paper', (32, 32, 3), 100),
  'resnet34': Shape(cifar100, 'apl', (32, 32, 3), 100),
  'resnet50': Shape(cifar100, 'apl', (32, 32, 3), 100),
  # Its data set is streamed; here those of a dispatch lie on the device.
  'imagenet_resnet50': Shape(
    clothing1m, 'paper', (224, 224, 3), 14, 32, num_train=9_984, num_test=1_024
  ),
}


@dataclasses.dataclass(frozen=True)
class Workload:
  """What is trained.

  Attributes:
    network: a key of NETWORKS.
    batch: examples a step and run.
    steps: steps a dispatch, which is an epoch.
    dtype: 'float32' or 'bfloat16'.
    loss: a key of methods.SPECS.
    runs: how many runs in one program.
    strategy: how they are mapped over, see multirun.py; None for the best.
    runner: a key of runners.RUNNERS, or RUN_PARALLEL.
    devices: how many devices; None for all.
    augment: whether images are augmented as the recipe does.
    recipe: of the config; None for the one that suits the network.
  """

  network: str
  batch: int = 128
  steps: int = 8
  dtype: str = 'float32'
  loss: str = 'sl'
  runs: int = 1
  strategy: str | None = None
  runner: str = 'pmap'
  devices: int | None = 1
  augment: bool = False
  recipe: str | None = None

  def config(self) -> Config:
    """The config, checked."""
    shape = NETWORKS[self.network]
    try:
      config = shape.module.get_config(
        f'{self.loss},symmetric,0.4,recipe={self.recipe or shape.recipe}'
      )
    except ValueError as error:
      raise UserError(str(error)) from None
    config.model.name = self.network
    config.model.dtype = self.dtype
    config.train.batch_size = self.batch
    config.train.steps_per_dispatch = self.steps
    config.model.init_from = None
    config.data.feed, config.data.augment.crop = 'resident', 'center'
    if not self.augment:
      off = {'pad_crop': 0, 'shift': 0.0, 'rotate': 0.0, 'flip': False}
      config.data.augment.update(off)
    return config_lib.check_config(config)


class Training:
  """A workload that has been set up; a call trains for one dispatch.

  Args:
    workload: what is trained.
    num_train: number of training images; None for those of one dispatch.
    num_test: number of test images.
    devices: those to train on; None: as many as the workload says.

  Attributes:
    seconds: of a dispatch; set by `time_in_turns`.
    plan: how an epoch is cut into dispatches.
    config: the config.
    info: the description of the data set.
    inputs: what each run trains on.
    split: the training images on the devices.
  """

  def __init__(
    self,
    workload: Workload,
    num_train: int | None = None,
    num_test: int = 1,
    devices: Sequence[jax.Device] | None = None,
  ):
    self.workload = workload
    self.seconds = 0.0
    config, runs = workload.config(), workload.runs
    size = num_train or workload.batch * workload.steps
    dataset = random_dataset(
      workload.network, config, size, num_test, is_blank=devices is not None
    )
    devices = devices or jax.devices()[: workload.devices]
    runner: runners.Runner = runners.RunParallelRunner(devices)
    if workload.runner != RUN_PARALLEL:
      runner = runners.make_runner(workload.runner, devices)
    self._trainer = Trainer(
      config, dataset.info, runs, runner=runner, strategy=workload.strategy
    )
    self._trainer.load(dataset)
    self.split = self._trainer.split('train')
    self.inputs = self._trainer.make_inputs(
      range(runs),
      [dataset.train.label] * runs,
      [_hparams(config, dataset)] * runs,
    )
    self._state = self._trainer.init(self.inputs)
    self.plan = self._trainer.plan
    self.config, self.info = config, dataset.info

  def __call__(self, step: int = 0) -> Any:
    """Starts the dispatch from a step of an epoch on."""
    self._state, sums = self._trainer.train(self._state, self.inputs, step)
    return self._state, sums

  def evaluate(self) -> Any:
    """Starts an evaluation on the test images."""
    return self._trainer.evaluate(self._state, self.inputs, 'test')

  @property
  def step(self) -> float:
    """Seconds of a step, of all runs together."""
    return self.seconds / self.workload.steps

  @property
  def rate(self) -> float:
    """Images a second, of all runs together."""
    return self.workload.runs * self.workload.batch / self.step

  @property
  def ends_epoch(self) -> bool:
    """Whether its method computes something at the end of an epoch."""
    loss = self.workload.config().loss
    return methods.build(loss.name, loss.hparams).end_epoch is not None

  def compiled(self) -> Any:
    """The compiled dispatch, for jax.stages' analyses."""
    return self.lower().compile()

  def lower(self) -> Any:
    """The first dispatch of an epoch, not compiled."""
    return self._trainer.lower(self._state, self.inputs, 0)

  def lower_evaluate(self) -> Any:
    """The evaluation on the test images, not compiled."""
    return self._trainer.lower_evaluate(self._state, self.inputs)


def time_in_turns(workloads: Sequence[Workload], rounds: int) -> list[Training]:
  """Trains workloads in turn, see harness.time_in_turns."""
  compilation_cache.enable()
  trainings = {}
  for workload in workloads:
    harness.log(f'compiles {workload}')
    trainings[str(workload)] = Training(workload)
  seconds = harness.time_in_turns(trainings, rounds)
  for name, training in trainings.items():
    training.seconds = seconds[name]
  return list(trainings.values())


def _hparams(config: Config, dataset: Dataset) -> Mapping[str, Any]:
  """The traced hyper-parameters, with those that the method computes."""
  hparams = config.loss.hparams
  method = methods.build(config.loss.name, hparams)
  if method.prepare is None:
    return config.traced_hparams
  transition = labels.transition_matrix(config.noise, dataset.info)

  def fit(name, runs, share):
    raise NotImplementedError('the true transition matrix is used')

  context = methods.PrepareContext(hparams, transition)
  (prepared,) = method.prepare(fit, [context])
  return {**config.traced_hparams, **(prepared or {})}


def random_dataset(
  network: str,
  config: Config,
  num_train: int,
  num_test: int,
  *,
  is_blank: bool = False,
) -> Dataset:
  """Random images and labels of the shape that a network is for.

  Args:
    network: a key of NETWORKS.
    config: whose data set it stands for.
    num_train: number of training images.
    num_test: number of test images.
    is_blank: whether the images are black, where only shapes matter.
  """
  shape = NETWORKS[network]
  rng = np.random.default_rng(0)

  def split(size):
    top = int(config.data.pixel_max) + 1
    label = rng.integers(0, shape.num_classes, size, np.int32)
    shape_of_all = (size, *shape.image_shape)
    if is_blank:  # Takes no memory.
      images = np.broadcast_to(np.uint8(0), shape_of_all)
    else:
      images = rng.integers(0, top, shape_of_all, np.uint8)
    return Part(images, label, np.arange(size, dtype=np.int32))

  return dataset_lib.from_columns(
    Columns(split(num_train), split(num_test), shape.num_classes), config.data
  )
