"""Trains classifiers to the minimum of a noisy risk."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.paper.theory import setting
from experiments.paper.theory.setting import K

DIMENSIONS = 10
_APART = 1.5  # The deviation of the blobs' means; their own is 1.
_LEARNING_RATE = 0.02
# Trained together: few enough to stay in the processor's cache.
_TOGETHER = 45


@dataclasses.dataclass(frozen=True)
class Job:
  """A noisy risk to minimise: weights are of each label `[N, K]`."""

  loss: str
  noise: str
  rate: float
  weights: np.ndarray
  sample: int = 0


@dataclasses.dataclass(frozen=True)
class Minimum:
  risk: float
  spread: float  # Of the risk, over the restarts.
  probabilities: np.ndarray
  fresh: np.ndarray


def blobs(size: setting.Size) -> tuple[np.ndarray, ...]:
  """Gaussian blobs, one a class: points and labels, fresh ones, and means."""
  rng = np.random.default_rng(setting.SEED + 1)
  means = _APART * rng.normal(size=(K, DIMENSIONS))

  def draw(count):
    labels = np.arange(count) % K
    return means[labels] + rng.normal(size=(count, DIMENSIONS)), labels

  return *draw(size.points), *draw(size.fresh), means


def closed_form(logits: jax.Array, weights: jax.Array) -> jax.Array:
  """The losses of every label `[.., K]`, as `loss_table` has them.

  Label by label they cost several times as much, and training is all cost.

  Args:
    logits: `[.., K]`.
    weights: as in setting.LOSSES.

  Returns:
    The losses.
  """
  log_p = jax.nn.log_softmax(logits)
  alpha, beta, gamma = weights
  return -alpha * log_p + (beta * setting.LOG_ZERO - 2 * gamma) * jnp.expm1(
    log_p
  )


@functools.partial(jax.jit, static_argnames=('hidden', 'steps'))
def _train(points, fresh, weights, mixes, keys, *, hidden, steps):
  """Trains nets of one hidden layer, full batch, each on its noisy risk."""
  adam = optax.scale_by_adam()
  rates = jnp.linspace(_LEARNING_RATE, 0.0, steps, dtype=jnp.float32)

  def network(params, x):
    into, bias, out, end = params
    return jax.nn.relu(x @ into + bias) @ out + end

  def risk(params, weight, mix):
    losses = closed_form(network(params, points), mix)
    return jnp.mean(jnp.sum(weight * losses, axis=-1))

  def one(weight, mix, key):
    first, second = jax.random.split(key)
    width = points.shape[1]
    params = (
      jax.random.normal(first, (width, hidden)) * (2 / width) ** 0.5,
      jnp.zeros(hidden),
      # Small: MAE and RCE hardly move a point whose label begins at p_y = 0.
      jax.random.normal(second, (hidden, K)) * 0.1 / hidden**0.5,
      jnp.zeros(K),
    )

    def step(carry, rate):
      params, state = carry
      gradient = jax.grad(risk)(params, weight, mix)
      # optax raises a number to the power of its integer step count.
      with jax.numpy_dtype_promotion('standard'):
        update, state = adam.update(gradient, state)
      params = jax.tree.map(lambda p, u: p - rate * u, params, update)
      return (params, state), None

    (params, _), _ = jax.lax.scan(step, (params, adam.init(params)), rates)
    return (
      risk(params, weight, mix),
      jax.nn.softmax(network(params, points)),
      jnp.argmax(network(params, fresh), axis=-1),
    )

  return jax.vmap(one)(weights, mixes, keys)


def minimise(jobs: Sequence[Job], points, fresh, size) -> list[Minimum]:
  """Of each job's restarts the one of the lowest noisy risk."""
  every = [(job, restart) for job in jobs for restart in range(size.restarts)]
  padded = every + every[:1] * (-len(every) % _TOGETHER)
  found = []
  for start in range(0, len(padded), _TOGETHER):
    some = padded[start : start + _TOGETHER]
    # Losses and noises begin alike: they differ by nothing else.
    seeds = [setting.SEED + 100 * job.sample + restart for job, restart in some]
    result = _train(
      jnp.asarray(points, jnp.float32),
      jnp.asarray(fresh, jnp.float32),
      jnp.asarray(np.stack([job.weights for job, _ in some]), jnp.float32),
      jnp.asarray([setting.LOSSES[job.loss] for job, _ in some], jnp.float32),
      jax.vmap(jax.random.key)(jnp.asarray(seeds, jnp.uint32)),
      hidden=size.hidden,
      steps=size.steps,
    )
    found += zip(*(np.asarray(x) for x in result), strict=True)
  minima = []
  for start in range(0, len(every), size.restarts):
    some = found[start : start + size.restarts]
    values = [float(x[0]) for x in some]
    _, probabilities, predicted = some[int(np.argmin(values))]
    minima.append(
      Minimum(min(values), float(np.ptp(values)), probabilities, predicted)
    )
  return minima
