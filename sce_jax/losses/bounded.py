"""Cross entropy and its generalization, held below a bound.

What they bound is how much a label can cost that the network thinks unlikely,
which is what most wrong labels are.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from sce_jax.losses.inputs import Label, Scalar, mean_over_label


def taylor_cross_entropy(
  logits: Float[Array, ' K'], label: Label, *, order: int = 6
) -> Float[Array, '']:
  """Taylor cross entropy of one example.

  For a class y the loss is `sum_{i=1}^order (1 - p_y)^i / i`, the first terms
  of the series of `-log p_y` about p_y = 1; for a target it is the mean over
  its classes. At order 1 it is half the mean absolute error; as the order grows
  it goes to cross entropy.

  The expected loss is lowest at the right label's one-hot prediction where that
  label is at least `order` times as likely as any other (see
  losses/asymmetric.py).

  Args:
    order: How many terms; at least 1. A Python number: it is compiled in. The
      paper's choice for CIFAR is not known; public codes have 6, 18 and 20.

  Returns:
    The loss `[]`, between 0 and `sum_{i=1}^order 1 / i`.

  Examples:
    >>> import jax.numpy as jnp
    >>> logits = jnp.array([jnp.log(3.0), 0.0])
    >>> loss = taylor_cross_entropy(logits, jnp.array(1), order=2)
    >>> print(f'{loss:.4f}')
    1.0312

  References:
    Feng et al., Can Cross Entropy Loss Be Robust to Label Noise?, IJCAI 2020.
  """

  def one(log_p):
    rest = -jnp.expm1(log_p)
    total = jnp.zeros_like(rest)
    for i in range(order, 0, -1):  # Horner's rule.
      total = rest * (total + 1 / i)
    return total

  return mean_over_label(one, logits, label)


def partially_huberised_cross_entropy(
  logits: Float[Array, ' K'], label: Label, *, tau: Scalar = 2.0
) -> Float[Array, '']:
  """Partially Huberised cross entropy (PHuber-CE) of one example.

  For a class y the loss is `-log p_y` where p_y is above 1 / tau, and the
  tangent there, `1 + log tau - tau p_y`, below; for a target it is the mean
  over its classes. Value and slope are continuous. At tau = 1 it is half the
  mean absolute error; as tau grows it goes to cross entropy.

  The expected loss is lowest at the right label's one-hot prediction where that
  label is at least tau times as likely as any other (see
  losses/asymmetric.py).

  Args:
    tau: The steepest slope in p_y; at least 1. The paper has 2 for CIFAR-10 and
      10 for MNIST and CIFAR-100.

  Returns:
    The loss `[]`, between 0 and `1 + log tau`.

  Examples:
    >>> import jax.numpy as jnp
    >>> logits = jnp.array([jnp.log(3.0), 0.0])
    >>> loss = partially_huberised_cross_entropy(logits, jnp.array(1), tau=2.0)
    >>> print(f'{loss:.4f}')
    1.1931

  References:
    Menon et al., Can Gradient Clipping Mitigate Label Noise?, ICLR 2020.
  """

  def one(log_p):
    log_tau = jnp.log(jnp.asarray(tau, log_p.dtype))
    tangent = 1 + log_tau - jnp.exp(log_p + log_tau)
    return jnp.where(log_p > -log_tau, -log_p, tangent)

  return mean_over_label(one, logits, label)


def truncated_generalized_cross_entropy(
  logits: Float[Array, ' K'],
  label: Label,
  *,
  q: Scalar = 0.7,
  threshold: Scalar = 0.005,
) -> Float[Array, '']:
  """Truncated generalized cross entropy of one example.

  For a class y the loss is `(1 - max(p_y, threshold)^q) / q`, for a target the
  mean over its classes: generalized cross entropy, but constant where p_y lies
  below the threshold. Such an example has a gradient of 0, so nothing is
  learned unless the threshold lies below 1 / K, where an untrained network
  starts.

  This is the paper's loss without its pruning, which is a method with a state:
  the paper starts with all examples, and from some epoch on leaves those out
  that the best network so far gives a p_y of at most 0.5. The default threshold
  is ours.

  Args:
    q: The exponent; above 0 and at most 1.
    threshold: The probability below which the loss is constant, k in the
      paper; in (0, 1).

  Returns:
    The loss `[]`, between 0 and `(1 - threshold^q) / q`.

  Examples:
    >>> import jax.numpy as jnp
    >>> logits = jnp.array([jnp.log(3.0), 0.0])
    >>> loss = truncated_generalized_cross_entropy(
    ...   logits, jnp.array(1), q=0.5, threshold=0.36
    ... )
    >>> print(f'{loss:.4f}')
    0.8000

  References:
    Zhang and Sabuncu, `Generalized Cross Entropy Loss for Training Deep Neural
    Networks with Noisy Labels <https://arxiv.org/abs/1805.07836>`_, NeurIPS
    2018.
  """

  def one(log_p):
    power = jnp.asarray(q, log_p.dtype)
    floor = jnp.log(jnp.asarray(threshold, log_p.dtype))
    return -jnp.expm1(power * jnp.maximum(log_p, floor)) / power

  return mean_over_label(one, logits, label)
