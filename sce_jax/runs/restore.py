"""A saved run's network: restored, evaluated and used on new images."""

from collections.abc import Sequence
import dataclasses
import os
from typing import Any

import jax
from jaxtyping import Float, Float32, Shaped
import numpy as np

from sce_jax.config import check as config_lib
from sce_jax.config import choose, fields
from sce_jax.config.check import Config
from sce_jax.data import dataset as dataset_lib
from sce_jax.data import info as info_lib
from sce_jax.data import labels as labels_lib
from sce_jax.data import open_set, stream
from sce_jax.data.dataset import Dataset, Split
from sce_jax.data.info import DatasetInfo
from sce_jax.data.records import Records
from sce_jax.engine import metrics
from sce_jax.engine.train_state import TrainState
from sce_jax.engine.trainer import Trainer
from sce_jax.errors import UserError
from sce_jax.parallel import processes
from sce_jax.runs import dataset_record, files
from sce_jax.runs.checkpointing import Checkpoints, restore_newest
from sce_jax.storage import paths

# Images that are decoded, and predicted, at a time.
_PIECE = 1024
_SPLITS = ('train', 'test', 'validation')


@dataclasses.dataclass(frozen=True)
class SavedRun:
  """A run's network from its last checkpoint; its data are not needed.

  Attributes:
    config: the run's config.
    info: the description of the data set that it was trained on.
    trainer: the program.
    state: the state at that checkpoint, on the devices.
    step: the number of steps done then.
    pixel_mean: mean training image of pixels scaled to [0, 1]; black where the
      network's input does not need it.
  """

  config: Config
  info: DatasetInfo
  trainer: Trainer
  state: TrainState
  step: int
  pixel_mean: Float32[np.ndarray, '...']

  @property
  def epoch(self) -> int:
    """The number of epochs done."""
    return self.step // self.trainer.plan.steps

  def predict(
    self, images: Shaped[np.ndarray, 'N ...'] | Records
  ) -> tuple[Float[np.ndarray, 'N K'], Float[np.ndarray, 'N D']]:
    """Probabilities and the last hidden layer's activations on images.

    Args:
      images: uint8 pixels as the data set stores them, or feature vectors; or
        files, which are decoded in pieces.

    Raises:
      UserError: the images are not of the size or type that the network takes.
    """
    if isinstance(images, Records):
      pieces = stream.evaluated(images, self.info.image_shape[0], _PIECE)
      parts = [self.predict(piece) for piece in pieces]
      probability, hidden = zip(*parts, strict=True)
      return np.concatenate(probability), np.concatenate(hidden)
    images = info_lib.check_input(np.asarray(images), self.info.image_shape)
    outputs = jax.device_get(
      self.trainer.predict(self.state, images, self.pixel_mean)
    )
    return np.asarray(jax.nn.softmax(outputs.logits)), outputs.hidden


def load(workdir: str | os.PathLike, must_have_ended: bool = False) -> SavedRun:
  """Restores a run's network from its last checkpoint.

  Args:
    workdir: the run's folder; nothing in it is changed.
    must_have_ended: as in last_state.

  Raises:
    UserError: there is no such run, or it has no whole checkpoint.
  """
  config = config_lib.check_config(
    processes.on_primary(lambda: files.read_config(workdir))
  )
  info, pixel_mean = dataset_record.parse(
    processes.on_primary(lambda: dataset_record.read_content(workdir))
  )
  saved = processes.on_primary(lambda: files.read_labels(workdir))
  num_examples = info.num_train if saved is None else len(saved[1])
  trainer = Trainer(config, info, num_examples=num_examples)
  state, step = last_state(workdir, trainer, must_have_ended)
  return SavedRun(config, info, trainer, state, step, pixel_mean)


def last_state(
  workdir: str | os.PathLike, trainer: Trainer, must_have_ended: bool = False
) -> tuple[TrainState, int]:
  """A run's last whole checkpoint, on the devices, and its step.

  Args:
    workdir: the run's folder; nothing in it is changed.
    trainer: its program.
    must_have_ended: whether to refuse an older checkpoint than that of its end.

  Raises:
    UserError: it has no whole checkpoint, or only older ones.
  """
  folder = files.checkpoints(workdir)
  found = None
  if processes.on_primary(folder.exists):
    checkpoints = Checkpoints(folder, None)
    try:
      found = restore_newest([checkpoints], trainer.abstract_state())
    finally:
      checkpoints.close()
  if found is None:
    raise UserError(f'{workdir} has no checkpoint yet: train it further first')
  step, [(state, _)] = found
  if must_have_ended and step < trainer.last_step:
    raise UserError(
      f'{workdir}: the checkpoint of its end, at step {trainer.last_step}, is'
      f' damaged or missing, and the newest whole one is of step {step}: remove'
      f' {paths.path(workdir) / "result.json"}, and the same command trains the'
      ' rest again'
    )
  return trainer.device_put(state), step


@dataclasses.dataclass(frozen=True)
class Predictions:
  """A run's predictions on a split, in the split's order.

  Attributes:
    epoch: of the checkpoint that they come from.
    split: the examples with their labels.
    probability: softmax outputs.
    hidden: the last hidden layer's activations.
  """

  epoch: int
  split: Split
  probability: Float[np.ndarray, 'N K']
  hidden: Float[np.ndarray, 'N D']


