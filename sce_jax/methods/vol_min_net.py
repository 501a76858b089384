"""VolMinNet: the transition matrix is trained beside the network.

With p the probabilities of clean classes and T[i, j] = P(noisy j | clean i),

    l = -log (T' p)_y + volume_weight log |det T|,

where the volume, the determinant, makes T the least of all matrices that
explain the labels. A row of T is in proportion to

    1 at the diagonal, sigmoid(w_ij) beside it,

so that no wrong label is as likely as the right one. All w start at -`init`.

T has an optimiser of its own, without weight decay: SGD with momentum 0.9
(CIFAR-10) or Adam (MNIST, CIFAR-100), at the rate 0.01, which is multiplied
with `factor` after 3/8 and 3/4 of a run (epochs 30 and 60 of 80; on MNIST it
stays). The authors take the epoch with the least loss on noisy validation
labels; here as everywhere the last one counts.

Source: Li et al., "Provably End-to-end Label-Noise Learning without Anchor
Points", ICML 2021 (arXiv:2102.02400), and its code,
xuefeng-li1/Provably-end-to-end-label-noise-learning-without-anchor-points.
"""

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Float
import optax

from sce_jax.losses.basic import cross_entropy
from sce_jax.losses.corrections import forward_correction
from sce_jax.methods.base import Aux, Method, epochs_since

OPTIMIZERS = ('sgd', 'adam')
_DROPS = (3 / 8, 3 / 4)


def vol_min_net(init: float, optimizer: str) -> Method:
  """VolMinNet; `volume_weight`, `rate` and `factor` are traced.

  The state is w, float32 [K, K], whose diagonal is not used, and the
  optimiser's; `transition` makes T of w. In evaluations the loss is cross
  entropy: the network predicts clean classes.

  Args:
    init: minus what w starts at.
    optimizer: of w, one of OPTIMIZERS.
  """
  direction = (
    optax.trace(decay=0.9) if optimizer == 'sgd' else optax.scale_by_adam()
  )

  def start(key, num_examples, num_classes):
    w = jnp.full((num_classes, num_classes), -init, jnp.float32)
    return {'w': w, 'optimizer': direction.init(w)}

  def loss(apply, params, batch, state, hparams, context):
    logits, batch_stats = apply(params, batch.image)
    if not context.training:
      losses = jax.vmap(cross_entropy)(logits, batch.label)
      return losses, Aux(logits, batch_stats, state)

    def data_loss(w, logits):
      return jax.vmap(
        lambda z, y: forward_correction(z, y, transition_matrix=transition(w))
      )(logits, batch.label)

    def total(w):
      values = data_loss(w, lax.stop_gradient(logits))
      return jnp.where(batch.counted, values, 0.0).sum()

    w = state['w']
    slope, count = context.psum(
      (jax.grad(total)(w), batch.counted.sum(dtype=jnp.float32))
    )
    size, volume_slope = jax.value_and_grad(log_volume)(w)
    weight = hparams['volume_weight']
    slope = slope / count + weight * volume_slope
    # optax's Adam raises a float to the power of an integer.
    with jax.numpy_dtype_promotion('standard'):
      update, moments = direction.update(slope, state['optimizer'])
    drops = sum(
      (epochs_since(at, context) >= 0).astype(jnp.float32) for at in _DROPS
    )
    rate = hparams['rate'] * hparams['factor'] ** drops
    losses = data_loss(w, logits) + weight * size
    kept = jnp.full_like(losses, jnp.diag(transition(w)).mean())
    return losses, Aux(
      logits,
      batch_stats,
      {'w': w - rate * update, 'optimizer': moments},
      {'diagonal': kept},
    )

  return Method(
    start,
    loss,
    figures=('diagonal',),
    transition=lambda state, hparams: transition(state['w']),
  )


def transition(w: Float[Array, 'K K']) -> Float[Array, 'K K']:
  """The transition matrix of the parameters; rows sum to 1."""
  one = jnp.eye(len(w), dtype=w.dtype)
  rows = one + jax.nn.sigmoid(w) * (1 - one)
  return rows / rows.sum(axis=1, keepdims=True)


def log_volume(w: Float[Array, 'K K']) -> Float[Array, '']:
  """The logarithm of |det T|, at most 0."""
  return jnp.linalg.slogdet(transition(w)).logabsdet
