"""Dynamics-aware loss (DAL): fits first, then tolerates.

After i of E epochs the loss is generalized cross entropy with an exponent that
rises, and once that is above 1 also the entropy of the prediction:

    q = q_start + (q_end - q_start) i / E
    l = (1 - p_y^q) / q + max(0, (q - 1) / (q_end - 1)) H(p) / (q log K)

An exponent above 1 plays down the examples that the network disagrees with. The
entropy is soft bootstrapping: the prediction as its own target.

The authors' code clips p at 1e-6; here nothing is clipped.

Source: Li et al., "Dynamics-Aware Loss for Learning with Label Noise", Pattern
Recognition 2023 (arXiv:2303.11562); the schedule is that of the authors' code.
"""

import math

import jax
import jax.numpy as jnp

from sce_jax.losses.powers import generalized_cross_entropy
from sce_jax.losses.targets import bootstrap_soft
from sce_jax.methods.base import Aux, Method, no_state


def dal() -> Method:
  """DAL; its hyper-parameters are `q_start` and `q_end`."""

  def loss(apply, params, batch, state, hparams, context):
    logits, batch_stats = apply(params, batch.image)
    done = context.epoch.astype(jnp.float32) / context.num_epochs
    start, end = hparams['q_start'], hparams['q_end']
    q = start + (end - start) * done
    share = jnp.maximum((q - 1) / (end - 1), 0)

    def one(z, label):
      entropy = bootstrap_soft(z, label, weight=0.0)
      scaled = entropy / (q * math.log(z.size))
      return generalized_cross_entropy(z, label, q=q) + share * scaled

    losses = jax.vmap(one)(logits, batch.label)
    return losses, Aux(logits, batch_stats, state)

  return Method(no_state, loss)
