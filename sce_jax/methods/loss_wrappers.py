"""Losses made of losses: sums, and what is done to the logits before them.

A wrapper takes a loss of one example and gives another one, as optax.chain does
with gradient transformations. The new loss has the hyper-parameters of the old
one beside its own; a name that two losses of a sum have is one hyper-parameter
of both.

  loss = weighted_sum(logit_clip(cross_entropy), mean_absolute_error)
  loss(logits, label, alpha=1.0, beta=0.5, max_norm=1.0)
"""

from collections.abc import Callable, Mapping, Sequence
import inspect
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from sce_jax.losses.inputs import (
  Scalar,
  check_and_upcast,
  log_softmax_and_softmax,
)

Loss = Callable[..., Float[Array, '']]


def keywords(loss: Loss) -> Mapping[str, inspect.Parameter]:
  """The hyper-parameters of a loss: its keyword-only arguments by name."""
  return {
    name: parameter
    for name, parameter in inspect.signature(loss).parameters.items()
    if parameter.kind is parameter.KEYWORD_ONLY
  }


def weighted_sum(
  *losses: Loss, weights: Sequence[str] = ('alpha', 'beta')
) -> Loss:
  """The sum of losses, each times a hyper-parameter.

  Args:
    *losses: the losses.
    weights: the names of their weights, in the same order.

  Returns:
    (logits[K], label, *, the weights and the losses' own hyper-parameters).

  Raises:
    ValueError: there are not as many weights as losses, or a loss has a
      hyper-parameter of a weight's name.
  """
  if len(weights) != len(losses):
    raise ValueError(f'{len(losses)} losses, but weights {", ".join(weights)}')
  names = [tuple(keywords(loss)) for loss in losses]
  taken = set(weights).intersection(*[sum(names, ())])
  if taken:
    raise ValueError(f'a loss already has {", ".join(sorted(taken))}')

  def total(logits, label, **hparams):
    terms = []
    for loss, weight, own in zip(losses, weights, names, strict=True):
      given = {name: hparams[name] for name in own if name in hparams}
      value = loss(logits, label, **given)
      terms.append(jnp.asarray(hparams[weight], value.dtype) * value)
    return sum(terms)

  added = [
    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in weights
  ]
  return _with_keywords(total, added, losses)


def logit_clip(base: Loss) -> Loss:
  """A loss of logits whose Euclidean norm is at most `max_norm` (LogitClip).

  Longer logits are scaled down to that length, z max_norm / |z|, so that any
  loss that is finite becomes bounded. Predictions are not changed by it.

  The authors' code compares the norm with one constant and scales to its
  inverse; it agrees with the paper's text, and with this, at 1 only. OGC's port
  does what this does. That of epsilon-softmax's code compares with
  1 / `max_norm` and scales to `max_norm`: above 1 it makes some logits longer,
  below 1 it leaves some that are too long. The settings and published figures
  of CE+LC (config/published.py, experiments/paper/published.py) are its.

  Source: Wei et al., "Mitigating Memorization of Noisy Labels by Clipping the
  Model Prediction", ICML 2023 (arXiv:2212.04055).
  """

  def clipped(logits, label, *, max_norm: Scalar, **hparams):
    z, _ = check_and_upcast(logits, label)
    limit = jnp.asarray(max_norm, z.dtype)
    square = jnp.sum(z * z)
    is_long = square > limit * limit
    # Where nothing is clipped the square root has no say in the gradient.
    scale = jnp.where(
      is_long, limit / jnp.sqrt(jnp.where(is_long, square, 1)), 1
    )
    return base(z * scale, label, **hparams)

  return _with_keywords(clipped, (), (base,))


def logit_bias(base: Loss) -> Loss:
  """A loss of logits to whose label's `bias` is added.

  Bounded losses of many classes have no gradient where p_y is near 0, which it
  is at first; the bias moves their start to where they have one. For a target
  q it is z + bias q. How the authors choose the bias from the number of
  classes is not known here, so it has no default.

  Source: Staats et al., "Enhancing Noise-Robust Losses for Large-Scale Noisy
  Data Learning", AAAI 2025 (arXiv:2306.05497).
  """

  def biased(logits, label, *, bias: Scalar, **hparams):
    z, target = check_and_upcast(logits, label)
    return base(z + jnp.asarray(bias, z.dtype) * target, label, **hparams)

  return _with_keywords(biased, (), (base,))


