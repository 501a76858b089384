"""GJS against its definition by entropies, and with two views in a program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax import losses, methods
from sce_jax.config import check
from sce_jax.errors import UserError
from sce_jax.methods.gjs import gjs
from tests import synthetic
from tests.methods import calls


def entropy(p):
  return -np.sum(np.where(p > 0, p * np.log(np.where(p > 0, p, 1)), 0), -1)


def reference(first, second, labels, w):
  """H of the mean less the mean of H, scaled; the label's H is 0."""
  p, other = calls.softmax(first), calls.softmax(second)
  v = (1 - w) / 2
  mean = w * np.eye(p.shape[1])[labels] + v * (p + other)
  divergence = entropy(mean) - v * (entropy(p) + entropy(other))
  return divergence / -((1 - w) * np.log(1 - w))


def views(images, second, params):
  return (x.reshape(calls.N, -1) @ params for x in (images, second))


@pytest.mark.parametrize('w', [0.1, 0.9])
def test_losses_and_gradients_are_those_of_the_definition(w, monkeypatch):
  def apply(params, images):
    return images.reshape(len(images), -1) @ params, {'mean': images.mean()}

  monkeypatch.setattr(calls, 'apply', apply)
  images, labels, params = calls.arrays()
  second = calls.arrays(seed=1)[0]
  given = calls.batch(images, labels, second=second)
  got, aux, gradient = calls.evaluate(gjs(), params, given, {'weight': w})
  wanted = reference(*views(images, second, params), labels, w)
  np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(
    aux.logits, images.reshape(calls.N, -1) @ params, rtol=1e-4, atol=1e-5
  )
  # Statistics are the mean of both views'.
  np.testing.assert_allclose(
    aux.batch_stats['mean'], (images.mean() + second.mean()) / 2, rtol=1e-4
  )

  def mean(params):
    return reference(*views(images, second, params), labels, w).mean()

  np.testing.assert_allclose(
    gradient,
    calls.differences(mean, params),
    rtol=1e-3,
    atol=1e-5,
  )


def test_limits_and_evaluations():
  images, labels, params = calls.arrays()
  # An evaluation has one view, as if both were equal: Jensen-Shannon.
  given = calls.batch(images, labels)
  told = calls.context(training=False)
  p = np.exp(-calls.nll(images, labels, params))
  # To cross entropy as the label's weight goes to 0, and to 1 - p_y.
  for w, wanted, error in ((1e-3, -np.log(p), 0.02), (1 - 1e-6, 1 - p, 0.1)):
    hparams = {'weight': w}
    got, *_ = calls.evaluate(gjs(), params, given, hparams, told)
    np.testing.assert_allclose(got, wanted, rtol=error, atol=2e-3)


def test_confident_logits_stay_finite():
  images = np.zeros((calls.N, 1, 1, calls.D))
  images[..., 0] = np.array([1, 1, -1, -1, 0, 1])[:, None, None]
  second = images[::-1]
  params = np.zeros((calls.D, calls.K))
  params[0] = [1e4, -1e4, 0]
  given = calls.batch(images, np.array([0, 1, 2, 0, 1, 2]), second=second)
  results = calls.evaluate(gjs(), params, given, {'weight': 0.3})
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(results))


def test_data_that_are_not_augmented_are_refused():
  config = synthetic.config('gjs,symmetric,0.4')
  with pytest.raises(UserError) as caught:
    check.check_config(config)
  assert str(caught.value) == (
    "loss 'gjs' compares two augmentations of each image, and"
    ' config.data.augment has none: add one, such as'
    ' --config.data.augment.pad_crop=2 (images only)'
  )


@pytest.mark.usefixtures('small_network')
def test_the_second_view_is_another_augmentation_of_the_same(monkeypatch):
  def differ(apply, params, batch, state, hparams, context):
    """Has as figures what the two views of an image have in common."""
    logits, stats = apply(params, batch.image)
    labels = jax.vmap(losses.cross_entropy)(logits, batch.label)
    if not context.training:
      return labels, methods.Aux(logits, stats, state)
    first, second = (
      jnp.sort(x.reshape(len(x), -1)) for x in (batch.image, batch.second_image)
    )
    figures = {
      'same_pixels': (first == second).all(1).astype(jnp.float32),
      'equal': (batch.image == batch.second_image)
      .all((1, 2, 3))
      .astype(jnp.float32),
    }
    return labels, methods.Aux(logits, stats, state, figures)

  method = gjs()._replace(loss=differ, figures=('same_pixels', 'equal'))
  spec = methods.Spec(lambda: method, 'two views', 'views', {})
  monkeypatch.setitem(methods.SPECS, 'views', spec)
  config = synthetic.config('views')
  config.model.name = 'digits_cnn'
  config.data.augment.flip = True
  config.train.drop_remainder = True  # One program, for full batches.
  trainer, inputs, _ = synthetic.program([config])
  _, (sums, _) = synthetic.run_epochs(trainer, inputs)
  figures = {k: float(v) / int(sums.count) for k, v in sums.figures.items()}
  # Mirrored, an image has the same pixels; half of the pairs are equal, give or
  # take three standard deviations of 32 coin tosses.
  assert figures['same_pixels'] == 1
  assert figures['equal'] == pytest.approx(0.5, abs=0.27)
