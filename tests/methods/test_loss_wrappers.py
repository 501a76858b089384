"""Losses made of losses, against their formulas in NumPy float64."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax import losses
from sce_jax.methods import loss_wrappers as wrap
from tests.losses import cases
from tests.methods.calls import OPTIONS

NAMES = {
  'sum': wrap.weighted_sum(losses.cross_entropy, losses.reverse_cross_entropy),
  'clip': wrap.logit_clip(losses.cross_entropy),
  'bias': wrap.logit_bias(losses.mean_absolute_error),
  'eps': wrap.epsilon_softmax(losses.cross_entropy),
  'sparse': wrap.sparse(losses.generalized_cross_entropy),
}
VALUES = {
  'sum': {'alpha': 0.3, 'beta': 2.0, 'log_zero': -3.0},
  'clip': {'max_norm': 1.5},
  'bias': {'bias': 2.0},
  'eps': {'m': 4.0, 'floor': 1e-8},
  'sparse': {'temperature': 0.4, 'power': 0.2, 'strength': 1.7, 'q': 0.6},
}
every_wrapper = pytest.mark.parametrize('name', NAMES)


def softmax(z):
  e = np.exp(z - z.max())
  return e / e.sum()


def unit(z):
  return z / np.linalg.norm(z)


def reference(name, z, y, h):
  if name == 'sum':
    p = softmax(z)[y]
    return -h['alpha'] * np.log(p) - h['beta'] * h['log_zero'] * (1 - p)
  if name == 'clip':
    long = np.linalg.norm(z) > h['max_norm']
    return -np.log(softmax(unit(z) * h['max_norm'] if long else z)[y])
  if name == 'bias':
    return 2 - 2 * softmax(z + h['bias'] * np.eye(z.size)[y])[y]
  if name == 'eps':
    q = softmax(z)
    q[z.argmax()] += h['m']
    return -np.log(np.maximum(q / (h['m'] + 1), h['floor'])[y])
  p = softmax(unit(z) / h['temperature'])
  penalty = (np.maximum(p, 1e-7) ** h['power']).sum()
  return (1 - p[y] ** h['q']) / h['q'] + h['strength'] * penalty


@functools.cache
def compiled(loss):

  def one(z, y, hparams):
    return loss(z, y, **hparams)

  batched = jax.vmap(jax.value_and_grad(one), (0, 0, None))
  return jax.jit(batched, compiler_options=OPTIONS)


def evaluate(loss, logits, labels, hparams, dtype=jnp.float64):
  """Losses and gradients of at most 12 examples; a program for each loss."""
  labels = np.asarray(labels)
  more = ((0, 12 - len(logits)), (0, 0))
  padded = (
    np.pad(np.asarray(logits, np.float64), more, 'edge'),
    np.pad(labels, more[: labels.ndim], 'edge'),
  )
  results = compiled(loss)(*cases.arrays(dtype, *padded), hparams)
  return jax.tree.map(lambda x: np.asarray(x)[: len(logits)], results)


@every_wrapper
def test_values_and_gradients_are_those_of_the_formula(x64, name):
  logits, classes, _ = cases.batch(seed=0)
  hparams = VALUES[name]
  got, gradients = evaluate(NAMES[name], logits, classes, hparams)
  # A renormalised q differs by a factor of at most 1 + 5e-8.
  exact = 1e-7 if name == 'eps' else 1e-12
  for value, gradient, z, y in zip(
    got, gradients, logits, classes, strict=True
  ):
    assert value == pytest.approx(reference(name, z, y, hparams), rel=exact)
    # Central differences: the error is their step's square, times about 10.
    wanted = [
      reference(name, z + step, y, hparams)
      - reference(name, z - step, y, hparams)
      for step in 1e-5 * np.eye(cases.K)
    ]
    np.testing.assert_allclose(gradient, np.array(wanted) / 2e-5, atol=1e-7)


@every_wrapper
def test_the_signature_lists_all_hyper_parameters(name):
  assert set(wrap.keywords(NAMES[name])) == set(VALUES[name])


@every_wrapper
@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16])
def test_everything_is_finite_at_extreme_logits(name, dtype):
  labels = np.zeros(len(cases.EXTREMES), int)
  value, gradient = evaluate(
    NAMES[name], cases.EXTREMES, labels, VALUES[name], dtype
  )
  assert value.dtype == jnp.float32
  assert gradient.dtype == dtype
  for result in (value, gradient):
    assert np.isfinite(result.astype(np.float64)).all()


@pytest.mark.parametrize(
  ('name', 'base', 'values'),
  [
    ('sum', losses.cross_entropy, {'alpha': 1, 'beta': 0}),
    ('clip', losses.cross_entropy, {'max_norm': np.inf}),
    ('bias', losses.mean_absolute_error, {'bias': 0}),
    ('eps', losses.cross_entropy, {'m': 0, 'floor': 0}),
  ],
)
def test_the_wrapper_that_does_nothing_is_its_base(x64, name, base, values):
  logits, _, targets = cases.batch(seed=2)
  wrapped = evaluate(NAMES[name], logits, targets, values)
  plain = evaluate(base, logits, targets, {})
  for a, b in zip(wrapped, plain, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-14, atol=1e-15)


def test_a_sparse_loss_without_penalty_is_the_base_of_scaled_logits(x64):
  z = np.array([[1.0, -2.0, 0.5, 0.0, 0.0]])
  values = {'temperature': 0.5, 'power': 0.1, 'strength': 0.0}
  for normalize, scale in ((False, 2.0), (True, 2.0 / np.sqrt(5.25))):
    loss = wrap.sparse(losses.cross_entropy, normalize=normalize)
    got, _ = evaluate(loss, z, [1], values)
    plain, _ = evaluate(losses.cross_entropy, z * scale, [1], {})
    np.testing.assert_allclose(got, plain, rtol=1e-14)


def test_clipped_logits_by_hand(x64):
  # (3, 4) is 5 long; at 2.5 it becomes (1.5, 2).
  z = np.array([[3.0, 4.0, 0.0, 0.0, 0.0]])
  value, gradient = evaluate(NAMES['clip'], z, [0], {'max_norm': 2.5})
  wanted = np.log(np.exp(1.5) + np.exp(2) + 3) - 1.5
  assert value[0] == pytest.approx(wanted)
  # It is across the direction of z, as the length has no say.
  assert gradient[0] @ z[0] == pytest.approx(0, abs=1e-12)


def test_the_gradient_of_epsilon_softmax(x64):
  """The label not at the top: as CE's; at the top: p_y / (p_y + m) of it."""
  z = np.tile(np.log([4.0, 2, 1, 1, 2]), (2, 1))
  _, gradient = evaluate(NAMES['eps'], z, [1, 0], {'m': 9.6, 'floor': 0.0})
  _, plain = evaluate(losses.cross_entropy, z, [1, 0], {})
  np.testing.assert_allclose(gradient[0], plain[0], atol=1e-12)
  # p_y = 0.4.
  np.testing.assert_allclose(gradient[1], 0.04 * plain[1], atol=1e-12)


