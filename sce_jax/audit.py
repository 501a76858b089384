"""Ranks training examples by how likely their label is wrong.

The training split is cut into folds, and for each a network is trained on the
others. Two things are read off them. What a network says of the fold that it
was never shown is not memorised: by that it is estimated how many labels are
wrong, and which are right instead. What the networks said, while they were
trained, of the examples that they were shown, averaged over the epochs, ranks
them: right labels are learned early. See noise/confident.py and
methods/averages.py.
"""

from collections.abc import Mapping
import dataclasses
import os

from jaxtyping import Bool, Float, Float64, Int64, Integer
import numpy as np
from sklearn import metrics

from sce_jax import train
from sce_jax.config import check as config_lib
from sce_jax.config import fields
from sce_jax.config.check import Config
from sce_jax.data import dataset as dataset_lib
from sce_jax.data import labels as labels_lib
from sce_jax.data import open_set
from sce_jax.data.dataset import Dataset
from sce_jax.errors import NonFiniteLoss, UserError
from sce_jax.noise import confident, estimation
from sce_jax.parallel import processes
from sce_jax.runs import files, progress, restore
from sce_jax.runs.restore import SavedRun
from sce_jax.storage import paths

# Of two examples that are nearer than this share of the median distance to the
# nearest other example, one is a copy of the other; as in cleanlab's Datalab.
_COPY = 0.13
# What float32 leaves of the cosine distance of equal features.
_SAME = 1e-6
# Similarities held in memory at a time; all pairs of so many examples are
# compared, of more none: their number grows with the square.
_BLOCK = 2**24
_MOST_COMPARED = 100_000
# The least probability whose logarithm is looked at.
_TINY = 1e-30
# Of the anchor points, as for the loss 'forward'.
_PERCENTILE = 97.0
# Images that are given to the network at a time.
_AT_A_TIME = 8192


@dataclasses.dataclass(frozen=True)
class LabelIssues:
  """What was found; arrays in the order of the training split.

  Attributes:
    example_id: of each example.
    index: its row in the training split.
    label: given.
    clean_label: the true one, -1 where it is not known; None if none is.
    probability: of each class, out of sample.
    averaged: of each class, averaged over the training of networks that were
      shown the example; None: there are none.
    suggested: the most probable class, for issues other than the given one.
    score: the normalised margin of the given label in the averages, in [0, 1]:
      the lower, the more likely it is wrong.
    aum: the mean margin of the given label's logit in training, see
      methods/averages.py; None: it was not recorded.
    is_issue: whether it is among the labels estimated to be wrong.
    joint: how many labelled i seem to be of class j.
    rate_interval: a 95 % bootstrap interval of the share of wrong labels.
    duplicates: pairs of rows: near duplicates with different labels, the most
      similar first. None: they were not looked for.
    transitions: T[i, j] = P(labelled j | truly i) by each estimator of
      noise/estimation.py for which there is what it needs.
  """

  example_id: Int64[np.ndarray, ' N']
  index: Int64[np.ndarray, ' N']
  label: Integer[np.ndarray, ' N']
  clean_label: Integer[np.ndarray, ' N'] | None
  probability: Float[np.ndarray, 'N K']
  averaged: Float[np.ndarray, 'N K'] | None
  suggested: Integer[np.ndarray, ' N']
  score: Float64[np.ndarray, ' N']
  aum: Float64[np.ndarray, ' N'] | None
  is_issue: Bool[np.ndarray, ' N']
  joint: Float64[np.ndarray, 'K K']
  rate_interval: tuple[float, float]
  duplicates: Int64[np.ndarray, 'M 2'] | None
  transitions: Mapping[str, Float64[np.ndarray, 'K K']]

  @property
  def ranking(self) -> Int64[np.ndarray, ' N']:
    """The rows, the most suspicious label first."""
    return np.argsort(self.score, kind='stable')

  @property
  def rate(self) -> float:
    """The estimated share of wrong labels."""
    return confident.noise_rate(self.joint)

  @property
  def transition(self) -> Float64[np.ndarray, 'K K']:
    """The estimated T[i, j] = P(labelled j | truly i)."""
    return self.transitions['confident']

  @property
  def true_transition(self) -> Float64[np.ndarray, 'K K'] | None:
    """T as counted where the true labels are known; None if none is."""
    if self.clean_label is None or not (self.clean_label >= 0).any():
      return None
    matrix, _ = files.actual_noise(
      self.label.astype(np.int32),
      self.clean_label.astype(np.int32),
      len(self.joint),
    )
    return matrix

  @property
  def transition_errors(self) -> dict[str, Float64[np.ndarray, ' K']]:
    """Total variation of each row of each estimate; none of no known T."""
    true = self.true_transition
    if true is None:
      return {}
    return {
      name: estimation.total_variation(matrix, true)
      for name, matrix in self.transitions.items()
    }

  @property
  def confused(self) -> list[tuple[int, int, int]]:
    """(given, likely, how many): pairs of classes, the most confused first."""
    counts = np.rint(self.joint).astype(int)
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind='stable')
    pairs = zip(*np.unravel_index(order, counts.shape), strict=True)
    found = ((int(i), int(j), int(counts[i, j])) for i, j in pairs)
    return [pair for pair in found if pair[2]]


