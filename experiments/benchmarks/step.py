"""A training step of each network: time, images a second, share of the floor.

  python -m experiments.benchmarks.step [--json=FILE]

The floor is the larger of two times: the compiled program's floating-point
operations over the rate of a large matrix product, and the bytes that it reads
and writes over the rate of a copy; XLA counts both, the two rates are measured
in the same run. Variants of a network take turns. A dispatch of several steps
is timed, shuffling, normalising and counting included, without augmentation.
"""

import argparse
import functools
import itertools
from typing import Any

import jax

from experiments.benchmarks import harness, workload
from experiments.benchmarks.workload import Training, Workload
from sce_jax.engine import compilation_cache

# On a CPU only what ends in minutes, unless asked for.
_CPU_NETWORKS = ('digits_cnn', 'mnist_cnn', 'cifar_cnn')
_CPU_STEPS = {'digits_cnn': 200, 'mnist_cnn': 20, 'cifar_cnn': 4}
_CPU_BATCHES = {'digits_cnn': (64, 256)}
_STEPS = 40


def main(argv: list[str] | None = None) -> None:
  parser = harness.Parser('step', __doc__, rounds=5)
  parser.add_argument(
    '--networks',
    type=_networks,
    metavar='NAME,...',
    help=f'some of {", ".join(workload.NETWORKS)}; on a CPU the first three',
  )
  parser.add_argument(
    '--losses',
    action='store_true',
    help='only SL and cross entropy, float32, the smaller batch',
  )
  args = parser.parse(argv)
  compilation_cache.enable()
  on_cpu = jax.default_backend() == 'cpu'
  networks = args.networks or (
    _CPU_NETWORKS if on_cpu else list(workload.NETWORKS)
  )
  args.networks = ','.join(networks)
  ceilings = workload.measure_roofline()
  rows = [
    row
    for network in networks
    for row in measure(
      _variants(network, on_cpu, args.losses), args.rounds, ceilings
    )
  ]
  machine = harness.machine() | {
    'float32_gflops': ceilings.flops['float32'] / 1e9,
    'bfloat16_gflops': ceilings.flops['bfloat16'] / 1e9,
    'copy_gb_per_s': ceilings.bandwidth / 1e9,
  }
  harness.report('step', rows, args, machine)
  print(
    f'\nceilings: float32 {machine["float32_gflops"]:,.0f} and bfloat16'
    f' {machine["bfloat16_gflops"]:,.0f} GFLOP/s,'
    f' copy {machine["copy_gb_per_s"]:,.0f} GB/s'
  )


def _networks(text: str) -> list[str]:
  for name in text.split(','):
    if name not in workload.NETWORKS:
      raise argparse.ArgumentTypeError(
        f'{name!r} is not known: use some of {", ".join(workload.NETWORKS)}'
      )
  return text.split(',')


def _variants(network: str, on_cpu: bool, losses: bool) -> list[Workload]:
  """What is measured of a network: dtypes, runners, batch sizes, CE for SL."""
  batches = (128, 512)
  make = functools.partial(Workload, network, steps=_STEPS, devices=1)
  if on_cpu:
    batches = _CPU_BATCHES.get(network, (128,))
    make = functools.partial(make, steps=_CPU_STEPS.get(network, 2))
  both_losses = [make(batch=batches[0], loss=loss) for loss in ('sl', 'ce')]
  if losses:
    return both_losses
  return [
    *(
      make(batch=batch, dtype=dtype)
      for batch, dtype in itertools.product(batches, ('float32', 'bfloat16'))
    ),
    make(batch=batches[0], runner='jit'),
    both_losses[1],
  ]


def measure(
  variants: list[Workload], rounds: int, ceilings: workload.Roofline
) -> list[dict[str, Any]]:
  """Times variants of a network in turn.

  Args:
    variants: what to train.
    rounds: how often each has its turn.
    ceilings: of the device.
  """
  calls = {}
  for variant in variants:
    harness.say(f'step: {variant}')
    calls[str(variant)] = Training(variant)
  seconds = harness.medians(harness.interleave(calls, rounds))
  rows = []
  for name, call in calls.items():
    variant = call.workload
    # Of a loop XLA counts one turn, so this is a step, and a shuffle.
    cost = call.compiled().cost_analysis()
    step = seconds[name] / variant.steps
    floor = ceilings.min_seconds(
      variant.dtype, cost['flops'], cost['bytes accessed']
    )
    rows.append(
      {
        'network': variant.network,
        'batch': variant.batch,
        'dtype': variant.dtype,
        'loss': variant.loss,
        'runner': variant.runner,
        'ms a step': 1e3 * step,
        'images/s': variant.batch / step,
        'GFLOP': cost['flops'] / 1e9,
        'GB moved': cost['bytes accessed'] / 1e9,
        'share of the floor': floor / step,
      }
    )
  return rows


if __name__ == '__main__':
  main()
