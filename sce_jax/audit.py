"""Ranks training examples by how likely their label is wrong.

The training split is cut into folds, and for each a network is trained on the
others. Two things are read off them. What a network says of the fold that it
was never shown is not memorised: by that it is estimated how many labels are
wrong, and which are right instead. What the networks said, while they were
trained, of the examples that they were shown, is averaged over the epochs:
right labels are learned early. Both together rank the examples. See
noise/confident.py and methods/averages.py.
"""

from collections.abc import Collection
import dataclasses
import numbers
import os
from typing import Any

from jaxtyping import Float64, Int64, Integer
import numpy as np

from sce_jax import methods, train
from sce_jax.config import check as config_lib
from sce_jax.config import fields
from sce_jax.config.check import Config
from sce_jax.data import dataset as dataset_lib
from sce_jax.data import labels as labels_lib
from sce_jax.data import open_set
from sce_jax.data.dataset import Dataset
from sce_jax.data.records import Records
from sce_jax.errors import NonFiniteLoss, UserError
from sce_jax.label_issues import LabelIssues, judge
from sce_jax.noise import confident, near_duplicates
from sce_jax.parallel import processes
from sce_jax.runs import files, progress, restore
from sce_jax.runs.restore import SavedRun
from sce_jax.storage import paths

# The least probability whose logarithm is looked at.
_TINY = 1e-30
# Images that are given to the network at a time.
_AT_A_TIME = 8192


def audit(
  config: fields.RawConfig | Config,
  workdir: str | os.PathLike,
  data_dir: str | None = None,
  folds: int = 5,
  dataset: Dataset | None = None,
  allow_config_change: Collection[str] = (),
) -> LabelIssues:
  """Trains a network for each fold and finds label issues in the training set.

  The folds are runs that share a program, in WORKDIR/fold-0 and so on. What was
  interrupted is resumed; folds that have been trained are not trained again.
  Which example is in which fold depends on the config's seed.

  Args:
    config: the config.
    workdir: the audit's folder.
    data_dir: as in train_and_evaluate.
    folds: how many, at least 2.
    dataset: the config's, if it has been read already.
    allow_config_change: as in train_and_evaluate.

  Raises:
    UserError: config, data or folder cannot be used; nothing has been done.
    NonFiniteLoss: a fold's run has diverged; the others have been trained.
    preemption.Preempted, KeyboardInterrupt: as in train_and_evaluate.
  """
  config = config_lib.check_config(config)
  if not isinstance(folds, numbers.Integral) or folds < 2:
    raise UserError(
      f'folds={folds!r}: give at least 2, one is judged while the others are'
      ' trained on'
    )
  if dataset is None:
    dataset = dataset_lib.load_on_all_processes(config.data, data_dir)
  config_lib.check_fits(config, dataset.info)
  dataset = open_set.apply(
    dataset, config.data, config.noise, config.seed, data_dir
  )
  train_split = dataset.train
  rows = labels_lib.used_rows(dataset, config.noise, config.seed)
  if folds > len(rows):
    raise UserError(f'folds={folds}: there are only {len(rows)} examples')
  labels = labels_lib.apply_label_noise(
    dataset, config.noise, config.seed
  ).labels[rows]
  lonely = np.flatnonzero(np.bincount(labels) == 1)
  if len(lonely):
    names = ', '.join(dataset.info.class_titles[k] for k in lonely)
    progress.log(
      f'one example only: {names}; the network that judges it has seen none'
    )
  fold = assign_folds(labels, folds, config.seed)
  folders = [paths.path(workdir) / f'{files.FOLD}{k}' for k in range(folds)]
  margins = processes.on_primary(lambda: _records_margins(folders[0]))
  recorded = dataclasses.replace(
    config.train, record_averages=True, record_margins=margins
  )
  config = dataclasses.replace(config, train=recorded)
  results = train.train_many(
    [config] * folds,
    folders,
    data_dir,
    [rows[own] for own in training_positions(fold, folds, config.seed)],
    dataset,
    allow_config_change,
  )
  failed = [result['failed'] for result in results if 'failed' in result]
  if failed:
    raise NonFiniteLoss(failed[0])
  probability = np.empty((len(rows), dataset.info.num_classes))
  sums, count = np.zeros_like(probability), np.zeros((len(rows), 1))
  margin = np.zeros(len(rows)) if margins else None
  learned = []
  run = restore.load(folders[0], must_have_ended=True)
  for k, folder in enumerate(folders):
    # All have the same program, which is compiled once.
    state, _ = restore.last_state(folder, run.trainer, must_have_ended=True)
    judging = dataclasses.replace(run, state=state)
    images = train_split.rows(rows[fold == k]).image
    probability[fold == k] = _predict(judging, images)[0]
    sums += np.asarray(state.method.probability)[rows]
    count += np.asarray(state.method.count)[rows, None]
    if margin is not None:
      margin += np.asarray(state.method.margin)[rows]
    matrix = _learned_transition(config, folder, state.method.base)
    if matrix is not None:
      learned.append(matrix)
  # Of two folds' runs one may have left an example out, and the other holds it.
  averaged = np.where(count, sums / np.maximum(count, 1), probability)
  aum = None
  if margin is not None:
    aum = np.where(
      count[:, 0],
      margin / np.maximum(count[:, 0], 1),
      confident.margin(np.log(np.maximum(probability, _TINY)), labels),
    )
  features = None
  if len(rows) <= near_duplicates.MOST_COMPARED:
    # Of one network, or they could not be compared.
    features = _predict(run, train_split.rows(rows).image)[1]
  clean = train_split.clean_label
  return judge(
    labels,
    probability,
    averaged,
    features,
    train_split.example_id[rows],
    None if clean is None else clean[rows],
    rows,
    config.seed,
    aum,
    np.mean(learned, axis=0) if learned else None,
  )


