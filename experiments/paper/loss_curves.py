"""Curves of losses: values and weights against the probability of the label."""

from collections.abc import Iterable, Mapping, Sequence
import types
from typing import Any

import jax
import jax.numpy as jnp
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Drawing
import numpy as np

from experiments.analysis import pictures, style
from sce_jax import methods
from sce_jax.data.batches import Batch
from sce_jax.methods import base

# Hyper-parameters by method.
Settings = Mapping[str, Mapping[str, Any]]
K = 10
EPOCHS = 120
# What the names of curves of the last epoch end with.
LAST = ', last epoch'
# Probabilities of the label: 1 / n, 2 / n, .. (n - 1) / n.
_POINTS, _FEW_POINTS = 500, 20
# What has no default, for the curves: the settings for CIFAR-10; one of those
# that the paper of NLS searched, which does not say what it chose.
_NEEDED = {'sl': {'alpha': 0.1, 'beta': 1.0}, 'nls': {'smoothing': -1.0}}


def measure(
  names: Iterable[str],
  scale: str,
  settings: Settings = types.MappingProxyType({}),
  epoch: int = 0,
  together: bool = False,
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
  """Losses and weights against the probability of the label.

  Args:
    names: of methods whose loss needs the logits alone.
    scale: one of scales.SCALES: at how many probabilities.
    settings: hyper-parameters by name, in place of the defaults.
    epoch: how many of EPOCHS are done.
    together: whether all probabilities are those of one batch, which matters
      where a loss is more than that of one example.

  Returns:
    Probabilities, losses and weights of each, `[P]`.
  """
  count = _FEW_POINTS if scale == 'tiny' else _POINTS
  p = np.arange(1, count) / count
  own = np.log(p * (K - 1) / (1 - p))
  logits = jnp.asarray(np.outer(own, np.eye(K)[0]), jnp.float32)

  def same(x):
    return x

  context = methods.Context(
    key=jax.random.key(0),
    step=jnp.int32(0),
    epoch=jnp.int32(epoch),
    num_epochs=EPOCHS,
    num_examples=p.size,
    training=True,
    psum=same,
    gather=same,
    shard=same,
  )

  def losses(name):
    values = _values(name, settings)
    method = methods.build(name, values)
    hyper = methods.of_kind(name, values, 'traced')

    def of_batch(logits):
      labels = jnp.zeros(len(logits), jnp.int32)
      batch = Batch(logits, labels, None, jnp.arange(len(logits)))
      # A network whose logits are its input.
      return method.loss(lambda _, z: (z, {}), {}, batch, (), hyper, context)[0]

    def of_one(z):
      return of_batch(z[None])[0]

    if together:
      gradient = jax.grad(lambda z: jnp.sum(of_batch(z)))(logits)
      return of_batch(logits), gradient
    return jax.vmap(jax.value_and_grad(of_one))(logits)

  found = jax.jit(lambda: {name: losses(name) for name in names})()
  return {
    name: (
      p,
      np.asarray(value, np.float64),
      np.asarray(gradient, np.float64)[:, 0] / (p - 1),
    )
    for name, (value, gradient) in found.items()
  }


def is_stateless(name: str, settings: Settings) -> bool:
  """Whether a method is one network that sees an image once, without a state.

  Args:
    name: of the method.
    settings: hyper-parameters by name, in place of the defaults.
  """
  method = methods.build(name, _values(name, settings))
  return (
    method.init is base.no_state
    and method.num_networks == 1
    and not method.two_views
    and method.prepare is None
  )


def _values(name: str, settings: Settings) -> dict[str, Any]:
  given = {**_NEEDED.get(name, {}), **settings.get(name, {})}
  return methods.complete(name, given)


def draw(curves: Mapping[str, Sequence[np.ndarray]]) -> Drawing:
  """A picture of what `measure` gives, by the name in the legend."""
  figure, axes = plt.subplots(1, 2, figsize=(11, 4.8), layout='constrained')
  for number, (name, (p, value, weight)) in enumerate(curves.items()):
    look = style.method(name) | {
      'label': name,
      'markersize': 5,
      'markevery': (0.03 * (number + 1), 0.21),
      'alpha': 0.5 if name.endswith(LAST) else 1,
    }
    drop = value - value[-1]
    axes[0].plot(p, drop / np.interp(1 / K, p, drop), **look)
    axes[1].plot(p, weight, **look)
  axes[0].set(ylabel='loss, 1 at p_y = 1 / K')
  # Weights differ by orders of magnitude; 0 has no place on the axis.
  axes[1].set(ylabel='weight beside cross entropy', yscale='log')
  low, high = axes[1].get_ylim()
  axes[1].set_ylim(max(low, 1e-4), min(high, 1e4))
  axes[1].axhline(1, color='black', linewidth=0.8, linestyle=(0, (2, 3)))
  for ax in axes:
    ax.set(xlabel='probability of the label, p_y', xlim=(0, 1))
    ax.grid(alpha=0.3)
  pictures.add_legend(figure)
  pictures.add_title(
    figure, f'losses of one example of {K} classes; no data, no noise, no seed'
  )
  return figure
