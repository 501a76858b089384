"""Self-adaptive training (SAT): labels that move towards the predictions.

Every training example has a soft label t, at first its one-hot label. Cross
entropy with the given labels for the first part of a run, then

    t <- decay t + (1 - decay) p,              before it is used,
    l = -w sum_k t_k log p_k,   w = max_k t_k,

where w is scaled to have mean 1 over the batch. An example
on which label and predictions differ thus counts less. No gradient flows
through t.

Source: Huang et al., "Self-Adaptive Training: beyond Empirical Risk
Minimization", NeurIPS 2020 (arXiv:2002.10319), algorithm 1, and its code,
LayneH/self-adaptive-training: decay 0.9, from epoch 60 of 200. Here that is a
share of the run, so that shorter runs have both parts.
"""

import jax
from jax import lax
import jax.numpy as jnp

from sce_jax.losses.basic import cross_entropy
from sce_jax.methods.base import Aux, Method, epochs_since


def sat() -> Method:
  """SAT; its hyper-parameters are `decay` and `start`, a share of the run.

  The state is the soft labels t, float32 [num_examples, K]; a row is 0 until
  its first update, and stands for the one-hot label, which `init` is not told.
  In evaluations the loss is cross entropy: soft labels are of training
  examples.
  """

  def init(key, num_examples, num_classes):
    del key
    return jnp.zeros((num_examples, num_classes))

  def loss(apply, params, batch, state, hparams, context):
    logits, batch_stats = apply(params, batch.image)
    losses = jax.vmap(cross_entropy)(logits, batch.label)
    if not context.training:
      return losses, Aux(logits, batch_stats, state)
    late = epochs_since(hparams['start'], context) >= 0
    log_p = jax.nn.log_softmax(logits)
    before = state[batch.position]
    given = jax.nn.one_hot(batch.label, log_p.shape[1])
    before = jnp.where(before.any(axis=1, keepdims=True), before, given)
    decay = hparams['decay']
    soft = decay * before + (1 - decay) * jnp.exp(lax.stop_gradient(log_p))
    mask = batch.counted
    largest = soft.max(axis=1)
    total, count = context.psum(
      (jnp.where(mask, largest, 0.0).sum(), mask.sum(dtype=jnp.float32))
    )
    adapted = -(largest * count / total) * jnp.sum(soft * log_p, axis=1)
    state = state.at[context.places(batch, late)].set(
      context.gather(soft), mode='drop'
    )
    own = jnp.take_along_axis(soft, batch.label[:, None], axis=1)[:, 0]
    figures = {'own_label': jnp.where(late, own, 1.0)}
    return jnp.where(late, adapted, losses), Aux(
      logits, batch_stats, state, figures
    )

  return Method(init, loss, figures=('own_label',))
