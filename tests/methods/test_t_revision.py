"""T-Revision's three phases in NumPy, float64, gradients by differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax.methods.t_revision import importance, t_revision
from tests.methods import calls

MATRIX = np.array([[0.7, 0.2, 0.1], [0.0, 0.6, 0.4], [0.3, 0.2, 0.5]])
# Of ten epochs the second and the fifth begin a phase.
HPARAMS = {
  'start': 0.1,
  'revision': 0.4,
  'rate': 0.1,
  'transition_matrix': MATRIX,
}
COUNTED = np.array([True] * 5 + [False])
METHOD = t_revision()


def weights(images, labels, params, d):
  """p_y / ((T + D)' p)_y."""
  p = calls.softmax(images.reshape(len(images), -1) @ params)
  rows = np.arange(len(labels))
  return p[rows, labels] / (p @ np.maximum(MATRIX + d, 0))[rows, labels]


def start():
  return METHOD.init(jax.random.key(0), calls.N, calls.K)


def test_the_weight_by_hand():
  # p = (3/4, 1/4): of class 1, 1/4 over 3/4 * 0.2 + 1/4 * 0.6.
  matrix = jnp.array([[0.8, 0.2], [0.4, 0.6]])
  logits = jnp.log(jnp.array([3.0, 1.0]))
  np.testing.assert_allclose(
    importance(logits, jnp.int32(1), matrix), 0.25 / 0.3, rtol=1e-5
  )


def test_a_class_that_is_hardly_kept_has_a_bounded_weight():
  hparams = {**HPARAMS, 'transition_matrix': jnp.eye(calls.K)}
  state = {**start(), 'd': -2 * jnp.eye(calls.K)}
  images, labels, params = calls.arrays()
  _, aux, _ = calls.evaluate(
    METHOD,
    1000 * params,
    calls.batch(images, labels),
    hparams,
    calls.context(epoch=9),
    state=state,
    gradient=False,
  )
  weight = aux.figures['importance']
  assert np.isfinite(weight).all() and 0 < weight.max() <= 100


def test_the_matrix_that_it_has_learned_by_hand():
  state = {**start(), 'd': jnp.array([[-1, 0.1, 0], [-0.1, 0, 0], [0, 0, 0.1]])}
  np.testing.assert_allclose(
    METHOD.transition(state, HPARAMS),
    [[0.01, 0.3, 0.1], [0, 0.6, 0.4], [0.3, 0.2, 0.6]],
    rtol=1e-5,
    atol=1e-7,
  )


@pytest.mark.parametrize('epoch', [0, 1, 3])
def test_the_phases_before_the_revision(epoch):
  images, labels, params = calls.arrays()
  losses, aux, gradient = calls.evaluate(
    METHOD,
    params,
    calls.batch(images, labels),
    HPARAMS,
    calls.context(epoch=epoch),
    state=start(),
  )
  weight = weights(images, labels, params, 0) if epoch else np.ones(calls.N)

  def fixed(w):
    return (weight * calls.nll(images, labels, w)).mean()

  np.testing.assert_allclose(
    losses, weight * calls.nll(images, labels, params), rtol=1e-4
  )
  # The weight has no gradient.
  np.testing.assert_allclose(
    gradient, calls.differences(fixed, params), rtol=1e-3, atol=1e-5
  )
  np.testing.assert_allclose(aux.figures['importance'], weight, rtol=1e-4)
  for a, b in zip(*map(jax.tree.leaves, (aux.state, start())), strict=True):
    np.testing.assert_array_equal(a, b)


# At 100 the weight decay is larger than what the loss asks for.
@pytest.mark.parametrize('begun', [0, 100])
def test_the_revision_learns_the_matrix(begun):
  """Two steps, of a batch whose last example only fills it up."""
  images, labels, params = calls.arrays()
  given = calls.batch(images, labels, COUNTED)
  images, labels = images[:5], labels[:5]
  d = np.full((calls.K, calls.K), float(begun))
  state = {**start(), 'd': jnp.asarray(d, jnp.float32)}
  first, second = 0, 0
  for step in (1, 2):

    def mean(w, d=d):
      weight = weights(images, labels, w, d)
      return (weight * calls.nll(images, labels, w)).mean()

    losses, aux, gradient = calls.evaluate(
      METHOD, params, given, HPARAMS, calls.context(epoch=4), state=state
    )
    np.testing.assert_allclose(losses[:5].mean(), mean(params), rtol=1e-4)
    np.testing.assert_allclose(
      gradient, calls.differences(mean, params), rtol=1e-3, atol=1e-4
    )
    # At the zero of T it may only rise; Adam's first steps have one length.
    slope = calls.differences(lambda d: mean(params, d), d) + 1e-4 * d
    first = 0.9 * first + 0.1 * slope
    second = 0.999 * second + 0.001 * slope**2
    scale = np.sqrt(second / (1 - 0.999**step)) + 1e-8
    d = d - 0.1 * first / (1 - 0.9**step) / scale
    state = aux.state
    np.testing.assert_allclose(
      state['d'] - begun, d - begun, rtol=2e-3, atol=1e-4
    )


def test_evaluations_are_against_clean_classes():
  calls.check_evaluation(METHOD, HPARAMS, start(), epoch=4)


@pytest.mark.parametrize('scale', [1e4, -1e4])
def test_confident_logits_stay_finite(scale):
  aux = calls.check_confident(METHOD, HPARAMS, start(), 9, scale)
  assert np.isfinite(aux.state['d']).all()
