"""Mixup: what is mixed, with what weight, worked out in NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax import losses
from sce_jax.data.batches import Batch
from sce_jax.methods.base import from_loss
from sce_jax.methods.mixup import mixup
from tests.methods import calls

CE = from_loss(losses.cross_entropy)
COUNTED = np.array([True] * 5 + [False])


@functools.partial(jax.jit, compiler_options=calls.OPTIONS)
def mixed_images(key, concentration):
  """What the network sees of one-hot images."""
  given = Batch(
    jnp.eye(6)[:, None, None],
    jnp.zeros(6, jnp.int32),
    None,
    jnp.arange(6, dtype=jnp.int32),
    jnp.asarray(COUNTED),
  )
  seen = []

  def apply(params, images):
    seen.append(images)
    return jnp.zeros((6, 3)), {}

  told = calls.context()._replace(key=key)
  mixup(CE).loss(apply, (), given, (), {'concentration': concentration}, told)
  (images,) = seen  # The network is applied once.
  return images


def shares_of(seed, concentration=1.0):
  """What part of each image is in each mixed one, [N, N]."""
  images = mixed_images(jax.random.key(seed), jnp.float32(concentration))
  return np.asarray(images)[:, 0, 0]


def test_each_image_is_mixed_with_another_of_those_counted():
  weights = set()
  for seed in range(5):
    shares = shares_of(seed)
    weight = shares.diagonal().min()  # An image may be its own partner.
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-6)
    rest = shares - weight * np.eye(6)
    # Each of those counted is the partner of one of them; and of the image that
    # fills up the batch, which is not counted, nothing is in them.
    np.testing.assert_allclose(rest[:5, :5].sum(0), 1 - weight, atol=1e-6)
    np.testing.assert_allclose(rest[:5, 5], 0, atol=1e-6)
    weights.add(float(weight))
  # The larger part, and drawn anew in each step.
  assert len(weights) == 5 and min(weights) >= 0.5


def test_the_loss_is_that_of_both_labels():
  images, labels, params = calls.arrays()
  shares = shares_of(3)
  weight = shares.diagonal().min()
  given = calls.batch(images, labels, COUNTED)
  told = calls.context(seed=3)
  got, aux, _ = calls.evaluate(
    mixup(CE), params, given, {'concentration': 1.0}, told, gradient=False
  )
  mixed = np.tensordot(shares, images, 1)
  partner = (shares - weight * np.eye(6)).argmax(1)
  wanted = weight * calls.nll(mixed, labels, params) + (1 - weight) * calls.nll(
    mixed, labels[partner], params
  )
  np.testing.assert_allclose(got[:5], wanted[:5], rtol=1e-5)
  np.testing.assert_allclose(
    aux.logits[:5], (mixed.reshape(6, -1) @ params)[:5], rtol=1e-4, atol=1e-5
  )


@pytest.mark.parametrize(('concentration', 'weight'), [(1e-4, 1.0), (1e6, 0.5)])
def test_limits(concentration, weight):
  """Unmixed images, as the base has them, and halves of two."""
  shares = shares_of(0, concentration)
  wanted = weight * np.eye(6) + (1 - weight) * (shares > 0.1)
  own = shares[np.arange(5), np.arange(5)]
  np.testing.assert_allclose(own, np.where(own > 0.9, 1, weight), atol=0.01)
  if weight == 1:
    np.testing.assert_allclose(shares, wanted, atol=1e-6)