def predict_run(
  workdir: str | os.PathLike,
  split: str = 'train',
  data_dir: str | None = None,
) -> Predictions:
  """A run's predictions on its own data, from its last checkpoint.

  Args:
    workdir: the run's folder; nothing in it is changed.
    split: 'train', the examples and noisy labels that it trains on, 'test', or
      'validation'.
    data_dir: as in train_and_evaluate.

  Raises:
    UserError: there is no such run, split or data, or it has no checkpoint.
  """
  return predict_splits(workdir, [split], data_dir)[split]


def predict_splits(
  workdir: str | os.PathLike,
  splits: Sequence[str],
  data_dir: str | None = None,
) -> dict[str, Predictions]:
  """As `predict_run`, of several splits, for which the run is loaded once."""
  for split in splits:
    if split not in _SPLITS:
      raise UserError(f'split {split!r}: give one of {", ".join(_SPLITS)}')
  run = load(workdir)
  dataset = _data(run.config, data_dir)
  found = {}
  for split in splits:
    if split == 'train':
      positions, labels = _own_examples(workdir, dataset)
      examples = labels_lib.with_labels(dataset.train.rows(positions), labels)
    elif split == 'validation' and (held := _validation(workdir, dataset)):
      examples = labels_lib.with_labels(dataset.train.rows(held[0]), held[1])
    elif (given := getattr(dataset, split)) is None:
      raise UserError(f'data set {dataset.info.name!r} has no {split} split')
    else:
      examples = given
    found[split] = Predictions(
      run.epoch, examples, *run.predict(examples.image)
    )
  return found


def _data(config: Config, data_dir: str | None) -> Dataset:
  """A run's data, with the images that it is trained on."""
  dataset = dataset_lib.load_on_all_processes(config.data, data_dir)
  return open_set.apply(
    dataset, config.data, config.noise, config.seed, data_dir
  )


def _own_examples(
  workdir: str | os.PathLike, dataset: Dataset
) -> tuple[np.ndarray, np.ndarray]:
  """Positions and labels of the examples that a run trains on, as recorded."""
  saved = processes.on_primary(lambda: files.read_labels(workdir))
  if saved is None:
    raise UserError(f'{workdir} lacks noise.npz: train it further first')
  return _rows_of(workdir, dataset, saved[0]), saved[1]


def _validation(
  workdir: str | os.PathLike, dataset: Dataset
) -> tuple[np.ndarray, np.ndarray] | None:
  """Positions and noisy labels of what settings are chosen by, if there is."""
  saved = processes.on_primary(lambda: files.read_validation(workdir))
  if saved is None:
    return None
  return _rows_of(workdir, dataset, saved[0]), saved[1]


def _rows_of(
  workdir: str | os.PathLike, dataset: Dataset, ids: np.ndarray
) -> np.ndarray:
  rows = {int(i): row for row, i in enumerate(dataset.train.example_id)}
  unknown = [i for i in ids.tolist() if i not in rows]
  if unknown:
    raise UserError(
      f'{workdir} was trained on example {unknown[0]}, which data set'
      f' {dataset.info.name!r} does not have: name its data with --data_dir'
    )
  return np.array([rows[i] for i in ids.tolist()], np.int32)


def evaluate_run(
  workdir: str | os.PathLike,
  data_dir: str | None = None,
  expected: fields.RawConfig | None = None,
) -> dict[str, Any]:
  """Evaluates a run from its last checkpoint; changes nothing in its folder.

  Args:
    workdir: the run's folder.
    data_dir: as in train_and_evaluate.
    expected: the config that the run is expected to have, if any.

  Returns:
    Its epoch and step, and the figures of 'train_eval' and, if there is a test
    split, 'test'; likewise 'validation'.

  Raises:
    UserError: there is no such run, or it has no checkpoint.
  """
  run = load(workdir)
  changes = (
    fields.differences(
      run.config.to_dict(),
      choose.complete(config_lib.check_config(expected), run.info).to_dict(),
    )
    if expected
    else None
  )
  if changes:
    raise UserError(
      f'{workdir} holds a run of another config ({"; ".join(changes)}): leave'
      ' --config out, or name the folder of this one'
    )
  dataset = _data(run.config, data_dir)
  positions, labels = _own_examples(workdir, dataset)
  prepared = processes.on_primary(lambda: files.read_prepared(workdir))
  hparams = {**run.config.traced_hparams, **(prepared or {})}
  trainer = run.trainer
  trainer.load(dataset)
  inputs = trainer.make_inputs(
    [run.config.seed], [labels], [hparams], [positions]
  )
  figures: dict[str, Any] = {'epoch': run.epoch, 'step': run.step}
  try:
    for split in (*trainer.evaluated, 'train'):
      name = 'train_eval' if split == 'train' else split
      found = trainer.evaluate(run.state, inputs, split)
      figures[name] = metrics.summarise(found)
    held = _validation(workdir, dataset)
    if held is not None:
      inputs = trainer.make_inputs(
        [run.config.seed], [held[1]], [hparams], [held[0]]
      )
      found = trainer.evaluate(run.state, inputs, 'train')
      figures['validation'] = metrics.noisy_only(metrics.summarise(found))
  finally:
    trainer.close()
  return figures
