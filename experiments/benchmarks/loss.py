"""Forward and backward of SL against optax's cross entropy.

  python -m experiments.benchmarks.loss [--json=FILE]

The mean over a batch of float32 logits [N, K] and its gradient in them, for few
and for many classes; N is chosen so that N * K is about the same for all. SL is
ours, mapped over the examples, with the constants of the authors' CIFAR-10
code. Time is that of one evaluation. Many are in one dispatch, each on the
logits that the one before has moved against its gradient, and on the labels
after those; the two losses take turns, the medians are shown.

The least that must move is the logits, read once, and the gradient, written
once. The share is what that makes a second of the bandwidth of a large copy,
measured beforehand. It can exceed 1 on a processor whose cache holds the
logits: 16 MiB there, 256 MiB elsewhere.
"""

from collections.abc import Callable, Sequence
import functools
from typing import Any

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
import numpy as np
import optax

from experiments.benchmarks import harness, workload
from sce_jax import losses

MIN_ROWS = 16
MOST_CLASSES = 10**7
LEARNING_RATE = 0.1
# Losses of a batch [N, K] with labels [N].
Batch = Callable[[Float[Array, 'N K'], Int[Array, ' N']], Float[Array, ' N']]
LOSSES: dict[str, Batch] = {
  'SL': jax.vmap(
    functools.partial(
      losses.symmetric_cross_entropy,
      alpha=0.1,
      beta=1.0,
      log_zero=losses.LOG_ZERO_PUBLIC_CODES,
    )
  ),
  'optax CE': optax.softmax_cross_entropy_with_integer_labels,
}


def main(argv: Sequence[str] | None = None) -> None:
  parser = harness.Parser('loss', __doc__, rounds=7)
  parser.add_argument(
    '--classes',
    metavar='K,K,...',
    default='10,100,1000,10000,100000',
    help='numbers of classes',
  )
  args = parser.parse(argv)
  rows = measure(read_classes(args.classes), args.rounds)
  harness.report('loss', rows, args, harness.machine())


def read_classes(text: str) -> list[int]:
  """Reads the list of class numbers; refuses what is none."""
  parts = text.split(',')
  if not all(x.isdecimal() and 2 <= int(x) <= MOST_CLASSES for x in parts):
    harness.refuse(
      f'--classes={text} is not a list of whole numbers from 2 to'
      f' {MOST_CLASSES}, such as 10,1000'
    )
  return [int(x) for x in parts]


def measure(
  classes: Sequence[int], rounds: int, size: int | None = None
) -> list[dict[str, Any]]:
  """Times both losses for each number of classes.

  Args:
    classes: the numbers of classes.
    rounds: how often each loss has its turn.
    size: about how many logits; None for the platform's.

  Returns:
    A row for each number of classes.
  """
  small = jax.default_backend() == 'cpu'
  size = size or (2**22 if small else 2**26)
  repeats = 4 if small else 50
  bandwidth = workload.measure_roofline(()).bandwidth
  return [_row(k, size, rounds, repeats, bandwidth) for k in classes]


def _row(k, size, rounds, repeats, bandwidth):
  n = max(MIN_ROWS, size // k)
  harness.say(f'{k} classes, {n} rows')
  logits = jax.random.normal(jax.random.key(0), (n, k))
  labels = jnp.asarray(np.random.default_rng(0).integers(0, k, n, np.int32))
  seconds = harness.medians(
    harness.interleave(
      {
        name: functools.partial(
          _wait_for, descend(loss, repeats), logits, labels
        )
        for name, loss in LOSSES.items()
      },
      rounds,
    )
  )
  ours, other = (seconds[name] / repeats for name in LOSSES)
  return {
    'K': k,
    'N': n,
    'SL ms': 1e3 * ours,
    'optax CE ms': 1e3 * other,
    'SL over CE': ours / other,
    'SL: share of copy bandwidth': 2 * logits.nbytes / ours / bandwidth,
  }


def _wait_for(run, *arguments):
  jax.block_until_ready(run(*arguments))


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

  def run(logits, labels):
    def evaluate(_, carry):
      logits, labels, total = carry
      value, gradient = jax.value_and_grad(mean)(logits, labels)
      # Both are used, so that the compiler leaves neither out. The update adds
      # no traffic: it is fused with the gradient, and its result replaces it.
      logits = logits - LEARNING_RATE * gradient
      # Of labels that stay the same it would make one-hot targets only once.
      return logits, (labels + 1) % logits.shape[1], total + value

    start = logits, labels, jnp.zeros((), logits.dtype)
    logits, _, total = lax.fori_loop(0, repeats, evaluate, start)
    return logits, total

  return jax.jit(run)


if __name__ == '__main__':
  main()
