"""Mixup: training on images that are mixed of two, with both their labels.

Every image of a batch is mixed with another of the batch, w x + (1 - w) x',
and the loss is w l(y) + (1 - w) l(y'). One w is drawn for a batch, from
Beta(a, a) with a = `concentration`; here the larger of w and 1 - w, which
mixes the same pairs as often, so that the image that counts as its own, in the
accuracy on the training labels too, is the one that it has most of.

Source: Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018
(arXiv:1710.09412); one w a batch as in facebookresearch/mixup-cifar10.
"""

import jax
import jax.numpy as jnp

from sce_jax.methods.base import Method, random_order


def mixup(base: Method) -> Method:
  """A method whose batches are mixed; `concentration` is its hyper-parameter.

  Args:
    base: the method. What it keeps of each example it keeps of the mixed image
      with the first label.
  """

  def loss(apply, params, batch, state, hparams, context):
    rest = dict(hparams)
    concentration = rest.pop('concentration')
    if not context.training:
      return base.loss(apply, params, batch, state, rest, context)
    weight_key, order_key = jax.random.split(context.key)
    weight = jax.random.beta(weight_key, concentration, concentration)
    weight = jnp.maximum(weight, 1 - weight)
    partner = random_order(order_key, context.gather(batch.counted))

    def of_partner(values):
      return context.shard(context.gather(values)[partner])

    image = weight * batch.image + (1 - weight) * of_partner(batch.image)
    logits, batch_stats = apply(params, image)

    def of_label(label):
      # The network has been applied; both labels are compared with its logits.
      return base.loss(
        lambda params, images: (logits, batch_stats),
        params,
        batch.replace(image=image, label=label),
        state,
        rest,
        context,
      )

    losses, aux = of_label(batch.label)
    others, _ = of_label(of_partner(batch.label))
    return weight * losses + (1 - weight) * others, aux

  return base._replace(loss=loss)
