"""A run while it is trained: its config, its labels and its folder."""

from collections.abc import Mapping
import dataclasses
import os
from typing import Any

from jaxtyping import Float64
import numpy as np

from sce_jax import noise
from sce_jax.config import check as config_lib
from sce_jax.config import fields
from sce_jax.data import dataset as dataset_lib
from sce_jax.data import datasets
from sce_jax.engine.train_state import TrainState
from sce_jax.methods import d2l
from sce_jax.runs import progress
from sce_jax.runs import workdir as workdir_lib
from sce_jax.runs.checkpointing import Checkpoints

Result = dict[str, Any]


@dataclasses.dataclass
class TrainingRun:
  """A run and its folder.

  Attributes:
    config: its config.
    workdir: its folder.
    checkpoints: its checkpoints.
    train: the training split with its labels.
    empirical_matrix: how often each class is labelled as each.
    realised_rate: share of wrong labels.
    result: its figures once it has ended, or only 'run' and 'failed', the
      message, once its loss was not finite.
    transition: the estimated transition matrix, for a loss that corrects with
      one; None: not estimated, or not yet.
    lids: D2L's dimensionality after each epoch done.
  """

  config: dict[str, Any]
  workdir: workdir_lib.Workdir
  checkpoints: Checkpoints
  train: dataset_lib.Split
  empirical_matrix: Float64[np.ndarray, 'K K']
  realised_rate: float
  result: Result | None
  transition: Float64[np.ndarray, 'K K'] | None = None
  lids: list[float] = dataclasses.field(default_factory=list)

  @classmethod
  def open(
    cls,
    config: dict[str, Any],
    path: str | os.PathLike,
    data: dataset_lib.Dataset,
  ) -> 'TrainingRun':
    """Opens or makes the run's folder and corrupts its labels.

    Raises:
      UserError: the folder cannot be used, see workdir.Workdir.
    """
    train = dataset_lib.apply_label_noise(data, config['noise'], config['seed'])
    workdir = workdir_lib.Workdir(path, config)
    matrix, rate = workdir.record_noise(
      train, datasets.DATASETS[data.name].num_classes
    )
    checkpoints = Checkpoints(
      workdir_lib.checkpoints(path),
      config['checkpoint']['keep'],
      workdir.check_hold,
    )
    return cls(
      config,
      workdir,
      checkpoints,
      train,
      matrix,
      rate,
      workdir.result,
      workdir.transition,
    )

  def save(self, state: TrainState, seconds: float) -> None:
    """Begins to save a checkpoint.

    Args:
      state: the run's; may be donated as soon as this returns.
      seconds: how long it has taken up to here.
    """
    self.workdir.flush()
    self.checkpoints.save(state, {'seconds': seconds})

  def close(self) -> None:
    """Waits for what is being saved, and lets go of the folder."""
    self.checkpoints.close()
    self.workdir.close()

  @property
  def lacks_transition(self) -> bool:
    """Whether a transition matrix is to be estimated before it can train."""
    return (
      self.result is None
      and self.transition is None
      and self.config['loss'].get('transition') == 'anchors'
    )

  def set_transition(self, matrix: Float64[np.ndarray, 'K K']) -> None:
    """Records the estimated transition matrix."""
    self.transition = self.workdir.record_transition(matrix)

  def truncate_metrics_after(self, step: int) -> None:
    """Forgets what was recorded of later steps, which are trained again."""
    records = self.workdir.truncate_metrics_after(step)
    self.lids = [record['lid'] for record in records if 'lid' in record]

  @property
  def loss_parameters(self) -> dict[str, Any]:
    """The hyper-parameters of its loss in the epoch that is next."""
    values = loss_parameters(self.config, self.train, self.transition)
    loss = self.config['loss']
    if loss['name'] == 'd2l':
      values['weight'] *= d2l.label_weight(
        self.lids,
        self.config['train']['epochs'],
        window=loss['window'],
        warm_up=loss['warm_up'],
      )
    return values

  def check_finite(
    self, report: Mapping[str, Any], step: int, steps_per_epoch: int
  ) -> bool:
    """Whether the run goes on; ends it if a loss was not finite.

    Args:
      report: has 'finite_steps', the number of steps with a finite loss.
      step: the number of steps done.
      steps_per_epoch: for the message.
    """
    if self.result is not None:
      return False
    bad = int(report['finite_steps'])
    if bad == step:
      return True
    settings = '; '.join(
      f'{path}={value}'
      for path, value in fields.flatten(self.config).items()
      if path.startswith(('loss.', 'noise.', 'optim.learning_rate', 'seed'))
    )
    message = (
      f'{self.workdir.path}: the loss is not finite at step {bad} (epoch'
      f' {bad // steps_per_epoch + 1}); {settings}; its checkpoints are kept,'
      ' delete its failed.json to go on from the last one'
    )
    self.fail(message)
    return False

  def fail(self, message: str) -> None:
    """Ends the run without a result, and says why."""
    self.result = {'run': self.workdir.path.name, 'failed': message}
    self.workdir.fail(self.result)
    progress.log(message)

  def finish(self, record: dict[str, Any], seconds: float) -> None:
    """Records the last epoch's figures as the result.

    Args:
      record: the last epoch's line of metrics.jsonl.
      seconds: how long the run took.
    """
    config = self.config
    # A result means that all is saved.
    self.checkpoints.close()
    self.result = {
      'run': self.workdir.path.name,
      'dataset': config['data']['name'],
      'loss': config['loss']['name'],
      'noise': config['noise']['name'],
      'noise_rate': config['noise']['rate'],
      'realised_rate': round(self.realised_rate, 6),
      'seed': config['seed'],
      'epochs': record['epoch'],
      'test_accuracy': record['test']['accuracy'],
      'memorised': record['train_eval']['memorised'],
      'train_seconds': round(seconds, 1),
      'test': record['test'],
      'train_eval': record['train_eval'],
    }
    self.workdir.finish(self.result)


def loss_parameters(
  config: Mapping[str, Any],
  train: dataset_lib.Split,
  transition: Float64[np.ndarray, 'K K'] | None = None,
) -> dict[str, Any]:
  """The hyper-parameters of a config's loss on these labels.

  A loss that corrects with the noise is given the matrix that was estimated,
  else the one that the labels were drawn from, or where people gave them the
  realised one.
  """
  if transition is not None:
    return config_lib.loss_parameters(config, transition)
  matrix = dataset_lib.transition_matrix(
    config['data']['name'], config['noise']
  )
  return config_lib.loss_parameters(
    config, _realised(config, train) if matrix is None else matrix
  )


def _realised(
  config: Mapping[str, Any], train: dataset_lib.Split
) -> Float64[np.ndarray, 'K K']:
  classes = datasets.DATASETS[config['data']['name']].num_classes
  return noise.empirical_transition_matrix(
    train.clean_label, train.label, classes
  )[0]
