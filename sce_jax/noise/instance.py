"""Noise that depends on the image: the four rules that papers call so.

"Part-dependent", "instance-dependent" or "data-dependent" noise at one rate is
four different things in published code, so each has a name here. In all of
them random directions decide what an image is mistaken for. At the size of an
image their dot products are large: the wrong class is nearly a function of the
image.

How labels are drawn is part of each rule, so a `mode` is not read. At rate 0
no label is corrupted, although the drawn rates of an example, were they drawn,
would not be 0.

An example's label is a function of (seed, id, its own image), up to the
rounding of sums of floating-point numbers; where the image is normalised, also
of the mean and deviation, which are those of all training images where a config
does not give them. The exact rule also counts the examples.
"""

from collections.abc import Callable
import statistics

from jaxtyping import Float64, Int64, Integer
import numpy as np

from sce_jax.noise import checks, hashing
from sce_jax.noise.base import Images, NoisyLabels
from sce_jax.noise.corruption import number_of

# Images made float64 at a time.
_CHUNK = 1024
# Of the rate at which an example is corrupted.
_SPREAD = 0.1


def part_dependent(
  labels: Integer[np.ndarray, ' N'],
  ids: Integer[np.ndarray, ' N'],
  num_classes: int,
  rate: float | int,
  seed: int | np.integer,
  mode: str,
  images: Images | None = None,
) -> NoisyLabels:
  """Part-dependent noise as its authors' code draws it.

  Xia et al. 2020 (arXiv:2006.07836): example i is wrong with probability q_i,
  of a normal distribution of mean `rate` and deviation 0.1 cut off to [0, 1].
  The wrong class is drawn from softmax(x W_y) over the other classes: x is the
  normalised image, W_y one matrix [D, K] for each true class y, of standard
  normal numbers.

  Cut off, the mean of q is above small rates, see `mean_flip_rate`.

  Args:
    labels: clean labels, integers in [0, K).
    ids: unique integers naming the examples.
    num_classes: K, at least 2.
    rate: mean of the normal distribution, in [0, 1).
    seed: integer in [0, 2**64).
    mode: not read.
    images: of the examples.

  Returns:
    The noisy labels, int32[N]; there is no matrix that they are drawn from.

  Raises:
    ValueError: an argument is malformed, or the images are missing.
  """
  del mode
  seed, images = check(labels, ids, num_classes, rate, seed, images)
  wrong = np.flatnonzero(_draws(seed, ids) < _flip_rates(rate, seed, ids))
  return _mistaken(
    labels, ids, num_classes, seed, images.normalized, wrong, _own_matrix
  )


def part_dependent_exact(
  labels: Integer[np.ndarray, ' N'],
  ids: Integer[np.ndarray, ' N'],
  num_classes: int,
  rate: float | int,
  seed: int | np.integer,
  mode: str,
  images: Images | None = None,
) -> NoisyLabels:
  """Part-dependent noise with an exact number of wrong labels.

  The rule of the public code of epsilon-softmax (Wang et al. 2024,
  github.com/cswjl/eps-softmax) and of LogitClip, JAL and OGC: the integer
  nearest to rate * N (they cut the fraction off) of all examples, drawn
  uniformly, get a wrong class as in `part_dependent`. Their code normalises the
  image after a random crop and flip; here it is the image itself.

  It needs the whole split. At the same seed a higher rate corrupts a superset.

  Args, Returns, Raises: as of `part_dependent`, but `rate` is the share of
  wrong labels, in [0, 1).
  """
  del mode
  seed, images = check(labels, ids, num_classes, rate, seed, images)
  count = number_of(rate, len(labels))
  wrong = np.argsort(hashing.hash_words(hashing.RANKS, seed, ids))[:count]
  return _mistaken(
    labels, ids, num_classes, seed, images.normalized, wrong, _own_matrix
  )


def part_dependent_shared(
  labels: Integer[np.ndarray, ' N'],
  ids: Integer[np.ndarray, ' N'],
  num_classes: int,
  rate: float | int,
  seed: int | np.integer,
  mode: str,
  images: Images | None = None,
) -> NoisyLabels:
  """The rule of CORES's and SimiFeat's code: one matrix, raw pixels.

  Cheng et al. 2021 (arXiv:2010.02347), `noisify_instance` of its code. As in
  `part_dependent`, but all classes share one matrix W, and x is the image as it
  is stored, 0 to 255. Raw pixels are nowhere near 0, so that nearly all images
  are mistaken for the same class.

  Args, Returns, Raises: as of `part_dependent`.
  """
  del mode
  seed, images = check(labels, ids, num_classes, rate, seed, images)
  wrong = np.flatnonzero(_draws(seed, ids) < _flip_rates(rate, seed, ids))
  return _mistaken(
    labels, ids, num_classes, seed, images.raw, wrong, _shared_matrix
  )


