"""Co-teaching: two networks, each trained on what the other finds easy.

Examples with a wrong label have a large loss while a network still learns what
classes have in common. In every batch each network picks the examples of
smallest loss, and the other one takes its step on these. The share that is
left out, `forget_rate`, is the share of wrong labels, which this method is
told: of noise on half of the classes, half of its rate. It grows linearly over
the first `warm_up` epochs.

Source: Han et al., "Co-teaching: Robust Training of Deep Neural Networks with
Extremely Noisy Labels", NeurIPS 2018 (arXiv:1804.06872), algorithm 1. The loss
is the mean over the examples that are kept; the authors' code divides by their
number twice, and its share is two epochs ahead: it drops some in the first one.
"""

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from sce_jax.losses.basic import cross_entropy
from sce_jax.methods.base import Aux, Context, Hparams, Method, no_state, rank


def co_teaching() -> Method:
  """Co-teaching; its hyper-parameters are `forget_rate` and `warm_up`.

  Accuracy is the first network's, as is the loss in evaluations: the two are
  trained alike, and the average of both would be another, stronger method.
  """

  def loss(apply, params, batch, state, hparams, context):
    logits, batch_stats = apply(params, batch.image)  # [2, N, K]
    losses = jax.vmap(jax.vmap(cross_entropy), in_axes=(0, None))(
      logits, batch.label
    )
    first = Aux(logits[0], batch_stats, state)
    if not context.training:
      return losses[0], first
    small, share = smallest(losses, batch.counted, hparams, context)
    # Each network learns from the other's choice; the mean over the batch is to
    # be one over those kept.
    chosen = jnp.where(small[::-1], losses, 0.0).sum(axis=0) / share
    agree = (small[0] == small[1]).astype(jnp.float32)
    return chosen, first.replace(figures={'same_choice': agree})

  return Method(no_state, loss, num_networks=2, figures=('same_choice',))


def smallest(
  losses: Float[Array, 'M N'],
  counted: Bool[Array, ' N'],
  hparams: Hparams,
  context: Context,
) -> tuple[Bool[Array, 'M N'], Float[Array, '']]:
  """The examples of smallest loss in a batch, by `forget_rate` and `warm_up`.

  Args:
    losses: of this device's share of the batch, in each of M rows.
    counted: whether each is more than what only fills the batch up.
    hparams: the share that is left out grows linearly over the first `warm_up`
      epochs from 0 to `forget_rate`.
    context: of the step.

  Returns:
    In each row those that are kept, without gradient; and what part of the
    examples that are counted they are.
  """
  count = context.psum(counted.sum(dtype=jnp.float32))
  epoch = context.epoch.astype(jnp.float32)
  reached = jnp.minimum(epoch / hparams['warm_up'], 1.0)
  kept = jnp.ceil((1 - hparams['forget_rate'] * reached) * count - 1e-4)
  # What only fills up the batch ranks last.
  whole = context.gather(
    jnp.where(counted, lax.stop_gradient(losses), jnp.inf).T
  )
  ranks = jax.vmap(rank, in_axes=1, out_axes=1)(whole)
  return context.shard(ranks.astype(jnp.float32) < kept).T, kept / count
