"""Several runs in one program: the only file that knows how.

Steps, epochs and evaluations are written for a single run. Here they are mapped
over S runs: what is per run (state, key, examples, labels, hyper-parameters)
has a leading axis of size S, the rest is shared.

Side by side (vmap), products are summed in an order that depends on S, so a run
is the same to the bit only in a group of the same size; rounding is what
differs, and training can make much of it. In turn (map) a run's program is the
same for any S above 1.

A single run has no such axis and pays nothing. Where there are several devices
and enough runs, each device trains its share of them
(runners.RunParallelRunner).
"""

from collections.abc import Callable, Sequence
import math
from typing import Any

import jax
from jax import lax
import jax.numpy as jnp

PyTree = Any
STRATEGIES = ('vmap', 'map', 'unrolled')

# Small networks gain from being trained side by side, larger ones lose: S
# images of 28x28 no longer fit a CPU's caches, nor a TPU's fast memory. A GPU
# gains at 28x28, and loses half its speed at 32x32.
_VMAP_PIXELS = {'gpu': 28 * 28}
_VMAP_PIXELS_ELSEWHERE = 16 * 16


def choose_strategy(image_shape: tuple[int, ...], platform: str) -> str:
  """The fastest way to map over runs on images of this shape.

  As measured by `python -m experiments.benchmarks trials` on CPUs and an H100,
  and estimated by `python -m experiments.benchmarks ahead` for TPUs.

  Args:
    image_shape: of an example.
    platform: of the devices, see Runner.platform.

  Returns:
    'vmap': side by side; 'map': in turn, by one compiled body; 'unrolled': a
    Python loop, so each run is compiled separately.
  """
  pixels = math.prod(image_shape[:2]) if len(image_shape) > 1 else 1
  most = _VMAP_PIXELS.get(platform, _VMAP_PIXELS_ELSEWHERE)
  return 'vmap' if pixels <= most else 'map'


def use_run_parallel(num_runs: int, num_devices: int) -> bool:
  """Whether each device trains its share of the runs, not of every batch.

  Nothing has to be exchanged then, and a device's batch is a whole one.
  """
  return 1 < num_devices <= num_runs and num_runs % num_devices == 0


def stack(runs: Sequence[PyTree]) -> PyTree:
  """Puts S runs' trees into one, with a leading axis if S > 1."""
  if len(runs) == 1:
    return runs[0]
  return jax.tree.map(lambda *leaves: jnp.stack(leaves), *runs)


def unstack(tree: PyTree, num_runs: int) -> list[PyTree]:
  """The S trees of which `stack` made one."""
  return [tree] if num_runs == 1 else _split(tree, num_runs)


def map_over_runs(fn: Callable, *, strategy: str) -> Callable:
  """Maps a function of one run over several.

  Args:
    fn: function of (state, inputs, shared).
    strategy: one of STRATEGIES.

  Returns:
    A function of the same arguments, in which state, inputs and results have a
    leading run axis.
  """

  def vmapped(state, inputs, shared):
    return jax.vmap(fn, in_axes=(0, 0, None))(state, inputs, shared)

  def mapped(state, inputs, shared):
    return lax.map(lambda run: fn(*run, shared), (state, inputs))

  def unrolled(state, inputs, shared):
    num_runs = len(jax.tree.leaves(state)[0])
    results = [fn(*run, shared) for run in _split((state, inputs), num_runs)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *results)

  return {'vmap': vmapped, 'map': mapped, 'unrolled': unrolled}[strategy]


def _split(tree: PyTree, num_runs: int) -> list[PyTree]:
  return [
    jax.tree.map(lambda leaf, i=i: leaf[i], tree) for i in range(num_runs)
  ]
