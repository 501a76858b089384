"""A loss less its mean over all labels, which makes it symmetric.

Over the K labels such a loss sums to 0, whatever a classifier predicts.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sce_jax.losses.inputs import (
  Label,
  Scalar,
  check_and_upcast,
  log_softmax_and_softmax,
)


def _less_mean(target: Array, losses: Array) -> Array:
  return jnp.sum(target * (losses - jnp.mean(losses)))


def unhinged(logits: Float[Array, ' K'], label: Label) -> Float[Array, '']:
  """Unhinged loss of one example: cross entropy, symmetrized.

  For a class y the loss is `mean_k z_k - z_y`, with z the logits, for a target
  the mean over its classes. It is `l_ce` less the mean of `l_ce` over all
  labels, hence symmetric: over all labels it sums to 0.

  It is linear in the logits: its gradient never falls, and it has no bounds.
  Training needs something that holds the logits, such as weight decay.

  The form for many classes is derived here from the abstract of the second
  paper, whose text was not read; for 2 classes it is half that of the first,
  `1 - margin`, but for the constant.

  Examples:
    >>> import jax.numpy as jnp
    >>> logits = jnp.array([jnp.log(3.0), 0.0])
    >>> loss = unhinged(logits, jnp.array(1))
    >>> print(f'{loss:.4f}')
    0.5493

  References:
    van Rooyen et al., `Learning with Symmetric Label Noise: The Importance of
    Being Unhinged <https://arxiv.org/abs/1505.07634>`_, NeurIPS 2015; Lemire
    Paquin, `Symmetrization of Loss Functions for Robust Training of Neural
    Networks in the Presence of Noisy Labels
    <https://arxiv.org/abs/2605.20347>`_, 2026 (many classes).
  """
  logits, target = check_and_upcast(logits, label)
  # Shifted first: large logits would round away what they differ by.
  shifted = logits - jax.lax.stop_gradient(jnp.max(logits))
  return _less_mean(target, -shifted)


def symmetrized_generalized_cross_entropy(
  logits: Float[Array, ' K'], label: Label, *, q: Scalar = 0.7
) -> Float[Array, '']:
  """Symmetrized generalized cross entropy (SGCE) of one example.

  For a class y the loss is `(mean_k p_k^q - p_y^q) / q`, for a target the mean
  over its classes. It is generalized cross entropy less its mean over all
  labels, hence symmetric: over all labels it sums to 0. It goes to the unhinged
  loss as q goes to 0, where it is not defined itself, and is `1/K - p_y`, half
  the mean absolute error but for a constant, at q = 1.

  The formula is derived here: the paper's abstract says that its SGCE is a
  symmetrized loss between these two, its text was not read. A published value
  of q is not known; the default is that of generalized cross entropy.

  Args:
    q: The exponent; above 0 and at most 1.

  Returns:
    The loss `[]`, between `(1/K - 1) / q` and `(K - 1)^(1 - q) / (q K)`.

  Examples:
    >>> import jax.numpy as jnp
    >>> logits = jnp.array([jnp.log(3.0), 0.0])
    >>> loss = symmetrized_generalized_cross_entropy(
    ...   logits, jnp.array(1), q=0.5
    ... )
    >>> print(f'{loss:.4f}')
    0.3660

  References:
    Lemire Paquin, `Symmetrization of Loss Functions for Robust Training of
    Neural Networks in the Presence of Noisy Labels
    <https://arxiv.org/abs/2605.20347>`_, 2026.
  """
  logits, target = check_and_upcast(logits, label)
  log_p, _ = log_softmax_and_softmax(logits)
  q = jnp.asarray(q, log_p.dtype)
  # expm1 keeps the digits that 1 - p^q loses for a small q.
  return _less_mean(target, -jnp.expm1(q * log_p) / q)
