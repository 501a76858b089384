"""Where one loss is another."""

import jax.numpy as jnp
import numpy as np
import pytest

from tests.losses import cases

pytestmark = pytest.mark.usefixtures('x64')

# Sums of a few dozen float64 numbers of size up to about 50.
CLOSE = {'rtol': 1e-12, 'atol': 1e-12}


def batch(seed, **options):
  logits, classes, targets = cases.batch(seed, **options)
  return cases.arrays(jnp.float64, logits, classes, targets)


def assert_same(a, b, logits, labels):
  """Asserts that two (name, hyper-parameters) are one function."""
  got = cases.batched(*a)(logits, labels)
  want = cases.batched(*b)(logits, labels)
  for g, w in zip(got, want, strict=True):
    np.testing.assert_allclose(g, w, **CLOSE)


def test_rce_at_minus_two_is_mae():
  logits, classes, _ = batch(10)
  assert_same(('rce', {'log_zero': -2.0}), ('mae', {}), logits, classes)


IDENTITY = np.eye(cases.K)
UNIFORM = np.full((cases.K, cases.K), 1 / cases.K)


@pytest.mark.parametrize(
  'name, hyper',
  [
    ('focal', {'gamma': 0.0}),
    ('lsr', {'smoothing': 0.0}),
    ('bootstrap_soft', {'weight': 1.0}),
    ('bootstrap_hard', {'weight': 1.0}),
    ('forward', {'transition_matrix': IDENTITY}),
    ('backward', {'transition_matrix': IDENTITY}),
  ],
)
def test_where_a_loss_is_cross_entropy(name, hyper):
  logits, classes, targets = batch(17)
  assert_same((name, hyper), ('ce', {}), logits, classes)
  assert_same((name, hyper), ('ce', {}), logits, targets)


def test_gce_lies_between_cross_entropy_and_mae():
  logits, classes, _ = batch(18)
  values, gradients = cases.batched('mae', {})(logits, classes)
  got = cases.batched('gce', {'q': 1.0})(logits, classes)
  np.testing.assert_allclose(got[0], values / 2, **CLOSE)
  np.testing.assert_allclose(got[1], gradients / 2, **CLOSE)
  small = 1e-9
  got = cases.batched('gce', {'q': small})(logits, classes)
  want = cases.batched('ce', {})(logits, classes)
  for g, w in zip(got, want, strict=True):
    # The next term of the series is q log(p)^2 / 2, with log p above -30.
    np.testing.assert_allclose(g, w, atol=small * 30**2 / 2)


def test_forward_correction_of_useless_labels_teaches_nothing():
  logits, classes, _ = batch(19)
  loss = cases.batched('forward', {'transition_matrix': UNIFORM})
  values, gradients = loss(logits, classes)
  np.testing.assert_allclose(values, np.log(cases.K), **CLOSE)
  np.testing.assert_allclose(gradients, 0, **CLOSE)
