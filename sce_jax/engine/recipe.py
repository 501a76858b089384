"""What a program is compiled from."""

import dataclasses

import jax

from sce_jax.data import batches
from sce_jax.data.augment import AugmentConfig
from sce_jax.engine import randomness
from sce_jax.engine.network import Network
from sce_jax.engine.plan import Plan
from sce_jax.methods import Context, Method
from sce_jax.parallel.runners import Runner


@dataclasses.dataclass(frozen=True)
class Recipe:
  """The constants of a program.

  Attributes:
    network: the network, or several.
    method: how it learns.
    runner: the devices.
    plan: how an epoch is cut.
    num_epochs: length of a run.
    normalization: how pixels become input.
    augment_config: the `data.augment` section of a config.
    eval_batch_size: examples of a batch in evaluations, over all devices.
    num_classes: number of classes.
  """

  network: Network
  method: Method
  runner: Runner
  plan: Plan
  num_epochs: int
  normalization: batches.Normalization
  augment_config: AugmentConfig
  eval_batch_size: int
  num_classes: int

  def eval_batches(self, num_examples: int) -> tuple[int, int]:
    """An evaluation's batches: their size over all devices, and number."""
    devices = self.runner.num_devices
    size = -(-min(self.eval_batch_size, num_examples) // devices) * devices
    return size, -(-num_examples // size)

  def context(
    self, key: jax.Array, step: jax.Array, num_examples: int
  ) -> Context:
    """What the method is told at a step."""
    return Context(
      randomness.method_key(key, step),
      step,
      step // self.plan.steps,
      self.num_epochs,
      num_examples,
      True,
      self.runner.psum,
      self.runner.gather,
      self.runner.shard,
    )
