"""Losses divided by their sum over all labels, which makes them symmetric.

Over the K labels a normalized loss sums to 1, a normalized negative one to
K - 1: whatever a classifier predicts, so that symmetric noise below 1 - 1/K
does not change which classifier minimises the expected loss.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from sce_jax.losses.inputs import (
  Label,
  Scalar,
  check_and_upcast,
  log_softmax_and_softmax,
)
from sce_jax.losses.powers import focal_of_classes


def _share(target: Array, losses: Array) -> Array:
  """The label's share of the losses of all classes."""
  # One class at most has a loss of 0: the sum is positive.
  return jnp.sum(target * (losses / jnp.sum(losses)))


def normalized_cross_entropy(
  logits: Float[Array, ' K'], label: Label
) -> Float[Array, '']:
  """Normalized cross entropy (NCE) of one example.

  For a class y the loss is `log p_y / sum_k log p_k`, for a target the mean
  over its classes. It is symmetric: over all labels it sums to 1.

  Returns:
    The loss `[]`, between 0 and 1.

  Examples:
    >>> import jax.numpy as jnp
    >>> logits = jnp.array([jnp.log(3.0), 0.0])
    >>> loss = normalized_cross_entropy(logits, jnp.array(1))
    >>> print(f'{loss:.4f}')
    0.8281

  References:
    Ma et al., `Normalized Loss Functions for Deep Learning with Noisy Labels
    <https://arxiv.org/abs/2006.13554>`_, ICML 2020.
  """
  logits, target = check_and_upcast(logits, label)
  log_p, _ = log_softmax_and_softmax(logits)
  return _share(target, -log_p)


def normalized_focal(
  logits: Float[Array, ' K'],
  label: Label,
  *,
  gamma: Scalar = 0.5,
  detach: bool = False,
) -> Float[Array, '']:
  """Normalized focal loss (NFL) of one example.

  With `l_k = -(1 - p_k)^gamma log p_k` the loss of a class y is
  `l_y / sum_k l_k`, that of a target the mean over its classes. It is
  symmetric: over all labels it sums to 1. At gamma = 0 it is NCE.

  Args:
    gamma: How strongly well classified examples are played down; at least 0.
    detach: Whether the factors `(1 - p_k)^gamma` are held constant in the
      gradient, as in all public codes, see `focal`.

  Returns:
    The loss `[]`, between 0 and 1.

  Examples:
    >>> import jax.numpy as jnp
    >>> logits = jnp.array([jnp.log(3.0), 0.0])
    >>> loss = normalized_focal(logits, jnp.array(1), gamma=0.5)
    >>> print(f'{loss:.4f}')
    0.8930

  References:
    Ma et al., `Normalized Loss Functions for Deep Learning with Noisy Labels
    <https://arxiv.org/abs/2006.13554>`_, ICML 2020.
  """
  logits, target = check_and_upcast(logits, label)
  return _share(
    target,
    focal_of_classes(*log_softmax_and_softmax(logits), gamma, detach=detach),
  )


def normalized_generalized_cross_entropy(
  logits: Float[Array, ' K'], label: Label, *, q: Scalar = 0.7
) -> Float[Array, '']:
  """Normalized generalized cross entropy (NGCE) of one example.

  For a class y the loss is `(1 - p_y^q) / sum_k (1 - p_k^q)`, for a target the
  mean over its classes. It is symmetric: over all labels it sums to 1. It goes
  to NCE as q goes to 0, where it is not defined itself, and is the mean
  absolute error over 2 (K - 1) at q = 1.

  Args:
    q: The exponent; above 0 and at most 1.

  Returns:
    The loss `[]`, between 0 and `1 / (K - (K - 1)^(1 - q))`.

  Examples:
    >>> import jax.numpy as jnp
    >>> logits = jnp.array([jnp.log(3.0), 0.0])
    >>> loss = normalized_generalized_cross_entropy(
    ...   logits, jnp.array(1), q=0.5
    ... )
    >>> print(f'{loss:.4f}')
    0.7887

  References:
    Ma et al., `Normalized Loss Functions for Deep Learning with Noisy Labels
    <https://arxiv.org/abs/2006.13554>`_, ICML 2020.
  """
  logits, target = check_and_upcast(logits, label)
  log_p, _ = log_softmax_and_softmax(logits)
  # expm1 keeps the digits that 1 - p^q loses near p = 1 and for a small q.
  return _share(target, -jnp.expm1(jnp.asarray(q, log_p.dtype) * log_p))


