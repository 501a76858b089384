"""Many runs in one program against the same runs in sequence.

  python -m experiments.benchmarks.trials [--json=FILE]

For S runs of equal shape, each strategy of sce_jax/parallel/multirun.py takes
turns with a single run, whose time is what one run costs in sequence. Memory is
what XLA sets aside for the program: arguments, results and temporaries.
"""

from typing import Any

import jax

from experiments.benchmarks import harness, workload
from experiments.benchmarks.workload import Training, Workload
from sce_jax.engine import compilation_cache
from sce_jax.parallel import multirun as trials_lib

_CPU_STEPS = {'digits_cnn': 100, 'mnist_cnn': 5, 'cifar_cnn': 1}
_STEPS = 40
# Larger programs of this kind compile for minutes.
_MOST_UNROLLED = 8


def main(argv: list[str] | None = None) -> None:
  parser = harness.Parser('trials', __doc__, rounds=3)
  parser.add_argument('--network', choices=list(workload.NETWORKS))
  parser.add_argument('--dtype', choices=['float32', 'bfloat16'])
  parser.add_argument(
    '--runs', type=_counts, default=[1, 2, 4, 8, 16, 32], metavar='S,...'
  )
  args = parser.parse(argv)
  compilation_cache.enable()
  on_cpu = jax.default_backend() == 'cpu'
  args.network = args.network or ('digits_cnn' if on_cpu else 'cifar_cnn')
  args.dtype = args.dtype or ('float32' if on_cpu else 'bfloat16')
  single = Workload(
    args.network,
    batch=64 if args.network == 'digits_cnn' else 128,
    steps=_CPU_STEPS.get(args.network, 1) if on_cpu else _STEPS,
    dtype=args.dtype,
    devices=1,
  )
  rows = [
    row
    for runs in args.runs
    if runs > 1
    for row in measure(single, runs, args.rounds)
  ]
  args.runs = ','.join(map(str, args.runs))
  harness.report('trials', rows, args, harness.machine())


def _counts(text: str) -> list[int]:
  return [harness.count(part) for part in text.split(',')]


def measure(single: Workload, runs: int, rounds: int) -> list[dict[str, Any]]:
  """Times S runs together, in each way, against one alone.

  Args:
    single: the one.
    runs: S.
    rounds: how often each has its turn.
  """
  harness.say(f'trials: {runs} runs')
  calls = {'one run': Training(single)}
  for method in trials_lib.STRATEGIES:
    if method == 'unrolled' and runs > _MOST_UNROLLED:
      continue
    fields = vars(single) | {'runs': runs, 'method': method}
    calls[method] = Training(Workload(**fields))
  seconds = harness.medians(harness.interleave(calls, rounds))
  alone = seconds['one run']
  rows = []
  for name, call in calls.items():
    memory = call.compiled().memory_analysis()
    size = call.workload.runs
    rows.append(
      {
        'runs': runs,
        'carried by': 'sequence' if name == 'one run' else name,
        'ms a step and run': 1e3 * seconds[name] / single.steps / size,
        'images/s, all runs': call.images / seconds[name],
        'cost over sequence': seconds[name] / size / alone,
        'program MiB': (
          memory.argument_size_in_bytes
          + memory.output_size_in_bytes
          - memory.alias_size_in_bytes
          + memory.temp_size_in_bytes
        )
        / 2**20,
      }
    )
  return rows


if __name__ == '__main__':
  main()
