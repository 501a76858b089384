"""CORES2: its loss, sieve and prior in NumPy, float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax.methods.cores2 import cores2
from tests.methods import calls

# Of 10 epochs: from epoch 1 on, whole in epoch 4, sieve after epoch 3.
HPARAMS = {'strength': 2.0, 'start': 0.1, 'ramp': 0.3, 'sieve': 0.3}
COUNTED = np.array([True] * 5 + [False])
PRIOR = np.array([0.5, 0.3, 0.2])
METHOD = cores2()


def state(prior=PRIOR, count=(1.0, 0.0, 2.0)):
  return {
    'prior': jnp.asarray(prior, jnp.float32),
    'count': jnp.asarray(count, jnp.float32),
  }


def terms(images, params):
  """The log of each probability, as the second term has it."""
  p = calls.softmax(images.reshape(len(images), -1) @ params)
  return np.log(p + 1e-8)


def reference(images, labels, params, strength):
  confidence = terms(images, params) @ PRIOR
  losses = calls.nll(images, labels, params) + strength * confidence
  return losses / (1 + strength)


@pytest.mark.parametrize(
  ('epoch', 'strength', 'sieves'),
  [(1, 0, False), (2, 2 / 3, False), (3, 4 / 3, False), (4, 2, True)],
)
def test_losses_and_labels_that_are_kept(epoch, strength, sieves):
  images, labels, params = calls.arrays()
  images[5], labels[5] = images[0], labels[0]
  given = calls.batch(images, labels, COUNTED)
  images, labels = images[:5], labels[:5]
  losses, aux, gradient = calls.evaluate(
    METHOD, params, given, HPARAMS, calls.context(epoch=epoch), state=state()
  )
  keep = np.full(5, True)
  if sieves:
    keep = calls.nll(images, labels, params) <= -terms(images, params).mean(1)
    assert 0 < keep.sum() < 5
  values = reference(images, labels, params, strength)
  wanted = np.where(keep, values, 0) * 5 / keep.sum()
  np.testing.assert_allclose(losses[:5], wanted, rtol=1e-4, atol=1e-5)
  np.testing.assert_array_equal(aux.figures['kept'][:5], keep)
  # The mean over those kept; which these are carries no gradient.
  np.testing.assert_allclose(
    gradient,
    calls.differences(
      lambda w: reference(images[keep], labels[keep], w, strength).mean(),
      params,
    ),
    rtol=1e-3,
    atol=1e-4,
  )
  count = np.array([1, 0, 2]) + np.bincount(labels[keep], minlength=3)
  np.testing.assert_array_equal(aux.state['count'], count)
  np.testing.assert_allclose(aux.state['prior'], PRIOR, rtol=1e-6)


@pytest.mark.parametrize(
  ('count', 'prior'), [([1, 0, 3], [0.25, 0, 0.75]), ([0, 0, 0], PRIOR)]
)
def test_the_prior_is_that_of_the_labels_kept_in_the_epoch(count, prior):
  new, _ = METHOD.end_epoch(state(count=count), None, HPARAMS, calls.context())
  np.testing.assert_allclose(new['prior'], prior, rtol=1e-6)
  assert not new['count'].any()


def test_a_batch_of_which_nothing_is_kept_changes_nothing():
  images, _, params = calls.arrays()
  labels = (images.reshape(calls.N, -1) @ params).argmin(1)
  losses, aux, gradient = calls.evaluate(
    METHOD,
    params,
    calls.batch(images, labels),
    HPARAMS,
    calls.context(epoch=9),
    state=state(),
  )
  assert not np.any(losses) and not np.any(gradient)
  np.testing.assert_array_equal(aux.state['count'], [1, 0, 2])


def test_evaluations_are_cross_entropy():
  start = METHOD.init(jax.random.key(0), calls.N, calls.K)
  calls.check_evaluation(METHOD, HPARAMS, start, epoch=9)


def test_confident_logits_stay_finite():
  calls.check_confident(METHOD, HPARAMS, state(), epoch=3)
