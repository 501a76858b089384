"""The compiled program that a config describes, for one run or several."""

from collections.abc import Mapping, Sequence
import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int
import numpy as np

from sce_jax import losses, models
from sce_jax.data import batches, datasets
from sce_jax.data import dataset as dataset_lib
from sce_jax.engine import epoch, evaluate, metrics, optim, predict, train_state
from sce_jax.engine.train_state import TrainState
from sce_jax.errors import UserError
from sce_jax.methods import d2l
from sce_jax.parallel import multirun, runners

# All that is a run's own, with a leading axis if there are several runs:
# its key, the given labels of its training split, its loss's parameters.
Own = tuple[jax.Array, Int[Array, '...'], Mapping[str, Array]]


class Trainer:
  """Initialises, trains and evaluates S runs that differ in values only.

  Args:
    config: a config, any of the S.
    data: its data set.
    num_runs: S.
    runner: the devices; None for all of them, and the runner that the config
      names or, if there are enough runs, one that spreads them.
    method: how runs are carried, see trials.py; None for the best.

  Attributes:
    plan: how an epoch is cut into dispatches.
    num_runs: S.
  """

  def __init__(
    self,
    config: Mapping[str, Any],
    data: dataset_lib.Dataset,
    num_runs: int = 1,
    runner: runners.Runner | None = None,
    method: str | None = None,
  ):
    if runner is None and multirun.use_run_parallel(
      num_runs, jax.device_count()
    ):
      runner = runners.RunParallelRunner(runners.all_devices())
    self._runner = runner or runners.make_runner(config['train']['runner'])
    self._config = config
    self._data = data
    self._info = datasets.DATASETS[data.name]
    self.num_runs = num_runs
    self._check_sizes()
    self.plan = epoch.make_plan(config['train'], len(data.train))
    self._model = models.build(
      config['model'],
      self._info.num_classes,
      axis_name=self._runner.axis_name,
    )
    self._tx = optim.make_optimizer(
      config['optim'], config['train']['epochs'], self.plan.steps
    )
    self._method = method or multirun.choose_strategy(self._info.image_shape)
    self._loss = losses.LOSSES[config['loss']['name']]
    self._evaluate = self._compile(
      functools.partial(
        _evaluate,
        config=config,
        model=self._model,
        loss=self._loss,
        runner=self._runner,
      ),
      own=3,
    )
    self._train = functools.cache(self._compile_train)

  def _check_sizes(self) -> None:
    batch_size, size = (
      self._config['train']['batch_size'],
      len(self._data.train),
    )
    devices = self._runner.num_devices
    if batch_size > size:
      raise UserError(
        f'config.train.batch_size is {batch_size}, but the training split of'
        f' {self._data.name} has {size} examples: make it smaller'
      )
    if batch_size % devices:
      raise UserError(
        f'config.train.batch_size is {batch_size}, which {devices} devices'
        ' cannot share equally: make it a multiple'
      )

  def _compile(self, fn, *, own: int, donate: bool = False):
    if self.num_runs > 1:
      fn = multirun.map_over_runs(fn, own=own, method=self._method)
    return self._runner.compile(fn, own=own, donate=donate)

  def _compile_train(self, num_steps: int, partial: bool):
    fn = functools.partial(
      epoch.train_steps,
      num_steps=num_steps,
      partial=partial,
      plan=self.plan,
      config=self._config,
      model=self._model,
      loss=self._loss,
      tx=self._tx,
      runner=self._runner,
    )
    return self._compile(fn, own=4, donate=True)

  @functools.cached_property
  def _splits(self) -> dict[str, batches.DeviceSplit]:
    train, test = self._data.train, self._data.test
    to_device = functools.partial(
      batches.to_device_split, train=train, dataset=self._data.name
    )
    return {
      'train': self._runner.place(to_device(train)),
      'test': self._runner.place(to_device(test)),
    }

  def own(
    self,
    seeds: Sequence[int],
    splits: Sequence[dataset_lib.Split],
    loss_parameters: Sequence[Mapping[str, Any]],
  ) -> Own:
    """Puts what is each run's own on the devices.

    Args:
      seeds: of each run.
      splits: the training split of each run, with its labels.
      loss_parameters: of each run.
    """
    keys = multirun.stack([jax.random.key(seed) for seed in seeds])
    labels = multirun.stack([split.label for split in splits])
    own = self._runner.place_per_run((keys, labels))
    return (*own, self._parameters(loss_parameters))

  def with_parameters(
    self, own: Own, loss_parameters: Sequence[Mapping[str, Any]]
  ) -> Own:
    """Changes the hyper-parameters of each run's loss; nothing is compiled."""
    return (*own[:2], self._parameters(loss_parameters))

  def _parameters(self, loss_parameters: Sequence[Mapping[str, Any]]):
    values = [
      {name: np.float32(value) for name, value in parameters.items()}
      for parameters in loss_parameters
    ]
    return self._runner.place_per_run(multirun.stack(values))

  def init(self, own: Own) -> TrainState:
    """The state before the first step."""
    create = self._create
    if self.num_runs > 1:
      # Side by side even where training is not: it takes no time.
      create = multirun.map_over_runs(create, own=1, method='vmap')
    return self._runner.place_per_run(jax.jit(create)(own[0]))

  def _create(self, key: jax.Array) -> TrainState:
    return train_state.create(
      self._model,
      self._tx,
      self._info.image_shape,
      self._info.num_classes,
      epoch.init_key(key),
    )

  def abstract_state(self) -> TrainState:
    """A state of the right shapes, to restore one run's into."""
    return jax.eval_shape(self._create, jax.random.key(0))

  def place(self, state: TrainState) -> TrainState:
    """Puts a restored state on the devices."""
    return self._runner.place_per_run(state)

  def collect(self, tree: Any) -> Any:
    """Makes states or sums whole on every process, to be read."""
    return self._runner.collect(tree)

  def train(
    self, state: TrainState, own: Own, step: int
  ) -> tuple[TrainState, metrics.Sums]:
    """Dispatches the next steps: those up to `plan.next_boundary(step)`.

    Args:
      state: the state at `step`; its memory is given to the result.
      own: what is each run's own.
      step: the number of steps done.

    Returns:
      The state after them, and what this epoch has counted so far.
    """
    return self._next(step)(state, *own, self._splits['train'])

  def lower(self, state: TrainState, own: Own, step: int) -> Any:
    """What `train` would dispatch, for an analysis of its cost.

    Args:
      state: as in `train`; untouched.
      own: as in `train`.
      step: as in `train`.

    Returns:
      A jax.stages.Lowered.
    """
    return self._next(step).lower(state, *own, self._splits['train'])

  def _next(self, step: int):
    num_steps = self.plan.next_boundary(step) - step
    return self._train(num_steps, self.plan.is_partial(step))

  def evaluate(self, state: TrainState, own: Own, split: str) -> metrics.Sums:
    """Dispatches the evaluation on a split.

    Args:
      state: the state.
      own: what is each run's own.
      split: 'train', against each run's labels, or 'test'.
    """
    _, labels, parameters = own
    if split == 'test':
      labels = self._test_labels
    return self._evaluate(state, labels, parameters, self._splits[split])

  def predict(self, state: TrainState, split: str) -> predict.Outputs:
    """Dispatches the network on a whole split, in the split's order.

    Args:
      state: the state.
      split: 'train' or 'test'.
    """
    return self._predict(state, self._splits[split])

  @functools.cached_property
  def _predict(self):
    def outputs(state, split):
      return predict.predict(
        state,
        split,
        jnp.arange(len(split.label), dtype=jnp.int32),
        config=self._config,
        model=self._model,
      )

    return self._compile(outputs, own=1)

  def lid(self, state: TrainState, own: Own) -> Array:
    """Dispatches the estimate of the last hidden layer's dimensionality.

    Args:
      state: the state.
      own: what is each run's own.

    Returns:
      The mean LID over some training examples, the same in every epoch.
    """
    return self._lid(state, own[0], self._splits['train'])

  @functools.cached_property
  def _lid(self):
    size = min(len(self._data.train), d2l.NUM_EXAMPLES)
    size -= size % min(d2l.GROUP, size)

    def mean_lid(state, key, split):
      order = jax.random.permutation(
        epoch.subset_key(key), len(split.label), independent=False
      )
      outputs = predict.predict(
        state,
        split,
        order[:size].astype(jnp.int32),
        config=self._config,
        model=self._model,
      )
      return d2l.mean_lid(outputs.hidden, self._config['loss']['neighbours'])

    return self._compile(mean_lid, own=2)

  @functools.cached_property
  def _test_labels(self) -> Int[Array, '...']:
    labels = multirun.stack([self._data.test.label] * self.num_runs)
    return self._runner.place_per_run(jnp.asarray(labels))


def _evaluate(
  state, labels, loss_parameters, split, *, config, model, loss, runner
):
  return evaluate.evaluate_split(
    state,
    dataclasses.replace(split, label=labels),
    loss_parameters,
    config=config,
    model=model,
    loss=loss,
    runner=runner,
  )
