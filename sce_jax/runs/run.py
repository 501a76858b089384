"""A run while it is trained: its config, its labels and its folder."""

from collections.abc import Callable, Collection, Mapping
import dataclasses
import os
from typing import Any

from jaxtyping import Float64, Int, Int32
import numpy as np

from sce_jax.config import fields
from sce_jax.config.check import Config
from sce_jax.data import labels as labels_lib
from sce_jax.data.dataset import Dataset
from sce_jax.engine.train_state import TrainState
from sce_jax.errors import reason_of
from sce_jax.methods import PrepareContext
from sce_jax.parallel import processes
from sce_jax.runs import checkpointing, files, progress
from sce_jax.runs.checkpointing import Checkpoints
from sce_jax.runs.workdir import Workdir

Result = dict[str, Any]
# Of a batch that made a run diverge so many ids are shown.
_NAMED = 8


@dataclasses.dataclass(eq=False)
class TrainingRun:
  """A run and its folder.

  Attributes:
    config: its config.
    workdir: its folder.
    checkpoints: its checkpoints.
    positions: the examples that it trains on, as rows of the training split.
    labels: their labels.
    noise: how often each class is labelled as each, and the share of wrong
      labels; None where clean labels are not known.
    num_known: of how many examples the clean label is known.
    transition: the matrix that a correction of the noise may use: the one that
      the labels were drawn from, else the counted one; None if it is not known.
    noisy_test: whether part of the test labels may be wrong.
    result: its figures once it has ended, or only 'run' and 'failed', the
      message, once it has diverged.
    prepared: hyper-parameters that the method has computed; None: not yet.
    validation: the examples that settings are chosen by, as rows of the
      training split, and their noisy labels; None: there are none.
  """

  config: Config
  workdir: Workdir
  checkpoints: Checkpoints
  positions: Int32[np.ndarray, ' P']
  labels: Int32[np.ndarray, ' P']
  noise: tuple[Float64[np.ndarray, 'K K'], float] | None
  num_known: int
  transition: Float64[np.ndarray, 'K K'] | None
  noisy_test: bool
  result: Result | None
  prepared: Mapping[str, Any] | None
  validation: tuple[Int32[np.ndarray, ' V'], Int32[np.ndarray, ' V']] | None = (
    None
  )

  @classmethod
  def open(
    cls,
    config: Config,
    path: str | os.PathLike,
    dataset: Dataset,
    positions: Int[np.ndarray, ' P'] | None = None,
    labels: Int32[np.ndarray, ' P'] | None = None,
    allow_changes: Collection[str] = (),
    validation: Int[np.ndarray, ' V'] | None = None,
  ) -> 'TrainingRun':
    """Opens or makes the run's folder; reads its labels back, or draws them.

    Args:
      config: its config.
      path: its folder.
      dataset: the data set.
      positions: the examples that it trains on; None: all.
      labels: their labels; None: as the config's noise makes them.
      allow_changes: fields in which it may differ from the folder's run.
      validation: the examples that settings are chosen by; None: none.

    Raises:
      UserError: the folder or the labels cannot be used.
    """
    train, info = dataset.train, dataset.info
    if positions is None:
      positions = np.arange(len(train), dtype=np.int32)
    positions = np.asarray(positions, np.int32)

    def draw() -> np.ndarray:
      if labels is not None:
        return labels
      drawn = labels_lib.apply_label_noise(dataset, config.noise, config.seed)
      return drawn.labels[positions]

    # Before the folder is made: the noise may refuse.
    if not processes.on_primary(lambda: files.has_labels(path)):
      labels = draw()
    workdir = Workdir(path, config, allow_changes)
    try:
      begun = workdir.begun
      begun.record_dataset(dataset)
      ids = train.example_id[positions]
      clean = train.clean_label
      clean = None if clean is None else clean[positions]
      saved = begun.saved_labels(ids)
      labels = draw() if saved is None else saved
      replaced = dataset.replaced and dataset.replaced.of(ids)
      begun.record_labels(ids, labels, clean, info.num_classes, replaced)
      held = None
      if validation is not None:
        rows = np.asarray(validation, np.int32)
        held = (
          rows,
          begun.validation_labels(
            train.example_id[rows],
            lambda: labels_lib.apply_label_noise(
              dataset, config.noise, config.seed
            ).labels[rows],
          ),
        )
      result, prepared = workdir.result, begun.prepared
      if result is None:
        workdir.check_checkpoints(checkpointing.has_any)
    except BaseException:
      workdir.close()
      raise
    noise, transition = None, dataset.transition
    if clean is not None:
      noise = files.actual_noise(labels, clean, info.num_classes)
      transition = labels_lib.transition_matrix(config.noise, info)
      if transition is None or dataset.choices is not None:
        transition = noise[0]
    return cls(
      config=config,
      workdir=workdir,
      checkpoints=Checkpoints(
        files.checkpoints(path),
        config.checkpoint.keep,
        workdir.check_lock,
        workdir.record_saved,
      ),
      positions=positions,
      labels=labels,
      noise=noise,
      num_known=0 if clean is None else int((clean >= 0).sum()),
      transition=transition,
      noisy_test=info.noisy_test,
      result=result,
      prepared=prepared,
      validation=held,
    )

  @property
  def hparams(self) -> dict[str, Any]:
    """The method's hyper-parameters that are arguments of the program."""
    return {**self.config.traced_hparams, **(self.prepared or {})}

  @property
  def prepare_context(self) -> PrepareContext:
    """What the method is told to prepare the run with."""
    return PrepareContext(self.config.loss.hparams, self.transition)

  def set_prepared(self, hparams: Mapping[str, Any]) -> None:
    """Records the hyper-parameters that the method has computed."""
    self.workdir.begun.record_prepared(hparams)
    self.prepared = hparams

  def save(self, state: TrainState, seconds: float) -> None:
    """Starts to save a checkpoint.

    Args:
      state: the run's; may be donated as soon as this returns.
      seconds: how long the run has taken so far.
    """
    self.workdir.epochs.flush()
    self.workdir.check_lock()  # Or a folder that is gone would be made anew.
    self.checkpoints.save(state, {'seconds': seconds})

  def close(self) -> None:
    """Waits for what is being saved, and releases the folder."""
    try:
      self.checkpoints.close()
    finally:
      self.workdir.close()

  def __enter__(self) -> 'TrainingRun':
    return self

  def __exit__(
    self, kind: object, error: BaseException | None, traceback: object
  ) -> None:
    """Closes the run; an error that came before is not replaced by another."""
    try:
      self.close()
    except Exception as another:
      if error is None:
        raise
      progress.log(f'{self.workdir.path}: {reason_of(another)}')

  def check_finite(
    self,
    report: Mapping[str, Any],
    step: int,
    steps_per_epoch: int,
    batch: Callable[[int], Int[np.ndarray, ' B']],
  ) -> bool:
    """Whether the run continues; ends it if it has diverged.

    Args:
      report: has 'finite_steps', the number of steps with a finite loss;
        where it may be saved, 'is_finite', whether the network is; the sums of
        the splits that were evaluated, by name.
      step: the number of steps done.
      steps_per_epoch: for the message.
      batch: gives the ids of a step's examples, for the message.
    """
    if self.result is not None:
      return False
    bad = int(report['finite_steps'])
    what = f'the loss is not finite at step {bad}'
    if bad == step:
      # The step's own loss is that of the network before it.
      infinite = [
        f'the loss on the {split} split'
        for split in ('test', 'validation', 'train_eval')
        if split in report and not np.isfinite(report[split].loss)
      ]
      if not report.get('is_finite', True):
        infinite = ['the network']
      if not infinite:
        return True
      bad -= 1
      what = f'{infinite[0]} is not finite after step {bad}'
    settings = '; '.join(
      f'{path}={value}'
      for path, value in fields.flatten(self.config.to_dict()).items()
      if path.startswith(('loss.', 'noise.', 'optim.learning_rate', 'seed'))
      and value is not None
      and (path not in fields.LATER or value != fields.LATER[path])
    )
    message = (
      f'{self.workdir.path}: {what} (epoch {bad // steps_per_epoch + 1}), on'
      f' the examples {_some(batch(bad))}; {settings}; its checkpoints are'
      ' kept, delete its failed.json to resume from the last one'
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

    What is not known is None: test figures without a test split, what is
    counted against clean labels without these.

    Args:
      record: the last epoch's line of metrics.jsonl.
      seconds: how long the run took.
    """
    config = self.config
    # A result means that everything is saved.
    self.checkpoints.close()
    test, train = record.get('test'), record['train_eval']
    self.result = {
      'run': self.workdir.path.name,
      'dataset': config.data.name,
      'loss': config.loss.name,
      'noise': config.noise.name,
      'noise_rate': config.noise.rate,
      'realised_rate': None if self.noise is None else round(self.noise[1], 6),
      'seed': config.seed,
      'epochs': record['epoch'],
      'test_accuracy': test['accuracy'] if test else None,
      'memorised': train.get('memorised'),
      'train_seconds': round(seconds, 1),
      'test': test,
      'train_eval': train,
    }
    if self.noisy_test:
      self.result['noisy_test'] = True
    source = config.loss.hparams.get('transition')
    if source is not None:
      is_measured = source == 'true' and self.noise is None
      self.result['transition'] = files.MEASURED if is_measured else source
    initial = self.workdir.begun.initial
    if initial is not None:
      self.result['init_from'] = initial['init_from']
      self.result['init_sha256'] = initial.get('sha256')
    if 'validation' in record:
      self.result['validation'] = record['validation']
    self.workdir.finish(self.result, record)


def _some(ids: Int[np.ndarray, ' B']) -> str:
  """The first of some examples' ids, and how many more there are."""
  shown = ', '.join(map(str, ids[:_NAMED].tolist()))
  more = len(ids) - _NAMED
  return f'{shown} and {more} more' if more > 0 else shown
