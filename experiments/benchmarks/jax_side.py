"""This program's side of the comparison with PyTorch."""

from collections.abc import Callable
import importlib.metadata

import jax

from experiments.benchmarks import workload
from sce_jax.engine import compilation_cache


def gpu() -> str:
  """The name of the GPU that jax uses, '' if there is none."""
  device = jax.devices()[0]
  return device.device_kind if device.platform == 'gpu' else ''


def make_steps(
  network: str, variant: str, steps: int, batch: int, threads: int
) -> tuple[Callable[[], None], str]:
  """A function that takes some training steps in one dispatch, and a version.

  Args:
    network: a key of workload.NETWORKS.
    variant: 'float32' or 'bfloat16'.
    steps: how many steps a call.
    batch: examples a step.
    threads: how many threads a CPU computes with; XLA chooses the same number.
  """
  del threads
  # As in a user's run, so that memory is a second run's, without a compiler's.
  compilation_cache.enable()
  # PyTorch has one device, whatever there is.
  training = workload.Training(
    workload.Workload(
      network, batch=batch, steps=steps, dtype=variant, devices=1
    )
  )
  return training, f'jax {importlib.metadata.version("jax")}'
