"""The compiled program that a config describes, for one run or several."""

from collections.abc import Mapping, Sequence
import dataclasses
import functools
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Float32, Int, Shaped
import numpy as np

from sce_jax import methods, models
from sce_jax.data import batches
from sce_jax.data.dataset import DataConfig, Dataset
from sce_jax.data.info import DatasetInfo
from sce_jax.engine import (
  epoch,
  evaluate,
  metrics,
  optim,
  plan,
  predict,
  randomness,
)
from sce_jax.engine.feed import StreamFeed, steps_within
from sce_jax.engine.network import Network
from sce_jax.engine.recipe import Recipe
from sce_jax.engine.train_state import RunInputs, TrainState, is_finite
from sce_jax.errors import UserError
from sce_jax.parallel import multirun, runners

# Steps of a block, at most, where that matters.
_BLOCK = 16


@runtime_checkable
class MethodConfig(Protocol):
  """The `loss` section of a config."""

  @property
  def name(self) -> str: ...
  @property
  def hparams(self) -> Mapping[str, Any]: ...


@runtime_checkable
class TrainerConfig(Protocol):
  """Those sections of a config that a program is compiled from."""

  @property
  def data(self) -> DataConfig: ...
  @property
  def loss(self) -> MethodConfig: ...
  @property
  def model(self) -> models.ModelConfig: ...
  @property
  def optim(self) -> optim.OptimConfig: ...
  @property
  def train(self) -> plan.TrainConfig: ...
  @property
  def eval(self) -> evaluate.EvalConfig: ...