def epsilon_softmax(base: Loss) -> Loss:
  """A loss of nearly one-hot predictions: m is added to the largest p.

  With c = argmax p the loss is that of q = (p + m onehot(c)) / (m + 1), a
  distribution at most 1 / (m + 1) away from a one-hot one. The choice of c
  carries no gradient. Of cross entropy the gradient is the usual one where the
  label is not c, and p_y / (p_y + m) times it, almost 0, where it is.

  The authors' code replaces a q_k below `floor` = 1e-8 by it. An example whose
  p_y is below floor (m + 1), 1e-3 at m = 1e5, then has no gradient at all, so
  that the hardest examples, mostly wrong labels, are left out. This is part of
  their results; at floor = 0, the paper's formula, it is another method. After
  the replacement q is scaled to sum to 1 again, which changes it by a factor
  of at most 1 + K floor, and leaves a gradient of some 1e-8; their code does
  not.

  Source: Wang et al., "epsilon-Softmax: Approximating One-Hot Vectors for
  Mitigating Label Noise", NeurIPS 2024; code: cswjl/eps-softmax.
  """

  def loss(logits, label, *, m: Scalar, floor: Scalar = 1e-8, **hparams):
    z, _ = check_and_upcast(logits, label)
    log_p, p = log_softmax_and_softmax(z)
    m = jnp.asarray(m, z.dtype)
    is_top = jnp.arange(z.size) == jnp.argmax(z)
    # The largest p is at least 1 / K, so nothing is near log 0.
    log_top = jnp.where(is_top, jnp.log(jnp.where(is_top, p + m, 1)), log_p)
    log_q = log_top - jnp.log1p(m)
    # log 0 is -inf, and the maximum is then the other one.
    log_q = jnp.maximum(log_q, jnp.log(jnp.asarray(floor, z.dtype)))
    return base(log_q, label, **hparams)

  return _with_keywords(loss, (), (base,))


def sparse(base: Loss, *, normalize: bool = True) -> Loss:
  """A loss of sharpened predictions, and a penalty where they are not sparse.

  With u = z / |z|, or z where `normalize` is False, and p = softmax(u /
  `temperature`) the loss is base(u / temperature) plus

    `strength` sum_k max(p_k, 1e-7)^`power`,

  which is least for a one-hot p. regularizers.sparse_regularization makes a
  method of it, in which the strength grows.
  """

  def loss(
    logits,
    label,
    *,
    temperature: Scalar,
    power: Scalar,
    strength: Scalar,
    **hparams,
  ):
    z, _ = check_and_upcast(logits, label)
    if normalize:
      # As long as z is not 0 the bound is never reached.
      z = z / jnp.sqrt(jnp.maximum(jnp.sum(z * z), 1e-24))
    z = z / jnp.asarray(temperature, z.dtype)
    log_p, _ = log_softmax_and_softmax(z)
    # A clamped p has no gradient, as in the authors' code.
    log_p = jnp.maximum(log_p, jnp.log(jnp.asarray(1e-7, z.dtype)))
    penalty = jnp.sum(jnp.exp(jnp.asarray(power, z.dtype) * log_p))
    return base(z, label, **hparams) + (
      jnp.asarray(strength, z.dtype) * penalty
    )

  return _with_keywords(loss, (), (base,))


def _with_keywords(
  loss: Any, added: Sequence[inspect.Parameter], bases: Sequence[Loss]
) -> Loss:
  """Gives a loss that takes **hparams a signature that lists them."""
  signature = inspect.signature(loss)
  own = [
    parameter
    for parameter in signature.parameters.values()
    if parameter.kind is not parameter.VAR_KEYWORD
  ]
  hparams = {parameter.name: parameter for parameter in added}
  for base in bases:
    for name, parameter in keywords(base).items():
      hparams.setdefault(name, parameter)
  loss.__signature__ = signature.replace(parameters=[*own, *hparams.values()])
  return loss
