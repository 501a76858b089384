"""What a device can do at most, as measured."""

from collections.abc import Sequence
import functools
from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp

from experiments.benchmarks import harness

# The matrices' size, repetitions in a dispatch, 2^20 floats to copy.
CPU, ACCELERATOR = (2048, 4, 64), (8192, 20, 1024)


class Roofline(NamedTuple):
  """What a device can do at most.

  Attributes:
    flops: floating-point operations a second of a product of square matrices,
      by type.
    bandwidth: bytes a second, read and written, of a scaled copy.
  """

  flops: dict[str, float]
  bandwidth: float

  def min_seconds(self, dtype: str, flops: float, num_bytes: float) -> float:
    """Seconds that so much work takes at least."""
    return max(flops / self.flops[dtype], num_bytes / self.bandwidth)

  def facts(self) -> dict[str, float]:
    """The rates, for a report."""
    rates = {f'{dtype} GFLOP/s': x / 1e9 for dtype, x in self.flops.items()}
    return {**rates, 'copy GB/s': self.bandwidth / 1e9}


def measure_roofline(dtypes: Sequence[str] = ()) -> Roofline:
  """Measures the first device: the best of several, each in one dispatch."""
  size, repeats, mega = harness.by_platform(CPU, ACCELERATOR)

  def seconds(step, x):
    # A loop in one dispatch, so that dispatching does not count.
    run = jax.jit(lambda x: lax.fori_loop(0, repeats, lambda _, x: step(x), x))
    calls = {'': functools.partial(run, x)}
    return harness.time_in_turns(calls, 5, min)[''] / repeats

  def product(factors):
    a, b = factors
    c = jnp.matmul(a, b, preferred_element_type=jnp.float32)
    return a, c.astype(a.dtype)

  def random(dtype):
    # Zeros would need less power, so that a GPU would not slow down. Products
    # of these neither grow nor shrink.
    return (
      jax.random.normal(jax.random.key(0), (size, size), dtype) * size**-0.5
    )

  flops = {
    dtype: 2 * size**3 / seconds(product, (random(dtype), random(dtype)))
    for dtype in dtypes
  }
  x = jnp.ones((mega, 2**20), jnp.float32)
  return Roofline(flops, 2 * x.nbytes / seconds(lambda x: x * 1.5, x))
