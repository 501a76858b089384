"""Single layers, compiled for a TPU that is not here: widths and pooling."""

from collections.abc import Callable, Sequence
import functools
import math
from typing import Any

from flax import linen as nn
import jax
from jax import lax
import jax.numpy as jnp
from jax.sharding import SingleDeviceSharding

from experiments.benchmarks import harness, hlo, targets
from experiments.benchmarks.ahead import versions
from sce_jax import models
from sce_jax.errors import UserError
from sce_jax.models import layers as layers_lib

# Positions along a side of the CIFAR CNN's last stage and of its first pooling.
_SIDE, _POOLED, _POOLED_CHANNELS, _HIDDEN = 8, 32, 64, 256


def layers(
  target: str = 'v5e:1x1',
  widths: Sequence[int] = (64, 128, 192, 196, 200, 256),
  classes: Sequence[int] = (10, 100, 128),
  batch: int = 128,
  dtype: str = 'bfloat16',
) -> harness.Report:
  """Layers of the CIFAR CNN alone, forward and backward; nothing is run.

  convolution  3x3 of [batch, 8, 8, C] to as many channels, for --widths: what
               those pay that do not fill the units' tiles.
  head         the dense layer of 256 to --classes.
  max pool     of [batch, 32, 32, 64]: ours; the maximum of four strided slices;
               XLA's reduce-window.

  Times are the estimates of `ahead`. A layer alone reads and writes memory
  where it is fused with its neighbours, or kept in fast memory, in a step.
  """
  described = targets.describe(target)
  if described.chip.clock is None:
    raise UserError(f'--target={target}: a compiler of GPUs estimates no times')
  number = models.DTYPES[dtype]
  cases: list[tuple[str, Callable[..., Any], list[Any], int]] = []
  for width in widths:
    shape, kernel = (batch, _SIDE, _SIDE, width), (3, 3, width, width)
    flops = 3 * 2 * math.prod(shape) * 9 * width
    cases.append((f'convolution {width}', _convolve, [shape, kernel], flops))
  for count in classes:
    pair = [(batch, _HIDDEN), (_HIDDEN, count)]
    flops = 3 * 2 * batch * _HIDDEN * count
    cases.append((f'head {count}', jnp.matmul, pair, flops))
  pooled = [(batch, _POOLED, _POOLED, _POOLED_CHANNELS)]
  cases += [
    ('max pool, ours', layers_lib.max_pool, pooled, 0),
    ('max pool, slices', _pool_slices, pooled, 0),
    ('max pool, reduce-window', _pool_window, pooled, 0),
  ]
  rows = []
  for name, fn, shapes, flops in cases:
    harness.log(f'compiles {name} for {target}')
    row = _compile(fn, shapes, number, described)
    seconds = row['ms by cycles'] / 1e3
    share = flops / described.chip.flops / seconds if flops else None
    rows.append({'layer': name, **row, 'of peak by cycles': share})
  return harness.Report(
    rows, {'compiled for': f'{target} (nothing was run)', **versions()}
  )


def _compile(
  fn: Callable[..., Any],
  shapes: Sequence[tuple[int, ...]],
  dtype: Any,
  target: targets.Target,
) -> dict[str, float]:
  """A function and its gradients in all arguments, compiled."""
  sharding = SingleDeviceSharding(target.devices[0])
  abstract = functools.partial(
    jax.ShapeDtypeStruct, dtype=dtype, sharding=sharding
  )

  def both(gradient, *arguments):
    y, pull = jax.vjp(fn, *arguments)
    return y, pull(gradient)

  arguments = [abstract(shape) for shape in shapes]
  result = jax.eval_shape(fn, *arguments)
  lowered = jax.jit(both).lower(abstract(result.shape), *arguments)
  program: Any = lowered.compile()
  module, cost = hlo.Module(program.as_text()), program.cost_analysis()
  roofline = cost['optimal_seconds'] + module.custom_calls('ConcatBitcast')
  assert target.chip.clock is not None
  return {
    'ms by cycles': 1e3 * module.cycles() / target.chip.clock,
    'ms by roofline': 1e3 * roofline,
    'MB': cost['bytes accessed'] / 1e6,
  }


def _convolve(x, kernel):
  order = ('NHWC', 'HWIO', 'NHWC')
  return lax.conv_general_dilated(
    x, kernel, (1, 1), 'SAME', dimension_numbers=order
  )


def _pool_slices(x):
  parts = [x[:, i::2, j::2] for i in range(2) for j in range(2)]
  return functools.reduce(jnp.maximum, parts)


def _pool_window(x):
  return nn.max_pool(x, (2, 2), (2, 2))