def judge(
  labels: Integer[np.ndarray, ' N'],
  probability: Float[np.ndarray, 'N K'],
  averaged: Float[np.ndarray, 'N K'] | None = None,
  features: Float[np.ndarray, 'N D'] | None = None,
  example_id: Int64[np.ndarray, ' N'] | None = None,
  clean_label: Integer[np.ndarray, ' N'] | None = None,
  index: Int64[np.ndarray, ' N'] | None = None,
  seed: int = 0,
  aum: Float64[np.ndarray, ' N'] | None = None,
) -> LabelIssues:
  """Finds label issues by probabilities, whoever made them.

  Args:
    labels: given.
    probability: of each class, from a network that was not trained on the
      example.
    averaged: of each class, averaged over the training of networks that were;
      None: `probability` ranks the examples, too.
    features: by which near duplicates are found, of one network; None: they
      are not looked for, and T is not estimated by neighbours.
    example_id: of each example; None: its place.
    clean_label: the true labels, as in `LabelIssues`.
    index: of each example, its row in the training split; None: its place.
    seed: of the bootstrap.
    aum: as in `LabelIssues`.
  """
  joint = confident.confident_joint(probability, labels)
  ranked = probability if averaged is None else averaged
  is_issue = confident.find_issues(ranked, labels, joint)
  others = probability.copy()
  others[is_issue, labels[is_issue]] = -1
  places = np.arange(len(labels))
  evidence = estimation.Evidence(
    probability, labels, probability if features is None else features
  )
  return LabelIssues(
    places if example_id is None else example_id,
    places if index is None else index,
    labels,
    clean_label,
    probability,
    averaged,
    others.argmax(axis=1),
    confident.normalized_margin(ranked, labels),
    aum,
    is_issue,
    joint,
    confident.noise_rate_interval(probability, labels, seed),
    None if features is None else near_duplicates(features, labels),
    {
      name: estimate(evidence, _PERCENTILE)
      for name, estimate in estimation.ESTIMATORS.items()
      if name != 'hoc' or (features is not None and len(labels) > 2)
    },
  )


