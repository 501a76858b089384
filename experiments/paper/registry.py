"""The experiments, and the runs they need.

An experiment is a module of experiments/paper with a docstring, whose first
line says what it shows, and

  sweep(dataset, scale) -> list[RunSpec]    the runs it needs
  report(context, runs) -> list[Block]      tables and figures from them; runs
                                            is a data frame with a row per run,
                                            see analysis/frame.py

A module with TAKES_CHOICE lets its user choose some of the runs: its sweep has
a third argument, a Choice. Nothing here needs jax: a sweep is planned before
anything is computed.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import importlib
from types import ModuleType

from ml_collections import config_dict

from experiments.paper import scales
from sce_jax.config import fields
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
  'benchmark',
)
# Whose runs depend on what others found: a module with a function run().
SEARCHES = ('tune',)


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
class Choice:
  """Which of an experiment's runs a user asks for.

  Attributes:
    losses: names of methods in configs; empty: all.
    noises: such as 'symmetric 0.4'; empty: the experiment's own.
    seeds: how many; None: as many as the scale has.
    recipe: whose settings; None: the experiment's default.
  """

  losses: Sequence[str] = ()
  noises: Sequence[str] = ()
  seeds: int | None = None
  recipe: str | None = None

  @property
  def digest(self) -> str:
    """Eight digits that identify it, in names of files; '' of everything."""
    if self == EVERYTHING:
      return ''
    return fields.fingerprint(dataclasses.asdict(self))


EVERYTHING = Choice()


@dataclasses.dataclass(frozen=True)
class Context:
  """What a report is made for.

  Attributes:
    dataset: a config file, or the name of one in configs/.
    scale: one of scales.SCALES.
    data_dir: as in train.train_and_evaluate.
    named_class: a class that the user asks for; only of an experiment whose
      module has TAKES_CLASS.
    choice: which runs the user asks for.
  """

  dataset: str
  scale: str
  data_dir: str | None = None
  named_class: int | None = None
  choice: Choice = EVERYTHING


def load(name: str) -> ModuleType:
  """The module of an experiment.

  Raises:
    UserError: there is none of this name.
  """
  if name not in (*NAMES, *SEARCHES):
    known = ', '.join((*NAMES, *SEARCHES))
    raise UserError(f'experiment {name!r} is not known: use one of {known}')
  return importlib.import_module(f'experiments.paper.{name}')


def plan(
  name: str, dataset: str, scale: str, choice: Choice = EVERYTHING
) -> list[RunSpec]:
  """The runs that an experiment needs.

  Raises:
    UserError: an unknown experiment, data set or scale, or a choice that the
      experiment does not offer.
  """
  module = load(name)
  if name in SEARCHES:
    raise UserError(
      f'the runs of experiment {name} depend on each other and cannot be'
      f' planned: use launch.py experiment {name}'
    )
  if hasattr(module, 'TAKES_CHOICE'):
    return module.sweep(dataset, scale, choice)
  for field in dataclasses.fields(choice):
    if getattr(choice, field.name) != field.default:
      raise UserError(
        f'experiment {name} takes no --{field.name}: omit it, or use'
        ' experiment benchmark'
      )
  return module.sweep(dataset, scale)


def describe() -> str:
  """The experiments, a line each, and the commands that run them."""
  lines = ['Experiments:', '']
  for name in (*NAMES, *SEARCHES):
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
