"""Layers in both layouts against NumPy, hand-worked cases and each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax.models import layers
from tests.models import reference


def normal(*shape, seed=0):
  x = np.random.default_rng(seed).normal(size=shape)
  return jnp.array(x, jnp.float32)


# Few channels take another way than many; strides and 1x1 take lax.conv.
CONVOLUTIONS = [
  (1, 8, 3, 1),
  (3, 8, 3, 1),
  (6, 5, 3, 1),
  (6, 4, 3, 2),
  (6, 4, 1, 2),
  (6, 4, 1, 1),
]


def convolve(layout, channels, features, size, strides, dtype=jnp.float32):
  """Arguments, then (output, d input, d kernel, d bias) as [N, H, W, C]."""
  conv = layers.Conv(features, size, strides, dtype=dtype, layout=layout)
  # An odd and an even length: 'SAME' pads them differently under strides.
  x, kernel = normal(4, 6, 7, channels), normal(size, size, channels, features)
  bias, shape = normal(features, seed=1), (-(-6 // strides), -(-7 // strides))
  gradient = normal(4, *shape, features, seed=2)

  @jax.jit
  def run(x, kernel, bias, gradient):
    def apply(x, kernel, bias):
      params = {'params': {'kernel': kernel, 'bias': bias}}
      y = conv.apply(params, layers.from_nhwc(x, layout))
      return y.transpose(3, 1, 2, 0) if layout == 'chwn' else y

    y, pullback = jax.vjp(apply, x, kernel, bias)
    return y, *pullback(gradient.astype(y.dtype))

  arguments = x, kernel, bias, gradient
  return arguments, run(*arguments)


@pytest.mark.parametrize('layout', layers.LAYOUTS)
@pytest.mark.parametrize(
  ('channels', 'features', 'size', 'strides'), CONVOLUTIONS
)
def test_convolution_by_definition(layout, channels, features, size, strides):
  (x, kernel, bias, gradient), (y, *gradients) = convolve(
    layout, channels, features, size, strides
  )
  expected = [
    reference.convolution(x, kernel, bias, strides),
    *reference.convolution_gradients(x, kernel, gradient, strides),
  ]
  for a, b in zip([y, *gradients], expected, strict=True):
    # Float32's rounding of sums, at most some 4e-6 with Winograd's transforms.
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())


# Few channels and many, narrow and (the first of each) wide: XLA's CPU backend
# lacks some products of bfloat16.
@pytest.mark.parametrize('layout', layers.LAYOUTS)
@pytest.mark.parametrize(
  ('channels', 'features'), [(4, 32), (1, 8), (12, 16), (6, 5)]
)
def test_bfloat16_convolution(layout, channels, features):
  (x, kernel, bias, gradient), (y, *gradients) = convolve(
    layout, channels, features, 3, 1, jnp.bfloat16
  )
  assert y.dtype == jnp.bfloat16
  assert all(g.dtype == jnp.float32 for g in gradients)
  expected = (
    reference.convolution(x, kernel, bias),
    *reference.convolution_gradients(x, kernel, gradient),
  )
  # Factors and results are rounded to 8 bits, sums are not: each rounding has a
  # relative error of 0.2 % at most. The bias's gradient is a sum in bfloat16.
  for a, b, tolerance in zip(
    (y, *gradients), expected, (0.006, 0.006, 0.006, 0.03), strict=True
  ):
    error = np.linalg.norm(np.asarray(a, np.float64) - b)
    assert 0 < error < tolerance * np.linalg.norm(b)


@pytest.mark.parametrize('layout', layers.LAYOUTS)
def test_max_pool_by_definition(layout):
  """An odd last row or column is left out."""
  images = normal(2, 5, 7, 3)
  y = layers.max_pool(layers.from_nhwc(images, layout))
  expected = reference.max_pool(np.asarray(images))
  assert expected.shape == (2, 2, 3, 3)
  np.testing.assert_array_equal(
    y, layers.from_nhwc(jnp.array(expected, jnp.float32), layout)
  )


def test_max_pool_passes_the_gradient_to_the_largest():
  x = jnp.array([[1.0, 2.0, 5.0], [4.0, 3.0, 6.0], [9.0, 8.0, 7.0]])
  gradient = jax.grad(lambda x: 3 * layers.max_pool(x).sum())(
    x.reshape(1, 3, 3, 1)
  )
  np.testing.assert_array_equal(
    gradient[0, :, :, 0], [[0, 0, 0], [3, 0, 0], [0, 0, 0]]
  )


def test_max_pool_shares_a_tie():
  """A constant window passes its gradient on once, not four times."""
  constant = jnp.zeros((1, 4, 4, 1))
  gradient = jax.grad(lambda x: layers.max_pool(x).sum())(constant)
  np.testing.assert_array_equal(gradient[0, :, :, 0], np.full((4, 4), 0.25))


def test_flatten_and_mean_pool_agree_between_layouts():
  images = normal(3, 4, 5, 2)
  other = layers.from_nhwc(images, 'chwn')
  for x, layout in ((images, 'nhwc'), (other, 'chwn')):
    np.testing.assert_array_equal(
      layers.flatten(x, layout), np.asarray(images).reshape(3, -1)
    )
    # The mean of 20 numbers in another order.
    np.testing.assert_allclose(
      layers.mean_pool(x, layout), np.asarray(images).mean((1, 2)), atol=1e-6
    )
