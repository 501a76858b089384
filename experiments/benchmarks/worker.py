"""A process of `versus_torch`: takes a round of steps for each line it reads.

It imports only the side that it measures: the other need not be installed.
"""
# ruff: noqa: PLC0415

import json
import os
import resource
import sys


def make_steps(side: str, variant: str, network: str, batch: int, steps: int):
  """A function that takes a round of steps, and the version of its side."""
  if side == 'torch':
    from experiments.benchmarks import torch_side

    affinity = getattr(os, 'sched_getaffinity', None)  # Linux's.
    # As many as XLA chooses.
    threads = len(affinity(0)) if affinity else os.cpu_count() or 1
    return torch_side.make_steps(network, variant, steps, batch, threads)
  import jax

  from experiments.benchmarks.workload import Training, Workload
  from sce_jax.engine import compilation_cache

  # As in a user's run, so that memory is a second run's, without a compiler's.
  compilation_cache.enable()
  training = Training(Workload(network, batch, steps, variant))
  return lambda: jax.block_until_ready(training()), jax.__version__


def main(side: str, variant: str, network: str, batch: str, steps: str) -> None:
  """Answers each line of the standard input with a line of JSON."""
  step, version = make_steps(side, variant, network, int(batch), int(steps))
  for _ in sys.stdin:
    try:
      step()
    except Exception as error:
      if variant != 'compiled':  # torch.compile needs a C++ compiler.
        raise
      print(json.dumps({'failed': str(error).splitlines()[0]}), flush=True)
      return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    # Linux counts in KiB.
    answer = {'peak MiB': usage.ru_maxrss / 1024, 'version': version}
    print(json.dumps(answer), flush=True)


if __name__ == '__main__':
  main(*sys.argv[1:])
