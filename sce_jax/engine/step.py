"""One training step and one evaluation step, pure functions of a single run.

A batch is a dict, whole or a device's share of it:
  image: float32 [N, H, W, C], normalised.
  label: int32 [N], the given label: what the network sees.
  clean_label: int32 [N], the true label, only ever counted against.
  index: int32 [N], the example's id.
  mask: bool [N], absent when the batch is full; False for what fills it up.
"""

from collections.abc import Callable, Mapping
import functools
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float
import optax

from sce_jax.engine import metrics
from sce_jax.engine.train_state import TrainState
from sce_jax.parallel.runners import Runner

Batch = Mapping[str, jax.Array]
Loss = Callable[..., Float[Array, '']]


def train_step(
  state: TrainState,
  batch: Batch,
  loss_parameters: Mapping[str, Array],
  *,
  model: nn.Module,
  loss: Loss,
  tx: optax.GradientTransformation,
  runner: Runner,
) -> TrainState:
  """Updates a run with one batch.

  Args:
    state: the run.
    batch: this device's share of the batch, see the module's docstring.
    loss_parameters: the loss's hyper-parameters.
    model: the network.
    loss: loss of one example, (logits[K], label[], **loss_parameters) -> [].
    tx: optax chain.
    runner: on which devices the batch lies.

  Returns:
    The run after the step, equal on every device.
  """
  mask = _counted(batch)
  count = runner.psum(mask.sum(dtype=jnp.float32))

  def mean_loss(params):
    logits, updated = model.apply(
      {'params': params, 'batch_stats': state.batch_stats},
      batch['image'],
      train=True,
      mask=mask.astype(jnp.float32) if 'mask' in batch else None,
      mutable=['batch_stats'],
    )
    losses = _losses(loss, loss_parameters, logits, batch)
    total = jnp.where(mask, losses, 0.0).sum()
    return total / count, (logits, losses, updated.get('batch_stats', {}))

  # A device's loss is its share of the sum over the whole batch, so the sum
  # of the devices' gradients is the gradient of the batch's mean loss.
  grads, (logits, losses, batch_stats) = jax.grad(mean_loss, has_aux=True)(
    state.params
  )
  grads = runner.psum(grads)
  updates, opt_state = tx.update(grads, state.opt_state, state.params)
  seen = runner.psum(
    metrics.sums(logits, losses, batch['label'], batch['clean_label'], mask)
  )
  return TrainState(
    step=state.step + 1,
    params=optax.apply_updates(state.params, updates),
    batch_stats=batch_stats,
    opt_state=opt_state,
    finite_steps=state.finite_steps + jnp.isfinite(seen.loss).astype(jnp.int32),
    sums=state.sums + seen,
  )


def eval_step(
  state: TrainState,
  batch: Batch,
  loss_parameters: Mapping[str, Array],
  *,
  model: nn.Module,
  loss: Loss,
) -> metrics.Sums:
  """Sums over this device's share of a batch, with the running statistics."""
  variables = {'params': state.params, 'batch_stats': state.batch_stats}
  logits: Any = model.apply(variables, batch['image'])
  losses = _losses(loss, loss_parameters, logits, batch)
  return metrics.sums(
    logits,
    losses,
    batch['label'],
    batch['clean_label'],
    _counted(batch),
    confidence=True,
  )


def _losses(
  loss: Loss,
  loss_parameters: Mapping[str, Array],
  logits: Float[Array, 'N K'],
  batch: Batch,
) -> Float[Array, ' N']:
  return jax.vmap(functools.partial(loss, **loss_parameters))(
    logits, batch['label']
  )


def _counted(batch: Batch) -> Bool[Array, ' N']:
  return batch.get('mask', jnp.ones(batch['label'].shape, bool))
