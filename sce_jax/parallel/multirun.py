"""S runs of equal shape in one program: the only file that knows how.

Steps, epochs and evaluations are written for a single run. Here they are
carried over S of them: what is a run's own (state, key, labels, the loss's
hyper-parameters) has a leading axis of size S, the rest is shared.

A single run has no such axis and pays nothing. Where there are several devices
and enough runs, each device has its share of them (parallel.SpreadRunner).
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import lax
import jax.numpy as jnp

PyTree = Any
STRATEGIES = ('vmap', 'map', 'unrolled')

# On a CPU small networks gain from being trained side by side, larger ones
# lose: S images of 28x28 no longer fit its caches.
_CPU_VMAP_PIXELS = 16 * 16


def choose_strategy(image_shape: tuple[int, int, int]) -> str:
  """How runs on images of this shape are best carried on this platform.

  As measured by experiments/benchmarks/trials.py.

  Returns:
    'vmap': side by side; 'map': in turn, inside one program; 'unrolled': in
    turn, each with a program of its own in the program.
  """
  if jax.default_backend() != 'cpu':
    return 'vmap'
  height, width, _ = image_shape
  return 'vmap' if height * width <= _CPU_VMAP_PIXELS else 'map'


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


def map_over_runs(fn: Callable, *, own: int, method: str) -> Callable:
  """Carries a function of one run over several.

  Args:
    fn: function of a run's own arguments, then of shared ones.
    own: how many of its first arguments are a run's own.
    method: one of METHODS.

  Returns:
    A function of the same arguments, whose own ones and results have a leading
    axis.
  """

  def side_by_side(*args):
    axes = (0,) * own + (None,) * (len(args) - own)
    return jax.vmap(fn, in_axes=axes)(*args)

  def in_turn(*args):
    return lax.map(lambda mine: fn(*mine, *args[own:]), args[:own])

  def one_by_one(*args):
    num_runs = len(jax.tree.leaves(args[:own])[0])
    results = [fn(*mine, *args[own:]) for mine in _split(args[:own], num_runs)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *results)

  return {'vmap': side_by_side, 'map': in_turn, 'unrolled': one_by_one}[method]


def _split(tree: PyTree, num_runs: int) -> list[PyTree]:
  return [
    jax.tree.map(lambda leaf, i=i: leaf[i], tree) for i in range(num_runs)
  ]
