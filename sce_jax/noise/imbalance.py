"""Class imbalance: of each class a share of the examples is kept."""

from jaxtyping import Float64, Int64, Integer
import numpy as np

from sce_jax.noise import checks, hashing

PROFILES = ('exponential', 'step')


def shares(
  profile: str, ratio: float | int, num_classes: int
) -> Float64[np.ndarray, ' K']:
  """What share of each class is kept.

  As in the code of LDAM (Cao et al. 2019, arXiv:1906.07413), after Cui et al.
  2019 (arXiv:1901.05555): exponential, ratio^(-k / (K - 1)) of class k; step,
  all of the first K / 2 classes, rounded down, and 1 / ratio of the others.

  Args:
    profile: one of PROFILES.
    ratio: of the largest share to the smallest, at least 1.
    num_classes: K, at least 2.

  Raises:
    ValueError: an argument is out of range.
  """
  checks.check_num_classes(num_classes)
  if profile not in PROFILES:
    raise ValueError(
      f'imbalance {profile!r} is not known: use {" or ".join(PROFILES)}'
    )
  if not 1 <= ratio < np.inf:
    raise ValueError(f'imbalance ratio must be at least 1, not {ratio}')
  classes = np.arange(num_classes)
  if profile == 'step':
    return np.where(classes < num_classes // 2, 1.0, 1 / ratio)
  return float(ratio) ** (-classes / (num_classes - 1))


def imbalanced(
  labels: Integer[np.ndarray, ' N'],
  ids: Integer[np.ndarray, ' N'],
  num_classes: int,
  profile: str,
  ratio: float | int,
  seed: int | np.integer,
) -> Int64[np.ndarray, ' P']:
  """Chooses the examples that make a data set imbalanced.

  Of class k, with n examples, n * share are kept, the fraction cut off, and at
  least one if there are any. On classes of unequal size the ratio is that of
  the shares. Which examples depends on (seed, id); a higher ratio of the same
  profile keeps a part of what a lower one keeps. It needs the whole split.

  Args:
    labels: true labels, integers in [0, K).
    ids: unique integers naming the examples.
    num_classes: K, at least 2.
    profile: one of PROFILES.
    ratio: of the largest share to the smallest, at least 1.
    seed: integer in [0, 2**64).

  Returns:
    The rows of the examples that are kept, rising.

  Raises:
    ValueError: an argument is malformed.
  """
  checks.check_labels('labels', labels, num_classes)
  checks.check_ids(ids, size=len(labels))
  share = shares(profile, ratio, num_classes)
  sizes = np.bincount(labels.astype(np.int64), minlength=num_classes)
  # To 9 decimals, so that the last bit does not decide what is whole.
  counts = np.floor(np.round(sizes * share, 9)).astype(np.int64)
  counts = np.maximum(counts, np.minimum(sizes, 1))
  ranks = hashing.hash_words(hashing.IMBALANCE, checks.check_seed(seed), ids)
  kept = []
  for k in range(num_classes):
    own = np.flatnonzero(labels == k)
    kept.append(own[np.argsort(ranks[own])[: counts[k]]])
  return np.sort(np.concatenate(kept))
