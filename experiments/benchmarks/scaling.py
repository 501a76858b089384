"""Images a second on 1, 2, 4 and 8 devices.

  python -m experiments.benchmarks.scaling [--json=FILE]

As many devices as there are, in two ways:

  data-parallel   one run; a batch of 128 is shared among the devices, which
                  sum their gradients. The global batch stays the same, so a
                  device has less to do the more there are. With each runner.
  trial-parallel  8 runs in one program, spread over the devices; nothing is
                  exchanged. On one device they are carried as on any single
                  device.

Training with SL on random images, without augmentation; time is that of whole
dispatches of several steps. All variants take turns, the medians are shown.
Rates are compared with that of one device in the same way, with the same
runner (trial-parallel: with the 8 runs on one device).

On a CPU it asks for 8 devices. They share the cores that one device has to
itself, so nothing scales: an efficiency of 1/D on D devices is all there is to
have where one device keeps the cores busy, and what is missing is the price of
the division. More shows that one device leaves cores idle, as it does on small
networks. The network is digits' there, for the sake of time.
"""

from collections.abc import Callable, Sequence
import contextlib
import dataclasses
from typing import Any

import jax

from experiments.benchmarks import harness, workload

COUNTS = (1, 2, 4, 8)
RUNS = 8


def main(argv: Sequence[str] | None = None) -> None:
  parser = harness.Parser('scaling', __doc__, rounds=5)
  parser.add_argument(
    '--steps', type=harness.count, default=8, help='steps in a dispatch'
  )
  parser.add_argument(
    '--network',
    choices=list(workload.NETWORKS),
    help='default: digits_cnn on a CPU, else cifar_cnn',
  )
  args = parser.parse(argv)
  # Refused once a backend has started, as in a program that has used jax
  # before it calls this: then with the devices that it has.
  with contextlib.suppress(RuntimeError):
    jax.config.update('jax_num_cpu_devices', max(COUNTS))
  if args.network is None:
    is_cpu = jax.default_backend() == 'cpu'
    args.network = 'digits_cnn' if is_cpu else 'cifar_cnn'
  rows = measure(args.network, args.rounds, args.steps)
  harness.report('scaling', rows, args, harness.machine())


def make_variants(
  network: str, steps: int, counts: Sequence[int]
) -> dict[tuple[str, str, int], workload.Workload]:
  """What is timed, by kind, runner and number of devices."""
  base = workload.Workload(network, steps=steps)
  variants = {}
  for runner in ('pmap', 'jit'):
    for count in counts:
      variants['data-parallel', runner, count] = dataclasses.replace(
        base, runner=runner, devices=count
      )
  for count in counts:
    runner = 'pmap' if count == 1 else 'spread'
    variants['trial-parallel', runner, count] = dataclasses.replace(
      base, runs=RUNS, runner=runner, devices=count
    )
  return variants


def measure(
  network: str,
  rounds: int,
  steps: int = 8,
  counts: Sequence[int] = COUNTS,
) -> list[dict[str, Any]]:
  """Times all variants in turn.

  Args:
    network: a key of workload.NETWORKS.
    rounds: how often each has its turn.
    steps: steps in a dispatch.
    counts: numbers of devices, the first of them 1; those that there are not
      are left out.

  Returns:
    A row for each variant.
  """
  counts = [count for count in counts if count <= jax.device_count()]
  variants = make_variants(network, steps, counts)
  trainings = {}
  calls: dict[str, Callable[[], object]] = {}
  harness.say(f'compiles {len(variants)} programs')
  for variant, settings in variants.items():
    trainings[variant] = workload.Training(settings)
    calls[str(variant)] = trainings[variant]
  seconds = harness.medians(harness.interleave(calls, rounds))
  rates = {
    variant: training.images / seconds[str(variant)]
    for variant, training in trainings.items()
  }
  rows = []
  for (kind, runner, count), rate in rates.items():
    single = rates[kind, 'pmap' if runner == 'spread' else runner, 1]
    rows.append(
      {
        'kind': kind,
        'runner': runner,
        'devices': count,
        'images/s': rate,
        'efficiency': rate / (count * single),
        "of one device's rate": rate / single,
      }
    )
  return rows


if __name__ == '__main__':
  main()
