"""Sparse over-parameterization (SOP): a wrong label is learned as a noise term.

Every training example has parameters of its own, u, and v_k for each class,
which explain the part of its label that the network does not predict. With y
the one-hot label, p the probabilities and h the one-hot predicted class,

    U = min(u^2, 1) y,    V = min(v^2, 1) (1 - y),
    q = max(p + U - V, 1e-4), scaled to sum to 1 and then at least 1e-4,
    l = -log q_y + |h + U - V - y|^2.

They start at N(0, 1e-8^2) and are trained beside the network by plain gradient
descent on the mean of l over the batch, with learning rates of their own that
never change. Neither h nor, in q, V has a gradient. The products u^2 and v^2
grow slowly from so small a start, and only where network and label disagree for
long: the noise that they explain is sparse.

The default rates, 10 and 10, are the paper's for CIFAR-10 under symmetric
noise, at second hand (config/published.py). The paper's algorithm 1 is said to
train u by the first term alone and v by the second; the code, as here, both by
the sum, but for what has no gradient.

Source: Liu et al., "Robust Training under Label Noise by
Over-parameterization", ICML 2022 (arXiv:2202.14026), and its code,
shengliu66/SOP, model/loss.py; another version of that file has other clamps and
gradients. This is SOP; SOP+ adds a term for two augmentations and one for
balanced predictions.
"""

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from sce_jax.losses.basic import cross_entropy
from sce_jax.methods.base import Aux, Method

_START, _SMALLEST = 1e-8, 1e-4


def sop() -> Method:
  """SOP; its hyper-parameters are the learning rates `rate_u` and `rate_v`.

  The state is u, float32 [num_examples], and v, [num_examples, K]. In
  evaluations the loss is cross entropy: they are of training examples.
  """

  def init(key, num_examples, num_classes):
    start = jax.random.normal(key, (num_examples, 1 + num_classes)) * _START
    return {'u': start[:, 0], 'v': start[:, 1:]}

  def loss(apply, params, batch, state, hparams, context):
    logits, batch_stats = apply(params, batch.image)
    if not context.training:
      losses = jax.vmap(cross_entropy)(logits, batch.label)
      return losses, Aux(logits, batch_stats, state)
    u, v = state['u'][batch.position], state['v'][batch.position]
    losses = jax.vmap(noisy_loss)(logits, batch.label, u, v)
    # The gradient of the mean: of each example's own loss, over their number.
    slopes = jax.vmap(jax.grad(noisy_loss, (2, 3)))(
      lax.stop_gradient(logits), batch.label, u, v
    )
    count = context.psum(batch.counted.sum(dtype=jnp.float32))
    u = u - hparams['rate_u'] / count * slopes[0]
    v = v - hparams['rate_v'] / count * slopes[1]
    position = context.places(batch)
    state = {
      'u': state['u'].at[position].set(context.gather(u), mode='drop'),
      'v': state['v'].at[position].set(context.gather(v), mode='drop'),
    }
    figures = {'noise': jnp.minimum(u * u, 1.0)}
    return losses, Aux(logits, batch_stats, state, figures)

  return Method(init, loss, figures=('noise',))


def noisy_loss(
  logits: Float[Array, ' K'],
  label: Int[Array, ''],
  u: Float[Array, ''],
  v: Float[Array, ' K'],
) -> Float[Array, '']:
  """The loss of one example, which at u = 0 and v = 0 is near cross entropy.

  Args:
    logits: of the example.
    label: a class.
    u: its parameter for the label.
    v: its parameters for the other classes; that of the label is not used.
  """
  y = jax.nn.one_hot(label, logits.size)
  more = jnp.minimum(u * u, 1.0) * y
  less = jnp.minimum(v * v, 1.0) * (1 - y)
  q = jax.nn.softmax(logits) + more - lax.stop_gradient(less)
  q = jnp.maximum(q, _SMALLEST)
  q = jnp.maximum(q / q.sum(), _SMALLEST)
  predicted = jax.nn.one_hot(jnp.argmax(logits), logits.size)
  return -jnp.sum(y * jnp.log(q)) + jnp.sum((predicted + more - less - y) ** 2)
