"""S runs of equal shape in one program: the only file that knows how.

Steps, epochs and evaluations are written for a single run. Here they are
carried over S of them: what is a run's own (state, key, labels, the loss's
hyper-parameters) has a leading axis of size S, the rest is shared.

A single run has no such axis and pays nothing.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import lax
import jax.numpy as jnp

from sce_jax import config as config_lib
from sce_jax.errors import UserError

PyTree = Any
METHODS = ('vmap', 'map')

# On a CPU small networks gain from being trained side by side, larger ones
# lose: S images of 28x28 no longer fit its caches.
_CPU_VMAP_PIXELS = 16 * 16


def choose_method(image_shape: tuple[int, int, int]) -> str:
  """How runs on images of this shape are best carried on this platform.

  Returns:
    'vmap': side by side; 'map': in turn, inside one program.
  """
  if jax.default_backend() != 'cpu':
    return 'vmap'
  height, width, _ = image_shape
  return 'vmap' if height * width <= _CPU_VMAP_PIXELS else 'map'


def check_equal_shape(configs: Sequence[config_lib.Config]) -> None:
  """Checks that runs can share one program.

  Raises:
    UserError: they differ in more than seed, noise and loss parameters.
  """
  first, *others = [_shape(config) for config in configs]
  for other in others:
    changes = config_lib.differences(first, other)
    if changes:
      raise UserError(
        f'runs that differ in {"; ".join(changes)} cannot train together:'
        ' they may differ in seed, noise and loss parameters'
      )


def _shape(config: config_lib.Config) -> dict[str, Any]:
  return {
    path: value
    for path, value in config_lib.flatten(config).items()
    if path != 'seed'
    and not path.startswith('noise.')
    and (not path.startswith('loss.') or path == 'loss.name')
  }


def stack(runs: Sequence[PyTree]) -> PyTree:
  """Puts S runs' trees into one, with a leading axis if S > 1."""
  if len(runs) == 1:
    return runs[0]
  return jax.tree.map(lambda *leaves: jnp.stack(leaves), *runs)


def unstack(tree: PyTree, num_runs: int) -> list[PyTree]:
  """The S trees of which `stack` made one."""
  if num_runs == 1:
    return [tree]
  return [
    jax.tree.map(lambda leaf, i=i: leaf[i], tree) for i in range(num_runs)
  ]


def over_runs(
  fn: Callable, num_runs: int, *, own: int, method: str
) -> Callable:
  """Carries a function of one run over all of them.

  Args:
    fn: function of a run's own arguments, then of shared ones.
    num_runs: S.
    own: how many of its first arguments are a run's own.
    method: one of METHODS.

  Returns:
    A function of the same arguments, whose own ones and results have a leading
    axis if S > 1.
  """
  if num_runs == 1:
    return fn

  def side_by_side(*args):
    axes = (0,) * own + (None,) * (len(args) - own)
    return jax.vmap(fn, in_axes=axes)(*args)

  def in_turn(*args):
    return lax.map(lambda mine: fn(*mine, *args[own:]), args[:own])

  return {'vmap': side_by_side, 'map': in_turn}[method]
