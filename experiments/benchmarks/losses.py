"""Losses apart from any network."""

from collections.abc import Callable, Sequence
import functools
from typing import Any

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
import numpy as np
import optax

from configs import cifar10
from experiments.benchmarks import harness, roofline
from sce_jax import methods
from sce_jax.config import check as config_lib
from sce_jax.errors import UserError

LEARNING_RATE = 0.1
BASELINE = 'optax CE'
# Losses of a batch [N, K] with labels [N].
Batch = Callable[[Float[Array, 'N K'], Int[Array, ' N']], Float[Array, ' N']]
_MIN_ROWS = 16


def loss(
  classes: Sequence[int] = (10, 100, 1000, 10000, 100000),
  losses: Sequence[str] = ('sl',),
  size: int | None = None,
  rounds: int = 5,
) -> harness.Report:
  """Forward and backward of losses against optax's cross entropy.

  The mean over a batch of float32 logits [N, K] and its gradient in them, for
  few and for many classes K; N is chosen so that N * K is about `size`. Time
  is that of one evaluation. Many are in one dispatch, each on the logits that
  the one before has moved against its gradient, and on other labels; the losses
  take turns.

  At least the logits must be read once and the gradient written once. The
  fraction is what that makes a second of the bandwidth of a large copy,
  measured first. It can exceed 1 where the logits fit a cache.
  """
  batch_losses = {name: batch_loss(name) for name in (BASELINE, *losses)}
  size = size or harness.by_platform(2**22, 2**26)
  repeats = harness.by_platform(4, 50)
  limits = roofline.measure_roofline()
  rows = []
  for k in classes:
    n = max(_MIN_ROWS, size // k)
    harness.log(f'{k} classes, {n} rows')
    logits = jax.random.normal(jax.random.key(0), (n, k))
    labels = jnp.asarray(np.random.default_rng(0).integers(0, k, n, np.int32))
    seconds = harness.time_in_turns(
      {
        name: functools.partial(descend(fn, repeats), logits, labels)
        for name, fn in batch_losses.items()
      },
      rounds,
    )
    for name, dispatch in seconds.items():
      bandwidth = 2 * logits.nbytes * repeats / dispatch
      rows.append(
        {
          'K': k,
          'N': n,
          'loss': name,
          'ms': 1e3 * dispatch / repeats,
          f'over {BASELINE}': dispatch / seconds[BASELINE],
          'fraction of copy bandwidth': bandwidth / limits.bandwidth,
        }
      )
  return harness.Report(rows, limits.facts())


def batch_loss(name: str) -> Batch:
  """A loss of a batch by name, with the hyper-parameters for CIFAR-10.

  Raises:
    UserError: it is more than a loss, or needs a transition matrix.
  """
  if name == BASELINE:
    return optax.softmax_cross_entropy_with_integer_labels
  spec = methods.find(name)
  if spec.loss is None or 'transition_matrix' in spec.hparams:
    raise UserError(
      f'--losses: {name} is more than a function of logits and a label: use the'
      ' command step'
    )
  config = config_lib.check_config(cifar10.get_config(name))
  return jax.vmap(functools.partial(spec.loss, **config.loss.hparams))


def descend(loss: Batch, repeats: int) -> Callable[..., Any]:
  """Makes one dispatch of many evaluations.

  Args:
    loss: the loss of a batch.
    repeats: how many.

  Returns:
    A function of logits [N, K] and labels [N] that gives the logits moved
    against each gradient in turn, and the sum of the means. Every evaluation
    adds 1 to the labels, modulo K.
  """

  def mean(logits, labels):
    return jnp.mean(loss(logits, labels))

  def evaluate(_, carry):
    logits, labels, total = carry
    value, gradient = jax.value_and_grad(mean)(logits, labels)
    # Both are used, so that the compiler leaves neither out. The update adds
    # no traffic: it is fused with the gradient, and its result replaces it.
    logits = logits - LEARNING_RATE * gradient
    # If labels stayed the same, one-hot targets would be made only once.
    return logits, (labels + 1) % logits.shape[1], total + value

  def run(logits, labels):
    start = logits, labels, jnp.zeros((), logits.dtype)
    logits, _, total = lax.fori_loop(0, repeats, evaluate, start)
    return logits, total

  return jax.jit(run)
