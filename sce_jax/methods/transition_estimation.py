"""Estimates a transition matrix from a network trained on noisy labels."""

from jaxtyping import Float, Float64
import numpy as np


def estimate_transition(
  probabilities: Float[np.ndarray, 'N K'], percentile: float | int = 97.0
) -> Float64[np.ndarray, 'K K']:
  """The transition matrix that the anchor points of the classes show.

  A network trained with cross entropy on noisy labels predicts noisy labels.
  An example that certainly is of class i, an anchor point, has the labels of
  row i of T, so what is predicted there estimates that row. The anchor point
  of class i is the example with the largest p_i, or, as the largest may be an
  outlier, with the largest below a percentile.

  Args:
    probabilities: softmax outputs on N training examples.
    percentile: of the p_i, from 0 to 100; the anchor is the example at the
      largest value that does not exceed it.

  Returns:
    T[i, j] = P(noisy = j | clean = i), rows summing to 1.

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
  rank = int(np.ceil((1 - percentile / 100) * (len(p) - 1) - 1e-9))
  rows = p[order[rank]]
  return rows / rows.sum(axis=1, keepdims=True)
