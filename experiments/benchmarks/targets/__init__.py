"""Accelerators that a compiler knows without a device at hand."""

import importlib.util
import os
import pathlib
from typing import NamedTuple

import jax
from jax.experimental import topologies

from sce_jax.errors import UserError

_H100 = pathlib.Path(__file__).with_name('h100.txt')


class Chip(NamedTuple):
  """What one device has, by its maker's sheet.

  Attributes:
    flops: bfloat16 operations a second, dense.
    bandwidth: bytes a second of its memory.
    memory: bytes of its memory.
    clock: cycles a second; that at which a TPU's matrix units, of which the
      compiler's cycles are, give `flops`. None: it gives no cycles.
  """

  flops: float
  bandwidth: float
  memory: int
  clock: float | None


CHIPS = {
  # Half a chip: its compiler shows each of the two cores as a device.
  'v4': Chip(137.5e12, 0.614e12, 16 * 2**30, 1.05e9),
  'v5e': Chip(197e12, 0.819e12, 16 * 2**30, 1.5e9),
  'v5p': Chip(459e12, 2.765e12, 95 * 2**30, 1.75e9),
  'v6e': Chip(918e12, 1.640e12, 32 * 2**30, 1.75e9),
  'h100': Chip(989e12, 3.352e12, 80 * 2**30, None),
}
_EXAMPLES = 'v5e:1x1, v5e:2x4, v5e:16x16, v4:2x2x1, v5p:2x2x1, v6e:2x2, h100:8'


class Target(NamedTuple):
  """A described machine.

  Attributes:
    name: as the user gave it.
    chip: what each device has.
    devices: compile-only devices.
  """

  name: str
  chip: Chip
  devices: list[jax.Device]


def describe(name: str) -> Target:
  """The devices that a name stands for, such as v5e:2x4 or h100:8.

  jax then computes on the CPU, whatever the machine has.

  Raises:
    UserError: nothing of that name is known, or its compiler is not installed.
  """
  kind, _, shape = name.partition(':')
  if kind not in CHIPS or not shape:
    raise UserError(f'--target={name} is not known: use one like {_EXAMPLES}')
  jax.config.update('jax_platforms', 'cpu')
  # Compiled programs of described devices can be written to a cache, but not
  # read.
  jax.config.update('jax_enable_compilation_cache', False)
  options = _gpus(name, shape) if kind == 'h100' else _tpus(name, shape)
  try:
    found = topologies.get_topology_desc(**options)
  except jax.errors.JaxRuntimeError as error:
    reason = ' '.join(str(error).split())
    raise UserError(
      f'--target={name} is not known to the compiler ({reason[:150]}): use one'
      f' like {_EXAMPLES}'
    ) from None
  return Target(name, CHIPS[kind], list(found.devices))


def _tpus(name: str, shape: str) -> dict:
  if importlib.util.find_spec('libtpu') is None:
    raise UserError(
      f'--target={name} needs the compiler of TPUs, which is not installed:'
      ' pip install libtpu'
    )
  # libtpu must not look for TPUs, in the cloud's metadata either. As it uses
  # none, several processes may use it.
  for key, value in {
    'TPU_SKIP_MDS_QUERY': '1',
    'TPU_WORKER_HOSTNAMES': 'localhost',
    'TPU_ACCELERATOR_TYPE': 'v5litepod-4',
    'TPU_MIN_LOG_LEVEL': '3',
    'ALLOW_MULTIPLE_LIBTPU_LOAD': '1',
  }.items():
    os.environ.setdefault(key, value)
  options = {'platform': 'tpu', 'topology_name': name}
  if shape == '1x1':  # A host has four chips unless it is told otherwise.
    return options | {'chips_per_host_bounds': [1, 1, 1]}
  return options


def _gpus(name: str, shape: str) -> dict:
  if not shape.isdecimal() or int(shape) < 1:
    raise UserError(f'--target={name}: say how many, such as h100:1 or h100:8')
  if importlib.util.find_spec('jax_cuda13_plugin') is None:
    raise UserError(
      f'--target={name} needs the compiler of GPUs, which is not installed:'
      ' pip install "jax[cuda13]"'
    )
  os.environ['CUDA_VISIBLE_DEVICES'] = '-1'
  return {
    'platform': 'cuda',
    'target_config': _H100.read_text(),
    'topology': f'1x1x{shape}',
  }
