"""Initialisers against their formulas, and which layer gets which fan-in."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax.models.cnn import CNN
from sce_jax.models.initializers import INITIALIZERS

FAN_IN, FEATURES = 9 * 32, 64
# A normal that is cut at two deviations has 0.8796 of them left.
TRUNCATED, UNIFORM = 2 / 0.87962566, 3**0.5
# Of convolutions and of dense layers: the deviation, and the largest weight in
# deviations; of biases: the largest.
FORMULAS = {
  'he_normal': (
    ((2 / FAN_IN) ** 0.5, TRUNCATED),
    ((2 / FAN_IN) ** 0.5, TRUNCATED),
    0.0,
  ),
  'torch': (
    ((3 * FAN_IN) ** -0.5, UNIFORM),
    ((3 * FAN_IN) ** -0.5, UNIFORM),
    FAN_IN**-0.5,
  ),
  'apl': (
    ((2 / FAN_IN) ** 0.5, UNIFORM),
    ((2 / (FAN_IN + FEATURES)) ** 0.5, UNIFORM),
    FAN_IN**-0.5,
  ),
}


@pytest.mark.parametrize('name', list(INITIALIZERS))
def test_spread_and_bounds(name):
  init = INITIALIZERS[name]
  conv = init.conv_kernel(jax.random.key(0), (3, 3, 32, FEATURES), jnp.float32)
  dense = init.dense_kernel(jax.random.key(1), (FAN_IN, FEATURES), jnp.float32)
  bias = init.bias(FAN_IN)(jax.random.key(2), (10_000,), jnp.float32)
  *kernels, bias_bound = FORMULAS[name]
  for kernel, (std, bound) in zip((conv, dense), kernels, strict=True):
    # The spread of 18,432 draws is known to about half a percent; the largest
    # of them lies within 1 % of the bound.
    assert float(kernel.std()) == pytest.approx(std, rel=0.02)
    largest = float(jnp.abs(kernel).max())
    assert largest == pytest.approx(bound * std, rel=0.01)
    # Five deviations of the mean.
    assert abs(float(kernel.mean())) < 5 * std / kernel.size**0.5
  assert float(jnp.abs(bias).max()) == pytest.approx(bias_bound, rel=1e-3)
  assert abs(float(bias.mean())) <= 5 * bias_bound / (3 * 10_000) ** 0.5


@pytest.mark.parametrize('name', list(INITIALIZERS))
def test_biases_follow_their_layers_fan_in(name):
  model = CNN(
    ((64,),),
    (True,),
    128,
    100,
    batch_norm=False,
    initializer=INITIALIZERS[name],
  )
  x = jnp.zeros((1, 4, 4, 3))
  params = jax.jit(model.init)(jax.random.key(0), x)['params']
  fan_ins = {'conv1': 9 * 3, 'fc1': 2 * 2 * 64, 'head': 128}
  assert set(params) == set(fan_ins)
  for layer, fan_in in fan_ins.items():
    largest = float(np.abs(params[layer]['bias']).max())
    bound = 0.0 if name == 'he_normal' else fan_in**-0.5
    # All but one in a hundred sets of 64 numbers come within 7 % of it.
    assert 0.93 * bound <= largest <= bound
