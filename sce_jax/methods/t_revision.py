"""T-Revision: an estimated transition matrix that is corrected while training.

Before training, T is estimated as for `forward`, by default from the anchor
points of a network that cross entropy trains for a tenth of the epochs. Then,
with p the probabilities of the clean classes and y the label,

    l = w (-log p_y),    w = p_y / ((T + D)' p)_y

makes each example count as much as it would if labels were clean. D, [K, K], is
0 at first. A run has three phases, at `start` and `revision`, shares of it:

  cross entropy (20 epochs); w with D = 0 and no gradient (200 epochs); D is
  learned, by Adam with weight decay 1e-4, and w has a gradient (200 epochs).

As in the code T + D is not scaled to rows of sum 1; negative entries count as 0
here, and those of the diagonal as 0.01 at least, so that no w is above 100. The
code also trains the network itself by Adam with the rate 5e-7 in the last
phase, so hardly at all; here the config's optimiser is kept, at the end of its
schedule. Phases follow each other in one run, while the code begins each with
the best epoch, by noisy validation labels, of the one before.

Adam moves an entry by at most `rate` in a step: the published 5e-7 is for some
70,000 steps (CIFAR-10; 84,000 on MNIST), shorter runs need more.

Source: Xia et al., "Are Anchor Points Really Indispensable in Label-Noise
Learning?", NeurIPS 2019 (arXiv:1906.00189), and its code, xiaoboxia/T-Revision.
"""

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
import optax

from sce_jax.losses.basic import cross_entropy
from sce_jax.methods.base import Aux, Method, epochs_since
from sce_jax.methods.forward import prepare

_WEIGHT_DECAY, _LARGEST, _LEAST = 1e-4, 40.0, 0.01


def t_revision() -> Method:
  """T-Revision; its hyper-parameters are `start`, `revision` and `rate`.

  And those of forward.prepare. The state is D, float32 [K, K], and Adam's. In
  evaluations the loss is cross entropy: the network predicts clean classes.
  """
  direction = optax.chain(
    optax.add_decayed_weights(_WEIGHT_DECAY), optax.scale_by_adam()
  )

  def init(key, num_examples, num_classes):
    d = jnp.zeros((num_classes, num_classes))
    return {'d': d, 'optimizer': direction.init(d)}

  def loss(apply, params, batch, state, hparams, context):
    logits, batch_stats = apply(params, batch.image)
    losses = jax.vmap(cross_entropy)(logits, batch.label)
    if not context.training:
      return losses, Aux(logits, batch_stats, state)
    reweights = epochs_since(hparams['start'], context) >= 0
    revises = epochs_since(hparams['revision'], context) >= 0

    def weights(d, logits):
      matrix = revised(d, hparams['transition_matrix'])
      return jax.vmap(importance, (0, 0, None))(logits, batch.label, matrix)

    def total(d):
      fixed = lax.stop_gradient((logits, losses))
      values = weights(d, fixed[0]) * fixed[1]
      return jnp.where(batch.counted, values, 0.0).sum()

    slope, count = context.psum(
      (jax.grad(total)(state['d']), batch.counted.sum(dtype=jnp.float32))
    )
    # optax's Adam raises a float to the power of an integer.
    with jax.numpy_dtype_promotion('standard'):
      update, moments = direction.update(
        slope / count, state['optimizer'], state['d']
      )
    moved = {'d': state['d'] - hparams['rate'] * update, 'optimizer': moments}
    new = jax.tree.map(lambda a, b: jnp.where(revises, a, b), moved, state)
    weight = weights(state['d'], logits)
    weight = jnp.where(revises, weight, lax.stop_gradient(weight))
    weight = jnp.where(reweights, weight, 1.0)
    return weight * losses, Aux(
      logits, batch_stats, new, {'importance': weight}
    )

  return Method(
    init,
    loss,
    prepare=prepare,
    figures=('importance',),
    transition=lambda state, hparams: revised(
      state['d'], jnp.asarray(hparams['transition_matrix'], jnp.float32)
    ),
  )


def revised(
  d: Float[Array, 'K K'], matrix: Float[Array, 'K K']
) -> Float[Array, 'K K']:
  """T + D, with no entry below 0, nor one of the diagonal below 0.01."""
  return jnp.maximum(matrix + d, _LEAST * jnp.eye(len(d), dtype=d.dtype))


def importance(
  logits: Float[Array, ' K'],
  label: Int[Array, ''],
  matrix: Float[Array, 'K K'],
) -> Float[Array, '']:
  """How much more likely the label is for clean labels, p_y / (T' p)_y.

  Args:
    logits: of the clean classes.
    label: given.
    matrix: T, entries at least 0.
  """
  # Not by losses.forward_correction, for which a zero of T stays one. Without a
  # bound the exponential overflows; at this one the weight is as good as 0.
  odds = jnp.exp(jnp.minimum(logits - logits[label], _LARGEST))
  return 1 / jnp.sum(odds * matrix[:, label])
