"""Early-Learning Regularization (ELR): keep to what was learned early.

A running average of the network's own predictions is kept for every training
example. What the network learns first is right more often than the labels are,
so the loss rewards agreement with that average:

    l = -log p_y + strength log(1 - <t, p>),
    t <- decay t + (1 - decay) p,        from t = 0, updated before it is used.

p is clipped to [1e-4, 1 - 1e-4] in both, and in the average it is rescaled to
sum to 1, as the authors' code does. No gradient flows through t.

Source: Liu et al., "Early-Learning Regularization Prevents Memorization of
Noisy Labels", NeurIPS 2020 (arXiv:2007.00151), equations 4 and 9.
"""

import jax
from jax import lax
import jax.numpy as jnp

from sce_jax.losses.basic import cross_entropy
from sce_jax.methods.base import Aux, Method

# The clipping keeps log(1 - <t, p>) finite.
_SMALLEST = 1e-4


def elr() -> Method:
  """ELR; its hyper-parameters are `strength` and `decay`.

  The state is the averages t, float32 [num_examples, K]. In evaluations the
  loss is cross entropy alone: the averages are of training examples.
  """

  def init(key, num_examples, num_classes):
    del key
    return jnp.zeros((num_examples, num_classes))

  def loss(apply, params, batch, state, hparams, context):
    logits, batch_stats = apply(params, batch.image)
    losses = jax.vmap(cross_entropy)(logits, batch.label)
    if not context.training:
      return losses, Aux(logits, batch_stats, state)
    p = jnp.clip(jax.nn.softmax(logits), _SMALLEST, 1 - _SMALLEST)
    fixed = lax.stop_gradient(p)
    decay = hparams['decay']
    average = decay * state[batch.position] + (1 - decay) * (
      fixed / fixed.sum(axis=1, keepdims=True)
    )
    regularizer = jnp.log(1 - jnp.sum(average * p, axis=1))
    losses = losses + hparams['strength'] * regularizer
    state = state.at[context.places(batch)].set(
      context.gather(average), mode='drop'
    )
    figures = {'regularizer': regularizer}
    return losses, Aux(logits, batch_stats, state, figures)

  return Method(init, loss, figures=('regularizer',))
