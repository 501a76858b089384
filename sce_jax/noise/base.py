"""What a noise is: a pure function of labels and example ids."""

from collections.abc import Callable, Mapping
import dataclasses
import math
import os
from typing import NamedTuple

from jaxtyping import Float64, Int32, Int64, Integer, Shaped
import numpy as np

from sce_jax.noise import checks, hashing
from sce_jax.noise.corruption import corrupt
from sce_jax.noise.measures import empirical_transition_matrix

# (num_classes, rate) -> T
TransitionFn = Callable[[int, float | int], Float64[np.ndarray, 'K K']]


class NoisyLabels(NamedTuple):
  """Labels with noise.

  Attributes:
    labels: of the N examples, in their order.
    transition: T[i, j] = P(noisy = j | clean = i), where the labels were drawn
      from a matrix.
  """

  labels: Int32[np.ndarray, ' N']
  transition: Float64[np.ndarray, 'K K'] | None


@dataclasses.dataclass(frozen=True)
class Images:
  """What a noise may look at.

  Attributes:
    pixels: of the N examples, as stored; or feature vectors.
    mean: of each channel, of pixels divided by `pixel_max`; or of each feature.
    std: of each channel, likewise.
    pixel_max: the stored value that becomes 1.
  """

  pixels: Shaped[np.ndarray, 'N ...']
  mean: tuple[float, ...] = (0.0,)
  std: tuple[float, ...] = (1.0,)
  pixel_max: float = 1.0

  @property
  def size(self) -> int:
    """How many numbers an image is."""
    return math.prod(self.pixels.shape[1:])

  def raw(self, rows: Int64[np.ndarray, ' M']) -> Float64[np.ndarray, 'M D']:
    """Some images as vectors, as they are stored."""
    return self.pixels[rows].reshape(len(rows), -1).astype(np.float64)

  def normalized(
    self, rows: Int64[np.ndarray, ' M']
  ) -> Float64[np.ndarray, 'M D']:
    """Some images as vectors, (x / pixel_max - mean) / std of each channel."""
    scaled = self.pixels[rows] / np.float64(self.pixel_max)
    return ((scaled - self.mean) / self.std).reshape(len(rows), -1)


# (labels[N], ids[N], num_classes, rate, seed, mode, images) -> NoisyLabels.
# A pure function: of one example, its id, its image and the seed decide.
# `images` is an Images, or None where none are at hand.
Noise = Callable[..., NoisyLabels]


@dataclasses.dataclass(frozen=True)
class NoiseSpec:
  """A row of the table of noises.

  Attributes:
    apply: the noise.
    transition: its matrix as a function of (num_classes, rate); None if it is
      no matrix, or one that depends on the seed.
    check: raises ValueError if there is no such noise of (num_classes, rate);
      None: `transition` does, or there is no more to check.
    num_classes: how many classes it needs; None: any number from 2 on.
    dataset: the data set whose classes it needs; '' for those of any.
    classes: names that some of the classes must have, by class, where a data
      set names its classes.
    share: of a noise without a matrix, the share of labels that are wrong at a
      rate, at least on average; None: it is not known.
  """

  apply: Noise
  transition: TransitionFn | None = None
  check: Callable[[int, float | int], None] | None = None
  num_classes: int | None = None
  dataset: str = ''
  classes: Mapping[int, str] = dataclasses.field(default_factory=dict)
  share: Callable[[float], float] | None = float


def from_transition(transition: TransitionFn) -> Noise:
  """Lifts a transition matrix to a noise: labels are drawn by `corrupt`."""

  def apply(labels, ids, num_classes, rate, seed, mode, images=None):
    del images
    matrix = transition(num_classes, rate)
    noisy = corrupt(labels, matrix, seed=seed, mode=mode, ids=ids)
    return NoisyLabels(noisy, matrix)

  return apply


