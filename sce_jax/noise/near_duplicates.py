"""Examples that are nearly the same, and have different labels."""

from jaxtyping import Float, Int64, Integer
import numpy as np

# All pairs of so many examples are compared, of more none: their number grows
# with the square.
MOST_COMPARED = 100_000
# Of two examples that are nearer than this share of the median distance to the
# nearest other example, one is a copy of the other; as in cleanlab's Datalab.
_COPY = 0.13
# What float32 leaves of the cosine distance of equal features.
_SAME = 1e-6
# Similarities held in memory at a time.
_BLOCK = 2**24


def near_duplicates(
  features: Float[np.ndarray, 'N D'], labels: Integer[np.ndarray, ' N']
) -> Int64[np.ndarray, 'M 2']:
  """Pairs of examples that are nearly the same and have different labels.

  Each example is compared with the nearest of another label, by the cosine of
  the features. They are near duplicates if their distance is below 0.13 of the
  median distance to the nearest example of any label.

  Returns:
    Pairs of rows, each once, the most similar first.
  """
  features = features.astype(np.float32)
  norms = np.linalg.norm(features, axis=1, keepdims=True)
  unit = features / np.maximum(norms, np.finfo(np.float32).tiny)
  size = len(labels)
  nearest, distance = np.empty(size), np.empty(size)
  partner = np.empty(size, np.int64)
  step = max(1, _BLOCK // size)
  for start in range(0, size, step):
    rows = np.arange(start, min(start + step, size))
    similarity = unit[rows] @ unit.T
    similarity[np.arange(len(rows)), rows] = -np.inf
    nearest[rows] = 1 - similarity.max(axis=1)
    similarity[labels[rows, None] == labels] = -np.inf
    partner[rows] = similarity.argmax(axis=1)
    distance[rows] = 1 - similarity.max(axis=1)
  apart = nearest[nearest > _SAME]
  limit = max(_SAME, _COPY * np.median(apart)) if len(apart) else _SAME
  (found,) = np.nonzero(distance < limit)
  found = found[np.argsort(distance[found], kind='stable')]
  pairs = np.sort(np.stack([found, partner[found]], axis=1), axis=1)
  _, first = np.unique(pairs, axis=0, return_index=True)
  return pairs[np.sort(first)]
