"""What accelerators that are not here would make of the program."""

from collections.abc import Callable, Mapping, Sequence
import functools
import importlib.metadata
import itertools
import math
import re
import time
from typing import Any

import jax

from experiments.benchmarks import data_paths, harness, hlo, targets
from experiments.benchmarks.targets import Target
from experiments.benchmarks.workload import (
  NETWORKS,
  RUN_PARALLEL,
  Training,
  Workload,
)
from sce_jax.errors import UserError

# Of a dispatch, as in configs/cifar10.py.
STEPS = 39
PROGRAMS = ('train', 'evaluate', 'batches')
_MIB = 2**20
_UNITS = {'': 1, 'K': 2**10, 'M': 2**20, 'G': 2**30, 'T': 2**40}
_USED = re.compile(r'Used ([\d.]+)([KMGT]?) of ([\d.]+)([KMGT]?) hbm')


def ahead(
  target: str = 'v5e:1x1',
  networks: Sequence[str] = ('mnist_cnn', 'cifar_cnn'),
  dtype: str = 'bfloat16',
  batch: int = 128,
  runs: Sequence[int] | None = None,
  strategies: Sequence[str] | None = None,
  runner: str = 'pmap',
  recipe: str | None = None,
  programs: Sequence[str] = PROGRAMS[:2],
  num_train: int | None = None,
) -> harness.Report:
  """Compiles whole dispatches for devices that are not here; runs nothing.

  A row is a program: 39 training steps of a network, with its recipe's
  augmentation and a data set of the real size; an evaluation on the test
  images; or only the batches of 39 steps. The figures are of one device; those
  of time are estimates, and experiments/benchmarks/README.md says how each
  errs. TPUs need libtpu, GPUs jax[cuda13].
  """
  described = targets.describe(target)
  mapped: Sequence[str | None] = strategies or [None]
  settings = [
    (
      NETWORKS[network],
      Workload(
        network,
        batch,
        STEPS,
        dtype,
        runs=count,
        strategy=strategy,
        runner=runner,
        augment=True,
        recipe=recipe,
      ),
    )
    for network, count, strategy in itertools.product(
      networks, runs or [1], mapped
    )
  ]
  for _, workload in settings:
    _check(workload, described)
  rows = []
  for shape, workload in settings:
    training = Training(
      workload,
      num_train or shape.num_train,
      shape.num_test,
      described.devices,
    )
    size = (num_train or shape.num_train) * math.prod(shape.image_shape)
    # The number of blocks of steps is an argument of the program.
    block = training.plan.dispatch(0).block
    lowered: dict[str, tuple[Callable[[], Any], int | None]] = {
      'train': (training.lower, block),
      'evaluate': (training.lower_evaluate, None),
      'batches': (functools.partial(_lower_batches, training), STEPS),
    }
    for program in programs:
      harness.log(f'compiles {program} of {workload} for {target}')
      named = {
        'network': workload.network,
        'program': program,
        'dtype': dtype,
        'batch': batch,
        'runner': runner,
        'runs': workload.runs,
        'strategy': workload.strategy,
      }
      lower, turns = lowered[program]
      rows.append(named | compiled(lower, described, turns, size))
  return harness.Report(
    rows, {'compiled for': f'{target} (nothing was run)', **versions()}
  )


def _lower_batches(training: Training) -> Any:
  make = data_paths.make_batches(training.config, training.info, STEPS)
  return make.lower(training.split, training.inputs.labels, training.inputs.key)


