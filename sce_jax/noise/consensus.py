"""The transition matrix from labels of neighbours, without a classifier (HOC).

If nearest neighbours are of one class ("2-NN label clusterability"), the labels
of an example and of its two nearest neighbours are three independent draws from
one row of T. How often one, two and three labels occur together,

    c1[j] = sum_i p_i T_ij,           c2[j, k] = sum_i p_i T_ij T_ik,
    c3[j, k, l] = sum_i p_i T_ij T_ik T_il,

determines T and the class shares p, but for the order of the classes. They are
fitted by the sum of the three Euclidean distances, by 1,500 steps of Adam from
a T that is mostly right.

Source: Zhu et al., "Clusterability as an Alternative to Anchor Points When
Learning with Noisy Labels", ICML 2021 (arXiv:2102.05291), algorithm 1, and its
code, UCSC-REAL/HOC, hoc.py. That counts over 50 draws of 15,000 examples, here
10. It takes the classes in the order that it ends with; here they are put in
that in which most labels are right, because the fit may swap two of them.
"""

from jaxtyping import Float, Float64, Int64, Integer
import numpy as np
from scipy import special

# T is fitted to no more classes: a step takes time and memory with the third to
# fourth power of their number, and a fit of 100 takes minutes.
MOST_CLASSES = 100
_LARGEST, _ROUNDS = 15_000, 10
# Similarities held in memory at a time.
_BLOCK = 2**24
_SMALL = 1e-12
# Adam's, as the code has them.
_STEPS, _RATE, _DECAYS = 1500, 0.1, np.array([0.9, 0.999])

Counts = tuple[
  Float64[np.ndarray, ' K'],
  Float64[np.ndarray, 'K K'],
  Float64[np.ndarray, 'K K K'],
]


def hoc(
  features: Float[np.ndarray, 'N D'],
  labels: Integer[np.ndarray, ' N'],
  num_classes: int,
  seed: int = 0,
) -> Float64[np.ndarray, 'K K']:
  """T by consensus of each example's label with its neighbours'.

  Args:
    features: by whose cosine neighbours are found; of at least 3 examples.
    labels: given, in [0, K).
    num_classes: K, at most MOST_CLASSES.
    seed: of the draws of examples; all are taken if there are 15,000 or fewer.

  Returns:
    T, rows summing to 1.

  Raises:
    ValueError: there are fewer than 3 examples, or too many classes.
  """
  if num_classes > MOST_CLASSES:
    raise ValueError(
      f'hoc fits T to at most {MOST_CLASSES} classes, not to {num_classes}: use'
      ' another estimator'
    )
  size = len(labels)
  if size < 3:
    raise ValueError(f'{size} examples have no two neighbours each')
  if size <= _LARGEST:
    return solve(consensus(features, labels, num_classes))
  rng = np.random.default_rng(seed)
  found = []
  for _ in range(_ROUNDS):
    rows = rng.choice(size, _LARGEST, replace=False)
    found.append(consensus(features[rows], labels[rows], num_classes))
  c1, c2, c3 = (np.mean(c, axis=0) for c in zip(*found, strict=True))
  return solve((c1, c2, c3))


def clusterability(
  features: Float[np.ndarray, 'N D'],
  labels: Integer[np.ndarray, ' N'],
  seed: int = 0,
) -> float:
  """The share of examples whose two nearest neighbours have their label.

  Of true labels, for which `hoc` takes it to be 1.

  Args:
    features: as of `hoc`.
    labels: in [0, K).
    seed: of which 15,000 examples are looked at, if there are more.
  """
  rng = np.random.default_rng(seed)
  rows = rng.permutation(len(labels))[:_LARGEST]
  features, labels = features[rows], labels[rows]
  agree = labels[_nearest(features)] == labels[:, None]
  return float(agree.all(axis=1).mean())


def consensus(
  features: Float[np.ndarray, 'N D'],
  labels: Integer[np.ndarray, ' N'],
  num_classes: int,
) -> Counts:
  """The shares c1, c2 and c3; neighbours stand in order of similarity."""
  k, near = num_classes, _nearest(features)
  triple = (labels.astype(np.int64) * k + labels[near[:, 0]]) * k
  triple += labels[near[:, 1]]
  counted = np.bincount(triple, minlength=k**3).reshape(k, k, k)
  c3 = counted / len(labels)
  c2 = c3.sum(axis=2)
  return c2.sum(axis=1), c2, c3


