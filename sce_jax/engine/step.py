"""One training step and one evaluation step, pure functions of a single run."""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from sce_jax.data.batches import Batch
from sce_jax.engine import metrics
from sce_jax.engine.network import Network
from sce_jax.engine.train_state import TrainState
from sce_jax.methods import Context, Method
from sce_jax.methods.base import Hparams
from sce_jax.parallel.runners import Runner


def train_step(
  state: TrainState,
  batch: Batch,
  hparams: Hparams,
  context: Context,
  *,
  network: Network,
  method: Method,
  runner: Runner,
) -> TrainState:
  """Updates a run with one batch.

  Args:
    state: the run.
    batch: this device's share of the batch.
    hparams: the method's hyper-parameters.
    context: what the method is told beside the batch.
    network: the network, or several.
    method: how it learns.
    runner: on which devices the batch lies.

  Returns:
    The run after the step, equal on every device.
  """
  mask = batch.counted
  count = runner.psum(mask.sum(dtype=jnp.float32))
  weight = None if batch.mask is None else mask.astype(jnp.float32)

  def apply(params, images):
    return network.apply_train(params, state.batch_stats, images, weight)

  def mean_loss(params):
    losses, aux = method.loss(
      apply, params, batch, state.method, hparams, context
    )
    total = jnp.where(mask, losses, 0.0).sum()
    return total / count, (losses, aux)

  # A device's loss is its share of the sum over the whole batch, so the sum
  # of the devices' gradients is the gradient of the batch's mean loss.
  grads, (losses, aux) = jax.grad(mean_loss, has_aux=True)(state.params)
  grads = runner.psum(grads)
  params, opt_state = network.update(grads, state.opt_state, state.params)
  seen = runner.psum(
    metrics.sums(aux.logits, losses, batch, figures=aux.figures)
  )
  return TrainState(
    step=state.step + 1,
    params=params,
    batch_stats=aux.batch_stats,
    opt_state=opt_state,
    method=aux.state,
    finite_steps=state.finite_steps + jnp.isfinite(seen.loss).astype(jnp.int32),
    sums=state.sums + seen,
  )


def eval_step(
  state: TrainState,
  batch: Batch,
  hparams: Hparams,
  context: Context,
  *,
  network: Network,
  method: Method,
) -> metrics.Sums:
  """Sums over this device's share of a batch, with the running statistics."""

  def apply(params, images):
    logits = network.apply_eval(params, state.batch_stats, images)
    return logits, state.batch_stats

  losses, aux = method.loss(
    apply,
    state.params,
    batch,
    state.method,
    hparams,
    context._replace(training=False),
  )
  return metrics.sums(aux.logits, losses, batch, confidence=True)


def end_epoch(
  state: TrainState,
  features,
  hparams: Hparams,
  context: Context,
  *,
  method: Method,
) -> tuple[TrainState, dict[str, jax.Array]]:
  """What the method does after an epoch; its figures by name.

  Args:
    state: the run, after the last step of an epoch.
    features: (state, num_examples) -> the last hidden layer's activations.
    hparams: the method's hyper-parameters.
    context: what the method is told.
    method: how the network learns.
  """
  if method.end_epoch is None:
    return state, {}
  new, figures = method.end_epoch(
    state.method, functools.partial(features, state), hparams, context
  )
  return dataclasses.replace(state, method=new), dict(figures)
