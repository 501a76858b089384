"""JoCoR: two networks that learn, and are made to agree, on easy examples.

Each example has one loss of both networks,

    l = (1 - weight) (CE(p, y) + CE(p', y)) + weight (KL(p | p') + KL(p' | p)),

and in every batch both learn from the examples where it is smallest. On a wrong
label two networks agree less, so that such an example is left out sooner. The
share that is left out, `forget_rate`, is the share of wrong labels, which this
method is told; it grows linearly over the first `warm_up` epochs.

Source: Wei et al., "Combating Noisy Labels by Agreement: A Joint Training
Method with Co-Regularization", CVPR 2020 (arXiv:2003.02752), algorithm 1, and
its code, hongxin001/JoCoR. The code keeps a number that is rounded down, which
may be 0; here it is rounded up, as in co_teaching.py, and the share grows from
0 on, two epochs behind the code's. The code halves the rate of
any asymmetric noise, also on CIFAR-100, where all classes have it; here
`forget_rate` is the share of wrong labels, as there. Weights are those of its
README; its own default is 0.1.
"""

import jax
import jax.numpy as jnp

from sce_jax.losses.basic import cross_entropy
from sce_jax.methods.base import Aux, Method, no_state
from sce_jax.methods.co_teaching import smallest


def jocor() -> Method:
  """JoCoR; its hyper-parameters are `forget_rate`, `warm_up` and `weight`.

  Accuracy is the first network's, as is the loss, cross entropy, in
  evaluations.
  """

  def loss(apply, params, batch, state, hparams, context):
    logits, batch_stats = apply(params, batch.image)  # [2, N, K]
    losses = jax.vmap(jax.vmap(cross_entropy), in_axes=(0, None))(
      logits, batch.label
    )
    first = Aux(logits[0], batch_stats, state)
    if not context.training:
      return losses[0], first
    log_p = jax.nn.log_softmax(logits)
    divergence = jnp.sum(
      (jnp.exp(log_p[0]) - jnp.exp(log_p[1])) * (log_p[0] - log_p[1]), axis=-1
    )
    weight = hparams['weight']
    joint = (1 - weight) * losses.sum(axis=0) + weight * divergence
    (small,), share = smallest(joint[None], batch.counted, hparams, context)
    # The mean over the batch is to be one over those kept.
    chosen = jnp.where(small, joint, 0.0) / share
    return chosen, first.replace(figures={'divergence': divergence})

  return Method(no_state, loss, num_networks=2, figures=('divergence',))
