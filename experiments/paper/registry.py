"""The experiments, and the runs they need.

An experiment is a module of experiments/paper with a docstring, whose first
line says what it shows, and

  sweep(dataset, scale) -> list[RunSpec]    the runs it needs
  report(context, runs) -> list[Block]      tables and figures from them; runs
                                            is a data frame with a row per run,
                                            see analysis/frame.py

Nothing here needs jax: a sweep is planned before anything is computed.
"""

from collections.abc import Mapping
import dataclasses
import importlib
from types import ModuleType

from ml_collections import config_dict

from experiments.paper import scales
from sce_jax.errors import UserError

NAMES = (
  'comparison',
  'classwise',
  'easy_hard',
  'confidence',
  'embeddings',
  'parameters',
  'ablation',
  'gradients',
  'losses',
  'theory',
  'recipe',
)


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
    dataset: a config file, or the name of one in configs/.
    scale: full, short or tiny.
    data_dir: as in train.train_and_evaluate.
    named_class: a class that the user asks for; only of an experiment whose
      module has TAKES_CLASS.
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
      f'experiment {name!r} is not known: use one of {", ".join(NAMES)}'
    )
  return importlib.import_module(f'experiments.paper.{name}')


def describe() -> str:
  """The experiments, a line each, and the commands that run them."""
  lines = ['Experiments:', '']
  for name in NAMES:
    title = (load(name).__doc__ or '').partition('\n')[0]
    lines.append(f'  {name:12}{title}')
  lines += [
    '',
    'python launch.py experiment NAME --dataset=DATASET'
    f' --scale={"|".join(scales.SCALES)}',
    '--dataset is a config file, or the name of one in configs/.',
    'Runs are shared between experiments and never trained twice.',
  ]
  return '\n'.join(lines)


def duration(value: float) -> str:
  """A time in seconds, in its largest unit."""
  for unit, size in (('d', 86400), ('h', 3600), ('min', 60)):
    if value >= 1.5 * size:
      return f'{value / size:.0f} {unit}'
  return f'{value:.0f} s'
