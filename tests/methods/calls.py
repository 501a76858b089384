"""Calls a method's loss as a step does, on a network that is a matrix."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from sce_jax.data.batches import Batch
from sce_jax.methods import Context

N, D, K = 6, 4, 3
# What XLA is told: these programs are run once.
OPTIONS = {
  'xla_backend_optimization_level': 0,
  'xla_llvm_disable_expensive_passes': True,
}


def context(training=True, epoch=0, seed=0, runner=None):
  """What a step tells a method; of one device, unless there is a runner."""

  def same(x):
    return x

  return Context(
    key=jax.random.key(seed),
    step=jnp.int32(0),
    epoch=jnp.int32(epoch),
    num_epochs=10,
    num_examples=N,
    training=training,
    psum=runner.psum if runner else same,
    gather=runner.gather if runner else same,
    shard=runner.shard if runner else same,
  )


def arrays(seed=0):
  """Images [N, 1, 1, D], labels [N], parameters [D, K] in NumPy, float64."""
  rng = np.random.default_rng(seed)
  images = rng.normal(size=(N, 1, 1, D))
  return images, rng.integers(K, size=N), 2 * rng.normal(size=(D, K))


def batch(images, labels, counted=None, second=None):
  """A batch of the first rows of a split."""
  return Batch(
    jnp.asarray(images, jnp.float32),
    jnp.asarray(labels, jnp.int32),
    None,
    jnp.arange(len(labels), dtype=jnp.int32),
    None if counted is None else jnp.asarray(counted),
    None if second is None else jnp.asarray(second, jnp.float32),
  )


def apply(params, images):
  """The logits; the statistics say how often the network was applied."""
  return images.reshape(len(images), -1) @ params, {'calls': jnp.ones(())}


def evaluate(
  method, params, given, hparams, told=None, gradient=True, state=()
):
  """The losses [N], Aux, and the gradient of the mean over the batch, [D, K].

  Compiled, as a step is; without `gradient`, which is None then, sooner.
  """
  told = context() if told is None else told

  @functools.partial(jax.jit, compiler_options=OPTIONS)
  def program(params, given, hparams, state, key, epoch):
    now = told._replace(key=key, epoch=epoch)

    def mean(params):
      values, aux = method.loss(apply, params, given, state, hparams, now)
      counted = given.counted
      total = jnp.where(counted, values, 0.0).sum()
      return total / counted.sum(dtype=jnp.float32), (values, aux)

    if not gradient:
      return None, mean(params)[1]
    return jax.grad(mean, has_aux=True)(params)

  traced = {name: jnp.float32(value) for name, value in hparams.items()}
  found, (values, aux) = program(
    jnp.asarray(params, jnp.float32),
    given,
    traced,
    state,
    told.key,
    told.epoch,
  )
  return values, aux, found


def differences(function, params):
  """The gradient of a function of [D, K] in float64, by differences."""
  steps = 1e-6 * np.eye(params.size).reshape(-1, *params.shape)
  return np.array(
    [(function(params + s) - function(params - s)) / 2e-6 for s in steps]
  ).reshape(params.shape)


def softmax(z):
  """Of each row, in float64."""
  e = np.exp(z - z.max(-1, keepdims=True))
  return e / e.sum(-1, keepdims=True)


def nll(images, labels, params):
  """Cross entropy of each example, in float64."""
  p = softmax(images.reshape(len(images), -1) @ params)
  return -np.log(np.take_along_axis(p, labels[:, None], 1)[:, 0])


def check_evaluation(method, hparams, state=(), epoch=0):
  """Asserts that an evaluation is cross entropy to the clean classes.

  Returns:
    Aux, of the evaluation.
  """
  images, labels, params = arrays()
  told = context(training=False, epoch=epoch)
  given = batch(images, labels)
  losses, aux, _ = evaluate(
    method, params, given, hparams, told, gradient=False, state=state
  )
  np.testing.assert_allclose(losses, nll(images, labels, params), rtol=1e-5)
  return aux


def check_confident(method, hparams, state=(), epoch=0, scale=1e4):
  """Asserts that logits of about `scale` give finite losses and gradients.

  Returns:
    Aux, of the step.
  """
  images, labels, params = arrays()
  given, told = batch(images, labels), context(epoch=epoch)
  losses, aux, gradient = evaluate(
    method, scale * params, given, hparams, told, state=state
  )
  assert np.isfinite(losses).all() and np.isfinite(gradient).all()
  return aux
