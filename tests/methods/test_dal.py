"""DAL's schedule and its loss, by hand."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax.methods.dal import dal
from tests.methods import calls


@pytest.mark.parametrize(
  'epoch, q, share',
  # q rises by 0.1 an epoch and passes 1 after 4 of 10.
  [(0, 0.6, 0), (4, 1.0, 0), (5, 1.1, 1 / 6), (10, 1.6, 1)],
)
def test_the_exponent_rises_and_the_entropy_comes_in(epoch, q, share):
  logits = jnp.log(jnp.array([[3.0, 1.0], [3.0, 1.0]]))
  batch = types.SimpleNamespace(image=logits, label=jnp.array([0, 1]))
  context = types.SimpleNamespace(epoch=jnp.int32(epoch), num_epochs=10)
  hparams = {'q_start': jnp.float32(0.6), 'q_end': jnp.float32(1.6)}
  losses, aux = dal().loss(
    lambda _, x: (x, 'new'), None, batch, (), hparams, context
  )
  p = np.array([0.75, 0.25])
  entropy = -(p * np.log(p)).sum()
  want = (1 - p**q) / q + share * entropy / (q * np.log(2))
  np.testing.assert_allclose(losses, want, rtol=1e-5)
  assert aux.batch_stats == 'new'
  assert jax.tree.leaves(aux.state) == []


@pytest.mark.parametrize('scale', [1e4, -1e4])
@pytest.mark.parametrize('epoch', [0, 8])
def test_confident_logits_stay_finite(epoch, scale):
  hparams = {'q_start': 0.6, 'q_end': 1.6}
  calls.check_confident(dal(), hparams, epoch=epoch, scale=scale)


def test_the_gradient_once_the_entropy_is_in():
  images, labels, params = calls.arrays()

  def mean(w):  # As above after 5 of 10 epochs.
    p = calls.softmax(images.reshape(calls.N, -1) @ w)
    own = p[np.arange(calls.N), labels]
    entropy = -(p * np.log(p)).sum(1)
    return ((1 - own**1.1) / 1.1 + entropy / (6 * 1.1 * np.log(calls.K))).mean()

  *_, gradient = calls.evaluate(
    dal(),
    params,
    calls.batch(images, labels),
    {'q_start': 0.6, 'q_end': 1.6},
    calls.context(epoch=5),
  )
  # Of float32, in which q is 1.1 to seven digits.
  np.testing.assert_allclose(
    gradient, calls.differences(mean, params), rtol=1e-4, atol=1e-5
  )
