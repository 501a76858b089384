"""Noise made of what a network says of each example.

The probabilities are of networks that were trained on the true labels, so that
an image is mistaken for what it looks like. `pmd` needs the network's last
words, `seal` the average of what it said during training.

How labels are drawn is part of each rule, so a `mode` is not read. Both need
all examples at once: how many labels go wrong is decided over all of them.
"""

from jaxtyping import Float, Float64, Int64, Integer
import numpy as np

from sce_jax.noise import checks, hashing
from sce_jax.noise.base import Noise, NoisyLabels, rows_of
from sce_jax.noise.corruption import number_of

# Of rows of float32.
_SUM_TOLERANCE = 1e-3
# The factor is looked for from exp(-_WIDTH) to exp(_WIDTH), by bisection.
_WIDTH = 60.0
_STEPS = 100


def pmd(
  ids: Integer[np.ndarray, ' M'],
  probability: Float[np.ndarray, 'M K'],
  kind: int,
) -> Noise:
  """Makes polynomial-margin diminishing noise, of type I, II or III.

  Zhang et al. 2021 (arXiv:2103.07756), as in its code
  (github.com/pxiangwu/PLC): let u be the most probable class of an example, s
  the second, and D = eta_u - eta_s the margin. The label is u with probability
  level / factor and else s. The level is (1 + D^2) / 2 for type I, D^3 for type
  II, and (D^3 + D^2 + D) / 3 for type III. The example's true label is not
  looked at.

  The code is given the factor (on CIFAR-10 1.43, 1.32 and 1.35 for 35 % wrong
  labels, 3.40, 3.10 and 3.20 for 70 %), which means another rate with each
  network. Here the rate is given, and the factor is the one by which so many
  labels are wrong on average. Probabilities that a factor below 1 makes larger
  than 1 are 1. At rate 0 no label is corrupted.

  Args:
    ids: the examples that the probabilities are of.
    probability: of each class, eta.
    kind: 1, 2 or 3.

  Returns:
    A noise of the examples among `ids`, of 3 classes or more: for two the
    published code has another rule. It raises ValueError if an argument is
    malformed, an example has no probabilities, or no factor gives the rate.
  """

  def apply(labels, wanted, num_classes, rate, seed, mode, images=None):
    del mode, images
    seed, eta = _check(
      ids, probability, labels, wanted, num_classes, rate, seed
    )
    if num_classes < 3:
      raise ValueError(f'PMD noise needs at least 3 classes, not {num_classes}')
    if rate == 0:
      return NoisyLabels(labels.astype(np.int32), None)
    share = _levels(eta, kind) / pmd_factor(labels, eta, kind, rate)
    draws = hashing.uniform(hashing.POSTERIORS, seed, wanted)
    first, second = _two_largest(eta)
    noisy = np.where(draws < share, first, second)
    return NoisyLabels(noisy.astype(np.int32), None)

  return apply


def pmd_factor(
  labels: Integer[np.ndarray, ' N'],
  probability: Float[np.ndarray, 'N K'],
  kind: int,
  rate: float | int,
) -> float:
  """The factor of PMD noise by which a share of the labels is wrong on average.

  Args:
    labels: the true ones, integers in [0, K).
    probability: of each class.
    kind: 1, 2 or 3.
    rate: the share.

  Raises:
    ValueError: there is none.
  """
  level = _levels(probability, kind)
  first, second = (x != labels for x in _two_largest(probability))

  def wrong(log_factor: float) -> float:
    share = np.minimum(level / np.exp(log_factor), 1)
    return float(np.mean(share * first + (1 - share) * second))

  low, high = -_WIDTH, _WIDTH
  least, most = wrong(low), wrong(high)
  if not least <= rate <= most:
    raise ValueError(
      f'PMD noise made of these probabilities has rates from {least:.4g} to'
      f' {most:.4g}, not {rate}: give another rate, or probabilities of a'
      ' better network'
    )
  for _ in range(_STEPS):
    middle = (low + high) / 2
    if wrong(middle) < rate:
      low = middle
    else:
      high = middle
  return float(np.exp(high))


def seal(
  ids: Integer[np.ndarray, ' M'], averaged: Float[np.ndarray, 'M K']
) -> Noise:
  """Makes the instance-dependent noise of the SEAL paper.

  Chen et al. 2021 (arXiv:2012.05458, github.com/chenpf1025/IDN): the
  probabilities that a network has for an example are averaged over the epochs
  of its training. The integer nearest to rate * N of the examples (the code
  cuts the fraction off) with the most probable wrong class get that class as
  label. Nothing is drawn: a seed is not read. At equal probabilities the
  smaller id goes first.

  Args:
    ids: the examples that the probabilities are of.
    averaged: probabilities of each class, averaged over epochs.

  Returns:
    A noise of the examples among `ids`. It raises ValueError if an argument is
    malformed, or an example has no probabilities.
  """

  def apply(labels, wanted, num_classes, rate, seed, mode, images=None):
    del mode, images
    _, others = _check(ids, averaged, labels, wanted, num_classes, rate, seed)
    rows = np.arange(len(labels))
    others[rows, labels] = -1
    likely = others.argmax(axis=1)
    count = number_of(rate, len(labels))
    chosen = np.lexsort((wanted, -others[rows, likely]))[:count]
    noisy = labels.astype(np.int32)
    noisy[chosen] = likely[chosen]
    return NoisyLabels(noisy, None)

  return apply


def _check(
  ids, probability, labels, wanted, num_classes, rate, seed
) -> tuple[int, Float64[np.ndarray, 'N K']]:
  """The seed, and the probabilities of the wanted examples."""
  checks.check_num_classes(num_classes)
  checks.check_rate(rate)
  checks.check_labels('labels', labels, num_classes)
  checks.check_ids(wanted, size=len(labels))
  checks.check_ids(ids)
  if probability.shape != (len(ids), num_classes):
    raise ValueError(
      f'there are probabilities of shape {list(probability.shape)} for'
      f' {len(ids)} examples: of {num_classes} classes they must be of shape'
      f' [{len(ids)}, {num_classes}]'
    )
  sums = probability.sum(axis=1, dtype=np.float64)
  # Negated, for NaN compares false.
  right = (probability >= 0).all(axis=1) & (np.abs(sums - 1) <= _SUM_TOLERANCE)
  if not right.all():
    raise ValueError(
      f'the probabilities of example {ids[np.flatnonzero(~right)[0]]} are not'
      ' numbers from 0 on that sum to 1'
    )
  rows = rows_of(ids, wanted)
  missing = np.flatnonzero(rows < 0)
  if missing.size:
    raise ValueError(
      f'there are no probabilities of example {wanted[missing[0]]}'
      f' ({missing.size} of {len(wanted)} lack them)'
    )
  return checks.check_seed(seed), probability[rows].astype(np.float64)


def _two_largest(
  probability: Float[np.ndarray, 'N K'],
) -> tuple[Int64[np.ndarray, ' N'], Int64[np.ndarray, ' N']]:
  """The most probable class and the second; of equal ones the smaller first."""
  order = np.argsort(-probability, axis=1, kind='stable')
  return order[:, 0], order[:, 1]


def _levels(
  probability: Float[np.ndarray, 'N K'], kind: int
) -> Float64[np.ndarray, ' N']:
  """How likely the most probable class is, before the factor."""
  second, first = np.sort(probability, axis=1)[:, -2:].T.astype(np.float64)
  margin = first - second
  if kind == 1:
    return (1 + margin**2) / 2
  if kind == 2:
    return margin**3
  return (margin**3 + margin**2 + margin) / 3
