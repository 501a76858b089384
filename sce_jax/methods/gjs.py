"""Generalized Jensen-Shannon divergence (GJS) of the label and two predictions.

Each image is augmented twice. With p and p' the two predictions, e the one-hot
label, w for `weight` and v = (1 - w) / 2 the loss is

  (w KL(e | m) + v KL(p | m) + v KL(p' | m)) / -((1 - w) log(1 - w)),
  m = w e + v p + v p'.

Predictions that differ cost something, whatever the label is. With p = p' it is
losses.jensen_shannon of that weight, as it is in evaluations.

Source: Englesson and Azizpour, "Generalized Jensen-Shannon Divergence Loss for
Learning with Noisy Labels", NeurIPS 2021 (arXiv:2105.04522). Their code applies
the network to one view after the other, as this does; batch norm's running
statistics move once a step here, by the mean of both.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from sce_jax.losses.inputs import Scalar, check_and_upcast
from sce_jax.methods.base import Aux, Method, no_state


def gjs() -> Method:
  """GJS; its hyper-parameter is `weight`.

  Accuracy is that on the first view.
  """

  def loss(apply, params, batch, state, hparams, context):
    first, batch_stats = apply(params, batch.image)
    second = first
    if context.training:
      second, other_stats = apply(params, batch.second_image)
      batch_stats = jax.tree.map(
        lambda a, b: (a + b) / 2, batch_stats, other_stats
      )
    losses = jax.vmap(generalized_jensen_shannon, in_axes=(0, 0, 0, None))(
      first, second, batch.label, hparams['weight']
    )
    return losses, Aux(first, batch_stats, state)

  return Method(no_state, loss, two_views=True)


def generalized_jensen_shannon(
  first: Float[Array, ' K'],
  second: Float[Array, ' K'],
  label: Int[Array, ''],
  weight: Scalar,
) -> Float[Array, '']:
  """The loss of one example, from its two logits.

  Args:
    first: logits of the first view.
    second: logits of the second view.
    label: a class.
    weight: w, above 0 and below 1.

  Returns:
    The loss, at least 0.

  Raises:
    TypeError, ValueError: as of any loss, see sce_jax.losses.
  """
  z, target = check_and_upcast(first, label)
  z_other, _ = check_and_upcast(second, label)
  w = jnp.asarray(weight, z.dtype)
  views = jnp.stack([jax.nn.log_softmax(z), jax.nn.log_softmax(z_other)])
  log_rest = jnp.log1p(-w)
  # In log space m is never below a view's share of it, so that all is finite.
  log_m = log_rest - jnp.log(2.0) + jnp.logaddexp(views[0], views[1])
  log_m = jnp.where(target > 0, jnp.logaddexp(log_m, jnp.log(w)), log_m)
  of_label = -jnp.sum(jnp.where(target > 0, log_m, 0)) * w
  of_views = jnp.sum(jnp.exp(views) * (views - log_m)) * (1 - w) / 2
  # A label that is no class gives NaN, as in the other losses.
  return (of_label + of_views + 0 * target.sum()) / ((w - 1) * log_rest)
