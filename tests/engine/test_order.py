"""Class-balanced epochs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

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


def test_more_batches_than_examples_are_refused():
  with pytest.raises(UserError, match='only 20 batches of 5: make it smaller'):
    epoch(0, 21)
