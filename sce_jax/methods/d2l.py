"""Dimensionality-Driven Learning (D2L): when to stop trusting the labels.

While a network learns what classes have in common, its representation of the
data is compressed into few dimensions; once it begins to memorise wrong labels,
their number rises again. D2L estimates the local intrinsic dimensionality (LID)
of the last hidden layer after every epoch. From the turning point on, each
label becomes a mix of the given one and the network's own prediction: the loss
is that of hard bootstrapping, with a decreasing weight.

Source: Ma et al., "Dimensionality-Driven Learning with Noisy Labels", ICML 2018
(arXiv:1806.02612). There the network is also reset to its state one epoch
before the turning point; here it continues from its current state. The LID of
the network before its first epoch counts there, too, so that the turn can come
an epoch earlier. The authors' code draws new examples before each epoch, here
they stay the same, so that a deviation within the window is that of the network
alone. A run of no more than `window` + `warm_up` + 1 epochs has no
turning point: it is one with cross entropy.
"""

from collections.abc import Sequence
import typing

from flax import struct
import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
import numpy as np

from sce_jax.losses.targets import bootstrap_hard
from sce_jax.methods.base import Aux, Method

# On how many examples the dimensionality is estimated, and in groups of which
# size neighbours are looked for. Both from the authors' code.
NUM_EXAMPLES = 1280
GROUP = 128


def local_intrinsic_dimensionality(
  points: Float[Array, 'N D'], neighbours: int = 20
) -> Float[Array, ' N']:
  """The maximum-likelihood estimate of the LID at each of some points.

  With r_i the Euclidean distance to the i-th nearest of k other points, it is
  `-1 / mean_i(log(r_i / r_k))`, i = 1 .. k (Amsaleg et al., 2015).

  Args:
    points: N points of D coordinates.
    neighbours: k; below N.

  Returns:
    An estimate for each point; 0 where its k neighbours are all equally far,
    which allows no estimate.
  """
  squares = jnp.sum(points * points, axis=1)
  product = jnp.matmul(points, points.T, precision=lax.Precision.HIGHEST)
  distances = squares[:, None] + squares[None, :] - 2 * product
  # A point is not its own neighbour.
  distances = jnp.where(jnp.eye(len(points), dtype=bool), jnp.inf, distances)
  nearest = -lax.top_k(-distances, neighbours)[0]
  # Equal points: their distance is 0 up to rounding, whose logarithm is noise.
  floor = jnp.finfo(points.dtype).eps * jnp.max(squares)
  nearest = jnp.maximum(nearest, jnp.maximum(floor, 1e-30))
  # Of squared distances: half of the logarithm.
  mean_log = jnp.mean(jnp.log(nearest / nearest[:, -1:]), axis=1) / 2
  return jnp.where(mean_log < 0, -1 / jnp.where(mean_log < 0, mean_log, -1), 0)


def mean_lid(hidden: Float[Array, 'M D'], neighbours: int) -> Float[Array, '']:
  """The mean LID of a network's activations, as D2L estimates it.

  Args:
    hidden: activations of M examples in random order; M at most GROUP, or a
      multiple of it.
    neighbours: k, or fewer where there are fewer examples.
  """
  size = min(GROUP, len(hidden))
  groups = hidden.reshape(-1, size, hidden.shape[-1])
  k = min(neighbours, size - 1)
  return jax.vmap(lambda x: local_intrinsic_dimensionality(x, k))(groups).mean()


def turning_point(
  lids: Sequence[float], *, window: int, warm_up: int
) -> int | None:
  """The epoch at which the dimensionality begins to rise.

  It is the epoch before the first whose LID exceeds the mean of the `window`
  epochs before it by more than two of their standard deviations.

  Args:
    lids: LID after each epoch.
    window: number of epochs before the last that it is compared with.
    warm_up: number of first epochs that are left out of every window.

  Returns:
    The number of epochs done at the turning point; None: not reached.
  """
  for last in range(warm_up + window, len(lids)):
    before = np.asarray(lids[last - window : last], np.float64)
    if lids[last] - before.mean() > 2 * before.std():
      return last
  return None


@struct.dataclass
@typing.no_type_check  # A pytree holds whatever jax maps it to.
class D2LState:
  """State of D2L.

  Attributes:
    lids: the LID after each of the last `window` + 1 epochs, the latest last.
    lowest: the lowest LID of all epochs.
    epochs: number of epochs done.
    turned: whether the turning point has been reached.
    weight: the factor of the given labels' weight in the next epoch.
  """

  lids: Float[Array, ' W']
  lowest: Float[Array, '']
  epochs: Int[Array, '']
  turned: Array
  weight: Float[Array, '']


def d2l(window: int, neighbours: int) -> Method:
  """D2L, for any number of runs; `turning_point` in JAX.

  After it the weight of the given labels is
  `exp(-(epoch / num_epochs) LID / min(LIDs))`.

  Its hyper-parameters are the `weight` of the given labels before the turning
  point, and `warm_up`.

  Args:
    window: as in `turning_point`.
    neighbours: as in `mean_lid`.
  """

  def init(key, num_examples, num_classes):
    del key, num_examples, num_classes
    return D2LState(
      jnp.zeros((window + 1,)),
      jnp.full((), jnp.inf),
      jnp.zeros((), jnp.int32),
      jnp.zeros((), bool),
      jnp.ones(()),
    )

  def loss(apply, params, batch, state, hparams, context):
    del context
    logits, batch_stats = apply(params, batch.image)
    weight = hparams['weight'] * state.weight
    losses = jax.vmap(lambda z, y: bootstrap_hard(z, y, weight=weight))(
      logits, batch.label
    )
    figures = {'label_weight': jnp.full_like(losses, weight)}
    return losses, Aux(logits, batch_stats, state, figures)

  def end_epoch(state, features, hparams, context):
    # A run may have fewer examples than its split.
    hidden = features(min(context.num_examples, NUM_EXAMPLES))
    size = len(hidden) - len(hidden) % min(GROUP, len(hidden))
    lid = mean_lid(hidden[:size], neighbours)
    lids = jnp.roll(state.lids, -1).at[-1].set(lid)
    before = lids[:-1]
    rises = lid - before.mean() > 2 * before.std()
    epochs = state.epochs + 1
    done = epochs.astype(jnp.float32)
    turned = state.turned | (rises & (done > window + hparams['warm_up']))
    lowest = jnp.minimum(state.lowest, lid)
    expansion = jnp.where(lowest > 0, lid / lowest, 1.0)
    weight = jnp.exp(-done / context.num_epochs * expansion)
    weight = jnp.where(turned, weight, 1.0)
    return D2LState(lids, lowest, epochs, turned, weight), {'lid': lid}

  return Method(
    init, loss, end_epoch, figures=('label_weight',), uses_features=True
  )
