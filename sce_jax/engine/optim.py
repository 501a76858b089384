"""Learning-rate schedules and the optax chain of a config."""

from collections.abc import Callable
import dataclasses
import re
from typing import Any

import jax
import jax.numpy as jnp
import optax

from sce_jax.errors import UserError

SCHEDULES = ('constant', 'step', 'exponential', 'cosine')
UPDATES = ('epoch', 'step')


@dataclasses.dataclass(frozen=True)
class OptimConfig:
  """The `optim` section of a config; config/base.py explains each field."""

  learning_rate: float
  schedule: str
  boundaries: tuple[int, ...]
  factor: float
  final_learning_rate: float
  update: str
  time_decay: float
  momentum: float
  nesterov: bool
  weight_decay: float
  weight_decay_names: str
  l2: float
  l2_names: str
  clip_norm: float | None


def make_schedule(
  config: OptimConfig, epochs: int, steps_per_epoch: int
) -> optax.Schedule:
  """The learning rate at each step.

  The rate follows `schedule` and is held over an epoch or changes with every
  step, as `update` says. On top of it comes Keras's time decay, which the
  paper's authors use: the rate is divided by 1 + time_decay * step.

  Args:
    config: the `optim` section of a config.
    epochs: length of the run, where 'cosine' reaches the final rate.
    steps_per_epoch: number of steps of an epoch.

  Returns:
    A function of the step.
  """
  start = config.learning_rate
  if config.schedule == 'constant':
    by_epoch = optax.constant_schedule(start)
  elif config.schedule == 'step':
    # optax starts a new piece after its boundary, we start it at the boundary.
    by_epoch = optax.join_schedules(
      [
        optax.constant_schedule(start * config.factor**i)
        for i in range(len(config.boundaries) + 1)
      ],
      list(config.boundaries),
    )
  elif config.schedule == 'exponential':
    by_epoch = optax.exponential_decay(start, 1, config.factor)
  else:
    by_epoch = optax.cosine_decay_schedule(
      start, epochs, config.final_learning_rate / start
    )

  def schedule(step):
    step = jnp.asarray(step, jnp.float32)
    epoch = step / steps_per_epoch
    if config.update == 'epoch':
      epoch = jnp.floor(epoch)
    return by_epoch(epoch) / (1.0 + config.time_decay * step)

  return schedule


def make_optimizer(
  config: OptimConfig, epochs: int, steps_per_epoch: int
) -> optax.GradientTransformation:
  """SGD as a config describes it.

  In this order: the gradient of Keras's L2 penalty (which belongs to the
  loss), clipping by the global norm, weight decay (as torch adds it, to the
  clipped gradient), momentum, learning rate. Keras multiplies by the rate
  before momentum; the two differ for some steps after the rate has changed.

  Args:
    config: the `optim` section of a config.
    epochs: length of the run.
    steps_per_epoch: number of steps of an epoch.
  """
  chain = []
  if config.l2:
    # The penalty is l2 * |w|^2, so its gradient is 2 * l2 * w.
    chain.append(
      optax.add_decayed_weights(2.0 * config.l2, mask=_named(config.l2_names))
    )
  if config.clip_norm is not None:
    chain.append(optax.clip_by_global_norm(config.clip_norm))
  if config.weight_decay:
    chain.append(
      optax.add_decayed_weights(
        config.weight_decay, mask=_named(config.weight_decay_names)
      )
    )
  schedule = make_schedule(config, epochs, steps_per_epoch)
  chain.append(
    optax.sgd(schedule, momentum=config.momentum, nesterov=config.nesterov)
  )
  return optax.chain(*chain)


def check_names(config: OptimConfig, params: Callable[[], Any]) -> None:
  """Checks that each penalty applies to a parameter of the network.

  Args:
    config: the `optim` section of a config.
    params: gives the network's parameters, or their shapes; only called if
      there is something to check.

  Raises:
    UserError: the regex of a penalty above 0 is found in no parameter's path.
  """
  for field in ('l2', 'weight_decay'):
    size, pattern = getattr(config, field), getattr(config, f'{field}_names')
    if not size or not pattern:  # No pattern: all parameters.
      continue
    shapes = params()
    if any(jax.tree.leaves(_named(pattern)(shapes))):
      continue
    paths = [_path(path) for path, _ in jax.tree.leaves_with_path(shapes)]
    raise UserError(
      f'config.optim.{field} is {size:g}, but config.optim.{field}_names is'
      f' {pattern!r}, which is found in none of the {len(paths)} parameters of'
      f' the network, such as {paths[0]} and {paths[-1]}: give a regular'
      f" expression that is, '' for all of them, or {field}=0"
    )


def _named(pattern: str):
  """A mask: the parameters in whose path ('fc1/kernel') pattern is found."""

  def mask(params):
    return jax.tree_util.tree_map_with_path(
      lambda path, _: re.search(pattern, _path(path)) is not None, params
    )

  return mask


def _path(path: tuple[Any, ...]) -> str:
  return '/'.join(p.key for p in path)
