"""CORES2: cross entropy that rewards confidence, and a sieve of examples.

With q the distribution of the given labels, and s a `strength` that grows,

    l = -log p_y + s sum_k q_k log(p_k + 1e-8).

The second term pays for being sure of any class. In the last part of a run only
examples are kept whose label the network finds no less likely than a class on
average, -log p_y <= mean_k -log(p_k + 1e-8); the loss is the mean over those
kept, and q is, from epoch to epoch, that of the labels kept in the one before.

The strength is 0 until `start`, then grows linearly over `ramp` to `strength`;
the sieve begins after `sieve`. The three are shares of the run: 10, 30 and 30
epochs of 100 in the code, whose strength is full in the 30th of these epochs,
here after it.

Source: Cheng et al., "Learning with Instance-Dependent Label Noise: A Sample
Sieve Approach", ICLR 2021 (arXiv:2010.02347), phase 1, and its code,
haochenglouis/cores, loss.py and phase1.py. The code divides the learning rate
by 1 + s; here the loss is, which is the same but for weight decay, momentum
while s grows, and gradient clipping. The code knows q at the start; here it is
counted in the first epoch, in which s is 0 in any case. Its phase 2, training
on the rest without labels, is left out.
"""

import jax
from jax import lax
import jax.numpy as jnp

from sce_jax.losses.basic import cross_entropy
from sce_jax.methods.base import Aux, Method, epochs_since

_SMALLEST = 1e-8


def cores2() -> Method:
  """CORES2; see above for its hyper-parameters.

  The state is two vectors [K], float32: the `prior` q, and the `count` of the
  labels kept since the epoch began. In evaluations the loss is cross entropy.
  """

  def init(key, num_examples, num_classes):
    del key, num_examples
    prior = jnp.full(num_classes, 1 / num_classes)
    return {'prior': prior, 'count': jnp.zeros_like(prior)}

  def loss(apply, params, batch, state, hparams, context):
    logits, batch_stats = apply(params, batch.image)
    losses = jax.vmap(cross_entropy)(logits, batch.label)
    if not context.training:
      return losses, Aux(logits, batch_stats, state)
    log_p = jnp.logaddexp(jax.nn.log_softmax(logits), jnp.log(_SMALLEST))
    grown = epochs_since(hparams['start'], context) / jnp.maximum(
      hparams['ramp'] * context.num_epochs, 1e-6
    )
    strength = hparams['strength'] * jnp.clip(grown, 0.0, 1.0)
    sieves = epochs_since(hparams['sieve'], context) > 0
    likely = lax.stop_gradient(losses) <= -lax.stop_gradient(log_p).mean(axis=1)
    keep = batch.counted & (likely | ~sieves)
    label = jax.nn.one_hot(batch.label, log_p.shape[1])
    count, kept, total = context.psum(
      (
        jnp.where(keep[:, None], label, 0.0).sum(axis=0),
        keep.sum(dtype=jnp.float32),
        batch.counted.sum(dtype=jnp.float32),
      )
    )
    # A dot would round its factors to bfloat16 on a TPU.
    confidence = jnp.sum(log_p * state['prior'], axis=1)
    values = (losses + strength * confidence) / (1 + strength)
    # The mean over the batch is to be one over those kept, if there are any.
    values = jnp.where(keep, values, 0.0) * total / jnp.maximum(kept, 1.0)
    figures = {'kept': keep.astype(jnp.float32)}
    state = {**state, 'count': state['count'] + count}
    return values, Aux(logits, batch_stats, state, figures)

  def end_epoch(state, features, hparams, context):
    del features, hparams, context
    count = state['count']
    total = count.sum()
    # Where nothing was kept the prior stays.
    prior = jnp.where(
      total > 0, count / jnp.maximum(total, 1.0), state['prior']
    )
    return {'prior': prior, 'count': jnp.zeros_like(count)}, {}

  return Method(init, loss, end_epoch, figures=('kept',))
