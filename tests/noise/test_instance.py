"""Noise that depends on the image.

The drawn directions are not known from outside. Of images of one number x the
odds of two wrong classes are exp(x d) for some d, so that those of other images
follow.
"""

import numpy as np
import pytest
from scipy import stats

from sce_jax import noise
from sce_jax.noise import hashing, instance
from tests.noise.errors import refuses

DEPENDENT = (
  'part_dependent',
  'part_dependent_exact',
  'part_dependent_shared',
  'instance_dependent_sigmoid',
)
MANY = 60_000


def apply(name, labels, images, rate=0.4, seed=1, ids=None, num_classes=3):
  if not isinstance(images, noise.Images):
    images = noise.Images(images)
  ids = np.arange(len(labels)) if ids is None else ids
  made = noise.NOISE[name].apply(
    labels, ids, num_classes, rate, seed, 'exact', images
  )
  assert made.labels.dtype == np.int32
  assert made.transition is None
  return made.labels


def some_images(count, size=12):
  rng = np.random.default_rng(0)
  pixels = rng.integers(0, 256, (count, 2, size // 2, 1), dtype=np.uint8)
  return noise.Images(pixels, (0.5,), (0.25,), 255.0)


def log_odds(noisy, a, b):
  return np.log((noisy == a).sum() / (noisy == b).sum())


def test_a_table_row_each():
  assert [k for k in noise.NOISE if 'dependent' in k] == list(DEPENDENT)
  for name in DEPENDENT:
    assert noise.NOISE[name].apply is getattr(noise, name)
    with pytest.raises(ValueError, match='not drawn from a transition matrix'):
      noise.transition_matrix(name, 10, 0.4)


@pytest.mark.parametrize('name', DEPENDENT)
def test_labels_follow_ids_not_order(name):
  images = some_images(3000)
  labels = np.random.default_rng(1).integers(0, 3, 3000)
  ids = np.random.default_rng(2).choice(10**9, 3000, replace=False)
  noisy = apply(name, labels, images, ids=ids)
  order = np.random.default_rng(3).permutation(3000)
  again = noise.Images(images.pixels[order], (0.5,), (0.25,), 255.0)
  np.testing.assert_array_equal(
    apply(name, labels[order], again, ids=ids[order]), noisy[order]
  )
  assert (apply(name, labels, images, seed=2, ids=ids) != noisy).any()
  if name != 'part_dependent_exact':
    half = noise.Images(images.pixels[:1500], (0.5,), (0.25,), 255.0)
    np.testing.assert_array_equal(
      apply(name, labels[:1500], half, ids=ids[:1500]), noisy[:1500]
    )


@pytest.mark.parametrize('name', DEPENDENT)
def test_a_higher_rate_corrupts_a_superset(name):
  images = some_images(3000)
  labels = np.arange(3000) % 3
  before = labels
  for rate in (0.0, 0.05, 0.2, 0.45, 0.8, 0.99):
    noisy = apply(name, labels, images, rate)
    was_wrong = before != labels
    np.testing.assert_array_equal(noisy[was_wrong], before[was_wrong])
    if rate == 0:
      np.testing.assert_array_equal(noisy, labels)
    else:
      assert (noisy != labels).sum() > was_wrong.sum()
    before = noisy


# The mean of the normal distribution cut off to [0, 1], by scipy.
@pytest.mark.parametrize('rate', [0.1, 0.4, 0.9])
def test_flip_rates_are_of_the_normal_distribution_cut_off(rate):
  q = instance._flip_rates(rate, 3, np.arange(20_000))
  cut_off = stats.truncnorm(-rate / 0.1, (1 - rate) / 0.1, rate, 0.1)
  assert stats.kstest(q, cut_off.cdf).pvalue > 1e-4
  assert q.min() >= 0 and q.max() <= 1


@pytest.mark.parametrize(
  ('rate', 'expected'), [(0.1, 0.12876), (0.2, 0.20552), (0.4, 0.40001)]
)
@pytest.mark.parametrize('name', ['part_dependent', 'part_dependent_shared'])
def test_the_number_of_wrong_labels_is_binomial(name, rate, expected):
  labels = np.arange(5000) % 3
  z = []
  for seed in range(20):
    noisy = apply(name, labels, np.zeros((5000, 1)), rate, seed)
    wrong = (noisy != labels).sum()
    z.append(
      (wrong - 5000 * expected) / np.sqrt(5000 * expected * (1 - expected))
    )
  assert 1e-4 < stats.chi2.sf(np.square(z).sum(), 20) < 1 - 1e-4
  assert abs(np.sum(z)) / np.sqrt(20) < 4


@pytest.mark.parametrize('rate', [0.2, 0.4, 0.29, 0.8])
@pytest.mark.parametrize('count', [100, 999])
def test_exact_is_the_number_of_wrong_labels(rate, count):
  labels = np.arange(count) % 3
  noisy = apply('part_dependent_exact', labels, some_images(count), rate)
  assert (noisy != labels).sum() == round(rate * count)


@pytest.mark.parametrize('name', DEPENDENT[:3])
def test_of_black_images_all_wrong_classes_are_alike(name):
  labels = np.arange(MANY) % 4
  noisy = apply(name, labels, np.zeros((MANY, 5)), num_classes=4)
  for true in range(4):
    counts = np.bincount(noisy[labels == true], minlength=4)
    counts = np.delete(counts, true)
    assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize('name', DEPENDENT[:3])
def test_the_wrong_class_is_of_the_softmax_of_products_with_the_image(name):
  labels = np.zeros(MANY, int)
  one, two, minus = (
    log_odds(apply(name, labels, np.full((MANY, 1), x), 0.9, seed=4), 1, 2)
    for x in (1.0, 2.0, -1.0)
  )
  assert abs(one) > 0.1  # Or nothing is tested.
  # Some 54,000 wrong labels: 0.05 are more than 4 deviations.
  assert two == pytest.approx(2 * one, abs=0.05)
  assert minus == pytest.approx(-one, abs=0.05)


@pytest.mark.parametrize('name', DEPENDENT[:3])
def test_classes_have_matrices_of_their_own_or_share_one(name):
  labels = np.arange(2 * MANY) % 2
  noisy = apply(
    name, labels, np.ones((2 * MANY, 1)), 0.9, seed=3, num_classes=4
  )
  first, second = (log_odds(noisy[labels == k], 2, 3) for k in (0, 1))
  if name == 'part_dependent_shared':
    assert first == pytest.approx(second, abs=0.06)
  else:
    assert abs(first - second) > 0.2


def test_directions_are_standard_normal_and_independent():
  numbers = instance._normal(hashing.DIRECTIONS, 5, 500, np.arange(40))
  assert stats.kstest(numbers.ravel(), 'norm').pvalue > 1e-4
  for a, b in ((numbers[:-1], numbers[1:]), (numbers[:, :-1], numbers[:, 1:])):
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4 / np.sqrt(a.size)


@pytest.mark.parametrize('name', DEPENDENT)
def test_images_are_normalised_or_raw(name):
  labels = np.arange(2000) % 3
  images = some_images(2000)
  normalized = (images.pixels / 255.0 - 0.5) / 0.25
  raw = images.pixels.astype(np.float64)
  noisy = apply(name, labels, images)
  same = {
    what: np.array_equal(apply(name, labels, values), noisy)
    for what, values in (('normalized', normalized), ('raw', raw))
  }
  is_normalized = name in ('part_dependent', 'part_dependent_exact')
  assert same == {'normalized': is_normalized, 'raw': not is_normalized}


def test_channels_are_normalised_each_by_its_own():
  pixels = np.array([[[[0, 100]]], [[[255, 50]]]], np.uint8)
  images = noise.Images(pixels, (0.5, 0.0), (0.5, 0.1), 255.0)
  np.testing.assert_allclose(
    images.normalized(np.array([1, 0])),
    [[1, 50 / 25.5], [-1, 100 / 25.5]],
    rtol=1e-12,
  )
  assert images.raw(np.array([1])).tolist() == [[255, 50]]
  assert images.size == 2


def test_the_sigmoid_of_black_images_is_a_half():
  labels = np.arange(MANY) % 4
  noisy = apply(
    'instance_dependent_sigmoid', labels, np.zeros((MANY, 2)), num_classes=4
  )
  # Drawn anew by 0.4 / 2, and then wrong by 3 / 4.
  wrong = (noisy != labels).sum()
  assert abs(wrong - 0.15 * MANY) < 4 * np.sqrt(0.15 * 0.85 * MANY)
  counts = np.bincount((noisy - labels)[noisy != labels] % 4, minlength=4)[1:]
  assert stats.chisquare(counts).pvalue > 1e-4


def test_the_sigmoid_of_bright_images_takes_whole_classes():
  labels = np.arange(20_000) % 10
  images = np.full((20_000, 3), 200.0)
  noisy = apply('instance_dependent_sigmoid', labels, images, num_classes=10)
  rates = [np.mean(noisy[labels == k] != k) for k in range(10)]
  touched = np.array(rates) > 0.01
  assert 0 < touched.sum() < 10
  np.testing.assert_allclose(np.array(rates)[touched], 0.36, atol=0.05)
  np.testing.assert_allclose(np.array(rates)[~touched], 0, atol=0.001)


@pytest.mark.parametrize('name', DEPENDENT)
def test_what_cannot_be_drawn_is_refused(name):
  def call(labels=(0, 1), ids=(0, 1), classes=3, rate=0.4, seed=0, images=2):
    if images is not None:
      images = noise.Images(np.zeros((images, 4)))
    noise.NOISE[name].apply(
      np.array(labels), np.array(ids), classes, rate, seed, 'iid', images
    )

  call()
  needs = 'needs the image of each of the 2 examples, and was given '
  refuses(needs + 'none', call, images=None)
  refuses(needs + '3 of them', call, images=3)
  refuses('noise rate must be in [0, 1), not 1.0', call, rate=1.0)
  refuses('at least 2 classes, not 1', call, classes=1)
  refuses('labels must be in [0, 1] for 2', call, labels=(0, 2), classes=2)
  refuses('ids must be unique', call, ids=(1, 1))
  refuses('seed must be in [0, 2**64)', call, seed=-1)