def _learned_transition(
  config: Config, folder: paths.Path, state: Any
) -> Float64[np.ndarray, 'K K'] | None:
  """The T that a fold's method has learned; None if it learns none.

  T-Revision does not keep the rows at a sum of 1; here they are scaled to it.
  """
  method = methods.build(config.loss.name, config.loss.hparams)
  if method.transition is None:
    return None
  prepared = processes.on_primary(lambda: files.read_prepared(folder))
  matrix = np.asarray(method.transition(state, prepared or {}), np.float64)
  return matrix / matrix.sum(axis=1, keepdims=True)


def _records_margins(folder: paths.Path) -> bool:
  """Whether a fold does: all but those that an earlier version began."""
  if not (folder / 'config.json').exists():
    return True
  return files.read_config(folder)['train'].get('record_margins', False)


def assign_folds(
  labels: Integer[np.ndarray, ' N'], folds: int, seed: int
) -> Int64[np.ndarray, ' N']:
  """The fold of each example, from 0 on.

  Stratified: the folds' sizes, and their numbers of each label, differ by at
  most 1.
  """
  draws = np.random.default_rng(seed).random(len(labels))
  fold = np.empty(len(labels), np.int64)
  fold[np.lexsort((draws, labels))] = np.arange(len(labels)) % folds
  return fold


def training_positions(
  fold: Int64[np.ndarray, ' N'], folds: int, seed: int
) -> list[Int64[np.ndarray, ' P']]:
  """The examples outside each fold, equally many.

  Runs share a program only if they train on equally many examples, so of those
  outside a smaller fold one, drawn at random, is left out.
  """
  size = len(fold) - np.bincount(fold, minlength=folds).max()
  rng = np.random.default_rng(seed)
  return [
    np.sort(rng.permutation(np.flatnonzero(fold != k))[:size])
    for k in range(folds)
  ]


def _predict(
  run: SavedRun, images: np.ndarray | Records
) -> tuple[np.ndarray, np.ndarray]:
  """Probabilities and features, of batches that all have the same size."""
  if isinstance(images, Records):
    return run.predict(images)
  size = min(_AT_A_TIME, len(images))
  parts = []
  for start in range(0, len(images), size):
    rows = np.arange(start, start + size) % len(images)
    parts.append(run.predict(images[rows]))
  probability, hidden = (np.concatenate(x) for x in zip(*parts, strict=True))
  return probability[: len(images)], hidden[: len(images)]
