"""Terms that are added to a method's loss in training.

Each takes a Method, or a loss, and gives a Method with a hyper-parameter more.
Evaluations, which tell how well labels are predicted, do without the terms.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sce_jax.methods.base import Hparams, Method, from_loss
from sce_jax.methods.loss_wrappers import Loss, sparse

# The clamp of a mean prediction, as in ANL's code.
_SMALLEST = 1e-7


def l1_penalty(base: Method) -> Method:
  """Adds `l1` times the sum of the absolute values of all parameters.

  Of all, batch norm's and the biases too. It is part of the loss, so its
  gradient is clipped with the rest, and methods that have it have no weight
  decay. Like that of the networks of a method, the sum is over all of them.

  Source: Ye et al., "Active Negative Loss Functions for Learning with Noisy
  Labels", NeurIPS 2023, section 3.3, and its code, Virusdoll/Active-Negative-
  Loss.
  """

  def loss(apply, params, batch, state, hparams, context):
    l1, rest = _split(hparams, 'l1')
    losses, aux = base.loss(apply, params, batch, state, rest, context)
    if context.training:
      size = sum(jnp.abs(leaf).sum() for leaf in jax.tree.leaves(params))
      losses = losses + l1 * size
    return losses, aux

  return base._replace(loss=loss)


def entropy_of_mean(base: Method) -> Method:
  """Adds `entropy` times log K - H(mean prediction of the batch).

  It is 0 if the classes are predicted equally often over the batch. The
  predictions are clamped to [1e-7, 1 - 1e-7], as their mean is after it has
  been scaled to sum to 1. The batch is the whole one, on however many devices.

  Source: Ye et al., "Active Negative Loss: A Robust Framework for Learning
  with Noisy Labels" (arXiv:2412.02373), and its code, whose own configs for
  this term lack a key that it reads, so that they do not run as they are.
  """

  def loss(apply, params, batch, state, hparams, context):
    entropy, rest = _split(hparams, 'entropy')
    losses, aux = base.loss(apply, params, batch, state, rest, context)
    if context.training:
      p = jnp.clip(jax.nn.softmax(aux.logits), _SMALLEST, 1 - _SMALLEST)
      counted = jnp.where(batch.counted[:, None], p, 0.0)
      losses = losses + entropy * missing_entropy(
        context.psum(counted.sum(axis=0))
      )
    return losses, aux

  return base._replace(loss=loss)


def missing_entropy(sums: Float[Array, ' K']) -> Float[Array, '']:
  """Log K - H(p), in nats, of the distribution p that is proportional to sums.

  Args:
    sums: at least 0, and not all 0.
  """
  p = jnp.clip(sums / sums.sum(), _SMALLEST, 1 - _SMALLEST)
  return jnp.log(jnp.asarray(sums.size, p.dtype)) + jnp.sum(p * jnp.log(p))


def sparse_regularization(base: Loss, *, normalize: bool = True) -> Method:
  """Sparse regularization (SR): loss_wrappers.sparse, of growing strength.

  In epoch e, from 0 on, the strength is `strength` times
  `growth`^(e // `growth_epochs`).

  Source: Zhou et al., "Learning with Noisy Labels via Sparse Regularization",
  ICCV 2021 (arXiv:2108.00192), and its code, hitcszx/lnl_sr.
  """

  def grown(hparams, context):
    given, rest = _split(hparams, 'strength')
    growth, rest = _split(rest, 'growth')
    every, rest = _split(rest, 'growth_epochs')
    times = jnp.floor(context.epoch.astype(jnp.float32) / every)
    strength = given * growth**times
    return {**rest, 'strength': strength if context.training else 0.0}

  return scheduled(from_loss(sparse(base, normalize=normalize)), grown)


def scheduled(
  base: Method, schedule: Callable[[Hparams, Any], Hparams]
) -> Method:
  """A method whose hyper-parameters change while it is trained.

  Args:
    base: the method.
    schedule: (hparams, context) -> the hyper-parameters of `base` then.
  """

  def loss(apply, params, batch, state, hparams, context):
    now = schedule(hparams, context)
    return base.loss(apply, params, batch, state, now, context)

  def end_epoch(state, features, hparams, context):
    assert base.end_epoch is not None
    now = schedule(hparams, context)
    return base.end_epoch(state, features, now, context)

  return base._replace(
    loss=loss, end_epoch=None if base.end_epoch is None else end_epoch
  )


def annealed(base: Method, name: str) -> Method:
  """A method one of whose hyper-parameters moves from one value to another.

  After e of E epochs it is the given value times 1 - e / E plus `NAME_end`
  times e / E.

  Args:
    base: the method.
    name: of the hyper-parameter; the new one is called NAME_end.
  """

  def moved(hparams, context):
    end, rest = _split(hparams, f'{name}_end')
    done = context.epoch.astype(jnp.float32) / context.num_epochs
    return {**rest, name: rest[name] * (1 - done) + end * done}

  return scheduled(base, moved)


def delayed(base: Method, name: str) -> Method:
  """A method one of whose hyper-parameters is 0 for the first `warm_up` epochs.

  Args:
    base: the method.
    name: of the hyper-parameter.
  """

  def held_back(hparams, context):
    warm_up, rest = _split(hparams, 'warm_up')
    begun = context.epoch.astype(jnp.float32) >= warm_up
    return {**rest, name: jnp.where(begun, rest[name], 0.0)}

  return scheduled(base, held_back)


def _split(hparams: Hparams, name: str) -> tuple[Any, Mapping[str, Any]]:
  """A hyper-parameter of one's own, and those of the method below."""
  rest = dict(hparams)
  return rest.pop(name), rest
