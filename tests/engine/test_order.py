"""The order of an epoch, and class-balanced ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from sce_jax.engine import order, plan
from sce_jax.engine.train_state import RunInputs
from sce_jax.errors import UserError

# Five classes, of 40, 30, 20, 8 and 2 examples.
SIZES = (40, 30, 20, 8, 2)
LABELS = np.repeat(np.arange(5), SIZES).astype(np.int32)


def epoch(number, batches, batch_size=5):
  config = plan.TrainConfig(
    1, batch_size, False, batches, None, 'jit', False, False
  )
  made = plan.make_plan(config, len(LABELS))
  labels = jnp.asarray(LABELS)
  inputs = RunInputs(jax.random.key(0), jnp.arange(100), labels, {})
  found = order.epoch_order(inputs, jnp.int32(number), made, 5)
  return np.asarray(found), made


def test_an_order_has_each_number_once_and_needs_no_sort():
  key = jax.random.key(3)
  for size in (1, 1001):
    found = np.asarray(order.permutation(key, size))
    assert np.sort(found).tolist() == list(range(size))
  lowered = jax.jit(order.permutation, static_argnums=1).lower(key, 60_000)
  assert 'sort' not in lowered.as_text()


def test_of_a_few_each_order_is_equally_likely():
  keys = jax.vmap(jax.random.key)(jnp.arange(20_000, dtype=jnp.uint32))
  found = jax.vmap(lambda key: order.permutation(key, 5))(keys)
  numbers = np.asarray(found) @ 5 ** np.arange(5)
  counts = np.unique(numbers, return_counts=True)[1]
  assert len(counts) == 120  # All of them.
  assert 1e-5 < stats.chisquare(counts).pvalue < 1 - 1e-5


def test_a_long_order_is_like_a_shuffled_deck():
  size, decks = 60_000, 16
  keys = jax.vmap(jax.random.key)(jnp.arange(decks, dtype=jnp.uint32))
  found = np.asarray(jax.lax.map(lambda k: order.permutation(k, size), keys))
  found = found.astype(np.int64)
  # One number a deck stands in its own place, with a variance of one.
  fixed = (found == np.arange(size)).sum()
  assert 1e-5 < stats.poisson.cdf(fixed, decks) < 1 - 1e-5
  # How far a number is from the one before it, around the end: any distance.
  gaps = np.diff(found, axis=1) % size
  p = stats.chisquare(np.bincount(gaps.ravel() // 500, minlength=120)).pvalue
  assert 1e-5 < p < 1 - 1e-5
  # Each batch of 120 draws from ten strata as a hypergeometric does.
  strata = (found // 6000).reshape(decks, 500, 120)
  drawn = np.stack([(strata == s).sum(axis=2) for s in range(10)])
  spread = 120 * 0.1 * 0.9 * (size - 120) / (size - 1)
  ratio = ((drawn - 12) ** 2).mean() / spread
  assert abs(ratio - 1) < 4.5 * (2 / (9 * 500 * decks)) ** 0.5


def test_each_class_has_as_many_in_an_epoch():
  found, made = epoch(0, 2)  # Ten, two of each class.
  assert made.steps == 2 and made.images == 10
  assert np.bincount(LABELS[found]).tolist() == [2] * 5
  assert len(set(found.tolist())) == 10


def test_what_a_class_lacks_the_others_have():
  # 30: 2 of the rarest and 7 of each other one.
  assert np.bincount(LABELS[epoch(0, 6)[0]]).tolist() == [7, 7, 7, 7, 2]


def test_each_epoch_draws_anew():
  first, second = (set(epoch(k, 2)[0].tolist()) for k in (0, 1))
  assert first != second and set(epoch(0, 2)[0].tolist()) == first
  # In mixed order: not class after class.
  labels = LABELS[epoch(0, 4)[0]]
  assert 0 < (np.diff(labels) == 0).sum() < 15


def test_the_rows_of_steps_are_those_of_their_epoch():
  config = plan.TrainConfig(3, 16, False, None, None, 'jit', False, False)
  made = plan.make_plan(config, len(LABELS))
  key, labels = jax.random.key(0), jnp.asarray(LABELS)
  batches = [order.batch_rows(key, labels, i, made, 5) for i in range(14)]
  # 100 are six batches of 16, and 4.
  assert [len(rows) for rows in batches] == [*[16] * 6, 4] * 2
  inputs = RunInputs(key, jnp.arange(100), labels, {})
  for number in (0, 1):
    found = np.concatenate(batches[7 * number :][:7])
    expected = order.epoch_order(inputs, jnp.int32(number), made, 5)
    np.testing.assert_array_equal(found, expected)


def test_more_batches_than_examples_are_refused():
  with pytest.raises(UserError, match='only 20 batches of 5: make it smaller'):
    epoch(0, 21)
