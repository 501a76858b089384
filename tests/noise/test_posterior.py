"""Noise made of probabilities, against rules worked out by hand."""

import functools
import inspect

import numpy as np
import pytest
from scipy import stats

from sce_jax import noise
from tests.noise.errors import refuses

MANY = 20_000
# Margins of 0.5 and of 0.1 between the two most probable classes.
SURE, UNSURE = (0.1, 0.7, 0.2), (0.35, 0.2, 0.45)
LEVELS = {
  1: ((1 + 0.25) / 2, (1 + 0.01) / 2),
  2: (0.125, 0.001),
  3: ((0.125 + 0.25 + 0.5) / 3, (0.001 + 0.01 + 0.1) / 3),
}


def tabled(*rows):
  """So many examples with the one and the other probabilities, half each."""
  return np.tile(np.array(rows, np.float32), (MANY // len(rows), 1))


@pytest.mark.parametrize('kind', [1, 2, 3])
def test_the_most_probable_class_stays_by_the_level_over_the_factor(kind):
  eta = tabled(SURE, UNSURE)
  labels = eta.argmax(axis=1)
  sure, unsure = LEVELS[kind]
  # Of a factor that makes no probability larger than 1, on average so many
  # labels are wrong.
  factor = 1.6 * sure
  rate = 1 - (sure + unsure) / 2 / factor
  assert noise.pmd_factor(labels, eta, kind, rate) == pytest.approx(
    factor, rel=1e-5
  )
  ids = 7 * np.arange(MANY) + 3
  made = noise.pmd(ids, eta, kind)(labels, ids, 3, rate, 5, 'exact')
  assert made.transition is None and made.labels.dtype == np.int32
  for row, first, second, level in (
    (0, 1, 2, sure),
    (1, 2, 0, unsure),
  ):
    counts = np.bincount(made.labels[row::2], minlength=3)
    expected = np.zeros(3)
    expected[first] = level / factor * MANY / 2
    expected[second] = MANY / 2 - expected[first]
    assert counts.sum() == counts[first] + counts[second]
    held = [first, second]
    assert stats.chisquare(counts[held], expected[held]).pvalue > 1e-4


def test_probabilities_above_one_are_one():
  eta = tabled(SURE, UNSURE)
  labels = eta.argmax(axis=1)
  # A half stays; of the other half level / factor do: 0.9 = 0.505 / factor.
  assert noise.pmd_factor(labels, eta, 1, 0.05) == pytest.approx(
    0.505 / 0.9, rel=1e-5
  )


def test_true_labels_decide_the_factor_alone():
  """PMD draws of what the network says, whatever the true label is."""
  eta = tabled(SURE)
  right, wrong = np.full(MANY, 1), np.full(MANY, 0)
  ids = np.arange(MANY)
  made = noise.pmd(ids, eta, 1)(right, ids, 3, 0.5, 0, 'iid').labels
  assert set(made.tolist()) == {1, 2}
  refuses(
    'has rates from 1 to 1, not 0.5', noise.pmd_factor, wrong, eta, 1, 0.5
  )
  untouched = noise.pmd(ids, eta, 1)(wrong, ids, 3, 0.0, 0, 'iid').labels
  np.testing.assert_array_equal(untouched, wrong)


def test_a_higher_rate_changes_a_superset_and_order_does_not_matter():
  rng = np.random.default_rng(0)
  eta = rng.dirichlet(np.full(4, 0.3), 2000)
  labels = eta.argmax(axis=1)
  ids = rng.choice(10**9, 2000, replace=False)
  before = labels
  for rate in (0.1, 0.3, 0.6):
    noisy = noise.pmd(ids, eta, 3)(labels, ids, 4, rate, 1, 'exact').labels
    assert np.mean(noisy != labels) == pytest.approx(rate, abs=0.05)
    was = before != labels
    np.testing.assert_array_equal(noisy[was], before[was])
    before = noisy
  order = rng.permutation(2000)
  again = noise.pmd(ids, eta, 3)
  np.testing.assert_array_equal(
    again(labels[order], ids[order], 4, 0.6, 1, 'exact').labels, before[order]
  )
  other = again(labels, ids, 4, 0.6, 2, 'exact').labels
  assert (other != before).any()


def test_seal_takes_the_most_probable_wrong_classes():
  averaged = np.array(
    [
      [0.5, 0.3, 0.2],  # 0.3 for class 1.
      [0.1, 0.85, 0.05],  # Of class 0: 0.85 for class 1.
      [0.4, 0.1, 0.5],  # 0.4 for class 0.
      [0.9, 0.06, 0.04],
      [0.3, 0.35, 0.35],  # Of class 1: 0.35 for class 2.
    ]
  )
  labels = np.array([0, 0, 2, 0, 1])
  ids = np.array([5, 3, 9, 1, 4])
  order = [3, 1, 4, 0, 2]  # The file has the examples in another order.
  made = noise.seal(ids[order], averaged[order])
  for rate, expected in (
    (0.0, [0, 0, 2, 0, 1]),
    (0.2, [0, 1, 2, 0, 1]),
    (0.4, [0, 1, 0, 0, 1]),
    (0.6, [0, 1, 0, 0, 2]),
    (0.99, [1, 1, 0, 1, 2]),
  ):
    noisy = made(labels, ids, 3, rate, 0, 'iid')
    assert noisy.labels.tolist() == expected
    assert noisy.transition is None


def test_of_equal_probabilities_the_smaller_id_goes_first():
  averaged = np.full((4, 3), [0.6, 0.3, 0.1])
  ids = np.array([8, 2, 6, 4])
  made = noise.seal(ids, averaged)
  noisy = made(np.zeros(4, int), ids, 3, 0.5, 0, 'exact').labels
  assert noisy.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
  'make',
  [
    functools.partial(inspect.unwrap(noise.pmd), kind=1),
    inspect.unwrap(noise.seal),
  ],
)
def test_what_cannot_be_used_is_refused(make):
  def call(eta=None, ids=(1, 2, 3), labels=(0, 0, 0), classes=3, rate=0.4):
    eta = np.full((3, 3), [0.6, 0.3, 0.1]) if eta is None else np.array(eta)
    made = make(np.array([1, 2, 3]), eta)
    made(np.array(labels), np.array(ids), classes, rate, 0, 'exact')

  call()
  refuses('no probabilities of example 7 (1 of 3', call, ids=(1, 7, 3))
  refuses('shape [3, 3] for 3 examples: of 4 classes', call, classes=4)
  refuses('shape [2, 3] for 3 examples', call, np.full((2, 3), 1 / 3))
  for bad in ([0.6, 0.3, 0.2], [1.2, -0.2, 0], [np.nan, 0.5, 0.5]):
    refuses(
      'the probabilities of example 2 are not numbers from 0 on that sum to 1',
      call,
      [[0.6, 0.3, 0.1], bad, [1, 0, 0]],
    )
  refuses('labels must be in [0, 2]', call, labels=(0, 1, 3))
  refuses('noise rate must be in [0, 1)', call, rate=1.0)


def test_pmd_is_of_three_classes_or_more():
  made = noise.pmd(np.arange(2), np.full((2, 2), 0.5), 1)
  refuses(
    'PMD noise needs at least 3 classes, not 2',
    made,
    np.array([0, 1]),
    np.arange(2),
    2,
    0.2,
    0,
    'exact',
  )