def instance_dependent_sigmoid(
  labels: Integer[np.ndarray, ' N'],
  ids: Integer[np.ndarray, ' N'],
  num_classes: int,
  rate: float | int,
  seed: int | np.integer,
  mode: str,
  images: Images | None = None,
) -> NoisyLabels:
  """What cifar-10-100n's code holds under the name of instance noise.

  The second `noisify_instance` of github.com/UCSC-REAL/cifar-10-100n, which
  stands there as code that is commented out (the first, where it is not, is
  `part_dependent_shared`): with probability q_i sigmoid(x . w_y) the label is
  drawn anew, uniformly over all classes, the true one too. q_i is as in
  `part_dependent`, w_y one standard normal vector for each true class, x the
  image as it is stored. On raw pixels the sigmoid is nearly 0 or 1, and for
  most images of a class the same: some classes are nearly left alone, and fewer
  labels are wrong than `rate` says.

  Args, Returns, Raises: as of `part_dependent`.
  """
  del mode
  seed, images = check(labels, ids, num_classes, rate, seed, images)
  # A column for each class.
  vectors = _normal(
    hashing.DIRECTIONS, seed, images.size, np.arange(num_classes)
  )
  scores = np.empty(len(labels))
  for rows in chunks(np.arange(len(labels))):
    products = images.raw(rows) @ vectors
    scores[rows] = products[np.arange(len(rows)), labels[rows]]
  # tanh does not overflow, as exp would.
  share = _flip_rates(rate, seed, ids) * (1 + np.tanh(scores / 2)) / 2
  redrawn = np.floor(
    num_classes * hashing.uniform(hashing.WRONG_CLASSES, seed, ids)
  )
  noisy = np.where(_draws(seed, ids) < share, redrawn, labels)
  return NoisyLabels(noisy.astype(np.int32), None)


def check(labels, ids, num_classes, rate, seed, images) -> tuple[int, Images]:
  """The seed and the images; ValueError if an argument is malformed."""
  checks.check_num_classes(num_classes)
  checks.check_rate(rate)
  checks.check_labels('labels', labels, num_classes)
  checks.check_ids(ids, size=len(labels))
  if images is None or len(images.pixels) != len(labels):
    found = 'none' if images is None else f'{len(images.pixels)} of them'
    raise ValueError(
      'noise that depends on the image needs the image of each of the'
      f' {len(labels)} examples, and was given {found}'
    )
  return checks.check_seed(seed), images


def _draws(seed, ids) -> Float64[np.ndarray, ' N']:
  return hashing.uniform(hashing.DRAWS, seed, ids)


def _flip_rates(rate, seed, ids) -> Float64[np.ndarray, ' N']:
  """q: a normal distribution cut off to [0, 1], by its inverse.

  By the inverse a higher rate has a higher q of each example, so that it
  corrupts a superset.
  """
  if rate == 0:
    return np.zeros(len(ids))
  normal = statistics.NormalDist(rate, _SPREAD)
  low, high = normal.cdf(0), normal.cdf(1)
  places = low + (high - low) * hashing.uniform(hashing.FLIP_RATES, seed, ids)
  # Inside (0, 1), where the inverse is finite.
  places = np.clip(places, 2.0**-54, 1 - 2.0**-53)
  return np.clip([normal.inv_cdf(place) for place in places.tolist()], 0, 1)


def mean_flip_rate(rate: float) -> float:
  """The mean of the rates at which examples are corrupted.

  That of a normal distribution of mean `rate` and deviation 0.1 cut off to
  [0, 1], in [0, 1); at rate 0 it is 0, as no label is corrupted then.

  >>> [round(mean_flip_rate(rate), 3) for rate in (0.1, 0.2, 0.4)]
  [0.129, 0.206, 0.4]
  """
  if rate == 0:
    return 0.0
  standard = statistics.NormalDist()
  low, high = -rate / _SPREAD, (1 - rate) / _SPREAD
  mass = standard.cdf(high) - standard.cdf(low)
  return rate + _SPREAD * (standard.pdf(low) - standard.pdf(high)) / mass


def _mistaken(
  labels: Integer[np.ndarray, ' N'],
  ids: Integer[np.ndarray, ' N'],
  num_classes: int,
  seed: int,
  values: Callable[[Int64[np.ndarray, ' M']], Float64[np.ndarray, 'M D']],
  wrong: Int64[np.ndarray, ' P'],
  matrix: Callable[[int, int, int, int], Float64[np.ndarray, 'D K']],
) -> NoisyLabels:
  """Gives the examples `wrong` a wrong class, from softmax(x matrix)."""
  noisy = labels.astype(np.int32)
  draws = hashing.uniform(hashing.WRONG_CLASSES, seed, ids)
  for true in range(num_classes):
    members = wrong[labels[wrong] == true]
    if not members.size:
      continue
    size = values(members[:1]).shape[1]
    directions = matrix(seed, size, num_classes, true)
    for rows in chunks(members):
      scores = values(rows) @ directions
      scores[:, true] = -np.inf
      shares = np.exp(scores - scores.max(axis=1, keepdims=True))
      cumulative = np.cumsum(shares, axis=1)
      thresholds = draws[rows] * cumulative[:, -1]
      # Above the threshold, not at it: a class of share 0 is never chosen.
      noisy[rows] = (cumulative > thresholds[:, None]).argmax(axis=1)
  return NoisyLabels(noisy, None)


def _own_matrix(seed: int, size: int, num_classes: int, true: int):
  columns = true * num_classes + np.arange(num_classes)
  return _normal(hashing.DIRECTIONS, seed, size, columns)


def _shared_matrix(seed: int, size: int, num_classes: int, true: int):
  del true
  return _normal(hashing.DIRECTIONS, seed, size, np.arange(num_classes))


def _normal(
  purpose: int, seed: int, size: int, columns: Int64[np.ndarray, ' C']
) -> Float64[np.ndarray, 'D C']:
  """Standard normal numbers, each a function of all words: Box and Muller's."""
  rows = np.arange(size)[:, None]
  first, second = (
    hashing.uniform(purpose, seed, rows, columns, which) for which in (0, 1)
  )
  return np.sqrt(-2 * np.log1p(-first)) * np.cos(2 * np.pi * second)


def chunks(rows: Int64[np.ndarray, ' M']) -> list[Int64[np.ndarray, ' C']]:
  """Rows in parts of 1,024, whose images are made float64 at a time."""
  return np.split(rows, range(_CHUNK, len(rows), _CHUNK))
