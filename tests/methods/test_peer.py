"""Peer loss: whose label an image is compared with, and how much, in NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax.methods.peer import peer
from tests.methods import calls

COUNTED = np.array([True] * 5 + [False])
METHOD = peer(schedule='cifar100_sparse')


@functools.partial(jax.jit, static_argnums=0)
def losses_of_one_hot_labels(schedule, epoch, key, counted):
  """With K = N classes, example i of class i: the losses and the logits."""
  logits = jnp.asarray(LOGITS, jnp.float32)
  given = calls.batch(np.zeros((6, 1, 1, 1)), np.arange(6), counted)
  told = calls.context()._replace(key=key, epoch=epoch, num_epochs=50)
  losses, _ = peer(schedule=schedule).loss(
    lambda params, images: (logits, {}), (), given, (), {}, told
  )
  return losses


LOGITS = np.random.default_rng(0).normal(size=(6, 6))
# Of each image, of each label.
NLL = -np.log(calls.softmax(LOGITS) + 1e-5)


def peers(seed, counted=COUNTED):
  """The example whose label each one is compared with, by its loss."""
  # Epoch 50 is the end of the schedule: the weight is 20.
  losses = losses_of_one_hot_labels(
    'cifar100_sparse', jnp.int32(50), jax.random.key(seed), counted
  )
  other = (NLL.diagonal() - 21 * np.asarray(losses)) / 20
  distance = np.abs(NLL - other[:, None])
  found = distance.argmin(1)
  n = counted.sum()
  np.testing.assert_allclose(distance[np.arange(n), found[:n]], 0, atol=1e-4)
  return found


def test_each_image_has_the_label_of_another_that_is_counted():
  seen = set()
  for seed in range(8):
    found = peers(seed)[:5]
    # The sixth only fills the batch up; each label is used once.
    assert sorted(found) == [0, 1, 2, 3, 4]
    assert not np.any(found == np.arange(5))
    seen.add(tuple(found))
  assert len(seen) > 3  # Drawn anew in each step.


# What the public code has at these epochs of 300 or 250, worked out by hand.
WEIGHTS = [
  ('cifar10_uniform', 30, 300, 0.05),
  ('cifar10_uniform', 42, 300, 1.04),
  ('cifar10_uniform', 300, 300, 4.32),
  ('cifar10_sparse', 18, 300, 0.0),
  ('cifar10_sparse', 30, 300, 0.5),
  ('cifar10_sparse', 300, 300, 16.0),
  ('cifar100_uniform', 95, 250, 0.0),
  ('cifar100_uniform', 100, 250, 0.95),
  ('cifar100_uniform', 200, 250, 0.95),
  ('cifar100_sparse', 110, 250, 0.0),
  ('cifar100_sparse', 165, 250, 6.0),
]


@pytest.mark.parametrize(('schedule', 'epoch', 'length', 'weight'), WEIGHTS)
def test_schedules_are_stretched_to_the_run(schedule, epoch, length, weight):
  losses = losses_of_one_hot_labels(
    schedule, jnp.int32(epoch * 50 // length), jax.random.key(0), COUNTED
  )
  found = peers(0)
  rows = np.arange(6)
  wanted = (NLL[rows, rows] - weight * NLL[rows, found]) / (1 + weight)
  np.testing.assert_allclose(losses[:5], wanted[:5], rtol=1e-4, atol=1e-5)


def test_the_gradient_is_that_of_both_terms():
  images, labels, params = calls.arrays()
  given = calls.batch(images, labels, COUNTED)
  _, aux, gradient = calls.evaluate(
    METHOD, params, given, {}, calls.context(epoch=8)
  )  # Epoch 200 of 250: the weight is 10.
  images, labels = images[:5], labels[:5]
  found = peers(0)[:5]

  def wanted(w):
    p = calls.softmax(images.reshape(5, -1) @ w) + 1e-5
    own, other = (
      -np.log(np.take_along_axis(p, y[:, None], 1)[:, 0])
      for y in (labels, labels[found])
    )
    return ((own - 10 * other) / 11).mean()

  np.testing.assert_allclose(
    gradient, calls.differences(wanted, params), rtol=1e-3, atol=1e-4
  )
  p = calls.softmax(images.reshape(5, -1) @ params) + 1e-5
  np.testing.assert_allclose(
    aux.figures['peer_loss'][:5],
    -np.log(p[np.arange(5), labels[found]]),
    rtol=1e-4,
  )


def test_one_example_alone_has_no_peer():
  counted = np.array([True] + [False] * 5)
  losses = losses_of_one_hot_labels(
    'cifar100_sparse', jnp.int32(50), jax.random.key(0), counted
  )
  np.testing.assert_allclose(losses[0], NLL[0, 0], rtol=1e-5)


def test_evaluations_are_cross_entropy():
  calls.check_evaluation(METHOD, {}, epoch=9)


def test_confident_logits_stay_finite():
  calls.check_confident(METHOD, {})
