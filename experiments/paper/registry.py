"""What experiments there are, the runs they need, and how long those take.

An experiment is a module of experiments/paper with a docstring, whose first
line says what it shows, and

  sweep(dataset, scale) -> list[RunSpec]    the runs it needs
  report(context, runs) -> list[Block]      tables and figures from them

Nothing here needs jax: a sweep is planned before anything is computed.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import importlib
from types import ModuleType

from ml_collections import config_dict

from experiments.paper import scales
from sce_jax.config import fields
from sce_jax.errors import UserError
from sce_jax.runs import read

NAMES = (
  'comparison',
  'classwise',
  'easy_hard',
  'confidence',
  'embeddings',
  'parameters',
  'ablation',
  'gradients',
  'theory',
  'recipe',
)

# Seconds to train on one image, and that much less to evaluate one, on two
# cores of an AMD EPYC (experiments/benchmarks/NOTES.md); cifar100 by the
# operations of its network, not measured.
_SECONDS = {
  'digits': 3e-5,
  'mnist': 2.6e-4,
  'cifar10': 3.4e-3,
  'cifar100': 3e-3,
}
_EVALUATION = 0.35
SECONDS_A_PROGRAM = 8.0


@dataclasses.dataclass(frozen=True)
class RunSpec:
  """A run that an experiment needs.

  Attributes:
    labels: what it is in the experiment, such as method, noise, seed.
    config: its config.
  """

  labels: Mapping[str, str]
  config: config_dict.ConfigDict


@dataclasses.dataclass(frozen=True)
class Context:
  """What a report is made for.

  Attributes:
    dataset: the data set.
    scale: full, short or tiny.
    data_dir: as in train.train_and_evaluate.
    named_class: a class that the user asks for.
  """

  dataset: str
  scale: str
  data_dir: str | None = None
  named_class: int | None = None


def load(name: str) -> ModuleType:
  """The module of an experiment.

  Raises:
    UserError: there is none of this name.
  """
  if name not in NAMES:
    raise UserError(
      f'--experiment={name} is not known: use one of {", ".join(NAMES)}, or'
      ' help'
    )
  return importlib.import_module(f'experiments.paper.{name}')


def describe(dataset: str) -> str:
  """The experiments, a line each, and how long they take at each scale."""
  lines = [
    f'Experiments on {dataset}, and the time that all their runs take on two'
    ' CPU cores, if none is there yet:',
    '',
    f'  {"":12}' + ''.join(f'{scale:>10}' for scale in scales.SCALES),
  ]
  for name in NAMES:
    module = load(name)
    times = ''.join(
      f'{_time(module, dataset, scale):>10}' for scale in scales.SCALES
    )
    title = (module.__doc__ or '').partition('\n')[0]
    lines.append(f'  {name:12}{times}  {title}')
  lines += [
    '',
    'python launch.py --experiment=NAME'
    f' --dataset={"|".join(scales.DATASETS)}'
    f' --scale={"|".join(scales.SCALES)}',
    'Runs are shared between experiments and never trained twice.',
  ]
  return '\n'.join(lines)


def _time(module: ModuleType, dataset: str, scale: str) -> str:
  try:
    return duration(seconds(module.sweep(dataset, scale)))
  except UserError:  # It has nothing to show of this data set.
    return '-'


def seconds(planned: Sequence[RunSpec]) -> float:
  """The expected time of runs on two CPU cores."""
  configs = {
    read.run_name(trial.config): trial.config for trial in planned
  }.values()
  total = sum(map(run_seconds, configs))
  shapes = {fields.compile_key(config) for config in configs}
  return total + SECONDS_A_PROGRAM * max(len(shapes), 1)


def run_seconds(config: config_dict.ConfigDict) -> float:
  """The expected time of a run on two CPU cores, once it is compiled."""
  name = config.data.name
  size = config.data.limit or {'digits': 1198, 'mnist': 60000}.get(name, 50000)
  test = config.data.limit or {'digits': 599}.get(name, 10000)
  every = config.eval.train_every or config.train.epochs
  images = size + _EVALUATION * (test + size / every)
  times = 2 if config.loss.get('transition') == 'anchors' else 1
  return times * config.train.epochs * images * _SECONDS[name]


def duration(value: float) -> str:
  """A time in seconds, as people say it."""
  for unit, size in (('d', 86400), ('h', 3600), ('min', 60)):
    if value >= 1.5 * size:
      return f'{value / size:.0f} {unit}'
  return f'{value:.0f} s'
