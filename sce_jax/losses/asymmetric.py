"""Asymmetric losses: the label that is likelier than any other wins.

A loss is asymmetric for given probabilities of the labels if the expected loss
is lowest at the likeliest label's own one-hot prediction. For a loss
`l(p_y)` that falls in p_y it suffices that the likeliest label is at least v
times as likely as any other, with v the largest over the smallest |l'| on
[0, 1]: moving probability from another class to it then never raises the
expected loss. If l is concave, v does not matter: the expected loss is lowest
at a one-hot prediction, the likeliest label's.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from sce_jax.losses.inputs import (
  Label,
  Scalar,
  check_and_upcast,
  log_softmax_and_softmax,
  mean_over_label,
)


def asymmetric_generalized_cross_entropy(
  logits: Float[Array, ' K'],
  label: Label,
  *,
  a: Scalar = 0.6,
  q: Scalar = 0.6,
) -> Float[Array, '']:
  """Asymmetric generalized cross entropy (AGCE) of one example.

  For a class y the loss is `((a + 1)^q - (a + p_y)^q) / q`, for a target the
  mean over its classes. It goes to generalized cross entropy as a goes to 0.
  At q = 1 it is half the mean absolute error, at every a.

  It is asymmetric where the right label is at least `(1 + 1/a)^(1 - q)` times
  as likely as any other; for q of at least 1 wherever it is the likeliest.

  Args:
    a: What is added to the probability; above 0.
    q: The exponent; above 0.

  Returns:
    The loss `[]`, between 0 and `((a + 1)^q - a^q) / q`.

  Examples:
    >>> import jax.numpy as jnp
    >>> logits = jnp.array([jnp.log(3.0), 0.0])
    >>> loss = asymmetric_generalized_cross_entropy(
    ...   logits, jnp.array(1), a=1.0, q=2.0
    ... )
    >>> print(f'{loss:.4f}')
    1.2188

  References:
    Zhou et al., `Asymmetric Loss Functions for Learning with Noisy Labels
    <https://arxiv.org/abs/2106.03110>`_, ICML 2021.
  """

  def one(log_p):
    x, power = jnp.asarray(a, log_p.dtype), jnp.asarray(q, log_p.dtype)
    # The logarithm of (a + p) / (a + 1), also where a and p are both tiny.
    ratio = jnp.logaddexp(jnp.log(x), log_p) - jnp.log1p(x)
    return -jnp.exp(power * jnp.log1p(x)) * jnp.expm1(power * ratio) / power

  return mean_over_label(one, logits, label)


def asymmetric_unhinged(
  logits: Float[Array, ' K'],
  label: Label,
  *,
  a: Scalar = 5.5,
  q: Scalar = 3.0,
) -> Float[Array, '']:
  """Asymmetric unhinged loss (AUL) of one example.

  For a class y the loss is `((a - p_y)^q - (a - 1)^q) / q`, for a target the
  mean over its classes. At q = 1 it is half the mean absolute error, at every
  a.

  It is asymmetric where the right label is at least `(a / (a - 1))^(q - 1)`
  times as likely as any other; for q of at most 1 wherever it is the likeliest.

  Args:
    a: What the probability is taken from; above 1.
    q: The exponent, p in the paper; above 0.

  Returns:
    The loss `[]`, between 0 and `(a^q - (a - 1)^q) / q`.

  Examples:
    >>> import jax.numpy as jnp
    >>> logits = jnp.array([jnp.log(3.0), 0.0])
    >>> loss = asymmetric_unhinged(logits, jnp.array(1), a=2.0, q=2.0)
    >>> print(f'{loss:.4f}')
    1.0312

  References:
    Zhou et al., `Asymmetric Loss Functions for Learning with Noisy Labels
    <https://arxiv.org/abs/2106.03110>`_, ICML 2021.
  """

  def one(log_p):
    rest, power = jnp.asarray(a, log_p.dtype) - 1, jnp.asarray(q, log_p.dtype)
    others = -jnp.expm1(log_p)
    # The logarithm of (a - 1) / (a - p), to full precision near p = 1.
    ratio = -jnp.log1p(others / rest)
    # By the larger power: the smaller may underflow, their ratio overflow.
    return -((rest + others) ** power) * jnp.expm1(power * ratio) / power

  return mean_over_label(one, logits, label)


def asymmetric_exponential(
  logits: Float[Array, ' K'], label: Label, *, a: Scalar = 2.5
) -> Float[Array, '']:
  """Asymmetric exponential loss (AEL) of one example.

  For a class y the loss is `exp(-p_y / a)`, for a target the mean over its
  classes. It is asymmetric where the right label is at least `exp(1 / a)` times
  as likely as any other.

  Args:
    a: How far the loss is from vanishing; above 0.

  Returns:
    The loss `[]`, between `exp(-1 / a)` and 1.

  Examples:
    >>> import jax.numpy as jnp
    >>> logits = jnp.array([jnp.log(3.0), 0.0])
    >>> loss = asymmetric_exponential(logits, jnp.array(1), a=2.5)
    >>> print(f'{loss:.4f}')
    0.9048

  References:
    Zhou et al., `Asymmetric Loss Functions for Learning with Noisy Labels
    <https://arxiv.org/abs/2106.03110>`_, ICML 2021.
  """

  def one(log_p):
    return jnp.exp(-jnp.exp(log_p) / jnp.asarray(a, log_p.dtype))

  return mean_over_label(one, logits, label)


def asymmetric_mean_square(
  logits: Float[Array, ' K'], label: Label, *, a: Scalar = 30.0
) -> Float[Array, '']:
  """Asymmetric mean square error (AMSE) of one example.

  The loss is `mean_k (p_k - a q_k)^2` over all K classes, with p =
  softmax(logits) and q the target; for a class y it is
  `(sum_k p_k^2 - 2 a p_y + a^2) / K`. At a = 1 it is the Brier score over K.

  It is asymmetric if and only if the right label's probability exceeds any
  other's by at least 1 / a: the lowest expected loss is at the prediction next
  to a times the probabilities of the labels.

  The authors' code also has a form with another exponent than 2, which none of
  their configs uses.

  Args:
    a: What the target is multiplied with; at least 1.

  Returns:
    The loss `[]`, of a class between `(a - 1)^2 / K` and `(a^2 + 1) / K`.

  Examples:
    >>> import jax.numpy as jnp
    >>> logits = jnp.array([jnp.log(3.0), 0.0])
    >>> loss = asymmetric_mean_square(logits, jnp.array(1), a=2.0)
    >>> print(f'{loss:.4f}')
    1.8125

  References:
    Wang et al., `Joint Asymmetric Loss for Learning with Noisy Labels
    <https://arxiv.org/abs/2507.17692>`_, ICCV 2025.
  """
  logits, target = check_and_upcast(logits, label)
  _, p = log_softmax_and_softmax(logits)
  return jnp.mean((p - jnp.asarray(a, p.dtype) * target) ** 2)
