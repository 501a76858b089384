"""What the papers prove of the losses, as numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sce_jax import losses
from sce_jax.config import published
from tests.losses import cases, reference

pytestmark = pytest.mark.usefixtures('x64')

# Sums of a few dozen float64 numbers of size up to about 50.
CLOSE = {'rtol': 1e-12, 'atol': 1e-12}


def batch(seed, **options):
  logits, classes, targets = cases.batch(seed, **options)
  return cases.arrays(jnp.float64, logits, classes, targets)


@pytest.mark.parametrize('log_zero', [-1.0, -4.0, losses.LOG_ZERO_PUBLIC_CODES])
def test_rce_sums_to_a_constant_over_the_classes(log_zero):
  logits, _, _ = batch(11)
  one = cases.bind('rce', {'log_zero': log_zero})
  classes = jnp.arange(cases.K)
  table = jax.vmap(lambda z: jax.vmap(one, (None, 0))(z, classes))(logits)
  total = -(cases.K - 1) * log_zero
  np.testing.assert_allclose(table.sum(axis=1), total, **CLOSE)
  assert np.ptp(np.asarray(table)) > 0.5  # no single class is constant


def test_public_codes_constant_is_the_log_of_their_clip():
  np.testing.assert_allclose(losses.LOG_ZERO_PUBLIC_CODES, -9.210340371976182)
  # The config of a planned run knows it without jax.
  assert losses.LOG_ZERO_PUBLIC_CODES == published.PUBLIC_CODES_LOG_ZERO


def test_sl_with_beta_0_is_cross_entropy_as_optax_has_it():
  logits, classes, targets = batch(12)
  one = cases.bind('sl', {'alpha': 1.0, 'beta': 0.0})
  ours = jax.vmap(jax.value_and_grad(one))
  for labels, theirs in (
    (classes, optax.softmax_cross_entropy_with_integer_labels),
    (targets, optax.softmax_cross_entropy),
  ):
    want = jax.vmap(jax.value_and_grad(theirs))(logits, labels)
    for g, w in zip(ours(logits, labels), want, strict=True):
      np.testing.assert_allclose(g, w, **CLOSE)


@pytest.mark.parametrize(
  'alpha, beta, log_zero', [(0.1, 1.0, -4.0), (6.0, 0.1, -9.2), (0.0, 2.0, -1)]
)
def test_sl_weighs_the_gradient_of_cross_entropy(alpha, beta, log_zero):
  logits, classes, _ = batch(13)
  hyper = {'alpha': alpha, 'beta': beta, 'log_zero': log_zero}
  got = jax.vmap(jax.grad(cases.bind('sl', hyper)))(logits, classes)
  for gradient, z, y in zip(got, logits, classes, strict=True):
    p = reference.Prediction(z).p
    weight = alpha - beta * log_zero * p[y]
    want = weight * (p - np.eye(cases.K)[y])
    np.testing.assert_allclose(gradient, want, **CLOSE)


def symmetric(eta, size):
  off = np.full((size, size), eta / (size - 1))
  np.fill_diagonal(off, 1 - eta)
  return off


def risks(name, hyper, eta):
  """The risk of random predictors under clean and under noisy labels."""
  logits, classes, _ = batch(14, size=40)
  one = cases.bind(name, hyper)
  every = jax.vmap(one, (None, 0))
  table = jax.vmap(every, (0, None))(logits, jnp.arange(cases.K))
  table = np.asarray(table)
  clean = table[np.arange(len(table)), classes].mean()
  noisy = (symmetric(eta, cases.K)[classes] * table).sum(axis=1).mean()
  return clean, noisy


@pytest.mark.parametrize('eta', [0.0, 0.2, 0.6, 0.9])
def test_symmetric_noise_rescales_the_rce_risk(eta):
  log_zero = -4.0
  rescale = 1 - eta * cases.K / (cases.K - 1)
  clean, noisy = risks('rce', {'log_zero': log_zero}, eta)
  np.testing.assert_allclose(noisy, rescale * clean - log_zero * eta, **CLOSE)


def test_symmetric_noise_does_not_rescale_the_ce_risk():
  # For a tolerant loss, noisy risk - rescale * clean risk is one constant for
  # all predictors. Cross entropy grows with the predictor's confidence.
  eta, rescale = 0.4, 1 - 0.4 * cases.K / (cases.K - 1)
  logits, _, _ = batch(15)
  every = jax.vmap(losses.cross_entropy, (None, 0))
  table = np.asarray(jax.vmap(every, (0, None))(logits, jnp.arange(cases.K)))
  rest = table @ symmetric(eta, cases.K).T - rescale * table
  assert np.ptp(rest) > 0.5


def test_backward_correction_is_unbiased():
  logits, _, _ = batch(16)
  t = cases.MATRIX
  one = cases.bind('backward', {'transition_matrix': t})
  classes = jnp.arange(cases.K)

  def table(loss):
    return jax.vmap(lambda z: jax.vmap(loss, (None, 0))(z, classes))(logits)

  corrected, clean = table(one), table(losses.cross_entropy)
  np.testing.assert_allclose(corrected @ t.T, clean, **CLOSE)
  assert np.abs(corrected - clean).max() > 0.5
