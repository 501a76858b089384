"""Which labels are likely to be wrong, by probabilities, whoever made them."""

from collections.abc import Mapping
import dataclasses

from jaxtyping import Bool, Float, Float64, Int64, Integer
import numpy as np
from sklearn import metrics

from sce_jax.noise import confident, consensus, estimation
from sce_jax.noise.near_duplicates import near_duplicates
from sce_jax.runs import files


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
    score: the given label's probability, the mean of that out of sample and of
      that averaged over the training: the lower, the more likely it is wrong.
    aum: the mean margin of the given label's logit in training, see
      methods/averages.py; None: it was not recorded.
    is_issue: whether it is among the labels estimated to be wrong.
    joint: how many labelled i seem to be of class j.
    rate_interval: a 95 % bootstrap interval of the share of wrong labels.
    duplicates: pairs of rows: near duplicates with different labels, the most
      similar first. None: they were not looked for.
    transitions: T[i, j] = P(labelled j | truly i) by each estimator of
      noise/estimation.py for which there is what it needs, hoc's only of few
      enough classes; and 'learned', by the method itself.
    clusterability: the share of examples whose two nearest neighbours have
      their true label, see noise/consensus.py; None: it is not known.
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
  clusterability: float | None = None

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
  learned_transition: Float64[np.ndarray, 'K K'] | None = None,
) -> LabelIssues:
  """Finds label issues by probabilities, whoever made them.

  Args:
    labels: given.
    probability: of each class, from a network that was not trained on the
      example.
    averaged: of each class, averaged over the training of networks that were;
      None: `probability` alone ranks the examples.
    features: by which near duplicates are found, of one network; None: they
      are not looked for, and T is not estimated by neighbours.
    example_id: of each example; None: its place.
    clean_label: the true labels, as in `LabelIssues`.
    index: of each example, its row in the training split; None: its place.
    seed: of the bootstrap, and of what is drawn to estimate T by neighbours.
    aum: as in `LabelIssues`.
    learned_transition: T that a method has learned; None: it learns none.
  """
  joint = confident.confident_joint(probability, labels)
  has_hoc = (
    features is not None
    and len(labels) > 2
    and probability.shape[1] <= consensus.MOST_CLASSES
  )
  learned = probability if averaged is None else averaged
  is_issue = confident.find_issues(learned, labels, joint)
  others = probability.copy()
  others[is_issue, labels[is_issue]] = -1
  places = np.arange(len(labels))
  evidence = estimation.Evidence(
    probability, labels, probability if features is None else features, seed
  )
  return LabelIssues(
    places if example_id is None else example_id,
    places if index is None else index,
    labels,
    clean_label,
    probability,
    averaged,
    others.argmax(axis=1),
    (
      confident.self_confidence(probability, labels)
      + confident.self_confidence(learned, labels)
    )
    / 2,
    aum,
    is_issue,
    joint,
    confident.noise_rate_interval(probability, labels, seed),
    None if features is None else near_duplicates(features, labels),
    {
      name: estimate(evidence, estimation.PERCENTILE)
      for name, estimate in estimation.ESTIMATORS.items()
      if name != 'hoc' or has_hoc
    }
    | ({} if learned_transition is None else {'learned': learned_transition}),
    _clusterability(features, clean_label, seed),
  )


def _clusterability(features, clean, seed: int):
  if features is None or clean is None:
    return None
  known = clean >= 0
  if known.sum() < 3:
    return None
  return consensus.clusterability(features[known], clean[known], seed)


def detection(issues: LabelIssues) -> dict[str, int | float] | None:
  """How well the wrong labels were found, where the true ones are known.

  Returns:
    The number of wrong labels among those known; AUROC of the score, of each of
    its two parts, and of AUM where it was recorded; average precision of the
    score; precision among as many as there are wrong labels; precision and
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
  parts = {
    'out of sample': confident.self_confidence(issues.probability, issues.label)
  }
  if issues.averaged is not None:
    parts['in training'] = confident.self_confidence(
      issues.averaged, issues.label
    )
  if issues.aum is not None:
    parts['AUM'] = issues.aum
  return {
    'wrong labels': count,
    **ranking_figures(issues.score[known], wrong),
    **{
      f'AUROC, {name}': ranking_figures(score[known], wrong)['AUROC']
      for name, score in parts.items()
    },
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
