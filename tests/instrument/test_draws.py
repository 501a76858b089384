"""What is drawn follows the chances it is said to, over 1,000 seeds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from sce_jax import noise
from sce_jax.data import augment, stream
from sce_jax.engine import order, plan, randomness
from sce_jax.engine.train_state import RunInputs
from tests.data import jpegs

SEEDS = 1000
# Beyond chance, for all the tests here together.
BEYOND = 1e-5


def fits(statistic, degrees):
  """Neither further from the expected counts than chance, nor nearer."""
  return BEYOND < stats.chi2.sf(statistic, degrees) < 1 - BEYOND


@pytest.mark.parametrize(
  'name', [x for x, row in noise.NOISE.items() if row.transition]
)
def test_the_realised_noise_is_that_of_the_matrix(name):
  row = noise.NOISE[name]
  classes = row.num_classes or 10
  matrix = row.transition(classes, 0.4 if name != 'clean' else 0.0)
  clean = np.repeat(np.arange(classes), 2)
  ids = np.random.default_rng(0).choice(10**9, len(clean), replace=False)
  counts = np.zeros((classes, classes))
  for seed in range(SEEDS):
    drawn = row.apply(
      clean, ids, classes, 0.4 if name != 'clean' else 0.0, seed, 'iid'
    )
    np.add.at(counts, (clean, drawn.labels), 1)
  expected = matrix * counts.sum(axis=1, keepdims=True)
  possible = expected > 0
  assert not counts[~possible].any()
  off = (counts - expected)[possible] ** 2 / expected[possible]
  degrees = possible.sum() - classes
  assert fits(off.sum(), degrees) if degrees else not off.any()


def keys():
  return jax.vmap(jax.random.key)(jnp.arange(SEEDS, dtype=jnp.uint32))


def test_each_example_has_each_place_equally_often():
  size = 12
  config = plan.TrainConfig(2, 4, False, None, None, 'jit', False, False)
  made = plan.make_plan(config, size)

  def orders(key, epoch):
    places, labels = jnp.arange(size), jnp.zeros(size, jnp.int32)
    return order.epoch_order(RunInputs(key, places, labels, {}), epoch, made, 2)

  found = np.array(
    [
      jax.vmap(orders, (0, None))(keys(), jnp.int32(epoch))
      for epoch in range(2)
    ]
  )
  counts = np.zeros((size, size))
  np.add.at(counts, (np.arange(size), found[0]), 1)
  expected = SEEDS / size
  # Rows and columns have fixed sums: (size - 1)**2 degrees, and each cell's
  # variance is less by that than chi-square has it.
  statistic = ((counts - expected) ** 2 / expected).sum() * (size - 1) / size
  assert fits(statistic, (size - 1) ** 2)
  # The next epoch's order has nothing to do with it: one in `size` stays.
  stays = (found[0] == found[1]).sum()
  assert BEYOND < stats.binom.cdf(stays, SEEDS * size, 1 / size) < 1 - BEYOND


def test_crops_have_each_corner_equally_often():
  config = augment.AugmentConfig(2, 0.0, 0.0, True, 'black')

  def draw(key):
    key = randomness.augment_key(key, jnp.int32(7))
    made = augment.sample_params(key, 3, (8, 8, 1), config)
    return made.crop, made.flip

  corners, flips = map(np.asarray, jax.vmap(draw)(keys()))
  cells = (corners[..., 0] * 5 + corners[..., 1]) * 2 + flips
  counts = np.bincount(cells.ravel(), minlength=50)
  assert len(counts) == 50
  assert fits(stats.chisquare(counts).statistic, 49)


def test_crops_on_the_host_have_each_corner_equally_often(tmp_path):
  pixels = np.random.default_rng(0).integers(0, 256, (12, 12, 3), np.uint8)
  files, row = jpegs.write(tmp_path, [pixels]), np.zeros(1, int)
  whole = stream.Pixels(files, 12).take(row, 0)[0][0]
  places = {
    whole[top : top + 8, left : left + 8].tobytes(): (top, left)
    for top in range(5)
    for left in range(5)
  }
  corners = np.zeros((5, 5))
  for seed in range(SEEDS):
    (image,) = stream.Pixels(files, 8, 'random', seed).take(row, 3)
    corners[places[image.tobytes()]] += 1
  assert fits(stats.chisquare(corners, axis=None).statistic, 24)
