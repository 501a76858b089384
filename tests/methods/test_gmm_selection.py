"""Selection by a mixture: the fit is scikit-learn's, the choice by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import mixture

from sce_jax.methods.gmm_selection import (
  Selection,
  gmm_selection,
  smaller_component,
)
from tests.methods import calls

HPARAMS = {'warm_up': 2, 'threshold': 0.5}
COUNTED = np.array([True] * 5 + [False])
METHOD = gmm_selection()
fit = jax.jit(smaller_component)


@pytest.fixture
def two_networks(monkeypatch):
  """Networks are matrices [2, D, K]."""

  def apply(params, images):
    flat = images.reshape(len(images), -1)
    return jnp.einsum('nd,mdk->mnk', flat, params), {}

  monkeypatch.setattr(calls, 'apply', apply)


# From parts that lie apart, where one iteration is enough, to overlapping ones.
@pytest.mark.parametrize('spread', [0.1, 0.6, 1.2])
def test_probabilities_are_those_of_scikit_learn(spread):
  rng = np.random.default_rng(0)
  values = np.concatenate(
    [0.3 + 0.1 * rng.random(120), 3 + spread * rng.normal(size=80)]
  )
  scaled = (values - values.min()) / np.ptp(values)
  reference = mixture.GaussianMixture(
    2, max_iter=10, tol=1e-2, reg_covar=5e-4, random_state=0
  ).fit(scaled[:, None])
  wanted = reference.predict_proba(scaled[:, None])
  wanted = wanted[:, reference.means_.argmin()]
  assert 0.1 < wanted.mean() < 0.9
  got = fit(jnp.asarray(values, jnp.float32))
  np.testing.assert_allclose(got, wanted, atol=1e-4)


# A narrow peak on a wide one is found slowly: scikit-learn stops after ten
# iterations, or after eight by its tolerance.
@pytest.mark.filterwarnings('ignore::sklearn.exceptions.ConvergenceWarning')
@pytest.mark.parametrize(
  ('mean', 'width', 'iterations'), [(0.3, 0.02, 10), (0.6, 0.1, 8)]
)
def test_it_stops_where_scikit_learn_does(mean, width, iterations):
  rng = np.random.default_rng(1)
  values = np.concatenate(
    [rng.normal(size=100), mean + width * rng.normal(size=150)]
  )
  scaled = (values - values.min()) / np.ptp(values)
  reference = mixture.GaussianMixture(
    2, max_iter=10, tol=1e-2, reg_covar=5e-4, random_state=0
  ).fit(scaled[:, None])
  assert reference.n_iter_ == iterations
  wanted = reference.predict_proba(scaled[:, None])
  got = fit(jnp.asarray(values, jnp.float32))
  # One iteration more or less changes some by a hundredth.
  np.testing.assert_allclose(
    got, wanted[:, reference.means_.argmin()], atol=1e-4
  )


def test_examples_that_were_never_trained_on_change_nothing():
  state = METHOD.init(jax.random.key(0), 200, 3)
  rng = np.random.default_rng(0)
  seen = np.concatenate([rng.normal(1.5, 0.3, 30), rng.normal(3.5, 0.6, 20)])
  unseen = np.arange(200) % 4 > 0
  losses = state.losses.at[:, ~unseen].set(jnp.asarray(seen, jnp.float32))
  new, _ = METHOD.end_epoch(
    state.replace(losses=losses), None, HPARAMS, calls.context(epoch=5)
  )
  alone = fit(jnp.asarray(seen, jnp.float32))
  np.testing.assert_allclose(new.clean[:, ~unseen], [alone] * 2, atol=1e-5)
  # Nothing is known of them: they are trained on when they come.
  np.testing.assert_array_equal(new.clean[:, unseen], 1)


def test_equal_losses_are_all_clean():
  np.testing.assert_array_equal(fit(jnp.full(200, 0.7)), 1)


def test_each_learns_from_what_the_other_takes_for_clean(two_networks):
  del two_networks
  images, labels, first = calls.arrays()
  params = np.stack([first, first[::-1]])
  clean = [[0.9, 0.8, 0.1, 0.5, 0.7, 1], [0.2, 0.6, 0.9, 0.4, 0.3, 1]]
  state = Selection(jnp.full((2, 6), 7.0), jnp.array(clean))
  losses, aux, gradient = calls.evaluate(
    METHOD, params, calls.batch(images, labels, COUNTED), HPARAMS, state=state
  )
  for_first, for_second = [1, 2], [0, 1, 4]
  wanted = np.zeros(6)
  nll = [calls.nll(images, labels, w) for w in params]
  wanted[for_first] += nll[0][for_first] * 5 / 2
  wanted[for_second] += nll[1][for_second] * 5 / 3
  np.testing.assert_allclose(losses[:5], wanted[:5], rtol=1e-5)
  # All losses of those counted are kept for the next fit, of no others.
  np.testing.assert_allclose(
    aux.state.losses[:, :5], np.stack(nll)[:, :5], 1e-5
  )
  np.testing.assert_array_equal(aux.state.losses[:, 5], 7)
  np.testing.assert_array_equal(aux.state.clean, state.clean)
  np.testing.assert_array_equal(aux.figures['kept'][:5], [0.5, 1, 0.5, 0, 0.5])

  def mean(w):
    return sum(
      calls.nll(images[rows], labels[rows], part).mean()
      for part, rows in zip(w, (for_first, for_second), strict=True)
    )

  np.testing.assert_allclose(
    gradient, calls.differences(mean, params), rtol=1e-3, atol=1e-4
  )


@pytest.mark.parametrize(('epoch', 'fits'), [(1, False), (2, True)])
def test_nothing_is_left_out_in_the_warm_up(epoch, fits):
  state = METHOD.init(jax.random.key(0), 6, 3)
  losses = jnp.array([[0.1, 0.2, 0.1, 5, 6, 5.5], [6, 0.1, 0.2, 5, 0.1, 0.2]])
  new, _ = METHOD.end_epoch(
    state.replace(losses=losses), None, HPARAMS, calls.context(epoch=epoch)
  )
  wanted = losses < 3 if fits else np.ones((2, 6), bool)
  np.testing.assert_array_equal(new.clean > 0.5, wanted)
  np.testing.assert_array_equal(new.losses, losses)
