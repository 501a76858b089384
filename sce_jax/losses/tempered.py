"""Bi-tempered logistic loss: a bounded logarithm, a heavy-tailed softmax."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sce_jax.losses.inputs import (
  Label,
  Scalar,
  check_and_upcast,
  log_of_target,
)

# Enough for float64 at temperatures up to 2 and 1000 classes; see the comment
# where it is used.
_NEWTON_STEPS = 10


def _log_tempered(log_u: Array, rest: Array) -> Array:
  """`log_t u = (u^rest - 1) / rest` from log u, with rest = 1 - t."""
  is_zero = rest == 0
  safe = jnp.where(is_zero, 1, rest)
  return jnp.where(is_zero, log_u, jnp.expm1(safe * log_u) / safe)


def _log_exp_tempered(u: Array, excess: Array) -> Array:
  """`log exp_t(-u)` of u >= 0, with excess = t - 1 >= 0."""
  is_zero = excess == 0
  safe = jnp.where(is_zero, 1, excess)
  return jnp.where(is_zero, -u, -jnp.log1p(safe * u) / safe)


def log_tempered_softmax(
  logits: Float[Array, ' K'], excess: Float[Array, '']
) -> Float[Array, ' K']:
  """The logarithm of the tempered softmax.

  It is `log exp_t(z_k - c)`, with c such that the probabilities sum to 1.

  Args:
    logits: Unnormalized log probabilities `[K]`, float32 or wider.
    excess: The temperature less 1, from 0 to 1 `[]`, of the logits' dtype.
  """
  shifted = logits - jax.lax.stop_gradient(jnp.max(logits))

  def newton(shift, shifted, excess):
    log_p = _log_exp_tempered(shift - shifted, excess)
    # The derivative of logsumexp(log_p) in the shift.
    slope = jnp.sum(jax.nn.softmax(log_p) / (1 + excess * (shift - shifted)))
    return shift + jax.nn.logsumexp(log_p) / jax.lax.stop_gradient(slope)

  # log sum_k p_k is convex in the shift and falls, from at least 0 at a shift
  # of 0: Newton's steps come to the root from below and do not pass it. 9 do at
  # a temperature of 2 and 1000 classes, 6 at 1.2.
  solver = jax.lax.stop_gradient((shifted, excess))
  shift = jax.lax.fori_loop(
    0,
    _NEWTON_STEPS,
    lambda _, x: newton(x, *solver),
    jnp.zeros((), logits.dtype),
  )
  # One more, through which the gradient flows: at the root it is the one that
  # the implicit function theorem gives.
  return _log_exp_tempered(newton(shift, shifted, excess) - shifted, excess)


def bi_tempered(
  logits: Float[Array, ' K'],
  label: Label,
  *,
  t1: Scalar = 0.8,
  t2: Scalar = 1.2,
) -> Float[Array, '']:
  """Bi-tempered logistic loss of one example.

  With `log_t u = (u^(1 - t) - 1) / (1 - t)`, exp_t its inverse, and the
  tempered softmax `r_k = exp_t2(z_k - c)` with c such that r sums to 1, the
  loss of a class y is `-log_t1 r_y - (1 - sum_k r_k^(2 - t1)) / (2 - t1)`; for
  a target q it is `sum_k q_k (log_t1 q_k - log_t1 r_k) - (q_k^(2 - t1) -
  r_k^(2 - t1)) / (2 - t1)`, a Bregman divergence. At t1 = t2 = 1 it is cross
  entropy (less the entropy of the target). The gradient in a q_k of 0 leaves
  log_t1 q_k out.

  The probabilities of the network are r, which has heavier tails than a
  softmax; the largest is the same class.

  Here r is normalized to rounding. The authors' code takes 5 steps of a fixed
  point iteration, adds 1e-10 to q_k within log_t1, and also offers a t2 below
  1.

  Args:
    t1: The temperature of the logarithm, from 0 to 1. Below 1 the loss is
      bounded.
    t2: The temperature of the softmax, from 1 to 2. The paper's temperatures
      for CIFAR are not known; 0.8 and 1.2 are the usual ones of other codes.

  Returns:
    The loss `[]`, between 0 and `1 / (1 - t1)`.

  Examples:
    >>> import jax.numpy as jnp
    >>> logits = jnp.array([0.0, 0.0])
    >>> loss = bi_tempered(logits, jnp.array(1), t1=0.5, t2=1.5)
    >>> print(f'{loss:.4f}')
    0.3905

  References:
    Amid et al., `Robust Bi-Tempered Logistic Loss Based on Bregman Divergences
    <https://arxiv.org/abs/1906.03361>`_, NeurIPS 2019.
  """
  logits, target = check_and_upcast(logits, label)
  rest = 1 - jnp.asarray(t1, logits.dtype)
  log_r = log_tempered_softmax(logits, jnp.asarray(t2, logits.dtype) - 1)
  zero = target == 0
  log_q = log_of_target(target)
  power = 1 + rest
  powers = jnp.where(zero, 0, jnp.exp(power * log_q)) - jnp.exp(power * log_r)
  logs = _log_tempered(log_q, rest) - _log_tempered(log_r, rest)
  return jnp.sum(target * logs - powers / power)
