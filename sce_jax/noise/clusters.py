"""Noise in clusters: images that look alike go wrong together."""

from jaxtyping import Float64, Integer
import numpy as np

from sce_jax.noise import hashing
from sce_jax.noise.base import Images, NoisyLabels
from sce_jax.noise.corruption import number_of
from sce_jax.noise.instance import check, chunks

# A class has a cluster for so many of its examples: published are 57 of 5,000.
_PER_CLUSTER = 88


def cluster_based(
  labels: Integer[np.ndarray, ' N'],
  ids: Integer[np.ndarray, ' N'],
  num_classes: int,
  rate: float | int,
  seed: int | np.integer,
  mode: str,
  images: Images | None = None,
) -> NoisyLabels:
  """Cluster-based noise (CBN), in the space of the images themselves.

  The rule of github.com/gordon-lim/soft-neighbor-labels: of each class some
  examples are drawn; all examples of the class that are nearer to one of them
  than a radius get the class, of the others, whose mean is nearest to them. So
  neighbours have the same wrong label, and a network can learn it from them.

  There distances are those of an unseeded t-SNE of CLIP embeddings, and the
  numbers of clusters and radii are fitted to them (CIFAR-10: 57 a class and 2
  for 35 %, 190 and 2 for 70 %). Here they are Euclidean, of normalised pixels,
  or of feature vectors where the data are such; a class has a cluster for each
  88 of its examples, at least one; and the radius, the same for all classes,
  is the one that makes the integer nearest to rate * N of the labels wrong. At
  equal distances the smaller id goes first.

  It needs the whole split. At the same seed a higher rate corrupts a superset.

  Args, Returns, Raises: as of `part_dependent`, but `rate` is the share of
  wrong labels, and there must be examples of two classes.
  """
  del mode
  seed, images = check(labels, ids, num_classes, rate, seed, images)
  noisy = labels.astype(np.int32)
  count = number_of(rate, len(labels))
  if not count:
    return NoisyLabels(noisy, None)
  members = {k: np.flatnonzero(labels == k) for k in np.unique(labels)}
  if len(members) < 2:
    raise ValueError('cluster-based noise needs examples of two classes')
  classes = np.array(list(members))
  means = np.stack([_mean(images, rows) for rows in members.values()])
  order = hashing.hash_words(hashing.CLUSTERS, seed, ids)
  distance, others = np.empty(len(labels)), np.empty(len(labels), np.int32)
  for place, own in enumerate(members.values()):
    size = max(1, round(len(own) / _PER_CLUSTER))
    centres = own[np.argsort(order[own])[:size]]
    vectors = images.normalized(centres)
    for rows in chunks(own):
      values = images.normalized(rows)
      distance[rows] = _squares(values, vectors).min(axis=1)
      away = _squares(values, means)
      away[:, place] = np.inf
      others[rows] = classes[away.argmin(axis=1)]
    distance[centres] = -np.inf  # Not what rounding makes of 0.
  wrong = np.lexsort((ids, distance))[:count]
  noisy[wrong] = others[wrong]
  return NoisyLabels(noisy, None)


def _mean(images: Images, rows) -> Float64[np.ndarray, ' D']:
  sums = [images.normalized(part).sum(axis=0) for part in chunks(rows)]
  return np.sum(sums, axis=0) / len(rows)


def _squares(
  a: Float64[np.ndarray, 'M D'], b: Float64[np.ndarray, 'C D']
) -> Float64[np.ndarray, 'M C']:
  """Squared distances."""
  return (a**2).sum(axis=1)[:, None] - 2 * (a @ b.T) + (b**2).sum(axis=1)
