"""Self-adaptive training against its formula in NumPy, float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax.methods.sat import sat
from tests.methods import calls

HPARAMS = {'decay': 0.9, 'start': 0.3}  # From epoch 3 of 10 on.
COUNTED = np.array([True] * 5 + [False])
METHOD = sat()


def reference(images, labels, params, soft):
  """Losses and new soft labels of a batch."""
  p = calls.softmax(images.reshape(len(images), -1) @ params)
  soft = 0.9 * soft + 0.1 * p
  weight = soft.max(1) / soft.max(1).mean()
  return -weight * (soft * np.log(p)).sum(1), soft


def start():
  return METHOD.init(jax.random.key(0), calls.N, calls.K)


def test_cross_entropy_at_first_and_labels_stay():
  images, labels, params = calls.arrays()
  losses, aux, _ = calls.evaluate(
    METHOD,
    params,
    calls.batch(images, labels),
    HPARAMS,
    calls.context(epoch=2),
    gradient=False,
    state=start(),
  )
  wanted = calls.nll(images, labels, params)
  np.testing.assert_allclose(losses, wanted, rtol=1e-5)
  assert not aux.state.any()
  # The labels are still those that were given.
  np.testing.assert_array_equal(aux.figures['own_label'], np.ones(calls.N))


def test_losses_labels_and_gradient_of_two_epochs():
  """Of a batch whose last example is its first one again, not counted."""
  images, labels, params = calls.arrays()
  images[5], labels[5] = images[0], labels[0]
  given = calls.batch(images, labels, COUNTED)
  given = given.replace(position=jnp.array([0, 1, 2, 3, 4, 0], jnp.int32))
  images, labels = images[:5], labels[:5]
  state, soft = start(), np.eye(calls.K)[labels]
  for epoch in (3, 4):
    # Other parameters, so that predictions differ from epoch to epoch.
    params = params[::-1]
    losses, aux, gradient = calls.evaluate(
      METHOD, params, given, HPARAMS, calls.context(epoch=epoch), state=state
    )
    wanted, new = reference(images, labels, params, soft)
    weight = new.max(1) / new.max(1).mean()

    def fixed(w, new=new, weight=weight):
      p = calls.softmax(images.reshape(5, -1) @ w)
      return np.mean(-weight * (new * np.log(p)).sum(1))

    np.testing.assert_allclose(losses[:5], wanted, rtol=1e-5)
    # Neither the soft labels nor the weights carry a gradient.
    np.testing.assert_allclose(
      gradient, calls.differences(fixed, params), rtol=1e-4, atol=1e-5
    )
    state, soft = aux.state, new
    np.testing.assert_allclose(state[:5], soft, rtol=1e-5)
    np.testing.assert_allclose(
      aux.figures['own_label'][:5],
      soft[np.arange(5), labels],
      rtol=1e-5,
    )
  assert not state[5].any()


def test_evaluations_read_no_soft_label():
  unread = jnp.full((calls.N, calls.K), jnp.nan)
  aux = calls.check_evaluation(METHOD, HPARAMS, unread, epoch=5)
  assert np.isnan(aux.state).all()


@pytest.mark.parametrize('scale', [1e4, -1e4])
def test_confident_logits_stay_finite(scale):
  calls.check_confident(METHOD, HPARAMS, start(), 3, scale)