def audit(
  config: fields.RawConfig | Config,
  workdir: str | os.PathLike,
  data_dir: str | None = None,
  folds: int = 5,
  dataset: Dataset | None = None,
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

  Raises:
    UserError: config, data or folder cannot be used; nothing has been done.
    NonFiniteLoss: a fold's run has diverged; the others have been trained.
    preemption.Preempted, KeyboardInterrupt: as in train_and_evaluate.
  """
  config = config_lib.check_config(config)
  if folds < 2:
    raise UserError(
      f'folds={folds}: give at least 2, one is judged while the others are'
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
  )
  failed = [result['failed'] for result in results if 'failed' in result]
  if failed:
    raise NonFiniteLoss(failed[0])
  probability = np.empty((len(rows), dataset.info.num_classes))
  sums, count = np.zeros_like(probability), np.zeros((len(rows), 1))
  margin = np.zeros(len(rows)) if margins else None
  run = restore.load(folders[0])
  for k, folder in enumerate(folders):
    # All have the same program, which is compiled once.
    state, _ = restore.last_state(folder, run.trainer)
    judging = dataclasses.replace(run, state=state)
    images = train_split.image[rows[fold == k]]
    probability[fold == k] = _predict(judging, images)[0]
    sums += np.asarray(state.method.probability)[rows]
    count += np.asarray(state.method.count)[rows, None]
    if margin is not None:
      margin += np.asarray(state.method.margin)[rows]
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
  if len(rows) <= _MOST_COMPARED:
    # Of one network, or they could not be compared.
    features = _predict(run, train_split.image[rows])[1]
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
  )


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
  run: SavedRun, images: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Probabilities and features, of batches that all have the same size."""
  size = min(_AT_A_TIME, len(images))
  parts = []
  for start in range(0, len(images), size):
    rows = np.arange(start, start + size) % len(images)
    parts.append(run.predict(images[rows]))
  probability, hidden = (np.concatenate(x) for x in zip(*parts, strict=True))
  return probability[: len(images)], hidden[: len(images)]


def near_duplicates(
  features: Float[np.ndarray, 'N D'], labels: Integer[np.ndarray, ' N']
) -> Int64[np.ndarray, 'M 2']:
  """Pairs of examples that are nearly the same and have different labels.

  Each example is compared with the nearest of another label, by the cosine of
  the features. They are near duplicates if their distance is below 0.13 of the
  median distance to the nearest example of any label.

  Returns:
    Pairs of rows, each once, the most similar first.
  """
  features = features.astype(np.float32)
  norms = np.linalg.norm(features, axis=1, keepdims=True)
  unit = features / np.maximum(norms, np.finfo(np.float32).tiny)
  size = len(labels)
  nearest, distance = np.empty(size), np.empty(size)
  partner = np.empty(size, np.int64)
  step = max(1, _BLOCK // size)
  for start in range(0, size, step):
    rows = np.arange(start, min(start + step, size))
    similarity = unit[rows] @ unit.T
    similarity[np.arange(len(rows)), rows] = -np.inf
    nearest[rows] = 1 - similarity.max(axis=1)
    similarity[labels[rows, None] == labels] = -np.inf
    partner[rows] = similarity.argmax(axis=1)
    distance[rows] = 1 - similarity.max(axis=1)
  apart = nearest[nearest > _SAME]
  limit = max(_SAME, _COPY * np.median(apart)) if len(apart) else _SAME
  (found,) = np.nonzero(distance < limit)
  found = found[np.argsort(distance[found], kind='stable')]
  pairs = np.sort(np.stack([found, partner[found]], axis=1), axis=1)
  _, first = np.unique(pairs, axis=0, return_index=True)
  return pairs[np.sort(first)]


def detection(issues: LabelIssues) -> dict[str, int | float] | None:
  """How well the wrong labels were found, where the true ones are known.

  Returns:
    The number of wrong labels among those known; AUROC of the score, and of the
    margin out of sample, and of AUM where it was recorded; average precision of
    the score; precision among as many as there are wrong labels; precision and
    recall of `is_issue`.
    None: not known, or there are only right or only wrong ones.
  """
  if issues.clean_label is None:
    return None
  known = issues.clean_label >= 0
  wrong = (issues.label != issues.clean_label)[known]
  count = int(wrong.sum())
  if count in (0, len(wrong)):
    return None
  flagged = issues.is_issue[known]
  hits = int((flagged & wrong).sum())
  return {
    'wrong labels': count,
    **ranking_figures(issues.score[known], wrong),
    'AUROC, out of sample': ranking_figures(
      confident.normalized_margin(issues.probability, issues.label)[known],
      wrong,
    )['AUROC'],
    **(
      {}
      if issues.aum is None
      else {
        'AUROC, AUM': ranking_figures(issues.aum[known], wrong)['AUROC'],
      }
    ),
    'precision of the issues': hits / max(1, int(flagged.sum())),
    'recall of the issues': hits / count,
  }


def ranking_figures(
  score: Float[np.ndarray, ' N'], wrong: Bool[np.ndarray, ' N']
) -> dict[str, float]:
  """How well a score ranks wrong labels before right ones.

  Args:
    score: of each label; the lower, the more likely it is wrong.
    wrong: whether it is.

  Returns:
    AUROC, average precision, and precision among as many as there are wrong
    labels, each in [0, 1].
  """
  first = np.argsort(score, kind='stable')[: wrong.sum()]
  return {
    'AUROC': float(metrics.roc_auc_score(wrong, -score)),
    'average precision': float(metrics.average_precision_score(wrong, -score)),
    'precision at the true number': float(wrong[first].mean()),
  }