def _negative_share(target: Array, ceiling: Array, losses: Array) -> Array:
  """One less the label's share of what the losses lack to a ceiling."""
  # Losses above the ceiling are those of probabilities below p_min, which
  # count as p_min.
  lack = jnp.maximum(ceiling - losses, 0)
  return jnp.sum(target * (1 - lack / jnp.sum(lack)))


def normalized_negative_cross_entropy(
  logits: Float[Array, ' K'], label: Label, *, p_min: Scalar = 1e-7
) -> Float[Array, '']:
  """Normalized negative cross entropy (NNCE) of one example.

  With `n_k = log max(p_k, p_min) - log p_min`, which is at least 0, the loss of
  a class y is `1 - n_y / sum_k n_k`, that of a target the mean over its
  classes. It is symmetric: over all labels it sums to K - 1.

  The floor `p_min` is part of the loss, as in the public code: an example whose
  p_y lies below it has a gradient of 0.

  Args:
    p_min: The probability below which all are alike; above 0, below 1 / K. The
      authors' code has 1e-7, that of Joint Asymmetric Loss 1e-8.

  Returns:
    The loss `[]`, between 0 and 1.

  Examples:
    >>> import jax.numpy as jnp
    >>> logits = jnp.array([jnp.log(3.0), 0.0])
    >>> loss = normalized_negative_cross_entropy(logits, jnp.array(1))
    >>> print(f'{loss:.4f}')
    0.5180

  References:
    Ye et al., Active Negative Loss Functions for Learning with Noisy Labels,
    NeurIPS 2023; the longer version is `Active Negative Loss: A Robust
    Framework for Learning with Noisy Labels
    <https://arxiv.org/abs/2412.02373>`_.
  """
  logits, target = check_and_upcast(logits, label)
  log_p, _ = log_softmax_and_softmax(logits)
  ceiling = -jnp.log(jnp.asarray(p_min, log_p.dtype))
  return _negative_share(target, ceiling, -log_p)


def normalized_negative_focal(
  logits: Float[Array, ' K'],
  label: Label,
  *,
  gamma: Scalar = 0.5,
  p_min: Scalar = 1e-7,
  detach: bool = False,
) -> Float[Array, '']:
  """Normalized negative focal loss (NNFL) of one example.

  With `f(p) = -(1 - p)^gamma log p` and
  `n_k = f(p_min) - f(max(p_k, p_min))`, which is at least 0, the loss of a
  class y is `1 - n_y / sum_k n_k`, that of a target the mean over its classes.
  It is symmetric: over all labels it sums to K - 1. At gamma = 0 it is NNCE.

  Args:
    gamma: The exponent of the focal loss; at least 0.
    p_min: As in `normalized_negative_cross_entropy`.
    detach: Whether the factors `(1 - p_k)^gamma` are held constant in the
      gradient, as in the public code, see `focal`.

  Returns:
    The loss `[]`, between 0 and 1.

  Examples:
    >>> import jax.numpy as jnp
    >>> logits = jnp.array([jnp.log(3.0), 0.0])
    >>> loss = normalized_negative_focal(logits, jnp.array(1))
    >>> print(f'{loss:.4f}')
    0.5171

  References:
    Ye et al., Active Negative Loss Functions for Learning with Noisy Labels,
    NeurIPS 2023; the longer version is `Active Negative Loss: A Robust
    Framework for Learning with Noisy Labels
    <https://arxiv.org/abs/2412.02373>`_.
  """
  logits, target = check_and_upcast(logits, label)
  log_p, p = log_softmax_and_softmax(logits)
  p_min = jnp.asarray(p_min, p.dtype)
  exponent = jnp.asarray(gamma, p.dtype) * jnp.log1p(-p_min)
  ceiling = -jnp.exp(exponent) * jnp.log(p_min)
  values = focal_of_classes(log_p, p, gamma, detach=detach)
  return _negative_share(target, ceiling, values)
