"""DivideMix's selection: a mixture of two Gaussians tells small losses apart.

Two networks are trained with cross entropy for `warm_up` epochs. After each
epoch from then on two Gaussians are fitted to the losses of all examples seen
so far, scaled to [0, 1], of each network. The other one is trained in the
next epoch on those only that belong with a probability above `threshold` to the
Gaussian of smaller mean.

Source: Li et al., "DivideMix: Learning with Noisy Labels as Semi-supervised
Learning", ICLR 2020 (arXiv:2002.07394), section 3.1, and its code,
LiJunnan1992/DivideMix. This is that half of it only, hence another and weaker
method: there the examples that are left out are used without their labels
(MixMatch), and the labels of the others are refined; here neither is done. Nor
are two details for some noises: the penalty on confidence in the warm-up, and
losses averaged over epochs at a rate of 0.9. The code applies the network again
to all examples after each epoch; here a loss is that of the example when it was
last trained on, with its augmentation, which costs nothing.
"""

import typing

from flax import struct
import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sce_jax.losses.basic import cross_entropy
from sce_jax.methods.base import Aux, Method

# Of scikit-learn's GaussianMixture, as the authors' code calls it.
_ITERATIONS, _TOLERANCE, _ADDED_VARIANCE = 10, 1e-2, 5e-4


@struct.dataclass
@typing.no_type_check  # A pytree holds whatever jax maps it to.
class Selection:
  """The state, float32.

  Attributes:
    losses: of each network and training example, when it was last trained on;
      NaN before, and of those that are never trained on.
    clean: the probability that its label is right, by each network.
  """

  losses: Float[Array, '2 N']
  clean: Float[Array, '2 N']


def gmm_selection() -> Method:
  """The method; its hyper-parameters are `warm_up` and `threshold`.

  Accuracy is the first network's, as is the loss, cross entropy, in
  evaluations.
  """

  def init(key, num_examples, num_classes):
    del key, num_classes
    losses = jnp.full((2, num_examples), jnp.nan)
    return Selection(losses, jnp.ones_like(losses))

  def loss(apply, params, batch, state, hparams, context):
    logits, batch_stats = apply(params, batch.image)  # [2, N, K]
    losses = jax.vmap(jax.vmap(cross_entropy), in_axes=(0, None))(
      logits, batch.label
    )
    first = Aux(logits[0], batch_stats, state)
    if not context.training:
      return losses[0], first
    # Each network learns from what the other one takes for clean.
    clean = state.clean[::-1, batch.position]
    keep = batch.counted & (clean > hparams['threshold'])
    kept, total = context.psum(
      (
        keep.sum(axis=1, dtype=jnp.float32),
        batch.counted.sum(dtype=jnp.float32),
      )
    )
    # The mean over the batch is to be one over those kept, if there are any.
    scale = total / jnp.maximum(kept, 1.0)
    chosen = jnp.sum(jnp.where(keep, losses, 0.0) * scale[:, None], axis=0)
    seen = context.gather(lax.stop_gradient(losses).T).T
    state = state.replace(
      losses=state.losses.at[:, context.places(batch)].set(seen, mode='drop')
    )
    figures = {'kept': keep.astype(jnp.float32).mean(axis=0)}
    return chosen, first.replace(state=state, figures=figures)

  def end_epoch(state, features, hparams, context):
    del features
    done = context.epoch.astype(jnp.float32)
    clean = jnp.where(
      done >= hparams['warm_up'],
      jax.vmap(smaller_component)(state.losses),
      state.clean,
    )
    return state.replace(clean=clean), {}

  return Method(init, loss, end_epoch, num_networks=2, figures=('kept',))


def smaller_component(values: Float[Array, ' N']) -> Float[Array, ' N']:
  """The probability that a value is of the smaller of two Gaussians.

  Expectation maximisation as scikit-learn does it: it starts from 2-means, and
  after the first iteration that changes the mean log-likelihood by less than
  0.01, or ten, nothing changes any more. Only 2-means differs: it starts from
  the smallest and the largest value here, at random there.

  Args:
    values: they are scaled to [0, 1] first; NaN where there is none.

  Returns:
    Probabilities; 1 for all where the values are equal, and where none is.
  """
  known = ~jnp.isnan(values)
  low, high = jnp.nanmin(values), jnp.nanmax(values)
  x = (values - low) / jnp.where(high > low, high - low, 1.0)
  x = jnp.where(known, x, 0.0)

  def divide(_, means):
    near = jnp.where(known, _nearest(x, means), 0.0)
    return (near * x).sum(axis=1) / jnp.maximum(near.sum(axis=1), 1.0)

  means = lax.fori_loop(0, 30, divide, jnp.array([0.0, 1.0]))

  def step(_, carry):
    parameters, before, done = carry
    joint = _log_joint(x, parameters)
    log_p = jax.nn.logsumexp(joint, axis=0)
    new = _maximise(x, jnp.where(known, jnp.exp(joint - log_p), 0.0))
    parameters = jax.tree.map(
      lambda a, b: jnp.where(done, a, b), parameters, new
    )
    likelihood = log_p.mean(where=known)
    done |= jnp.abs(likelihood - before) < _TOLERANCE
    return parameters, likelihood, done

  parameters, *_ = lax.fori_loop(
    0,
    _ITERATIONS,
    step,
    (
      _maximise(x, jnp.where(known, _nearest(x, means), 0.0)),
      jnp.full((), -jnp.inf),
      jnp.zeros((), bool),
    ),
  )
  share = jax.nn.softmax(_log_joint(x, parameters), axis=0)
  _, means, _ = parameters
  return jnp.where((high > low) & known, share[jnp.argmin(means)], 1.0)


def _nearest(x, means):
  """[2, N], 1 where a mean is the nearer one."""
  is_second = jnp.abs(x - means[1]) < jnp.abs(x - means[0])
  return jnp.stack([~is_second, is_second]).astype(x.dtype)


def _maximise(x, shares):
  """Weights, means and variances [2] of what belongs [2, N] to each."""
  size = shares.sum(axis=1) + 10 * jnp.finfo(x.dtype).eps
  means = (shares * x).sum(axis=1) / size
  squares = (x - means[:, None]) ** 2
  variances = (shares * squares).sum(axis=1) / size + _ADDED_VARIANCE
  return size / shares.sum(), means, variances


def _log_joint(x, parameters):
  """[2, N], the log-density of each value and Gaussian."""
  weights, means, variances = (values[:, None] for values in parameters)
  return jnp.log(weights) - 0.5 * (
    (x - means) ** 2 / variances + jnp.log(2 * jnp.pi * variances)
  )