def test_the_floor_leaves_out_what_is_below_it(x64):
  # p_y = 4.5e-5 is below floor (m + 1) = 1e-3.
  z = [[10.0, 0, -90, -90, -90]]
  loss, m = NAMES['eps'], 1e5
  value, gradient = evaluate(loss, z, [1], {'m': m, 'floor': 1e-8})
  assert value[0] == pytest.approx(-np.log(1e-8), rel=1e-8)
  np.testing.assert_allclose(gradient[0], 0, atol=1e-8)
  # Without it the example counts as it does in cross entropy.
  _, gradient = evaluate(loss, z, [1], {'m': m, 'floor': 0.0})
  np.testing.assert_allclose(gradient[0], [1, -1, 0, 0, 0], atol=1e-4)


def test_a_name_that_two_losses_have_is_one_hyper_parameter(x64):
  loss = wrap.weighted_sum(
    losses.generalized_cross_entropy, losses.generalized_cross_entropy
  )
  assert list(inspect.signature(loss).parameters) == [
    'logits',
    'label',
    'alpha',
    'beta',
    'q',
  ]
  logits, classes, _ = cases.batch(seed=4)
  weights = {'alpha': 1.0, 'beta': 1.0}
  # Left out, each has its own default.
  for q in ({'q': 0.5}, {}):
    twice, _ = evaluate(loss, logits, classes, weights | q)
    once, _ = evaluate(losses.generalized_cross_entropy, logits, classes, q)
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-14)


def test_sums_that_cannot_be():
  with pytest.raises(ValueError, match='already has alpha, beta'):
    wrap.weighted_sum(losses.symmetric_cross_entropy, losses.cross_entropy)
  with pytest.raises(ValueError, match='2 losses, but weights a'):
    wrap.weighted_sum(losses.cross_entropy, losses.focal, weights=('a',))
