"""Winograd's convolution against the definition, at every border."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax.models import conv3x3, winograd
from tests.models import reference


def normal(*shape, seed):
  return np.random.default_rng(seed).normal(size=shape)


def with_gradients(x, kernel, gradient):
  """Output, d input and d kernel; x and gradient are [N, H, W, C]."""

  def apply(x, kernel):
    return winograd.conv3x3(x.transpose(3, 1, 2, 0), kernel).transpose(
      3, 1, 2, 0
    )

  y, pullback = jax.vjp(apply, jnp.float32(x), jnp.float32(kernel))
  return y, *pullback(jnp.float32(gradient))


# Less than a tile, whole tiles, and all that can be left of one.
@pytest.mark.parametrize(
  ('height', 'width'), [(1, 1), (2, 4), (4, 3), (5, 8), (6, 7), (9, 12)]
)
def test_by_definition_at_every_border(height, width):
  x = normal(2, height, width, 3, seed=0)
  kernel = normal(3, 3, 3, 5, seed=1)
  gradient = normal(2, height, width, 5, seed=2)
  y, *gradients = with_gradients(x, kernel, gradient)
  expected = [
    reference.convolution(x, kernel),
    *reference.convolution_gradients(x, kernel, gradient)[:2],
  ]
  for a, b in zip([y, *gradients], expected, strict=True):
    assert_close(a, b)


def assert_close(actual, expected):
  # Float32's 6e-8 of the largest value, which the transforms grow some 50
  # times: 4e-6 was seen.
  atol = 1e-5 * np.abs(expected).max()
  np.testing.assert_allclose(actual, expected, rtol=0, atol=atol)


def test_rounding_at_the_size_of_a_real_layer():
  x = np.maximum(normal(4, 16, 16, 128, seed=0), 0)
  kernel = normal(3, 3, 128, 64, seed=1) * np.sqrt(2 / (9 * 128))
  gradient = normal(4, 16, 16, 64, seed=2)
  y, *gradients = with_gradients(x, kernel, gradient)
  expected = [
    reference.convolution(x, kernel, np.zeros(64)),
    *reference.convolution_gradients(x, kernel, gradient)[:2],
  ]
  for a, b in zip([y, *gradients], expected, strict=True):
    # 1e-6 to 4e-6 was measured; a wrong coefficient gives 1e-1.
    assert np.linalg.norm(a - b) < 1e-5 * np.linalg.norm(b)


@pytest.mark.parametrize(
  ('channels', 'features', 'size', 'batch', 'dtype', 'chosen'),
  [
    (64, 64, 32, 128, 'float32', True),  # CIFAR's.
    (196, 196, 8, 128, 'float32', True),
    (64, 64, 32, 128, 'bfloat16', False),  # It would be 4 % off.
    (32, 64, 14, 128, 'float32', True),  # MNIST's.
    (16, 32, 4, 64, 'float32', False),  # Digits': too small to gain.
    (64, 64, 32, 2, 'float32', False),
    (3, 1024, 32, 128, 'float32', False),  # Few channels.
  ],
)
def test_where_it_is_used(
  channels, features, size, batch, dtype, chosen, monkeypatch
):
  used = []

  def spy(x, kernel):
    used.append(True)
    return jnp.zeros((kernel.shape[-1], *x.shape[1:]), x.dtype)

  monkeypatch.setattr(winograd, 'conv3x3', spy)
  jax.eval_shape(
    conv3x3.conv3x3,
    jax.ShapeDtypeStruct((channels, size, size, batch), dtype),
    jax.ShapeDtypeStruct((3, 3, channels, features), dtype),
  )
  assert bool(used) == chosen


@pytest.mark.parametrize(
  'channels', [4, pytest.param(6, marks=pytest.mark.slow), 7]
)
def test_taken_apart_a_group_of_channels_at_a_time(channels, monkeypatch):
  x = normal(2, 6, 5, channels, seed=0)
  kernel = normal(3, 3, channels, 3, seed=1)
  gradient = normal(2, 6, 5, 3, seed=2)
  whole = with_gradients(x, kernel, gradient)
  monkeypatch.setattr(winograd, '_LARGE', 0)
  monkeypatch.setattr(winograd, '_GROUP', 2 * x[..., 0].size * 4)
  for a, b in zip(with_gradients(x, kernel, gradient), whole, strict=True):
    # The same sums, up to what XLA contracts to fused multiplications.
    assert_close(a, b)