def followed_by(first: Noise, second: Noise, rate: float | int) -> Noise:
  """Makes a noise of two: the second is drawn of the labels of the first.

  Its random numbers are others. Hybrid noise is PMD noise followed by symmetric
  or asymmetric noise (Zhang et al. 2021, arXiv:2103.07756).

  Args:
    first: a noise; the rate of the new noise is its rate.
    second: a noise.
    rate: that of the second, in [0, 1).

  Returns:
    A noise that has a matrix, the product, if both have one. It raises
    ValueError as the two do.
  """

  def apply(labels, ids, num_classes, first_rate, seed, mode, images=None):
    before = first(labels, ids, num_classes, first_rate, seed, mode, images)
    own = int(hashing.hash_words(hashing.SECOND, seed)[0])
    after = second(before.labels, ids, num_classes, rate, own, mode, images)
    if before.transition is None or after.transition is None:
      return NoisyLabels(after.labels, None)
    return NoisyLabels(after.labels, before.transition @ after.transition)

  return apply


def rows_of(
  ids: Integer[np.ndarray, ' M'], wanted: Integer[np.ndarray, ' N']
) -> Int64[np.ndarray, ' N']:
  """The places at which ids stand among others; -1 for those that do not.

  >>> rows_of(np.array([30, 10, 20]), np.array([10, 40, 30])).tolist()
  [1, -1, 0]
  """
  if not len(ids):
    return np.full(len(wanted), -1)
  order = np.argsort(ids, kind='stable')
  place = np.minimum(np.searchsorted(ids[order], wanted), len(ids) - 1)
  return np.where(ids[order[place]] == wanted, order[place], -1)


def from_labels(
  ids: Integer[np.ndarray, ' M'],
  labels: Integer[np.ndarray, ' M'],
  source: str | os.PathLike | None = None,
) -> Noise:
  """Makes a noise of labels that are given: by people, by a file.

  Args:
    ids: the examples that they are of.
    labels: their labels.
    source: where they come from, for messages.

  Returns:
    A noise that raises ValueError unless there is exactly one label, of one of
    the classes, for each example.
  """
  where = f'{os.fspath(source)}: ' if source is not None else ''

  def apply(clean, wanted, num_classes, rate, seed, mode, images=None):
    del rate, seed, mode, images
    if len(ids) != len(wanted):
      raise ValueError(
        f'{where}{len(ids)} labels for {len(wanted)} training examples: give'
        ' each example one'
      )
    found = rows_of(ids, wanted)
    unknown = np.flatnonzero(found < 0)
    if unknown.size:
      strange = np.setdiff1d(ids, wanted)
      raise ValueError(
        f'{where}there is no label for example {wanted[unknown[0]]}'
        + (f', but one for {strange[0]}' if strange.size else '')
        + ": ids must be the data set's own"
      )
    given = labels[found]
    checks.check_labels(f'{where}labels', given, num_classes, len(clean))
    return NoisyLabels(given.astype(np.int32), None)

  return apply


def matched_to(
  ids: Integer[np.ndarray, ' M'], labels: Integer[np.ndarray, ' M']
) -> Noise:
  """Makes a noise with the confusions of given labels, but drawn at random.

  T is counted: the share of each class's examples that the given labels say to
  be each class. Labels are then drawn from T, so that they confuse classes as
  often as people do, and no longer depend on the image. In mode 'exact' the
  counts of each pair of classes are those of the given labels. The noise that
  CIFAR-N (Wei et al. 2022, arXiv:2110.12088) sets against its human labels;
  its code divides by the wrong sums where classes are of unequal size.

  Args:
    ids: the examples that the labels are of.
    labels: their labels, such as people's.

  Returns:
    A noise whose rate is that of the labels: it does not read the rate. It
    raises ValueError as `from_labels`.
  """
  given = from_labels(ids, labels)

  def apply(clean, wanted, num_classes, rate, seed, mode, images=None):
    theirs = given(clean, wanted, num_classes, rate, seed, mode, images).labels
    matrix, _ = empirical_transition_matrix(clean, theirs, num_classes)
    absent = matrix.sum(axis=1) == 0
    matrix[absent, absent] = 1
    noisy = corrupt(clean, matrix, seed=seed, mode=mode, ids=wanted)
    return NoisyLabels(noisy, matrix)

  return apply
