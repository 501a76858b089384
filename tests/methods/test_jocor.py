"""JoCoR: the joint loss, and which examples it is smallest on, in NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax.methods.jocor import jocor
from tests.methods import calls

HPARAMS = {'forget_rate': 0.4, 'warm_up': 2, 'weight': 0.7}
COUNTED = np.array([True] * 5 + [False])
METHOD = jocor()


@pytest.fixture(autouse=True)
def two_networks(monkeypatch):
  """Networks are matrices [2, D, K]."""

  def apply(params, images):
    flat = images.reshape(len(images), -1)
    return jnp.einsum('nd,mdk->mnk', flat, params), {}

  monkeypatch.setattr(calls, 'apply', apply)


def arrays():
  images, labels, first = calls.arrays()
  return images, labels, np.stack([first, first[::-1]])


def divergence(images, params):
  """Of each example the two divergences' sum, float64."""
  flat = images.reshape(len(images), -1)
  p, q = (calls.softmax(flat @ w) for w in params)
  return (p * np.log(p / q)).sum(1) + (q * np.log(q / p)).sum(1)


def joint(images, labels, params):
  """The loss of each example, float64."""
  ce = sum(calls.nll(images, labels, w) for w in params)
  return 0.3 * ce + 0.7 * divergence(images, params)


# None, 0.2 and 0.4 of five examples are left out.
@pytest.mark.parametrize(('epoch', 'kept'), [(0, 5), (1, 4), (7, 3)])
def test_both_learn_from_the_smallest_joint_losses(epoch, kept):
  images, labels, params = arrays()
  # What fills up the batch is as easy as the easiest.
  easiest = joint(images[:5], labels[:5], params).argmin()
  images[5], labels[5] = images[easiest], labels[easiest]
  given = calls.batch(images, labels, COUNTED)
  images, labels = images[:5], labels[:5]
  losses, aux, gradient = calls.evaluate(
    METHOD, params, given, HPARAMS, calls.context(epoch=epoch)
  )
  values = joint(images, labels, params)
  chosen = np.argsort(values)[:kept]
  wanted = np.zeros(5)
  wanted[chosen] = values[chosen] * 5 / kept
  np.testing.assert_allclose(losses[:5], wanted, rtol=1e-4)
  assert losses[5] == 0
  np.testing.assert_allclose(
    aux.figures['divergence'][:5], divergence(images, params), rtol=1e-4
  )
  # The mean over those kept; which these are carries no gradient.
  np.testing.assert_allclose(
    gradient,
    calls.differences(
      lambda w: joint(images[chosen], labels[chosen], w).mean(), params
    ),
    rtol=1e-3,
    atol=1e-4,
  )
  np.testing.assert_allclose(
    aux.logits[:5], images.reshape(5, -1) @ params[0], rtol=1e-4, atol=1e-5
  )


def test_evaluations_are_cross_entropy_of_the_first():
  images, labels, params = arrays()
  losses, *_ = calls.evaluate(
    METHOD,
    params,
    calls.batch(images, labels),
    HPARAMS,
    calls.context(training=False),
    gradient=False,
  )
  wanted = calls.nll(images, labels, params[0])
  np.testing.assert_allclose(losses, wanted, rtol=1e-5)


def test_confident_networks_that_disagree_stay_finite():
  images, labels, params = arrays()
  losses, _, gradient = calls.evaluate(
    METHOD, 1e4 * params, calls.batch(images, labels), HPARAMS, calls.context()
  )
  assert np.isfinite(losses).all() and np.isfinite(gradient).all()
