"""Divergences between the prediction and the label."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sce_jax.losses.inputs import (
  Label,
  Scalar,
  check_and_upcast,
  is_integer_label,
  log_of_target,
  log_softmax_and_softmax,
)


def jensen_shannon(
  logits: Float[Array, ' K'], label: Label, *, weight: Scalar = 0.5
) -> Float[Array, '']:
  """Scaled Jensen-Shannon divergence (JS) of one example.

  With w for `weight` and `m = w q + (1 - w) p` the loss is
  `(w KL(q || m) + (1 - w) KL(p || m)) / (-(1 - w) log(1 - w))`, with
  p = softmax(logits) and q the target. It goes to cross entropy (less the
  entropy of the target) as w goes to 0, and to half the mean absolute error as
  w goes to 1, slowly. The gradient in a q_k of 0 is 0.

  The public code clips m at 1e-7 and so stops the gradient of p_k below it.

  Args:
    weight: The weight w of the label; above 0 and below 1. The paper tunes it
      for each noise rate, from 0.1 to 0.9 on CIFAR-10; 0.5 is that of CIFAR-100
      at 0.6.

  Returns:
    The loss `[]`, of a class between 0 and
    `1 + w log(w) / ((1 - w) log(1 - w))`.

  Examples:
    >>> import jax.numpy as jnp
    >>> logits = jnp.array([jnp.log(3.0), 0.0])
    >>> loss = jensen_shannon(logits, jnp.array(1), weight=0.5)
    >>> print(f'{loss:.4f}')
    1.0976

  References:
    Englesson and Azizpour, `Generalized Jensen-Shannon Divergence Loss for
    Learning with Noisy Labels <https://arxiv.org/abs/2105.04522>`_, NeurIPS
    2021.
  """
  logits, target = check_and_upcast(logits, label)
  log_p, p = log_softmax_and_softmax(logits)
  w = jnp.asarray(weight, p.dtype)
  log_w, log_rest = jnp.log(w), jnp.log1p(-w)
  zero = target == 0
  log_q = log_of_target(target)
  log_m = jnp.logaddexp(log_w + log_q, log_rest + log_p)
  log_m = jnp.where(zero, log_rest + log_p, log_m)
  of_label = jnp.sum(target * (log_q - log_m))
  of_prediction = jnp.sum(p * jnp.where(zero, -log_rest, log_p - log_m))
  return -(w * of_label + (1 - w) * of_prediction) / ((1 - w) * log_rest)


def _log_mean_exp(x: Array) -> Array:
  top = jax.lax.stop_gradient(jnp.max(x))
  mean = jnp.mean(jnp.exp(x - top))
  # Near 1, of an x whose entries are close together, log has no digits left.
  near = jnp.log1p(jnp.mean(jnp.expm1(x - top)))
  return top + jnp.where(mean > 0.5, near, jnp.log(mean))


def label_distributionally_robust_kl(
  logits: Float[Array, ' K'],
  label: Label,
  *,
  temperature: Scalar = 10.0,
  margin: Scalar = 0.1,
) -> Float[Array, '']:
  """Label-distributionally robust loss with a KL term (LDR-KL) of one example.

  With the scores `s_k = K softplus(z_k) / sum_j softplus(z_j)` and c for
  `margin` the loss of a class y is `temperature log mean_k exp((s_k - s_y + c
  [k != y]) / temperature)`, that of a target the mean over its classes.

  It goes to `max_k (s_k - s_y + c [k != y])`, a hinge loss, as the temperature
  goes to 0, and to `1 - s_y + c (K - 1) / K` as it grows, which is symmetric.

  The scores are those of the public code, which this follows; the paper's text
  was not read. A prediction is the class of the largest score, which is that of
  the largest logit.

  Args:
    temperature: How dearly the worst distribution of labels pays for its
      distance from the uniform one, lambda in the paper; above 0. Comparisons
      have 10 for CIFAR-10 and 1 for CIFAR-100.
    margin: By how much the label's score should lead; at least 0. Comparisons
      have 0.1, the public code 2 where none is given.

  Returns:
    The loss `[]`, between `t log((1 + (K - 1) exp((c - K) / t)) / K)` and
    `t log((1 + (K - 2) exp(c / t) + exp((K + c) / t)) / K)`, with t the
    temperature.

  Examples:
    >>> import jax.numpy as jnp
    >>> logits = jnp.zeros(2)
    >>> loss = label_distributionally_robust_kl(
    ...   logits, jnp.array(1), temperature=1.0, margin=1.0
    ... )
    >>> print(f'{loss:.4f}')
    0.6201

  References:
    Zhu et al., `Label Distributionally Robust Losses for Multi-class
    Classification: Consistency, Robustness and Adaptivity
    <https://arxiv.org/abs/2112.14869>`_, ICML 2023.
  """
  logits, target = check_and_upcast(logits, label)
  size, dtype = logits.size, logits.dtype
  # In log space: softplus of a very negative logit is 0, its logarithm is the
  # logit itself, to rounding.
  tiny = logits < jnp.log(jnp.finfo(dtype).eps)
  log_softplus = jnp.where(
    tiny, logits, jnp.log(jax.nn.softplus(jnp.where(tiny, 0, logits)))
  )
  scores = size * jax.nn.softmax(log_softplus)
  t, c = jnp.asarray(temperature, dtype), jnp.asarray(margin, dtype)

  def of_class(one_hot):
    lead = scores - jnp.sum(one_hot * scores) + c * (1 - one_hot)
    return t * _log_mean_exp(lead / t)

  if is_integer_label(label):
    return of_class(target)
  return jnp.sum(target * jax.vmap(of_class)(jnp.eye(size, dtype=dtype)))
