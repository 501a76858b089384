"""Layers in both layouts against NumPy, hand-worked cases and each other."""

import jax
import jax.numpy as jnp
from jax.test_util import check_grads
import numpy as np
import pytest

from sce_jax.models import layers
from sce_jax.models.initializers import INITIALIZERS


def normal(*shape, seed=0):
  return jax.random.normal(jax.random.key(seed), shape)


def naive_convolution(x, kernel, strides):
  """'SAME' convolution of [N, H, W, C], float64, by its definition."""
  x, kernel = np.asarray(x, np.float64), np.asarray(kernel, np.float64)
  size = kernel.shape[0]
  rows, columns = (-(-n // strides) for n in x.shape[1:3])
  pads = [
    max((out - 1) * strides + size - n, 0)
    for out, n in ((rows, x.shape[1]), (columns, x.shape[2]))
  ]
  x = np.pad(x, [(0, 0)] + [(p // 2, p - p // 2) for p in pads] + [(0, 0)])
  y = np.zeros((x.shape[0], rows, columns, kernel.shape[3]))
  for i in range(rows):
    for j in range(columns):
      window = x[:, strides * i : strides * i + size]
      window = window[:, :, strides * j : strides * j + size]
      y[:, i, j] = np.einsum('nhwc,hwcf->nf', window, kernel)
  return y


# Few channels take another way than many; strides and 1x1 take lax.conv.
CONVOLUTIONS = [
  (1, 8, 3, 1),
  (3, 8, 3, 1),
  (6, 5, 3, 1),
  (6, 4, 3, 2),
  (6, 4, 1, 2),
  (6, 4, 1, 1),
]


@pytest.mark.parametrize('layout', layers.LAYOUTS)
@pytest.mark.parametrize(
  ('channels', 'features', 'size', 'strides'), CONVOLUTIONS
)
def test_convolution_by_definition(layout, channels, features, size, strides):
  conv = layers.Conv(features, size, strides, use_bias=False, layout=layout)
  images = normal(4, 6, 8, channels)
  x = layers.from_nhwc(images, layout)
  variables = conv.init(jax.random.key(1), x)
  y = conv.apply(variables, x)
  y = y.transpose(3, 1, 2, 0) if layout == 'chwn' else y
  kernel = variables['params']['kernel']
  # Sums of at most 54 products of order 1 in float32.
  np.testing.assert_allclose(
    y, naive_convolution(images, kernel, strides), atol=1e-5
  )


@pytest.mark.parametrize(('channels', 'features'), [(1, 8), (6, 5)])
def test_convolution_gradients_against_differences(channels, features):
  def loss(x, kernel):
    # check_grads passes NumPy's arrays.
    x, kernel = jnp.asarray(x), jnp.asarray(kernel)
    return jnp.sin(layers._conv3x3_products(x, kernel)).sum()

  with jax.enable_x64(True):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(channels, 4, 5, 2)))
    kernel = jnp.asarray(
      np.random.default_rng(1).normal(size=(3, 3, channels, features))
    )
    # preferred_element_type is float32: differences of 1e-3 leave 3 digits.
    check_grads(
      loss, (x, kernel), 1, modes=['rev'], eps=1e-2, atol=2e-2, rtol=2e-2
    )


@pytest.mark.parametrize(('channels', 'features'), [(1, 8), (6, 5)])
def test_both_layouts_have_the_same_gradients(channels, features):
  images, weight = normal(4, 6, 8, channels), normal(4, 6, 8, features, seed=2)
  kernel = normal(3, 3, channels, features, seed=1)

  def loss(layout):
    def inner(images, kernel):
      x = layers.from_nhwc(images, layout)
      y = layers._convolve(x, kernel, 1, layout)
      return (y * layers.from_nhwc(weight, layout)).sum()

    return inner

  for a, b in zip(
    jax.grad(loss('nhwc'), (0, 1))(images, kernel),
    jax.grad(loss('chwn'), (0, 1))(images, kernel),
    strict=True,
  ):
    # Sums of at most 192 products of order 1, in another order.
    np.testing.assert_allclose(a, b, atol=1e-4)


def test_max_pool_by_hand():
  x = jnp.arange(16.0).reshape(1, 4, 4, 1)
  np.testing.assert_array_equal(
    layers.max_pool(x)[0, :, :, 0], [[5, 7], [13, 15]]
  )


def test_max_pool_leaves_an_odd_row_out():
  assert layers.max_pool(normal(2, 5, 7, 3)).shape == (2, 2, 3, 3)


def test_max_pool_shares_a_tie():
  constant = jnp.zeros((1, 4, 4, 1))
  gradient = jax.grad(lambda x: layers.max_pool(x).sum())(constant)
  np.testing.assert_array_equal(gradient[0, :, :, 0], np.full((4, 4), 0.25))


def test_flatten_and_mean_pool_agree_between_layouts():
  images = normal(3, 4, 5, 2)
  other = layers.from_nhwc(images, 'chwn')
  np.testing.assert_array_equal(
    layers.flatten(images, 'nhwc'), layers.flatten(other, 'chwn')
  )
  # The mean of 20 numbers in another order.
  np.testing.assert_allclose(
    layers.mean_pool(images, 'nhwc'), layers.mean_pool(other, 'chwn'), atol=1e-6
  )


def normalise(x, train, mask=None, layout='nhwc', **options):
  norm = layers.BatchNorm(0.9, 1e-3, layout=layout, **options)
  variables = {
    'params': {'scale': jnp.array([2.0, 3.0]), 'bias': jnp.array([0.5, -1.0])},
    'batch_stats': {
      'mean': jnp.array([0.1, 0.2]),
      'var': jnp.array([2.0, 4.0]),
    },
  }
  return norm.apply(
    variables, x, train=train, mask=mask, mutable=['batch_stats']
  )


@pytest.mark.parametrize('layout', layers.LAYOUTS)
def test_batch_norm_against_numpy(layout):
  images = 3 + 2 * normal(5, 3, 4, 2)
  x = np.asarray(images, np.float64)
  mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
  y, updated = normalise(layers.from_nhwc(images, layout), True, layout=layout)
  y = y.transpose(3, 1, 2, 0) if layout == 'chwn' else y
  expected = (x - mean) / np.sqrt(var + 1e-3) * [2, 3] + [0.5, -1]
  # The variance is a difference of squares of order 10, in float32.
  np.testing.assert_allclose(y, expected, atol=1e-4)
  stats = updated['batch_stats']
  np.testing.assert_allclose(
    stats['mean'], 0.9 * np.array([0.1, 0.2]) + 0.1 * mean, rtol=1e-5
  )
  np.testing.assert_allclose(
    stats['var'], 0.9 * np.array([2, 4]) + 0.1 * var, rtol=1e-5
  )


def test_batch_norm_evaluates_with_running_statistics():
  images = normal(5, 3, 4, 2)
  y, updated = normalise(images, False)
  expected = (images - np.array([0.1, 0.2])) / np.sqrt([2.001, 4.001])
  np.testing.assert_allclose(
    y, expected * np.array([2.0, 3.0]) + np.array([0.5, -1.0]), atol=1e-5
  )
  np.testing.assert_array_equal(updated['batch_stats']['var'], [2, 4])


@pytest.mark.parametrize('layout', layers.LAYOUTS)
@pytest.mark.parametrize('shape', [(6, 3, 4, 2), (6, 2)])
def test_batch_norm_does_not_see_what_fills_up(layout, shape):
  batch = normal(*shape)
  filled = jnp.concatenate([batch, 100 * normal(2, *shape[1:], seed=1)])
  mask = jnp.array([1.0] * 6 + [0.0] * 2)

  def to_layout(x):
    return layers.from_nhwc(x, layout) if x.ndim == 4 else x

  expected, stats = normalise(to_layout(batch), True, layout=layout)
  y, masked_stats = normalise(to_layout(filled), True, mask, layout=layout)
  y = y[..., :6] if layout == 'chwn' and len(shape) == 4 else y[:6]
  # The same sums in another order.
  np.testing.assert_allclose(y, expected, atol=1e-4)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5),
    masked_stats,
    stats,
  )


@pytest.mark.parametrize('name', list(INITIALIZERS))
def test_initialisers_have_their_spread(name):
  init = INITIALIZERS[name]
  fan_in, features = 9 * 32, 64
  kernel = init.conv_kernel(
    jax.random.key(0), (3, 3, 32, features), jnp.float32
  )
  dense = init.dense_kernel(jax.random.key(1), (fan_in, features), jnp.float32)
  bias = init.bias(fan_in)(jax.random.key(2), (10_000,), jnp.float32)
  std, dense_std, bound = {
    'he_normal': ((2 / fan_in) ** 0.5, (2 / fan_in) ** 0.5, 0.0),
    'torch': ((3 * fan_in) ** -0.5, (3 * fan_in) ** -0.5, fan_in**-0.5),
    'apl': (
      (2 / fan_in) ** 0.5,
      (2 / (fan_in + features)) ** 0.5,
      fan_in**-0.5,
    ),
  }[name]
  # The spread of 18,432 draws is known to about half a percent.
  assert float(kernel.std()) == pytest.approx(std, rel=0.02)
  assert float(dense.std()) == pytest.approx(dense_std, rel=0.02)
  assert float(jnp.abs(bias).max()) == pytest.approx(bound, rel=1e-3)