class Trainer:
  """Initialises, trains and evaluates S runs that differ in RunInputs only.

  Args:
    config: a config, any of the S.
    info: the description of its data set.
    num_runs: S.
    num_examples: how many examples each run trains on; None for all of the
      training split.
    runner: the devices; None for all of them, and the runner that the config
      names or, if there are enough runs, one that spreads runs over devices.
    strategy: how several runs are mapped over, see multirun.py; None for the
      best.

  Attributes:
    plan: how an epoch is cut into dispatches.
    num_runs: S.

  Raises:
    UserError: there are fewer examples than a batch has.
  """

  def __init__(
    self,
    config: TrainerConfig,
    info: DatasetInfo,
    num_runs: int = 1,
    *,
    num_examples: int | None = None,
    runner: runners.Runner | None = None,
    strategy: str | None = None,
  ):
    if runner is None and multirun.use_run_parallel(
      num_runs, jax.device_count()
    ):
      runner = runners.RunParallelRunner(runners.all_devices())
    self._runner = runner or runners.make_runner(config.train.runner)
    self._info = info
    self.num_runs = num_runs
    num_examples = info.num_train if num_examples is None else num_examples
    if config.train.batch_size > num_examples:
      raise UserError(
        f'config.train.batch_size is {config.train.batch_size}, but'
        f' {info.name} has {num_examples} examples to train on: make it smaller'
      )
    self._streams = config.data.feed == 'stream'
    if self._streams and num_runs > 1:
      raise UserError(
        'config.data.feed=stream trains one run at a time, but'
        f' {num_runs} are to share a program: use resident'
      )
    most_steps = None
    if self._streams:
      most_steps = steps_within(config.train.batch_size, info.image_shape)
    self.plan = plan.make_plan(config.train, num_examples, most_steps)
    if self._runner.platform != 'cpu':
      # There the condition of a loop may wait for the host in each turn.
      self.plan = self.plan.in_blocks(_BLOCK)
    method = methods.build(config.loss.name, config.loss.hparams)
    if config.train.record_averages:
      margins = config.train.record_margins
      method = methods.averaged(method, margins=margins)
    self._recipe = Recipe(
      network=Network(
        models.build(
          config.model,
          info.num_classes,
          platform=self._runner.platform,
          axis_name=self._runner.axis_name,
        ),
        optim.make_optimizer(
          config.optim, config.train.epochs, self.plan.steps
        ),
        method.num_networks,
      ),
      method=method,
      runner=self._runner,
      plan=self.plan,
      num_epochs=config.train.epochs,
      normalization=batches.Normalization.of(config.data, info),
      augment_config=config.data.augment,
      eval_batch_size=config.eval.batch_size,
      num_classes=info.num_classes,
    )
    self._strategy = strategy or multirun.choose_strategy(
      info.image_shape, self._runner.platform
    )
    self._splits: dict[str, batches.DeviceSplit] = {}
    self._data_config, self._optim_config = config.data, config.optim
    self._feed: StreamFeed | None = None
    # Of the splits that all runs are evaluated on.
    self._labels: dict[str, np.ndarray] = {}
    self._eval_inputs: dict[str, Any] = {}
    self._evaluate = self._compile(
      functools.partial(
        evaluate.evaluate_split,
        num_classes=info.num_classes,
        recipe=self._recipe,
      ),
      batches=self._streams,
    )
    self._is_finite = jax.jit(
      is_finite if num_runs == 1 else jax.vmap(is_finite)
    )
    self._train = functools.cache(self._compile_train)
    self._placed = functools.lru_cache(8)(self._place_number)

  @property
  def last_step(self) -> int:
    """The number of steps of a run that has ended."""
    return self._recipe.num_epochs * self.plan.steps

  def check_trainable(self) -> None:
    """Checks what only training needs.

    The devices must share a batch equally: a network is evaluated and used on
    any number of devices. Each penalty must apply to some parameter.

    Raises:
      UserError: one of these is not so.
    """
    batch_size, devices = self.plan.batch_size, self._runner.num_devices
    if batch_size % devices:
      raise UserError(
        f'config.train.batch_size is {batch_size}, which {devices} devices'
        ' cannot share equally: make it a multiple'
      )
    optim.check_names(
      self._optim_config, lambda: self.abstract_variables()['params']
    )

  def _compile(self, fn, **options: bool):
    if self.num_runs > 1:
      fn = multirun.map_over_runs(fn, strategy=self._strategy)
    return self._runner.compile(fn, **options)

  def _compile_train(self, dispatch: plan.Dispatch):
    self.check_trainable()
    fn = functools.partial(
      epoch.train_steps, dispatch=dispatch, recipe=self._recipe
    )
    return self._compile(fn, donate=True, batches=self._streams)

  def load(self, dataset: Dataset) -> None:
    """Puts a data set on the devices, for `train` and `evaluate`.

    Its pixels, too, unless they are streamed: then call `close` at the end.
    """
    if self._streams:
      self.close()
      self._feed = StreamFeed(dataset, self._data_config, self._recipe)
    mean = dataset.pixel_mean
    for name, split in (
      ('train', dataset.train),
      ('test', dataset.test),
      ('validation', dataset.validation),
    ):
      if split is not None:
        self._splits[name] = self._runner.place(
          batches.to_device_split(split, mean, not self._streams)
        )
        if name != 'train':
          self._labels[name] = split.label

  def close(self) -> None:
    """Ends what streams pixels, if anything does."""
    if self._feed is not None:
      self._feed.close()

  @property
  def input_wait(self) -> float | None:
    """Seconds that the devices have waited for pixels; None: all lie on them.

    At most: see StreamFeed.waited.
    """
    return None if self._feed is None else self._feed.waited

  def split(self, name: str) -> batches.DeviceSplit:
    """A split on the devices: 'train' or 'test'."""
    return self._splits[name]

  @property
  def evaluated(self) -> tuple[str, ...]:
    """The splits beside the training split, those of test and validation."""
    return tuple(self._labels)

  def make_inputs(
    self,
    seeds: Sequence[int],
    labels: Sequence[Shaped[np.ndarray, ' P']],
    hparams: Sequence[Mapping[str, Any]],
    positions: Sequence[Int[np.ndarray, ' P']] | None = None,
  ) -> RunInputs:
    """Puts what differs between the runs on the devices.

    Args:
      seeds: of each run.
      labels: of each run's examples.
      hparams: the method's hyper-parameters that are traced, of each run.
      positions: each run's examples, as rows of the training split; None for
        all.
    """
    if positions is None:
      everything = np.arange(len(labels[0]), dtype=np.int32)
      positions = [everything] * len(labels)
    keys = multirun.stack([jax.random.key(seed) for seed in seeds])
    values = [
      {name: np.float32(value) for name, value in h.items()} for h in hparams
    ]
    return self._runner.place_per_run(
      RunInputs(
        keys,
        multirun.stack([np.asarray(p, np.int32) for p in positions]),
        multirun.stack(list(labels)),
        multirun.stack(values),
      )
    )

  def init(self, inputs: RunInputs, initial: Any = None) -> TrainState:
    """The state before the first step.

    Args:
      inputs: what differs between the runs.
      initial: 'params' and 'batch_stats' of layers that are not drawn, the
        same for all runs and networks.
    """
    create = self._create
    if self.num_runs > 1:
      # Side by side even where training is not: it takes no time.
      create = jax.vmap(create, in_axes=(0, None))
    if self._runner.is_compile_only:
      state = jax.eval_shape(create, inputs.key, initial)
    else:
      state = jax.jit(create)(inputs.key, initial)
    return self._runner.place_per_run(state)

  def _create(self, key: jax.Array, initial: Any = None) -> TrainState:
    info, recipe = self._info, self._recipe
    params, batch_stats, opt_state = recipe.network.init(
      randomness.init_key(key), info.image_shape, initial
    )
    return TrainState(
      step=jnp.zeros((), jnp.int32),
      params=params,
      batch_stats=batch_stats,
      opt_state=opt_state,
      method=recipe.method.init(
        randomness.method_init_key(key), info.num_train, info.num_classes
      ),
      finite_steps=jnp.zeros((), jnp.int32),
      sums=metrics.zeros(
        info.num_classes,
        clean=info.clean_labels,
        figures=recipe.method.figures,
      ),
    )

  def abstract_state(self) -> TrainState:
    """The shapes of one run's state, to restore a checkpoint into."""
    return jax.eval_shape(self._create, jax.random.key(0))

  def abstract_variables(self) -> Any:
    """The shapes of one network's variables."""
    return jax.eval_shape(self.variables, self.abstract_state())

  def variables(self, state: TrainState) -> Any:
    """The variables of a run's network, of several the one evaluated."""
    return self._recipe.network.first(state.params, state.batch_stats)

  def device_put(self, state: TrainState) -> TrainState:
    """Puts a restored state on the devices."""
    return self._runner.place_per_run(state)

  def replicate(self, tree: Any) -> Any:
    """Makes states or sums whole on every process, to be read."""
    return self._runner.replicate(tree)

  def is_finite(self, state: TrainState) -> jax.Array:
    """Dispatches the question whether each run's network is, see there."""
    return self._is_finite(state)

  def train(
    self,
    state: TrainState,
    inputs: RunInputs,
    step: int,
    most: int | None = None,
    then: int | None = None,
  ) -> tuple[TrainState, tuple[metrics.Sums, dict[str, jax.Array]]]:
    """Dispatches the next steps: up to `plan.next_boundary(step, most)`.

    Args:
      state: the state at `step`; its memory is given to the result.
      inputs: what differs between the runs.
      step: the number of steps done.
      most: how many steps to dispatch at most; None: any number.
      then: `most` of the next dispatch, whose pixels are prepared meanwhile.

    Returns:
      The state after them, what this epoch has counted so far, and at its end
      the method's figures.
    """
    program, given = self._dispatch(step, most)
    fed: tuple[batches.Fed, ...] = ()
    if self._feed is not None:
      fed = (self._feed.train(inputs, step, state.step, most, then),)
    return program(state, inputs, given, *fed)

  def _dispatch(self, step: int, most: int | None = None) -> tuple[Any, Any]:
    """The program of a dispatch, and what it is given beside the runs."""
    dispatch = self.plan.dispatch(step, most)
    ends = dispatch.ends_epoch and self._recipe.method.end_epoch is not None
    program = dataclasses.replace(dispatch, num_steps=0, ends_epoch=ends)
    num_blocks = self._placed(dispatch.num_steps // dispatch.block)
    return self._train(program), (self._splits['train'], num_blocks)

  def _place_number(self, number: int) -> jax.Array:
    return self._runner.place(np.int32(number))

  def lower(self, state: TrainState, inputs: RunInputs, step: int) -> Any:
    """What `train` would dispatch, for an analysis of its cost.

    Args:
      state: as in `train`; untouched.
      inputs: as in `train`.
      step: as in `train`.

    Returns:
      A jax.stages.Lowered.
    """
    program, given = self._dispatch(step)
    return program.lower(state, inputs, given)

  def evaluate(
    self, state: TrainState, inputs: RunInputs, split: str
  ) -> metrics.Sums:
    """Dispatches the evaluation on a split.

    Args:
      state: the state.
      inputs: what differs between the runs.
      split: 'train', on each run's examples and labels, or one of `evaluated`.
    """
    if split in self._labels:
      positions, labels = self._inputs_of(split)
      inputs = dataclasses.replace(inputs, positions=positions, labels=labels)
    if self._feed is None:
      return self._evaluate(state, inputs, self._splits[split])
    sums, before = None, state.step
    for _ in range(self._feed.num_evaluations(inputs)):
      fed = self._feed.evaluate(inputs, split, before)
      seen = self._evaluate(state, inputs, self._splits[split], fed)
      sums, before = seen if sums is None else sums + seen, seen.loss
    assert sums is not None
    return sums

  def lower_evaluate(self, state: TrainState, inputs: RunInputs) -> Any:
    """What `evaluate` would dispatch on the test split, as `lower`."""
    positions, labels = self._inputs_of('test')
    inputs = dataclasses.replace(inputs, positions=positions, labels=labels)
    return self._evaluate.lower(state, inputs, self._splits['test'])

  def _inputs_of(self, split: str) -> Any:
    if split not in self._eval_inputs:
      labels = np.asarray(self._labels[split], np.int32)
      positions = np.arange(len(labels), dtype=np.int32)
      self._eval_inputs[split] = self._runner.place_per_run(
        tuple(
          multirun.stack([jnp.asarray(x)] * self.num_runs)
          for x in (positions, labels)
        )
      )
    return self._eval_inputs[split]

  def predict(
    self,
    state: TrainState,
    images: Shaped[np.ndarray, 'N ...'],
    pixel_mean: Float32[np.ndarray, '...'],
  ) -> predict.Outputs:
    """Dispatches the network on images, in their order.

    Args:
      state: the state.
      images: pixels or features as stored.
      pixel_mean: mean training image of pixels scaled to [0, 1].
    """
    placed = self._runner.place((jnp.asarray(images), jnp.asarray(pixel_mean)))
    return self._predict(state, (), placed)

  @functools.cached_property
  def _predict(self):
    def outputs(state, inputs, placed):
      del inputs
      images, pixel_mean = placed
      return predict.predict(
        state,
        images,
        pixel_mean,
        jnp.arange(images.shape[0], dtype=jnp.int32),
        network=self._recipe.network,
        normalization=self._recipe.normalization,
        batch_size=self._recipe.eval_batch_size,
      )

    return self._compile(outputs)
