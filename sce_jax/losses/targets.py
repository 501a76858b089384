"""Cross entropy against a target that has been softened or corrected."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sce_jax.losses.inputs import (
  Label,
  Scalar,
  check_and_upcast,
  log_softmax_and_softmax,
)


def label_smoothing(
  logits: Float[Array, ' K'], label: Label, *, smoothing: Scalar = 0.1
) -> Float[Array, '']:
  """Cross entropy of one example against a smoothed target (LSR).

  With r for `smoothing` the loss is `(1 - r) l_ce + r mean_k(-log p_k)`. The
  mean runs over all K classes, the label's included.

  A negative r is negative label smoothing (NLS). It pushes the other classes
  below what the label alone asks for, and the loss has no lower bound.

  Args:
    smoothing: The share r of the uniform target; below 1.

  Examples:
    >>> import jax.numpy as jnp
    >>> logits = jnp.array([jnp.log(3.0), 0.0])
    >>> loss = label_smoothing(logits, jnp.array(1), smoothing=0.2)
    >>> print(f'{loss:.4f}')
    1.2764

  References:
    Szegedy et al., `Rethinking the Inception Architecture for Computer Vision
    <https://arxiv.org/abs/1512.00567>`_, CVPR 2016; Wei et al., `To Smooth or
    Not? When Label Smoothing Meets Noisy Labels
    <https://arxiv.org/abs/2106.04149>`_, ICML 2022 (negative smoothing).
  """
  logits, target = check_and_upcast(logits, label)
  log_p, _ = log_softmax_and_softmax(logits)
  r = jnp.asarray(smoothing, log_p.dtype)
  return -jnp.sum(((1 - r) * target + r / logits.size) * log_p)


def bootstrap_soft(
  logits: Float[Array, ' K'], label: Label, *, weight: Scalar = 0.95
) -> Float[Array, '']:
  """Soft bootstrapping: part of the target is the prediction itself.

  With b for `weight` the loss is `-sum_k (b q_k + (1 - b) p_k) log p_k`, that
  is `b l_ce` plus `1 - b` times the entropy of p. The gradient flows through
  the p in the target too: only then is the loss the entropy regularization
  that the paper takes it for.

  Args:
    weight: The share b of the given label; between 0 and 1.

  Examples:
    >>> import jax.numpy as jnp
    >>> logits = jnp.array([jnp.log(3.0), 0.0])
    >>> loss = bootstrap_soft(logits, jnp.array(1), weight=0.5)
    >>> print(f'{loss:.4f}')
    0.9743

  References:
    Reed et al., `Training Deep Neural Networks on Noisy Labels with
    Bootstrapping <https://arxiv.org/abs/1412.6596>`_, ICLR 2015 workshop.
  """
  logits, target = check_and_upcast(logits, label)
  log_p, p = log_softmax_and_softmax(logits)
  b = jnp.asarray(weight, p.dtype)
  return -jnp.sum((b * target + (1 - b) * p) * log_p)


def bootstrap_hard(
  logits: Float[Array, ' K'], label: Label, *, weight: Scalar = 0.8
) -> Float[Array, '']:
  """Hard bootstrapping: part of the target is the predicted class.

  With b for `weight` and m the class of the largest logit (the first of them
  in a tie) the loss is `-b sum_k q_k log p_k - (1 - b) log p_m`. The choice of
  m carries no gradient.

  Args:
    weight: The share b of the given label; between 0 and 1.

  Examples:
    >>> import jax.numpy as jnp
    >>> logits = jnp.array([jnp.log(3.0), 0.0])
    >>> loss = bootstrap_hard(logits, jnp.array(1), weight=0.5)
    >>> print(f'{loss:.4f}')
    0.8370

  References:
    Reed et al., `Training Deep Neural Networks on Noisy Labels with
    Bootstrapping <https://arxiv.org/abs/1412.6596>`_, ICLR 2015 workshop.
  """
  logits, target = check_and_upcast(logits, label)
  log_p, _ = log_softmax_and_softmax(logits)
  b = jnp.asarray(weight, log_p.dtype)
  predicted = jax.nn.one_hot(jnp.argmax(logits), logits.size, dtype=log_p.dtype)
  return -jnp.sum((b * target + (1 - b) * predicted) * log_p)
