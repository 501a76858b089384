"""Training steps: of a network, of many runs together, on several devices."""

from collections.abc import Sequence
import contextlib
import functools
import itertools
from typing import Any

import jax

from experiments.benchmarks import roofline, workload
from experiments.benchmarks.harness import Report, by_platform
from experiments.benchmarks.workload import NETWORKS, RUN_PARALLEL, Workload
from sce_jax.errors import UserError
from sce_jax.parallel import multirun, runners

# The others take seconds a step on a CPU.
_CPU_NETWORKS = ('digits_cnn', 'mnist_cnn', 'cifar_cnn')
# Larger unrolled programs compile for minutes.
MOST_UNROLLED = 8
_RUNS_OVER_DEVICES = 8


def step(
  networks: Sequence[str] | None = None,
  dtypes: Sequence[str] = ('float32', 'bfloat16'),
  losses: Sequence[str] = ('sl',),
  runners: Sequence[str] = ('pmap',),
  batches: Sequence[int] | None = None,
  steps: int | None = None,
  rounds: int = 5,
) -> Report:
  """A training step by network, type and loss, against the roofline.

  Each combination of the flags is a row; those of one network take turns. A
  dispatch of several steps is timed, shuffling, normalising and counting
  included, without augmentation. It is an epoch, so what a method does at the
  end of one is included. --losses=ce,elr,co_teaching shows what methods cost
  that have a state or several networks.

  The roofline is the larger of two times: the floating-point operations of the
  compiled program over the rate of a large matrix product, and the bytes that
  it reads and writes over the rate of a copy. XLA counts both; the rates are
  measured first. A method that computes something at the end of an epoch has no
  such figures, since XLA cannot tell that from a step.
  """
  limits = roofline.measure_roofline(dtypes)
  rows = []
  for network in networks or by_platform(_CPU_NETWORKS, NETWORKS):
    shape = NETWORKS[network]
    usual = by_platform([shape.batch], [shape.batch, 4 * shape.batch])
    settings = itertools.product(batches or usual, dtypes, losses, runners)
    for training in workload.time_in_turns(
      [
        Workload(
          network, batch, steps or shape.steps, dtype, loss, runner=runner
        )
        for batch, dtype, loss, runner in settings
      ],
      rounds,
    ):
      w = training.workload
      row: dict[str, Any] = {
        'network': network,
        'batch': w.batch,
        'dtype': w.dtype,
        'loss': w.loss,
        'runner': w.runner,
        'ms a step': 1e3 * training.step,
        'images/s': training.rate,
        **dict.fromkeys(('GFLOP', 'GB moved', 'fraction of roofline')),
      }
      if not training.ends_epoch:
        # XLA counts the body of a loop once: this is one step and a shuffle.
        cost = training.compiled().cost_analysis()
        flops, moved = cost['flops'], cost['bytes accessed']
        least = limits.min_seconds(w.dtype, flops, moved)
        row |= {
          'GFLOP': flops / 1e9,
          'GB moved': moved / 1e9,
          'fraction of roofline': least / training.step,
        }
      rows.append(row)
  return Report(rows, limits.facts())


def trials(
  runs: Sequence[int] = (2, 4, 8, 16, 32),
  network: str | None = None,
  steps: int | None = None,
  dtype: str | None = None,
  rounds: int = 5,
  strategies: Sequence[str] | None = None,
) -> Report:
  """Many runs in one program against the same runs in sequence.

  For S runs that share a program, each strategy of sce_jax/parallel/multirun.py
  takes turns with a single run, whose time is what one run costs in sequence.
  Memory is what XLA sets aside for the program: arguments, results and
  temporaries.
  """
  network = network or by_platform('digits_cnn', 'cifar_cnn')
  shape = NETWORKS[network]
  # A quarter is enough on a CPU, as there are several runs.
  steps = steps or by_platform(max(1, shape.steps // 4), shape.steps)
  dtype = dtype or by_platform('float32', 'bfloat16')
  one = functools.partial(Workload, network, shape.batch, steps, dtype)
  rows = []
  for count in runs:
    trainings = workload.time_in_turns(
      [
        one(),
        *(
          one(runs=count, strategy=strategy)
          for strategy in strategies or multirun.STRATEGIES
          if strategy != 'unrolled' or count <= MOST_UNROLLED
        ),
      ],
      rounds,
    )
    for training in trainings:
      w = training.workload
      memory = training.compiled().memory_analysis()
      size = memory.argument_size_in_bytes + memory.output_size_in_bytes
      size += memory.temp_size_in_bytes - memory.alias_size_in_bytes
      rows.append(
        {
          'runs': count,
          'strategy': w.strategy or 'sequence',
          'ms a step and run': 1e3 * training.step / w.runs,
          'images/s, all runs': training.rate,
          'cost over sequence': training.step / w.runs / trainings[0].step,
          'program MiB': size / 2**20,
        }
      )
  return Report(rows)


def scaling(
  devices: Sequence[int] = (1, 2, 4, 8),
  network: str | None = None,
  steps: int = 8,
  rounds: int = 5,
) -> Report:
  """Images a second on several devices.

  pmap, jit      one run; a batch of 128 is shared among the devices, which sum
                 their gradients. The more devices, the less each has to do.
  run_parallel   8 runs in one program, spread over the devices; nothing is
                 exchanged.

  Training with SL on random images, without augmentation; all take turns. A
  rate is compared with that of the same runner on one device.

  On a CPU it asks for as many devices as are to be measured. They share the
  cores that one device has to itself, so nothing scales: where one device keeps
  the cores busy, an efficiency of 1/D on D devices is the most to expect.
  """
  for count in devices:
    if _RUNS_OVER_DEVICES % count:
      raise UserError(
        f'--devices: {count} devices cannot share {_RUNS_OVER_DEVICES} runs'
        ' equally: use some of 1,2,4,8'
      )
  # Refused once jax has started a backend: then with the devices there are.
  with contextlib.suppress(RuntimeError):
    jax.config.update('jax_num_cpu_devices', max(devices))
  trainings = workload.time_in_turns(
    [
      Workload(
        network or by_platform('digits_cnn', 'cifar_cnn'),
        steps=steps,
        runs=_RUNS_OVER_DEVICES if runner == RUN_PARALLEL else 1,
        runner=runner,
        devices=count,
      )
      for runner in (*runners.RUNNERS, RUN_PARALLEL)
      for count in sorted({1, *devices})
      if count <= jax.device_count()
    ],
    rounds,
  )
  one = {x.workload.runner: x for x in trainings if x.workload.devices == 1}
  rows = []
  for training in trainings:
    w = training.workload
    speedup = training.rate / one[w.runner].rate
    rows.append(
      {
        'runner': w.runner,
        'runs': w.runs,
        'devices': w.devices,
        'images/s': training.rate,
        "of one device's rate": speedup,
        'efficiency': speedup / (w.devices or 1),
      }
    )
  return Report(rows)
