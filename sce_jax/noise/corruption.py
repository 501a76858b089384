"""Corrupting labels by a transition matrix."""

from jaxtyping import Float64, Int32, Int64, Integer
import numpy as np

from sce_jax.noise import checks, hashing


def corrupt(
  labels: Integer[np.ndarray, ' N'],
  transition_matrix: Float64[np.ndarray, 'K K'],
  *,
  seed: int | np.integer,
  mode: str,
  ids: Integer[np.ndarray, ' N'] | None = None,
) -> Int32[np.ndarray, ' N']:
  """Replaces labels as T says: a pure function of (seed, example id).

  The result does not depend on example order. At the same seed a matrix whose
  diagonal is smaller in each class, such as that of a higher rate of the same
  noise, corrupts a superset of the examples.

  Mode 'iid' draws each label from its row of T. An example's draw depends on
  (seed, id) and its own row, nothing else, so a shard may be corrupted alone.

  Mode 'exact' is the papers' protocol (SCE, arXiv:1908.06112): of class i,
  with n examples, the integer nearest to n * (1 - T[i, i]) are corrupted (at
  a half, the even one), shared out over the wrong classes in proportion to T
  by largest remainder, ties broken by (seed, i, j). It needs the whole split:
  every host corrupts all ids and then takes its shard. The SCE authors' code
  corrupts an equal count of every class instead, which on MNIST's unequal
  classes is not an equal share (digit 5 comes out 88.5% wrong at rate 0.8).

  Args:
    labels: clean labels, integers in [0, K); not modified.
    transition_matrix: T[i, j] = P(noisy = j | clean = i), rows summing to 1.
    seed: integer in [0, 2**64).
    mode: 'exact' or 'iid'.
    ids: unique integers naming the examples; 0 to N - 1 if None, which is
      right for a whole split in its own order and wrong for a shard.

  Returns:
    Noisy labels, int32[N], in the order of `labels`.

  Raises:
    ValueError: an argument is malformed; the message says which and how.

  >>> T = np.array([[0.5, 0.5], [0.0, 1.0]])
  >>> noisy = corrupt(np.array([0, 0, 0, 0, 1, 1]), T, seed=3, mode='exact')
  >>> np.bincount(noisy[:4]).tolist(), noisy[4:].tolist()
  ([2, 2], [1, 1])
  """
  if mode not in _MODES:
    raise ValueError(f"mode {mode!r} is not known: use 'exact' or 'iid'")
  seed = checks.check_seed(seed)
  checks.check_matrix(transition_matrix)
  checks.check_labels('labels', labels, len(transition_matrix))
  # NumPy 2.0's bincount refuses uint64.
  labels = labels.astype(np.int64)
  if ids is None:
    ids = np.arange(len(labels))
  checks.check_ids(ids, size=len(labels))
  return _MODES[mode](labels, transition_matrix, seed, ids)


def _iid(labels, matrix, seed, ids):
  wrong_first = _wrong_first(len(matrix))
  cumulative = np.cumsum(np.take_along_axis(matrix, wrong_first, 1), axis=1)
  # Ends at exactly 1, above any draw, whatever the rounding of the sum.
  cumulative /= cumulative[:, -1:]
  draws = hashing.uniform(hashing.DRAWS, seed, ids)

  noisy = np.empty(len(labels), np.int32)
  by_class = np.argsort(labels, kind='stable')
  ends = np.cumsum(np.bincount(labels, minlength=len(matrix)))
  for i, members in enumerate(np.split(by_class, ends[:-1])):
    # 'right' steps over classes of probability 0, at a draw of 0 too.
    place = np.searchsorted(cumulative[i], draws[members], side='right')
    noisy[members] = wrong_first[i, place]
  return noisy


def _exact(labels, matrix, seed, ids):
  sizes = np.bincount(labels, minlength=len(matrix))
  wrong_first = _wrong_first(len(matrix))
  counts = np.take_along_axis(_counts(sizes, matrix, seed), wrong_first, 1)

  # Within its class each example's place in line is random, so dealing the
  # targets out in order is fair. Distinct ids have distinct ranks.
  ranks = hashing.hash_words(hashing.RANKS, seed, ids)
  noisy = np.empty(len(labels), np.int32)
  noisy[np.lexsort((ranks, labels))] = np.repeat(
    wrong_first.ravel(), counts.ravel()
  )
  return noisy


def _counts(sizes, matrix, seed):
  """int[K, K]: how many of the sizes[i] examples of class i become j."""
  num_classes = len(matrix)
  wrong = np.where(np.eye(num_classes, dtype=bool), 0.0, matrix)
  wrong_rate = wrong.sum(axis=1)
  num_wrong = number_of(wrong_rate, sizes)
  share = wrong / np.where(wrong_rate > 0, wrong_rate, 1.0)[:, None]
  quotas = num_wrong[:, None] * share
  counts = np.floor(quotas).astype(np.int64)

  classes = np.arange(num_classes)
  ties = hashing.hash_words(hashing.TIES, seed, classes[:, None], classes)
  # Or the last bit would decide which of two equal remainders comes first.
  remainders = np.round(quotas - counts, 9)
  order = np.lexsort((ties, -remainders), axis=1)
  left_over = num_wrong - counts.sum(axis=1)
  counts += np.argsort(order, axis=1) < left_over[:, None]
  counts[classes, classes] = sizes - num_wrong
  return counts


def _wrong_first(num_classes):
  """Row i lists the classes i+1, i+2, ..., wrapping around, and i last.

  Having the true class last makes the corrupted examples those of low draw or
  rank, so that a higher rate corrupts a superset.
  """
  classes = np.arange(num_classes)
  return (classes[:, None] + classes + 1) % num_classes


_MODES = {'exact': _exact, 'iid': _iid}


def number_of(
  rate: float | Float64[np.ndarray, ' K'], size: int | Integer[np.ndarray, ' K']
) -> np.int64 | Int64[np.ndarray, ' K']:
  """The whole number that is nearest to a share of so many examples.

  To 9 decimals, so that the last bit does not decide what is a half.
  """
  return np.rint(np.round(rate * size, 9)).astype(np.int64)
