"""Batch norm against float64 NumPy: filled up, spread over devices, alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax.models import layers

SCALE, BIAS = np.array([2.0, 3.0]), np.array([0.5, -1.0])
MEAN, VAR = np.array([0.1, 0.2]), np.array([2.0, 4.0])
LAYOUTS = pytest.mark.parametrize('layout', layers.LAYOUTS)


def normal(*shape, seed=0):
  x = np.random.default_rng(seed).normal(size=shape)
  return jnp.array(x, jnp.float32)


def variables():
  return {
    'params': {'scale': jnp.array(SCALE), 'bias': jnp.array(BIAS)},
    'batch_stats': {'mean': jnp.array(MEAN), 'var': jnp.array(VAR)},
  }


def normalise(x, train, mask=None, layout='nhwc', axis_name=None, given=None):
  """Takes and gives [N, ..., C]."""
  norm = layers.BatchNorm(0.9, 1e-3, axis_name, layout)
  moved = x.ndim == 4 and layout == 'chwn'
  y, updated = norm.apply(
    variables() if given is None else given,
    x.transpose(3, 1, 2, 0) if moved else x,
    train=train,
    mask=mask,
    mutable=['batch_stats'],
  )
  return y.transpose(3, 1, 2, 0) if moved else y, updated['batch_stats']


@LAYOUTS
@pytest.mark.parametrize('shape', [(5, 3, 4, 2), (20, 2)])
def test_training_against_numpy(layout, shape):
  images = 3 + 2 * normal(*shape)
  x = np.asarray(images, np.float64)
  axes = tuple(range(x.ndim - 1))
  mean, var = x.mean(axes), x.var(axes)
  y, stats = normalise(images, True, layout=layout)
  # The variance is a difference of squares of order 10, in float32.
  expected = (x - mean) / np.sqrt(var + 1e-3) * SCALE + BIAS
  np.testing.assert_allclose(y, expected, atol=1e-4)
  # Keras's momentum, and the variance as it stands: not N / (N - 1) of it.
  np.testing.assert_allclose(stats['mean'], 0.9 * MEAN + 0.1 * mean, rtol=1e-5)
  np.testing.assert_allclose(stats['var'], 0.9 * VAR + 0.1 * var, rtol=1e-5)


@LAYOUTS
def test_evaluation_uses_and_keeps_the_running_statistics(layout):
  images = normal(5, 3, 4, 2)
  y, stats = normalise(images, False, layout=layout)
  x = np.asarray(images, np.float64)
  # float32's rounding of numbers of order 10.
  np.testing.assert_allclose(
    y, (x - MEAN) / np.sqrt(VAR + 1e-3) * SCALE + BIAS, atol=1e-5
  )
  np.testing.assert_array_equal(stats['mean'], np.float32(MEAN))
  np.testing.assert_array_equal(stats['var'], np.float32(VAR))


def test_initialising_in_training_records_nothing():
  x = 3 + normal(5, 3, 4, 2)
  fresh = layers.BatchNorm().init(jax.random.key(0), x, train=True)
  np.testing.assert_array_equal(fresh['batch_stats']['mean'], [0, 0])
  np.testing.assert_array_equal(fresh['batch_stats']['var'], [1, 1])


def test_a_constant_channel_stays_finite():
  # Rounding can bring the mean of squares below the squared mean.
  x = jnp.full((7, 3, 5, 2), 1000.1)
  y, stats = normalise(x, True)
  assert bool(jnp.isfinite(y).all())
  assert float(stats['var'].min()) >= 0.9 * VAR.min() * (1 - 1e-6)


def test_bfloat16_has_float32_statistics():
  x = (100 + normal(512, 2)).astype(jnp.bfloat16)
  y, stats = normalise(x, True)
  assert y.dtype == jnp.bfloat16
  # In bfloat16 the mean of 512 numbers near 100 would be off by about 0.25.
  mean = np.asarray(x, np.float64).mean(0)
  np.testing.assert_allclose(stats['mean'], 0.9 * MEAN + 0.1 * mean, rtol=1e-5)


def step(x, given, weight, mask, layout, axis_name=None):
  """(values, statistics), and gradients in x, scale and bias."""

  def loss(x, params):
    y, stats = normalise(
      x, True, mask, layout, axis_name, {**given, 'params': params}
    )
    # `weight` is 0 for what fills up, as train_step's loss is.
    return (weight * jnp.sin(y)).sum(), (y, stats)

  return jax.grad(loss, argnums=(0, 1), has_aux=True)(x, given['params'])


def close(actual, expected):
  # The same float32 sums of at most 200 terms of order 1, in another order.
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4),
    actual,
    expected,
  )


@LAYOUTS
@pytest.mark.parametrize('shape', [(6, 3, 4, 2), (6, 2)])
def test_what_fills_up_is_not_seen(layout, shape):
  batch, weight = normal(*shape), normal(*shape, seed=2)
  rest = 100 * normal(2, *shape[1:], seed=1)
  mask = jnp.array([1.0] * 6 + [0.0] * 2)
  run = jax.jit(step, static_argnames='layout')
  (dx, params), (y, stats) = run(
    jnp.concatenate([batch, rest]),
    variables(),
    jnp.concatenate([weight, jnp.zeros_like(rest)]),
    mask,
    layout=layout,
  )
  np.testing.assert_array_equal(dx[6:], jnp.zeros_like(rest))
  expected = run(batch, variables(), weight, None, layout=layout)
  close(((dx[:6], params), (y[:6], stats)), expected)


@LAYOUTS
@pytest.mark.parametrize('num_real', [16, 13])
def test_a_batch_on_eight_devices_is_one_batch(layout, num_real):
  """With 13 of 16 the last device has none, the one before it one."""
  x, weight = 2 + normal(16, 2, 3, 2), normal(16, 2, 3, 2, seed=2)
  real = (jnp.arange(16) < num_real).astype(jnp.float32)
  weight = weight * real[:, None, None, None]
  mask = None if num_real == 16 else real

  def on_devices(x, weight, mask):
    (dx, params), (y, stats) = step(
      x, variables(), weight, mask, layout, 'batch'
    )
    return (dx, jax.lax.psum(params, 'batch')), (y, stats)

  shares = jax.tree.map(
    lambda a: a.reshape(8, 2, *a.shape[1:]), (x, weight, mask)
  )
  (dx, params), (y, stats) = jax.pmap(on_devices, axis_name='batch')(*shares)
  one = jax.jit(step, static_argnames='layout')(
    x, variables(), weight, mask, layout=layout
  )
  close((dx.reshape(x.shape), y.reshape(x.shape)), (one[0][0], one[1][0]))
  for device in range(8):
    share = jax.tree.map(lambda a, d=device: a[d], (params, stats))
    close(share, (one[0][1], one[1][1]))
