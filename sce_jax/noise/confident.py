"""Which labels are likely wrong, by a network's out-of-sample probabilities.

Confident learning: Northcutt et al., "Confident Learning: Estimating
Uncertainty in Dataset Labels", JAIR 2021 (arXiv:1911.00068). Details that the
paper leaves open are those of its authors' cleanlab 2.9. NumPy only.

The joint needs probabilities of networks that were not trained on the example:
one that has memorised a wrong label finds nothing wrong with it.
"""

from jaxtyping import Bool, Float, Float64, Integer
import numpy as np

# Room for rounding: the thresholds are means of the values they are applied to.
_ROUNDING = 1e-6


def normalized_margin(
  probabilities: Float[np.ndarray, 'N K'], labels: Integer[np.ndarray, ' N']
) -> Float64[np.ndarray, ' N']:
  """By how much the given label leads, (p_y - max_{k != y} p_k + 1) / 2.

  In [0, 1]: near 0 the label is likely wrong, near 1 likely right. Section 3.2
  of the paper ranks by it.

  >>> normalized_margin(np.array([[0.7, 0.2, 0.1]]), np.array([1]))
  array([0.25])
  """
  return (margin(probabilities, labels) + 1) / 2


def margin(
  values: Float[np.ndarray, 'N K'], labels: Integer[np.ndarray, ' N']
) -> Float64[np.ndarray, ' N']:
  """The label's value less the largest of the others'."""
  others = np.array(values, np.float64)
  rows = np.arange(len(labels))
  given = others[rows, labels]
  others[rows, labels] = -np.inf
  return given - others.max(axis=1)


def self_confidence(
  probabilities: Float[np.ndarray, 'N K'], labels: Integer[np.ndarray, ' N']
) -> Float64[np.ndarray, ' N']:
  """The probability of the given label, p_y."""
  return probabilities[np.arange(len(labels)), labels].astype(np.float64)


def confident_joint(
  probabilities: Float[np.ndarray, 'N K'], labels: Integer[np.ndarray, ' N']
) -> Float64[np.ndarray, 'K K']:
  """Estimates how many examples labelled i are truly of class j.

  The threshold of a class is its mean probability over the examples labelled
  so (equation 2). An example counts as of class j if j reaches its threshold;
  of several such classes, the most probable. Examples that reach none are left
  out (equation 1); each row is scaled to the number of its labels (equation 3).

  Args:
    probabilities: out-of-sample, rows sum to 1.
    labels: given, in [0, K).

  Returns:
    The counts, not rounded: row i sums to the number of labels i.
  """
  num_classes = probabilities.shape[1]
  counts = np.bincount(labels, minlength=num_classes)
  sums = np.bincount(
    labels, self_confidence(probabilities, labels), minlength=num_classes
  )
  # Nobody is confidently of a class that no label names.
  thresholds = np.full(num_classes, np.inf)
  np.divide(sums, counts, out=thresholds, where=counts > 0)
  reached = probabilities >= np.maximum(thresholds, 2e-6) - _ROUNDING
  guess = np.where(reached, probabilities, -1).argmax(axis=1)
  counted = reached.any(axis=1)
  pairs = labels[counted].astype(np.int64) * num_classes + guess[counted]
  joint = np.bincount(pairs, minlength=num_classes**2).astype(np.float64)
  joint = joint.reshape(num_classes, num_classes)
  # Of each label that occurs, some example reaches the threshold: their mean.
  return joint * (counts / np.maximum(joint.sum(axis=1), 1))[:, None]


def noise_rate(joint: Float64[np.ndarray, 'K K']) -> float:
  """The share of wrong labels, by `confident_joint`."""
  return float(1 - joint.trace() / joint.sum())


def noise_rate_interval(
  probabilities: Float[np.ndarray, 'N K'],
  labels: Integer[np.ndarray, ' N'],
  seed: int,
  resamples: int = 200,
) -> tuple[float, float]:
  """A 95 % bootstrap interval of `noise_rate`, over examples.

  It says how much the estimate depends on which examples there are; not how
  far a network that learned badly is off.
  """
  rng = np.random.default_rng(seed)
  rates = []
  for _ in range(resamples):
    rows = rng.integers(len(labels), size=len(labels))
    rates.append(noise_rate(confident_joint(probabilities[rows], labels[rows])))
  low, high = np.percentile(rates, [2.5, 97.5])
  return float(low), float(high)


def estimated_transition(
  joint: Float64[np.ndarray, 'K K'],
) -> Float64[np.ndarray, 'K K']:
  """T[i, j] = P(labelled j | truly i), by `confident_joint`.

  The row of a class that no example seems to be of is that of clean labels.
  """
  matrix = joint.T.copy()
  empty = matrix.sum(axis=1) == 0
  matrix[empty, empty] = 1
  return matrix / matrix.sum(axis=1, keepdims=True)


def find_issues(
  probabilities: Float[np.ndarray, 'N K'],
  labels: Integer[np.ndarray, ' N'],
  joint: Float64[np.ndarray, 'K K'],
) -> Bool[np.ndarray, ' N']:
  """Which labels to look at: prune by noise rate, section 3.2, method 4.

  Of the examples labelled i the joint[i, j] with the largest p_j - p_i, for
  each other class j. (cleanlab leaves out those whose label is the most
  probable class all the same.)
  """
  found = np.zeros(len(labels), bool)
  wanted = np.rint(joint).astype(int)
  for given in range(len(joint)):
    rows = np.flatnonzero(labels == given)
    own = probabilities[rows]
    for other in np.flatnonzero(wanted[given]):
      if other != given:
        lead = own[:, other] - own[:, given]
        order = np.argsort(-lead, kind='stable')
        found[rows[order[: wanted[given, other]]]] = True
  return found