def compiled(
  lower: Callable[[], Any],
  target: Target,
  turns: int | None,
  elements: int,
) -> dict[str, Any]:
  """Compiles a program and reads what the compiler says of it.

  Args:
    lower: gives the jax.stages.Lowered.
    target: what it is lowered for.
    turns: of the loop over steps; None for a program without one.
    elements: of the training images, to find copies of them.

  Raises:
    UserError: it does not fit the devices' memory.
  """
  start = time.perf_counter()
  try:
    program = lower().compile()
  except jax.errors.JaxRuntimeError as error:
    used = _USED.search(str(error))
    if not used:
      raise
    need, has = (float(used[i]) * _UNITS[used[i + 1]] / _MIB for i in (1, 3))
    raise _too_large(target, need, has) from None
  seconds = time.perf_counter() - start
  memory = program.memory_analysis()
  arguments = memory.argument_size_in_bytes / _MIB
  temporaries = memory.temp_size_in_bytes / _MIB
  aliased = memory.alias_size_in_bytes / _MIB
  peak = arguments + temporaries - aliased
  peak += memory.output_size_in_bytes / _MIB
  capacity = target.chip.memory / _MIB
  if peak > capacity:
    raise _too_large(target, peak, capacity)
  module = hlo.Module(program.as_text())
  scans = module.steps(turns) if turns else []
  body = scans[0].body if scans else ''
  collectives = module.collectives(body)
  return {
    'compile s': seconds,
    'MiB arguments': arguments,
    'MiB temporaries': temporaries,
    'MiB peak': peak,
    'of memory': peak / capacity,
    'MiB aliased': aliased,
    'all-reduces': collectives.pop('all-reduce', 0),
    'MB all-reduced': module.reduced_bytes(body) / 1e6 if body else None,
    'other collectives': sum(collectives.values()),
    'host transfers': module.host_transfers(),
    'loops in a step': len(list(module.loops(body))) if scans else None,
    'copies of the data': module.copies('u8', elements),
    **_times(program.cost_analysis(), module, target, scans),
  }


def _times(
  cost: Mapping[str, float] | None,
  module: hlo.Module,
  target: Target,
  scans: Sequence[hlo.Loop],
) -> dict[str, float | None]:
  """Work and estimated times; None where the compiler gives none."""
  names = (
    'GFLOP',
    'MB',
    'ms by cycles',
    'ms by roofline',
    'ms outside of steps',
    'of peak by cycles',
    'of peak by roofline',
  )
  clock = target.chip.clock
  if not cost or clock is None or not scans:
    return dict.fromkeys(names)

  # Runs that are mapped over are a loop around that over steps.
  steps = [x.within * module.cycles(x.body) / clock for x in scans]
  step, runs = sum(steps), scans[0].within
  outside = module.cycles() / clock - scans[0].turns * step
  # XLA takes -1 s for each call of ConcatBitcast, which costs nothing, and
  # counts a loop once: the other turns are counted by cycles.
  roofline = cost['optimal_seconds'] + module.custom_calls('ConcatBitcast')
  roofline *= runs
  roofline += sum(
    scan.within * (x.turns * x.within - 1) * module.own_cycles(x.body) / clock
    for scan in scans
    for x in module.loops(scan.body)
  )
  flops = cost['flops'] * runs
  least = flops / target.chip.flops
  values = (
    flops / 1e9,
    cost['bytes accessed'] * runs / 1e6,
    1e3 * step,
    1e3 * roofline,
    1e3 * outside,
    least / step,
    least / roofline,
  )
  return dict(zip(names, values, strict=True))


def _check(workload: Workload, target: Target) -> None:
  """Checks what would be refused only once other programs are compiled."""
  devices = len(target.devices)
  if workload.runner == RUN_PARALLEL:
    if workload.runs % devices or workload.runs == 1:
      raise UserError(
        f'--runner={RUN_PARALLEL}: {devices} devices cannot share'
        f' {workload.runs} run(s) equally: make --runs a multiple of {devices}'
      )
  elif workload.batch % devices:
    raise UserError(
      f'--batch: {devices} devices cannot share a batch of {workload.batch}'
      ' equally: make it a multiple'
    )


def _too_large(target: Target, need: float, has: float) -> UserError:
  return UserError(
    f'a device of {target.name} has {has:,.0f} MiB and the program needs'
    f' {need:,.0f}, {need - has:,.0f} more: use more devices, a smaller --batch'
    ' or fewer --runs'
  )


def versions() -> dict[str, str]:
  """The installed compilers of accelerators."""
  found = {}
  for name in ('libtpu', 'jax-cuda13-plugin'):
    try:
      found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
      continue
  return found
