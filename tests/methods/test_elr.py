"""ELR against its formula in NumPy, example by example."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax.data.batches import Batch
from sce_jax.methods import Context
from sce_jax.methods.elr import elr

K, EXAMPLES = 4, 9
HPARAMS = {'strength': jnp.float32(3.0), 'decay': jnp.float32(0.7)}


def context(training=True):
  return Context(
    key=jax.random.key(0),
    step=jnp.int32(0),
    epoch=jnp.int32(0),
    num_epochs=1,
    num_examples=EXAMPLES,
    training=training,
    psum=lambda x: x,
    gather=lambda x: x,
    shard=lambda x: x,
  )


def batch(label, position, mask=None):
  n = len(label)
  rows = jnp.asarray(position, jnp.int32)
  return Batch(jnp.zeros((n, 1, 1, 1)), jnp.asarray(label), None, rows, mask)


def call(logits, state, given, training=True):
  method = elr()
  return method.loss(
    lambda params, images: (params, {}),
    jnp.asarray(logits, jnp.float32),
    given,
    state,
    HPARAMS,
    context(training),
  )


def reference(logits, label, average):
  """Loss and new average of one example, float64."""
  z = np.asarray(logits, np.float64)
  p = np.exp(z - z.max())
  p /= p.sum()
  clipped = np.clip(p, 1e-4, 1 - 1e-4)
  average = 0.7 * average + 0.3 * clipped / clipped.sum()
  regularizer = np.log(1 - average @ clipped)
  return -np.log(p[label]) + 3 * regularizer, average, regularizer


def test_losses_and_averages_of_two_epochs():
  rng = np.random.default_rng(0)
  state = elr().init(jax.random.key(0), EXAMPLES, K)
  expected = np.zeros((EXAMPLES, K))
  for _ in range(2):
    order = rng.permutation(EXAMPLES)
    for position in np.split(order, 3):
      label = rng.integers(0, K, 3).astype(np.int32)
      logits = 3 * rng.normal(size=(3, K))
      losses, aux = call(logits, state, batch(label, position))
      state = aux.state
      wanted, figures = [], []
      for i, row in enumerate(position):
        value, expected[row], regularizer = reference(
          logits[i], label[i], expected[row]
        )
        wanted.append(value)
        figures.append(regularizer)
      # float32 logarithms of sums near 1.
      np.testing.assert_allclose(losses, wanted, rtol=2e-5, atol=2e-5)
      np.testing.assert_allclose(
        aux.figures['regularizer'], figures, rtol=2e-5, atol=2e-5
      )
  np.testing.assert_allclose(state, expected, rtol=1e-5)


def test_no_gradient_flows_through_the_average():
  rng = np.random.default_rng(1)
  state = jnp.asarray(rng.dirichlet(np.ones(K), EXAMPLES), jnp.float32)
  logits = rng.normal(size=(1, K))
  given = batch(np.array([2], np.int32), [5])
  gradient = jax.grad(lambda z: call(z, state, given)[0].sum())(
    jnp.asarray(logits, jnp.float32)
  )[0]
  _, average, _ = reference(logits[0], 2, np.asarray(state[5], np.float64))

  def fixed(z):
    p = np.exp(z - z.max())
    p /= p.sum()
    return -np.log(p[2]) + 3 * np.log(1 - average @ p)

  eye, step = np.eye(K), 1e-6
  differences = [
    (fixed(logits[0] + step * e) - fixed(logits[0] - step * e)) / (2 * step)
    for e in eye
  ]
  np.testing.assert_allclose(gradient, differences, rtol=1e-4, atol=1e-5)


def test_what_fills_up_a_batch_changes_no_average():
  state = jnp.full((EXAMPLES, K), 0.25)
  logits = np.random.default_rng(2).normal(size=(3, K))
  label = np.zeros(3, np.int32)
  # The last two are the last example again, as they are in a partial batch.
  mask = jnp.array([True, False, False])
  _, aux = call(logits, state, batch(label, [8, 8, 8], mask))
  _, wanted, _ = reference(logits[0], 0, np.full(K, 0.25))
  np.testing.assert_allclose(aux.state[8], wanted, rtol=1e-5)
  np.testing.assert_array_equal(aux.state[:8], state[:8])


def test_evaluations_read_no_average():
  state = jnp.full((EXAMPLES, K), jnp.nan)
  label = np.array([1, 3], np.int32)
  logits = np.random.default_rng(3).normal(size=(2, K))
  # Rows of another split, past the end of the training split.
  losses, aux = call(logits, state, batch(label, [50, 51]), training=False)
  log_p = np.asarray(jax.nn.log_softmax(jnp.asarray(logits, jnp.float32)))
  expected = -log_p[[0, 1], label]
  np.testing.assert_allclose(losses, expected, rtol=1e-5)
  assert aux.state is state


@pytest.mark.parametrize('scale', [1e4, -1e4])
def test_confident_logits_stay_finite(scale):
  state = jnp.full((EXAMPLES, K), 1.0).at[:, 1:].set(0.0)
  logits = np.array([[scale, 0, 0, 0]])
  value, gradient = jax.value_and_grad(
    lambda z: call(z, state, batch(np.array([1], np.int32), [0]))[0].sum()
  )(jnp.asarray(logits, jnp.float32))
  assert np.isfinite(value) and np.isfinite(gradient).all()
