"""The noise tolerance theorem, checked in numbers on random data.

Under symmetric noise of rate eta a loss whose sum over all K labels is a
constant C has the noisy risk (1 - eta K / (K - 1)) R + eta C / (K - 1), where R
is the clean risk: the same minimiser as long as eta < 1 - 1 / K. The page looks
at risks of random classifiers, then at classifiers trained to the minimum.
"""

from collections.abc import Sequence

from experiments.paper.registry import Context, RunSpec
from experiments.paper.theory import setting
from experiments.report.page import Block
from sce_jax.runs.read import Run


def sweep(dataset: str, scale: str) -> list[RunSpec]:
  """No runs: the page's own random data."""
  del dataset, scale
  return []


def report(context: Context, runs: Sequence[Run]) -> list[Block]:
  """The theorem against numbers."""
  from experiments.paper.theory import (  # noqa: PLC0415  They need jax.
    minimisers,
    risks,
  )

  del runs
  size = setting.SIZES[context.scale]
  return [*risks.blocks(size), *minimisers.blocks(size)]
