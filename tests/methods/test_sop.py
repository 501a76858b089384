"""SOP against its formula in NumPy, float64, and gradients by differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax.methods.sop import sop
from tests.methods import calls

HPARAMS = {'rate_u': 2.0, 'rate_v': 3.0}
COUNTED = np.array([True] * 5 + [False])
METHOD = sop()


def reference(images, labels, params, u, v, fixed):
  """The losses; `fixed` is V where it carries no gradient."""
  z = images.reshape(len(images), -1) @ params
  y = np.eye(calls.K)[labels]
  more = np.minimum(u**2, 1)[:, None] * y
  less = np.minimum(v**2, 1) * (1 - y)
  q = np.maximum(calls.softmax(z) + more - fixed, 1e-4)
  q = np.maximum(q / q.sum(1, keepdims=True), 1e-4)
  square = np.eye(calls.K)[z.argmax(1)] + more - less - y
  return -np.log((q * y).sum(1)) + (square**2).sum(1)


def start():
  """Parameters that have grown, two of them past 1."""
  rng = np.random.default_rng(1)
  u = rng.uniform(-0.8, 0.8, calls.N)
  v = rng.uniform(-0.8, 0.8, (calls.N, calls.K))
  u[1], v[2] = 1.3, 1.2
  return u, v


def state(u, v):
  return {'u': jnp.asarray(u, jnp.float32), 'v': jnp.asarray(v, jnp.float32)}


def test_losses_gradient_and_parameters_of_two_steps():
  """Of a batch whose last example is its first one again, not counted."""
  images, labels, params = calls.arrays()
  images[5], labels[5] = images[0], labels[0]
  given = calls.batch(images, labels, COUNTED)
  given = given.replace(position=jnp.array([0, 1, 2, 3, 4, 0], jnp.int32))
  images, labels = images[:5], labels[:5]
  u, v = start()
  now, last = state(u, v), (u[5], v[5])
  u, v = u[:5], v[:5]
  for _ in range(2):
    params = params[::-1]
    losses, aux, gradient = calls.evaluate(
      METHOD, params, given, HPARAMS, state=now
    )
    fixed = np.minimum(v**2, 1) * (1 - np.eye(calls.K)[labels])

    def mean(w, u, v, fixed=fixed):
      return reference(images, labels, w, u, v, fixed).mean()

    np.testing.assert_allclose(
      losses[:5], reference(images, labels, params, u, v, fixed), rtol=1e-4
    )
    np.testing.assert_allclose(
      gradient,
      calls.differences(lambda w, u=u, v=v: mean(w, u, v), params),
      rtol=1e-3,
      atol=1e-4,
    )
    slope_u, slope_v = (
      calls.differences(lambda x, w=params, v=v: mean(w, x, v), u),
      calls.differences(lambda x, w=params, u=u: mean(w, u, x), v),
    )
    u, v = u - 2 * slope_u, v - 3 * slope_v
    now = aux.state
    np.testing.assert_allclose(now['u'][:5], u, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(now['v'][:5], v, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(
      aux.figures['noise'][:5], np.minimum(u**2, 1), rtol=1e-3, atol=1e-4
    )
  np.testing.assert_array_equal(now['u'][5], np.float32(last[0]))
  np.testing.assert_array_equal(now['v'][5], np.float32(last[1]))


def test_the_start_is_small_and_not_zero():
  new = METHOD.init(jax.random.key(0), 4000, 3)
  for values in new.values():
    np.testing.assert_allclose(values.std(), 1e-8, rtol=0.1)
    assert (values != 0).all()


def test_evaluations_read_no_parameter():
  u, v = start()
  calls.check_evaluation(METHOD, HPARAMS, state(np.nan * u, np.nan * v))


@pytest.mark.parametrize('scale', [1e4, -1e4])
def test_confident_logits_stay_finite(scale):
  begun = METHOD.init(jax.random.key(0), calls.N, calls.K)
  aux = calls.check_confident(METHOD, HPARAMS, begun, scale=scale)
  for values in aux.state.values():
    assert np.isfinite(values).all()
