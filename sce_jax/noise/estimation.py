"""Estimates a transition matrix from a network trained on noisy labels.

T[i, j] = P(noisy = j | clean = i). All estimators here look at what a network
says of the training examples, so one that has memorised its labels misleads
them: its predictions are the labels, and T seems to be the identity. Take a
network from early in training, or one that was not trained on the examples.
"""

from collections.abc import Callable, Mapping
import dataclasses

from jaxtyping import Float, Float64, Integer
import numpy as np

from sce_jax.noise import confident
from sce_jax.noise.consensus import hoc

# Of the probabilities among which an anchor is, as Patrini et al. have it.
PERCENTILE = 97.0


@dataclasses.dataclass(frozen=True)
class Evidence:
  """What a network says of N examples.

  Attributes:
    probability: softmax outputs.
    label: given, in [0, K).
    features: activations of the last hidden layer.
    seed: of what an estimator draws.
  """

  probability: Float[np.ndarray, 'N K']
  label: Integer[np.ndarray, ' N']
  features: Float[np.ndarray, 'N D']
  seed: int = 0


def anchors(
  probabilities: Float[np.ndarray, 'N K'], percentile: float | int = PERCENTILE
) -> Float64[np.ndarray, 'K K']:
  """The transition matrix that the anchor points of the classes show.

  A network trained with cross entropy on noisy labels predicts noisy labels.
  An example that certainly is of class i, an anchor point, has the labels of
  row i of T, so what is predicted there estimates that row. The anchor point
  of class i is the example with the largest p_i, or, as the largest may be an
  outlier, with the largest below a percentile. The paper's, 97, is that of ten
  classes: it passes over three in ten of a class's examples. Of a class that is
  predicted of less than a twentieth of all it would pass over nearly all; there
  it passes over three in ten of them, too.

  Args:
    probabilities: softmax outputs on N training examples.
    percentile: of the p_i, from 0 to 100; the anchor is the example at the
      largest value that does not exceed it, but of a small class see above.

  Returns:
    T, rows summing to 1.

  Raises:
    ValueError: there are no examples, or the probabilities are not finite.

  References:
    Patrini et al., `Making Deep Neural Networks Robust to Label Noise: a Loss
    Correction Approach <https://arxiv.org/abs/1609.03683>`_, CVPR 2017,
    section 4.2.
  """
  p = np.asarray(probabilities, np.float64)
  if not len(p) or not np.isfinite(p).all():
    raise ValueError(
      'a transition matrix needs finite probabilities of some examples'
    )
  # In descending order of p_i; the first of equals stays the first.
  order = np.argsort(-p, axis=0, kind='stable')
  share = np.bincount(p.argmax(axis=1), minlength=p.shape[1]) / len(p)
  passed = (1 - percentile / 100) * np.where(share < 0.05, 10 * share, 1.0)
  ranks = np.ceil(passed * (len(p) - 1) - 1e-9).astype(int)
  rows = p[order[ranks, np.arange(p.shape[1])]]
  return rows / rows.sum(axis=1, keepdims=True)


def dual_t(
  probabilities: Float[np.ndarray, 'N K'],
  labels: Integer[np.ndarray, ' N'],
  percentile: float | int = PERCENTILE,
) -> Float64[np.ndarray, 'K K']:
  """The product of two matrices that are easier to estimate than T.

  Between the true class i and the label j stands the class k that the network
  predicts: T[i, j] = sum_k P(k | i) P(j | k), if the label depends on i only
  through k. The first factor is what `anchors` gives, the second is counted. A
  class that is never predicted has the labels of clean data.

  Args:
    probabilities: softmax outputs on N training examples.
    labels: given, in [0, K).
    percentile: as in `anchors`.

  Returns:
    T, rows summing to 1.

  Raises:
    ValueError: as in `anchors`.

  References:
    Yao et al., `Dual T: Reducing Estimation Error for Transition Matrix in
    Label-noise Learning <https://arxiv.org/abs/2006.07805>`_, NeurIPS 2020.
  """
  first = anchors(probabilities, percentile)
  size = len(first)
  pairs = probabilities.argmax(axis=1) * size + labels
  second = np.bincount(pairs, minlength=size**2).reshape(size, size)
  second = second + np.diag(second.sum(axis=1) == 0)
  return first @ (second / second.sum(axis=1, keepdims=True))


def confident_joint(
  probabilities: Float[np.ndarray, 'N K'], labels: Integer[np.ndarray, ' N']
) -> Float64[np.ndarray, 'K K']:
  """The transition matrix of the confident joint, see confident.py."""
  return confident.estimated_transition(
    confident.confident_joint(probabilities, labels)
  )


# The estimators by name: (evidence, percentile of anchors) -> T.
ESTIMATORS: Mapping[
  str, Callable[[Evidence, float], Float64[np.ndarray, 'K K']]
] = {
  'anchors': lambda e, percentile: anchors(e.probability, percentile),
  'dual_t': lambda e, percentile: dual_t(e.probability, e.label, percentile),
  'confident': lambda e, _: confident_joint(e.probability, e.label),
  'hoc': lambda e, _: hoc(e.features, e.label, e.probability.shape[1], e.seed),
}


def total_variation(
  estimated: Float[np.ndarray, 'K K'], true: Float[np.ndarray, 'K K']
) -> Float64[np.ndarray, ' K']:
  """How far each row is off, sum_j |estimated[i, j] - true[i, j]| / 2.

  From 0 to 1: the share of the labels of class i that is moved.

  >>> total_variation(np.eye(2), np.array([[0.5, 0.5], [0.25, 0.75]]))
  array([0.5 , 0.25])
  """
  return np.abs(np.asarray(estimated) - true).sum(axis=1) / 2
