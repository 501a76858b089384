"""Peer loss: cross entropy, less that of images with other images' labels.

With y' the label of another example, drawn at random, and CE(p, y) =
-log(p_y + 1e-5),

    l = CE(p, y) - a CE(p, y').

Predicting labels that do not depend on the image thus gains nothing: what is
rewarded is how much more likely an image's own label is than one of another.
Without knowing the noise rate this is tolerant of class-conditional noise, with
a suitable a.

The public code draws an image and a label from two loaders of their own, and
applies the network to that image, too. Here both are of the batch: its images
stand for the first draw, and each has the label of the next one in a random
cycle through the batch. The pair is of two different examples, each of them as
likely as any other, so that the expected loss is the same; the network is
applied once. With one example in a batch there is no pair, and the loss is
cross entropy.

The weight a grows by a `schedule` of the code, which is stretched to the
length of the run. The code of CIFAR-10 exists in two versions; these are the
numbers of the one with both schedules. They are of 340 epochs, cut off after
300, so that 20 and 5 are not reached; in the other one they are of 300. At
epoch 100 the code for CIFAR-100 goes back to the network that was best on noisy
validation labels; here it trains on. The code divides the learning rate by 1 +
a; here the loss is, which is the same but for weight decay, momentum while a
grows, and gradient clipping.

Source: Liu and Guo, "Peer Loss Functions: Learning from Noisy Labels without
Knowing Noise Rates", ICML 2020 (arXiv:1910.03231), and its code for many
classes, weijiaheng/Multi-class-Peer-Loss-functions, CIFAR-10/runner.py and
CIFAR-100/runner.py.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int
import numpy as np

from sce_jax.losses.basic import cross_entropy
from sce_jax.losses.inputs import pick
from sce_jax.methods.base import Aux, Method, no_state, random_order

_SMALLEST = 1e-5
# The number of epochs; then (epoch, weight), linear in between. 'sparse' is
# noise between few pairs of classes, 'uniform' between all.
SCHEDULES = {
  'cifar10_uniform': (
    300,
    (
      (20, 0.0),
      (40, 0.1),
      (40, 1.0),
      (90, 2.0),
      (140, 2.5),
      (240, 3.3),
      (340, 5.0),
    ),
  ),
  'cifar10_sparse': (
    300,
    ((20, 0.0), (40, 1.0), (90, 2.0), (140, 5.0), (240, 10.0), (340, 20.0)),
  ),
  'cifar100_uniform': (250, ((100, 0.0), (100, 0.95), (250, 0.95))),
  'cifar100_sparse': (
    250,
    ((110, 0.0), (130, 2.0), (200, 10.0), (250, 20.0)),
  ),
}


def peer(*, schedule: str) -> Method:
  """Peer loss.

  In evaluations the loss is cross entropy.

  Args:
    schedule: a key of SCHEDULES.
  """
  length, points = SCHEDULES[schedule]
  epochs, weights = np.array(points, np.float32).T

  def loss(apply, params, batch, state, hparams, context):
    del hparams
    logits, batch_stats = apply(params, batch.image)
    if not context.training:
      losses = jax.vmap(cross_entropy)(logits, batch.label)
      return losses, Aux(logits, batch_stats, state)
    epoch = context.epoch.astype(jnp.float32) * length / context.num_epochs
    weight = jnp.interp(epoch, epochs, weights)
    counted = context.gather(batch.counted)
    weight = jnp.where(counted.sum() > 1, weight, 0.0)
    other = context.shard(
      context.gather(batch.label)[_next(context.key, counted)]
    )
    log_p = jnp.logaddexp(jax.nn.log_softmax(logits), jnp.log(_SMALLEST))

    def nll(label):
      return -jax.vmap(pick)(log_p, label)

    peers = nll(other)
    losses = (nll(batch.label) - weight * peers) / (1 + weight)
    figures = {'peer_loss': peers}
    return losses, Aux(logits, batch_stats, state, figures)

  return Method(no_state, loss, figures=('peer_loss',))


def _next(key: Array, counted: Bool[Array, ' N']) -> Int[Array, ' N']:
  """Of each example that is counted the next in a random cycle through them."""
  order = random_order(key, counted)
  places = jnp.arange(order.size, dtype=jnp.int32)
  following = order[(places + 1) % jnp.maximum(counted.sum(), 1)]
  return jnp.zeros_like(order).at[order].set(following)
