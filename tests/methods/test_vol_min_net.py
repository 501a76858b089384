"""VolMinNet against its formulas in NumPy, float64, and by differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax.methods import vol_min_net
from tests.methods import calls

HPARAMS = {'volume_weight': 0.3, 'rate': 0.5, 'factor': 0.1}
COUNTED = np.array([True] * 5 + [False])


def matrix(w):
  """T of w."""
  rows = np.where(np.eye(len(w), dtype=bool), 1, 1 / (1 + np.exp(-w)))
  return rows / rows.sum(1, keepdims=True)


def reference(images, labels, params, w):
  """The losses of a batch."""
  t = matrix(w)
  noisy = calls.softmax(images.reshape(len(images), -1) @ params) @ t
  volume = np.log(abs(np.linalg.det(t)))
  return -np.log(noisy[np.arange(len(labels)), labels]) + 0.3 * volume


def test_the_matrix_by_hand():
  # sigmoid(0) = 1/2 and sigmoid(log 3) = 3/4; the diagonal is not used.
  w = jnp.array([[9, 0, np.log(3)], [0, -5, 0], [0, 0, 0]])
  np.testing.assert_allclose(
    vol_min_net.transition(w),
    [[4 / 9, 2 / 9, 3 / 9], [1 / 4, 1 / 2, 1 / 4], [1 / 4, 1 / 4, 1 / 2]],
    rtol=1e-6,
  )
  # As the authors start it: rows of 1 and sigmoid(-2).
  state = vol_min_net.vol_min_net(2.0, 'sgd').init(jax.random.key(0), 9, 10)
  start = np.asarray(vol_min_net.transition(state['w']))
  np.testing.assert_allclose(start.diagonal(), 0.48243, atol=1e-4)
  # log det of a matrix with a on and b off the diagonal: 9 log(a - b).
  np.testing.assert_allclose(
    vol_min_net.log_volume(state['w']), 9 * np.log(0.48243 - 0.05751), rtol=1e-3
  )


class Reference:
  """An optimiser's steps in float64, rate 0.5 in the first epochs."""

  def __init__(self, optimizer):
    self.optimizer, self.mean, self.square, self.step = optimizer, 0, 0, 0

  def direction(self, slope):
    if self.optimizer == 'sgd':
      self.mean = 0.9 * self.mean + slope
      return self.mean
    self.step += 1
    self.mean = 0.9 * self.mean + 0.1 * slope
    self.square = 0.999 * self.square + 0.001 * slope**2
    mean = self.mean / (1 - 0.9**self.step)
    return mean / (np.sqrt(self.square / (1 - 0.999**self.step)) + 1e-8)


@pytest.mark.parametrize('optimizer', ['sgd', 'adam'])
def test_losses_gradient_and_matrix_of_four_steps(optimizer):
  """Of a batch whose last example only fills it up."""
  method = vol_min_net.vol_min_net(1.0, optimizer)
  images, labels, params = calls.arrays()
  given = calls.batch(images, labels, COUNTED)
  images, labels = images[:5], labels[:5]
  state = method.init(jax.random.key(0), calls.N, calls.K)
  w, steps = -np.ones((calls.K, calls.K)), Reference(optimizer)
  # Ten epochs: the rate falls at the fourth, 3.75 rounded, and at the eighth,
  # 7.5 rounded.
  for epoch, rate in ((3, 0.5), (4, 0.05), (7, 0.05), (8, 0.005)):
    losses, aux, gradient = calls.evaluate(
      method, params, given, HPARAMS, calls.context(epoch=epoch), state=state
    )
    np.testing.assert_allclose(
      losses[:5], reference(images, labels, params, w), rtol=1e-4, atol=1e-5
    )

    def mean(x, w=w):
      return reference(images, labels, x, w).mean()

    def of_matrix(w):
      return reference(images, labels, params, w).mean()

    np.testing.assert_allclose(
      gradient, calls.differences(mean, params), rtol=1e-3, atol=1e-5
    )
    np.testing.assert_allclose(
      aux.figures['diagonal'], np.full(6, matrix(w).trace() / 3), rtol=1e-5
    )
    w = w - rate * steps.direction(calls.differences(of_matrix, w))
    off = ~np.eye(calls.K, dtype=bool)
    state = aux.state
    np.testing.assert_allclose(state['w'][off], w[off], rtol=1e-3, atol=1e-4)


def test_evaluations_are_against_clean_classes():
  method = vol_min_net.vol_min_net(2.0, 'sgd')
  begun = method.init(jax.random.key(0), calls.N, calls.K)
  calls.check_evaluation(method, HPARAMS, begun)


@pytest.mark.parametrize('scale', [1e4, -1e4])
def test_confident_logits_stay_finite(scale):
  method = vol_min_net.vol_min_net(2.0, 'adam')
  begun = method.init(jax.random.key(0), calls.N, calls.K)
  aux = calls.check_confident(method, HPARAMS, begun, scale=scale)
  assert np.isfinite(aux.state['w']).all()
