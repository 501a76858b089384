"""Cross entropy, its reverse, and their sum: Symmetric Learning.

With p = softmax(logits) and q the target, cross entropy measures p against q
and its reverse measures q against p. For a one-hot q the reverse contains
log 0, which is defined to be a negative constant A, here `log_zero`. Only the
product -A beta matters to training.
"""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float

from sce_jax.losses.inputs import (
  Label,
  Scalar,
  check_and_upcast,
  is_integer_label,
  log_of_target,
  log_probability,
  log_softmax_and_softmax,
)

# Public codes of SL clip the one-hot target at 1e-4 and so compute with
# A = log(1e-4), about -9.21, whatever A their paper quotes. Pass this as
# `log_zero` to train with the constant they train with. config/published.py has
# it once more, because it must not import jax; a test holds them equal.
LOG_ZERO_PUBLIC_CODES = math.log(1e-4)


def _reverse(p: Array, target: Array, log_zero: Scalar) -> Array:
  log_zero = jnp.asarray(log_zero, p.dtype)
  log_q = jnp.where(target == 0, log_zero, log_of_target(target))
  return -jnp.sum(p * log_q)


def _reverse_of_class(log_p: Array, log_zero: Scalar) -> Array:
  """For a class y: -log_zero (1 - p_y), from log p_y."""
  return jnp.asarray(log_zero, log_p.dtype) * jnp.expm1(log_p)


def reverse_cross_entropy(
  logits: Float[Array, ' K'], label: Label, *, log_zero: Scalar = -4.0
) -> Float[Array, '']:
  """Reverse cross entropy of one example.

  The loss is `-sum_k p_k log q_k`, with p = softmax(logits), q the target and
  `log 0 := log_zero`; for a class y it is `-log_zero (1 - p_y)`. At
  `log_zero=-2` it is the mean absolute error.

  Only a q_k of exactly 0 takes `log_zero`. Any q_k above 0 enters with its own
  logarithm, which for a tiny q_k lies below `log_zero`. The gradient in a q_k
  of 0 is 0.

  The loss of a class lies between 0 and `-log_zero`; summed over the classes it
  is a constant, so that it tolerates symmetric noise of a rate below 1 - 1/K
  (section 3.3). The authors' code does not clip p here; those of APL and ANL
  do, at 1e-7, that of epsilon-softmax at 1e-8, which stops the gradient there.

  Args:
    log_zero: The constant A that stands for log 0; below 0.

  Examples:
    >>> import jax.numpy as jnp
    >>> logits = jnp.array([jnp.log(3.0), 0.0])
    >>> loss = reverse_cross_entropy(logits, jnp.array(1), log_zero=-4.0)
    >>> print(f'{loss:.4f}')
    3.0000

  References:
    Wang et al., `Symmetric Cross Entropy for Robust Learning with Noisy Labels
    <https://arxiv.org/abs/1908.06112>`_, ICCV 2019.
  """
  logits, target = check_and_upcast(logits, label)
  if is_integer_label(label):
    return _reverse_of_class(log_probability(logits, label), log_zero)
  _, p = log_softmax_and_softmax(logits)
  return _reverse(p, target, log_zero)


def symmetric_cross_entropy(
  logits: Float[Array, ' K'],
  label: Label,
  *,
  alpha: Scalar,
  beta: Scalar,
  log_zero: Scalar = -4.0,
) -> Float[Array, '']:
  """Symmetric Learning (SL): cross entropy plus its reverse, in one pass.

  The loss is `alpha l_ce + beta l_rce`. For a class y its gradient in the
  logits is `(alpha - beta log_zero p_y) (p - onehot(y))`: cross entropy's own,
  scaled by how far the network already believes the label. It is 0 or more and
  unbounded unless `alpha` is 0; then it is noise-tolerant, as
  `reverse_cross_entropy` is.

  The authors' code clips p at 1e-7 in the cross entropy, which so ends at 16.1;
  a label of a smaller p_y has next to no gradient then. Here it does not end.

  Args:
    logits: Unnormalized log probabilities `[K]`.
    label: A class `[]` or a target `[K]`; see `reverse_cross_entropy`.
    alpha: The weight of the cross entropy; at least 0.
    beta: The weight of the reverse cross entropy; at least 0.
    log_zero: The constant A that stands for log 0; below 0. See
      `LOG_ZERO_PUBLIC_CODES` for the one in public codes.

  Examples:
    >>> import functools, jax, jax.numpy as jnp
    >>> loss = functools.partial(symmetric_cross_entropy, alpha=0.1, beta=1.0)
    >>> logits = jnp.array([[0.0, 0.0], [jnp.log(3.0), 0.0]])
    >>> losses = jax.vmap(loss)(logits, jnp.array([0, 1]))
    >>> print(', '.join(f'{x:.4f}' for x in losses))
    2.0693, 3.1386

  References:
    Wang et al., `Symmetric Cross Entropy for Robust Learning with Noisy Labels
    <https://arxiv.org/abs/1908.06112>`_, ICCV 2019.
  """
  logits, target = check_and_upcast(logits, label)
  dtype = logits.dtype
  alpha, beta = jnp.asarray(alpha, dtype), jnp.asarray(beta, dtype)
  if is_integer_label(label):
    log_p = log_probability(logits, label)
    return beta * _reverse_of_class(log_p, log_zero) - alpha * log_p
  log_p, p = log_softmax_and_softmax(logits)
  cross = -jnp.sum(target * log_p)
  return alpha * cross + beta * _reverse(p, target, log_zero)
