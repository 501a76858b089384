"""Losses corrected by a known noise transition matrix.

T[i, j] = P(noisy label = j | clean label = i), so every row of T sums to 1.
The label is noisy and the network predicts clean classes: p = softmax(logits).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
import numpy as np

from sce_jax.losses.inputs import (
  Label,
  check_and_upcast,
  is_integer_label,
  log_softmax_and_softmax,
)

Matrix = Float[Array | np.ndarray, 'K K']


def forward_correction(
  logits: Float[Array, ' K'], label: Label, *, transition_matrix: Matrix
) -> Float[Array, '']:
  """Forward correction: cross entropy of the predicted noisy label.

  For a noisy class y the loss is `-log (T' p)_y`, with
  `(T' p)_j = sum_i p_i T[i, j]`; for a noisy target q it is
  `-sum_j q_j log (T' p)_j`. With T the identity it is cross entropy.

  A zero of T is read as impossible, and its gradient is 0. A class that no
  other can turn into (a column of zeros) has a probability of 0, so its loss
  is infinite; the config check refuses such a T.

  Args:
    logits: Unnormalized log probabilities `[K]` of the clean classes.
    label: A noisy class `[]` or a noisy target `[K]`.
    transition_matrix: T `[K, K]`, entries at least 0, rows summing to 1.

  Examples:
    >>> import jax.numpy as jnp
    >>> logits = jnp.array([jnp.log(3.0), 0.0])
    >>> t = jnp.array([[0.8, 0.2], [0.4, 0.6]])
    >>> loss = forward_correction(logits, jnp.array(1), transition_matrix=t)
    >>> print(f'{loss:.4f}')
    1.2040

  References:
    Patrini et al., `Making Deep Neural Networks Robust to Label Noise: a Loss
    Correction Approach <https://arxiv.org/abs/1609.03683>`_, CVPR 2017.
  """
  logits, target = check_and_upcast(logits, label)
  log_p, _ = log_softmax_and_softmax(logits)
  matrix = jnp.asarray(transition_matrix, log_p.dtype)
  if is_integer_label(label):
    # One column is all it takes: K exponentials an example rather than K * K.
    return -_log_noisy(log_p, jnp.sum(matrix * target, axis=1))
  noisy = jax.vmap(_log_noisy, in_axes=(None, 1))(log_p, matrix)
  return -jnp.sum(target * noisy)


def _log_noisy(
  log_p: Float[Array, ' K'], column: Float[Array, ' K']
) -> Float[Array, '']:
  """Computes `log sum_i p_i column_i` without leaving log space."""
  # The column stays a factor: added to a log p of -1e4 its logarithm would be
  # rounded away. A zero is left out of the maximum that is subtracted inside.
  return jax.nn.logsumexp(log_p, b=column)


def backward_correction(
  logits: Float[Array, ' K'], label: Label, *, transition_matrix: Matrix
) -> Float[Array, '']:
  """Backward correction: an unbiased estimate of the clean cross entropy.

  With l the vector `l_k = -log p_k` the loss of a noisy class y is
  `(T^-1 l)_y`, that of a noisy target q is `sum_j q_j (T^-1 l)_j`. Its mean
  over the noise of a clean class i, `sum_j T[i, j] (T^-1 l)_j`, is l_i. T^-1
  has negative entries, so the loss has no lower bound.

  Args:
    logits: Unnormalized log probabilities `[K]` of the clean classes.
    label: A noisy class `[]` or a noisy target `[K]`.
    transition_matrix: T `[K, K]`, rows summing to 1, invertible. A singular T
      gives a loss that is not finite.

  Examples:
    >>> import jax.numpy as jnp
    >>> logits = jnp.array([jnp.log(3.0), 0.0])
    >>> t = jnp.array([[0.8, 0.2], [0.4, 0.6]])
    >>> loss = backward_correction(logits, jnp.array(1), transition_matrix=t)
    >>> print(f'{loss:.4f}')
    2.4849

  References:
    Patrini et al., `Making Deep Neural Networks Robust to Label Noise: a Loss
    Correction Approach <https://arxiv.org/abs/1609.03683>`_, CVPR 2017.
  """
  logits, target = check_and_upcast(logits, label)
  log_p, _ = log_softmax_and_softmax(logits)
  matrix = jnp.asarray(transition_matrix, log_p.dtype)
  # q' T^-1 l = (T'^-1 q)' l: correcting the target rather than the losses keeps
  # the logits, and with them the gradient, out of the solver.
  corrected = jnp.linalg.solve(matrix.T, target)
  return -jnp.sum(corrected * log_p)
