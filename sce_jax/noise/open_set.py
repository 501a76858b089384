"""Open-set noise: images that belong to none of the classes."""

import dataclasses

from jaxtyping import Int64, Integer
import numpy as np

from sce_jax.noise import checks, hashing
from sce_jax.noise.corruption import number_of


@dataclasses.dataclass(frozen=True)
class Replaced:
  """Which images were replaced, and by which.

  Attributes:
    source: the data set that the other images are of; the same for two programs
      that have the same images.
    ids: of the examples whose image was replaced.
    images: ids of the images in its training split that replace them.
  """

  source: str
  ids: Int64[np.ndarray, ' M']
  images: Int64[np.ndarray, ' M']

  def of(self, ids: Integer[np.ndarray, ' N']) -> 'Replaced':
    """Those among some examples."""
    among = np.isin(self.ids, ids)
    return Replaced(self.source, self.ids[among], self.images[among])


def replace(
  ids: Integer[np.ndarray, ' N'],
  other_ids: Integer[np.ndarray, ' P'],
  source: str,
  rate: float | int,
  seed: int | np.integer,
) -> Replaced:
  """Chooses examples, and images that replace theirs.

  The integer nearest to rate * N of the examples, drawn uniformly, get an image
  each, drawn without replacement; their labels stay. The open-set noise of
  LogitClip's code (Wei et al. 2023, arXiv:2212.04055). A higher rate at the
  same seed replaces a superset. It needs the whole split.

  Args:
    ids: unique integers naming the examples.
    other_ids: unique integers naming the images of the other data set.
    source: that data set's name.
    rate: share of examples whose image is replaced, in [0, 1).
    seed: integer in [0, 2**64).

  Raises:
    ValueError: an argument is malformed, or there are too few other images.
  """
  checks.check_rate(rate)
  number = checks.check_seed(seed)
  checks.check_ids(ids)
  checks.check_ids(other_ids)
  count = number_of(rate, len(ids))
  if count > len(other_ids):
    raise ValueError(
      f'{count:,} images are to be replaced, but {source!r} has'
      f' {len(other_ids):,} that the training split does not have: give another'
      ' data set or a lower rate'
    )
  ranks = hashing.hash_words(hashing.REPLACED, number, ids)
  other = hashing.hash_words(hashing.REPLACING, number, other_ids)
  return Replaced(
    source,
    ids[np.argsort(ranks)[:count]].astype(np.int64),
    other_ids[np.argsort(other)[:count]].astype(np.int64),
  )
