"""Which images are replaced, and by which."""

import numpy as np
import pytest
from scipy import stats

from sce_jax import noise
from tests.noise.errors import refuses


@pytest.mark.parametrize(
  ('rate', 'count'), [(0.0, 0), (0.25, 25), (0.294, 29), (0.996, 100)]
)
def test_a_share_of_the_examples_gets_an_image_each(rate, count):
  ids, others = 3 * np.arange(100), 5 * np.arange(120)
  found = noise.replace(ids, others, 'far', rate, seed=1)
  assert found.source == 'far'
  assert len(found.ids) == len(found.images) == count
  assert len({*found.ids.tolist()}) == len({*found.images.tolist()}) == count
  assert np.isin(found.ids, ids).all() and np.isin(found.images, others).all()


def test_pairs_follow_ids_and_seed_and_a_higher_rate_has_more():
  rng = np.random.default_rng(0)
  ids, others = rng.permutation(500), rng.permutation(900)

  def pairs(rate=0.3, seed=1, ids=ids, others=others):
    found = noise.replace(ids, others, 'far', rate, seed)
    return set(zip(found.ids.tolist(), found.images.tolist(), strict=True))

  assert pairs(ids=np.arange(500), others=np.arange(900)) == pairs()
  assert pairs(rate=0.1) < pairs()
  assert not pairs() & pairs(seed=2)


def test_all_examples_and_images_are_as_likely():
  places, images = np.zeros(20), np.zeros(30)
  for seed in range(300):
    found = noise.replace(np.arange(20), np.arange(30), 'far', 0.5, seed)
    places[found.ids] += 1
    images[found.images] += 1
  # Without replacement the counts vary less than chi-square has it.
  assert stats.chisquare(places).pvalue > 1e-4
  assert stats.chisquare(images).pvalue > 1e-4


def test_those_of_some_examples():
  found = noise.Replaced('far', np.array([4, 7, 1]), np.array([10, 20, 30]))
  some = found.of(np.array([1, 2, 4]))
  assert (some.source, some.ids.tolist()) == ('far', [4, 1])
  assert some.images.tolist() == [10, 30]


def test_what_cannot_be_replaced_is_refused():
  def call(ids=(1, 2, 3, 4), others=(1, 2), rate=0.5):
    noise.replace(np.array(ids), np.array(others), 'far', rate, 0)

  call()
  refuses("3 images are to be replaced, but 'far' has 2", call, rate=0.75)
  refuses('noise rate must be in [0, 1)', call, rate=1.0)
  refuses('ids must be unique', call, ids=(1, 1))
  refuses('ids must be unique', call, others=(1, 1))
