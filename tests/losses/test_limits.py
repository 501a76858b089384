"""Where one loss is another."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.losses import cases, program
from tests.losses.cases import K

# Sums of a few dozen float64 numbers of size up to about 50.
CLOSE = 1e-12
RANDOM = cases.IS_RANDOM
IDENTITY = np.eye(K)
Q = cases.VALUES['q']


def both(name, hyper, kind):
  """Values and gradients on random logits."""
  result = getattr(program.results(name, hyper, jnp.float64), kind)
  return result.value[RANDOM], result.in_logits[RANDOM]


def assert_same(a, b, *, scale=1.0, shift=0.0, atol=CLOSE, kinds=None):
  """Asserts that loss a is `scale` times loss b, plus `shift`."""
  for kind in kinds or ('by_class', 'by_target'):
    (value, gradient), (other, its) = both(*a, kind), both(*b, kind)
    np.testing.assert_allclose(value, scale * other + shift, CLOSE, atol)
    np.testing.assert_allclose(gradient, scale * its, CLOSE, atol)


@pytest.mark.parametrize(
  'name, hyper',
  [
    ('focal', {'gamma': 0.0}),
    ('lsr', {'smoothing': 0.0}),
    ('bootstrap_soft', {'weight': 1.0}),
    ('bootstrap_hard', {'weight': 1.0}),
    ('forward', {'transition_matrix': IDENTITY}),
    ('backward', {'transition_matrix': IDENTITY}),
    ('phuber', {'tau': 1e30}),
    ('sl', {'alpha': 1.0, 'beta': 0.0, 'log_zero': -4.0}),
  ],
)
def test_where_a_loss_is_cross_entropy(name, hyper):
  assert_same((name, hyper), ('ce', {}))


@pytest.mark.parametrize(
  'name, hyper, scale, shift',
  [
    ('rce', {'log_zero': -2.0}, 1, 0),
    ('gce', {'q': 1.0}, 1 / 2, 0),
    ('ngce', {'q': 1.0}, 1 / (2 * (K - 1)), 0),
    ('agce', {'a': 2.5, 'q': 1.0}, 1 / 2, 0),
    ('aul', {'a': 2.5, 'q': 1.0}, 1 / 2, 0),
    ('taylor', {'order': 1}, 1 / 2, 0),
    ('phuber', {'tau': 1.0}, 1 / 2, 0),
    ('sgce', {'q': 1.0}, 1 / 2, 1 / K - 1),
  ],
)
def test_where_a_loss_of_a_class_is_mae(name, hyper, scale, shift):
  assert_same(
    (name, hyper), ('mae', {}), scale=scale, shift=shift, kinds=['by_class']
  )


@pytest.mark.parametrize(
  'one, other',
  [
    (('gce', {'q': 1e-9}), ('ce', {})),
    (('ngce', {'q': 1e-9}), ('nce', {})),
    (('sgce', {'q': 1e-9}), ('unhinged', {})),
  ],
)
def test_limits_of_a_small_exponent(one, other):
  # The next term of the series is q log(p)^2 / 2, with log p above -30.
  assert_same(one, other, atol=1e-9 * 30**2 / 2)


@pytest.mark.parametrize(
  'one, other',
  [
    (('nfl', {'gamma': 0.0}), ('nce', {})),
    (('nnfl', {'gamma': 0.0, 'p_min': 1e-5}), ('nnce', {'p_min': 1e-5})),
    (('agce', {'a': 1e-30, 'q': Q}), ('gce', {'q': Q})),
    (('truncated_gce', {'q': Q, 'threshold': 1e-30}), ('gce', {'q': Q})),
  ],
)
def test_where_a_loss_is_another(one, other):
  assert_same(one, other)


@pytest.mark.parametrize('kind', ['by_class', 'by_target'])
def test_bi_tempered_at_temperatures_of_1_is_cross_entropy(kind):
  value, gradient = both('bi_tempered', {'t1': 1.0, 't2': 1.0}, kind)
  ce, its = both('ce', {}, kind)
  targets = {'by_class': cases.ONE_HOT, 'by_target': cases.TARGETS}[kind]
  entropy = -np.sum(targets * np.log(np.where(targets, targets, 1)), axis=1)
  np.testing.assert_allclose(value, ce - entropy[RANDOM], CLOSE, CLOSE)
  np.testing.assert_allclose(gradient, its, CLOSE, CLOSE)


def test_amse_at_1_is_the_brier_score_over_k():
  p = np.array(jax.nn.softmax(cases.LOGITS[RANDOM]), np.float64)
  value, _ = both('amse', {'a': 1.0}, 'by_target')
  want = ((p - cases.TARGETS[RANDOM]) ** 2).mean(axis=1)
  np.testing.assert_allclose(value, want, atol=1e-6)  # p is of float32


def test_js_lies_between_cross_entropy_and_mae(x64):
  z, y = jnp.array([jnp.log(3.0), 0.0]), jnp.array(1)
  low = cases.bind('js', {'weight': 1e-7})(z, y)
  np.testing.assert_allclose(low, np.log(4), atol=1e-6)
  # As e = 1 - weight goes to 0, (JS - (1 - p)) log(1 / e) goes to
  # 1 - p + p log p.
  e = 1e-9
  high = cases.bind('js', {'weight': 1 - e})(z, y)
  rest = (high - 0.75) * -np.log(e)
  np.testing.assert_allclose(rest, 0.75 + 0.25 * np.log(0.25), atol=1e-5)


def scores():
  softplus = np.logaddexp(0, cases.LOGITS[RANDOM])
  s = K * softplus / softplus.sum(axis=1, keepdims=True)
  return s, np.take_along_axis(s, cases.CLASSES[RANDOM][:, None], axis=1)


def test_ldr_kl_lies_between_a_hinge_and_a_symmetric_loss():
  s, mine = scores()
  hyper = {'temperature': 0.05, 'margin': 0.1}
  hinge = np.max(s - mine + 0.1 * (1 - cases.ONE_HOT[RANDOM]), axis=1)
  value, _ = both('ldr_kl', hyper, 'by_class')
  assert (value <= hinge).all() and (value >= hinge - 0.05 * np.log(K)).all()
  value, _ = both('ldr_kl', {**hyper, 'temperature': 1e4}, 'by_class')
  want = 1 - mine[:, 0] + 0.1 * (K - 1) / K
  # The variance of the scores, at most K^2 / 4, over twice the temperature.
  np.testing.assert_allclose(value, want, atol=K**2 / 8e4)


def test_forward_correction_of_useless_labels_teaches_nothing():
  useless = {'transition_matrix': np.full((K, K), 1 / K)}
  value, gradient = both('forward', useless, 'by_class')
  np.testing.assert_allclose(value, np.log(K), CLOSE)
  np.testing.assert_allclose(gradient, 0, atol=CLOSE)
