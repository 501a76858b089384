"""Accelerators that can be hired, by the names that SkyPilot has for them.

Names, sizes and clouds are those of SkyPilot's catalogue (skypilot-catalog,
catalogs/v8/gcp/vms.csv and common/accelerators.csv), a GPU's memory that of its
common/metadata.csv, a v5e's and v5p's that of cloud.google.com/tpu/docs, all
looked up on 2026-11-24. The memory of v4, v6e, H100-MEGA, H200 and B200 is what
their makers are known to give, and was not looked up; nor was that hosts of
larger v6e slices have four chips, as those of v5e. Left out are GPUs older than
T4, which CUDA 13 knows no more.
"""

from collections.abc import Sequence
import dataclasses
import difflib

from sce_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Accelerator:
  """What a task is given.

  Attributes:
    name: in SkyPilot's spelling: 'tpu-v5litepod-8', 'H100'.
    chips: TPU chips, or GPUs.
    hosts: how many machines these are in.
    gigabytes: memory of each chip.
    clouds: where it can be had.
    runtime: the image that a TPU's machines start with.
  """

  name: str
  chips: int
  hosts: int
  gigabytes: int
  clouds: Sequence[str]
  runtime: str | None = None

  @property
  def is_tpu(self) -> bool:
    """Whether it is a TPU."""
    return self.name.startswith('tpu-')

  @property
  def spelling(self) -> str:
    """What stands in a YAML file."""
    return self.name if self.is_tpu else f'{self.name}:{self.chips}'

  @property
  def jax(self) -> str:
    """The package that computes on it."""
    return 'jax[tpu]' if self.is_tpu else 'jax[cuda13]'


@dataclasses.dataclass(frozen=True)
class _Generation:
  """A kind of TPU.

  Attributes:
    gigabytes: memory of a chip.
    cores: how many the number in a name counts for a chip.
    single: the most chips that one host has.
    runtime: the image for JAX.
    sizes: the numbers that names end with.
  """

  gigabytes: int
  cores: int
  single: int
  runtime: str
  sizes: Sequence[int]

  def make(self, name: str, size: int) -> Accelerator:
    """That of a size."""
    chips = size // self.cores
    # Hosts of larger slices have four chips each.
    hosts = 1 if chips <= self.single else chips // 4
    return Accelerator(
      name, chips, hosts, self.gigabytes, ('gcp',), self.runtime
    )


_BLOCKS = (8, 16, 32, 64)
_SQUARES = (1, 4, 8, 16, 32, 64, 128, 256)
# Sizes of v5p that are no slice.
_NO_V5P = {8576, 9088, 9344, 10112, 10624, 11392}
_TPUS = {
  'tpu-v4': _Generation(
    32, 2, 4, 'tpu-ubuntu2204-base', (*_BLOCKS, *range(128, 6145, 128))
  ),
  'tpu-v5litepod': _Generation(16, 1, 8, 'v2-alpha-tpuv5-lite', _SQUARES),
  'tpu-v5p': _Generation(
    95,
    2,
    4,
    'v2-alpha-tpuv5',
    (*_BLOCKS, *(x for x in range(128, 12289, 128) if x not in _NO_V5P)),
  ),
  'tpu-v6e': _Generation(32, 1, 8, 'v2-alpha-tpuv6e', _SQUARES),
}
# Google's other name for it.
_ALIASES = {'tpu-v5e': 'tpu-v5litepod'}
_GPUS = {
  'A10': (24, ('azure', 'lambda', 'oci')),
  'A100': (40, ('aws', 'azure', 'gcp', 'lambda', 'oci')),
  'A100-80GB': (80, ('aws', 'azure', 'gcp', 'lambda', 'oci', 'runpod')),
  'A10G': (24, ('aws',)),
  'B200': (180, ('aws', 'lambda', 'nebius', 'runpod')),
  'H100': (80, ('aws', 'azure', 'gcp', 'lambda', 'nebius', 'oci', 'runpod')),
  'H100-MEGA': (80, ('gcp',)),
  'H200': (141, ('aws', 'gcp', 'nebius', 'oci')),
  'L4': (24, ('aws', 'gcp', 'runpod')),
  'L40': (48, ('runpod',)),
  'L40S': (48, ('aws', 'nebius', 'oci', 'runpod')),
  'RTX4090': (24, ('runpod', 'vast')),
  'RTX6000-Ada': (48, ('runpod', 'vast')),
  'RTXA6000': (48, ('runpod', 'vast')),
  'T4': (16, ('aws', 'azure', 'gcp')),
}
_MOST_GPUS = 16


def parse(text: str) -> Accelerator:
  """What a name means.

  Args:
    text: 'tpu-v5e-8', 'H100:8', 'L4'; upper or lower case.

  Raises:
    UserError: there is nothing of this name, or not so many of it.
  """
  name, colon, count = text.partition(':')
  if found := _tpus().get(name.lower()):
    if colon and count != '1':
      raise UserError(
        f'--accelerator={text}: how many chips stands in the name of a TPU,'
        f' such as {name.lower()}; more tasks are --shards'
      )
    return found
  spelling = {gpu.lower(): gpu for gpu in _GPUS}.get(name.lower())
  if spelling is None:
    raise UserError(
      f'--accelerator={text} is not known: {_suggestion(name)}'
      ' (all of them: experiments/sweeps/accelerators.py)'
    )
  if colon and not (count.isdecimal() and 1 <= int(count) <= _MOST_GPUS):
    raise UserError(
      f'--accelerator={text} is not understood: give {spelling}:COUNT, with'
      f' 1 to {_MOST_GPUS} of them'
    )
  gigabytes, clouds = _GPUS[spelling]
  return Accelerator(spelling, int(count or 1), 1, gigabytes, clouds)


def _tpus() -> dict[str, Accelerator]:
  found = {
    f'{kind}-{size}': generation.make(f'{kind}-{size}', size)
    for kind, generation in _TPUS.items()
    for size in generation.sizes
  }
  for alias, kind in _ALIASES.items():
    for size in _TPUS[kind].sizes:
      found[f'{alias}-{size}'] = found[f'{kind}-{size}']
  return found


def _suggestion(name: str) -> str:
  kind, _, number = name.lower().rpartition('-')
  if number.isdecimal() and (tpu := _TPUS.get(_ALIASES.get(kind, kind))):
    nearest = sorted(tpu.sizes, key=lambda size: abs(size - int(number)))[:2]
    near = [f'{kind}-{size}' for size in sorted(nearest)]
  else:
    spellings = {gpu.lower(): gpu for gpu in _GPUS} | {x: x for x in _tpus()}
    found = difflib.get_close_matches(name.lower(), spellings, cutoff=0.5)
    near = [spellings[x] for x in found]
  if not near:
    return 'give one such as tpu-v5e-8, H100:8 or L4'
  return f'did you mean {" or ".join(near)}?'