def _nearest(
  features: Float[np.ndarray, 'N D'],
) -> Int64[np.ndarray, 'N 2']:
  """The rows of the two nearest neighbours of each, the nearest first."""
  features = features.astype(np.float32)
  norms = np.linalg.norm(features, axis=1, keepdims=True)
  unit = features / np.maximum(norms, np.finfo(np.float32).tiny)
  size = len(features)
  near = np.empty((size, 2), np.int64)
  step = max(1, _BLOCK // size)
  for start in range(0, size, step):
    rows = np.arange(start, min(start + step, size))
    similarity = unit[rows] @ unit.T
    similarity[np.arange(len(rows)), rows] = -np.inf
    for place in range(2):
      near[rows, place] = similarity.argmax(axis=1)
      similarity[np.arange(len(rows)), near[rows, place]] = -np.inf
  return near


def solve(counts: Counts) -> Float64[np.ndarray, 'K K']:
  """The T whose shares are nearest to those counted."""
  # Imported where it is used: it takes 0.3 s, which every start would wait.
  from scipy import optimize  # noqa: PLC0415

  k = len(counts[0])
  # Softmax of 5 I - 1, as the code has it, and equally many of each class.
  x = np.concatenate([(5 * np.eye(k) - 1).ravel(), np.zeros(k)])
  moments = np.zeros((2, len(x)))
  least, best = np.inf, x
  for step in range(1, _STEPS + 1):
    value, slope = distance(x, counts)
    if value < least:
      least, best = value, x
    kept = _DECAYS[:, None]
    moments = kept * moments + (1 - kept) * [slope, slope**2]
    mean, square = moments / (1 - kept**step)
    x = x - _RATE * mean / (np.sqrt(square) + 1e-8)
  matrix = special.softmax(best[: k * k].reshape(k, k), axis=1)
  _, order = optimize.linear_sum_assignment(matrix.T, maximize=True)
  return matrix[order]


def distance(
  logits: Float64[np.ndarray, ' P'], counts: Counts
) -> tuple[float, Float64[np.ndarray, ' P']]:
  """How far the shares of a T and p are from those counted, and the gradient.

  Args:
    logits: of the rows of T, K * K, and of p, K.
    counts: c1, c2 and c3.

  Returns:
    The sum of the three Euclidean distances, and its gradient.
  """
  k = len(counts[0])
  t = special.softmax(logits[: k * k].reshape(k, k), axis=1)
  p = special.softmax(logits[k * k :])
  # Row i: T_ij T_ik of class i, flat, so that all sums are matrix products.
  square = (t[:, :, None] * t[:, None, :]).reshape(k, k * k)
  weighted = p[:, None] * t
  gap1 = p @ t - counts[0]
  gap2 = weighted.T @ t - counts[1]
  gap3 = (weighted.T @ square).reshape(k, k, k) - counts[2]
  norms = [np.linalg.norm(gap) for gap in (gap1, gap2, gap3)]
  g1, g2, g3 = (
    gap / max(norm, _SMALL)
    for gap, norm in zip((gap1, gap2, gap3), norms, strict=True)
  )
  # Of each class i: the derivatives by T_ij, over p_i.
  of_pairs = t @ (g2 + g2.T)
  of_triples = (
    square
    @ (
      g3.reshape(k, k * k)
      + g3.transpose(1, 0, 2).reshape(k, k * k)
      + g3.transpose(2, 0, 1).reshape(k, k * k)
    ).T
  )
  by_t = p[:, None] * (g1 + of_pairs + of_triples)
  by_p = t @ g1 + (t * (t @ g2)).sum(axis=1)
  by_p += (square @ g3.reshape(k, k * k).T * t).sum(axis=1)
  by_rows = t * (by_t - (by_t * t).sum(axis=1, keepdims=True))
  by_shares = p * (by_p - by_p @ p)
  return float(sum(norms)), np.concatenate([by_rows.ravel(), by_shares])
