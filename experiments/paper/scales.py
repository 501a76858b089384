"""The configs of experiments: of any config file, at each scale.

What a scale means for a data set stands in its config file (SCALES, see
configs/common.py); so do the name of its asymmetric noise and how many of its
runs share a program.
"""

from collections.abc import Mapping, Sequence
import functools
import importlib.util
import os
import pathlib
from types import ModuleType
from typing import Any

from ml_collections import config_dict

from configs import common
from sce_jax.errors import UserError

SCALES = tuple(common.SCALES)
CONFIGS = pathlib.Path(common.__file__).resolve().parent
# What the config files share, and are none themselves.
_SHARED = ('__init__', 'common')


def config_file(dataset: str) -> str:
  """The config file of a data set: a file, or one of configs/ by its name.

  Raises:
    UserError: there is no such file.
  """
  if dataset.endswith('.py'):
    file = pathlib.Path(dataset).expanduser()
    if not file.is_file():
      file = CONFIGS.parent / file  # As typed beside launch.py.
  else:
    file = CONFIGS / f'{dataset}.py'
  if not file.is_file() or _is_shared(file):
    raise UserError(
      f'--dataset={dataset} is not known: use one of {", ".join(names())}, or a'
      ' config file'
    )
  if file.is_relative_to(pathlib.Path.cwd()):
    file = file.relative_to(pathlib.Path.cwd())
  return str(file)


def _is_shared(file: pathlib.Path) -> bool:
  return file.stem in _SHARED and file.resolve().parent == CONFIGS


def names() -> list[str]:
  """The config files in configs/, by their names."""
  stems = (path.stem for path in CONFIGS.glob('*.py'))
  return sorted(stem for stem in stems if stem not in _SHARED)


@functools.cache
def load_module(file: str) -> ModuleType:
  """The module in a config file."""
  spec = importlib.util.spec_from_file_location('_config_file', file)
  if spec is None or spec.loader is None or not os.path.exists(file):
    raise UserError(f'config file {file!r} does not exist')
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def module(dataset: str) -> ModuleType:
  """The module in the config file of a data set."""
  return load_module(config_file(dataset))


def scale_of(dataset: str, scale: str) -> common.Scale:
  """What a scale means for a data set.

  Raises:
    UserError: there is no such data set or scale.
  """
  if scale not in SCALES:
    raise UserError(
      f'--scale={scale} is not known: use one of {", ".join(SCALES)}'
    )
  return {**common.SCALES, **_constant(dataset, 'SCALES')}[scale]


def asymmetric(dataset: str) -> str:
  """The name of a data set's asymmetric noise."""
  return _constant(dataset, 'ASYMMETRIC')


def noises(dataset: str, otherwise: Sequence[str]) -> tuple[str, ...]:
  """The noises of a data set whose labels are wrong as they are, or others.

  Args:
    dataset: the data set.
    otherwise: what an experiment adds to data with true labels.
  """
  return _constant(dataset, 'NOISES') or tuple(otherwise)


def runs_per_program(dataset: str) -> int:
  """How many runs on a data set are trained together at most."""
  return _constant(dataset, 'RUNS_PER_PROGRAM')


def title(dataset: str) -> str:
  """A data set's name in titles and names of folders."""
  return pathlib.Path(dataset).stem


def _constant(dataset: str, name: str) -> Any:
  return getattr(module(dataset), name, getattr(common, name))


def config(
  dataset: str,
  scale: str,
  *,
  loss: str = 'sl',
  noise: str = 'symmetric',
  rate: float = 0.4,
  seed: int = 0,
  recipe: str | None = None,
  changes: Mapping[str, Any] | None = None,
) -> config_dict.ConfigDict:
  """A run's config.

  Args:
    dataset: a config file, or the name of one in configs/.
    scale: one of SCALES.
    loss: its config name.
    noise: its config name.
    rate: the noise rate.
    seed: the seed.
    recipe: whose settings; None for the data set's default.
    changes: fields by path, on top of those of the scale.

  Raises:
    UserError: the config file takes no such argument, has no such field, or
      does not say of how many epochs the scale is a part.
  """
  argument = f'{loss},{noise},{rate},seed={seed}'
  if recipe:
    argument += f',recipe={recipe}'
  scaled = scale_of(dataset, scale)
  try:
    run = module(dataset).get_config(argument)
  except ValueError as error:
    raise UserError(f'{config_file(dataset)}: {error}') from None
  if scaled.epochs != 1:
    if run.train.epochs is None:
      raise UserError(
        f'--scale={scale}: {config_file(dataset)} leaves the epochs to the'
        ' data; use --scale=full, or a config file that says how many'
      )
    _shorten(run, scaled.epochs)
  return change(run, {**scaled.changes, **(changes or {})})


def _shorten(run: config_dict.ConfigDict, share: float) -> None:
  """Trains a share of the epochs; the learning rate falls as much earlier."""
  optim = run.optim
  run.train.epochs, *boundaries = (
    max(1, round(share * epoch))
    for epoch in (run.train.epochs, *optim.boundaries)
  )
  optim.boundaries = tuple(boundaries)
  optim.time_decay /= share
  if optim.schedule == 'exponential':
    optim.factor **= 1 / share


def change(
  run: config_dict.ConfigDict, changes: Mapping[str, Any]
) -> config_dict.ConfigDict:
  """Sets fields of a config, given by their paths; returns it.

  Raises:
    UserError: it has no such field.
  """
  for path, value in changes.items():
    *sections, name = path.split('.')
    section = run
    for part in sections:
      section = section.get(part, {})
    # A method's hyper-parameters have defaults: a config need not name them.
    if name not in section and sections != ['loss']:
      raise UserError(
        f'the config has no field {path!r}; all fields: sce_jax/config/base.py'
      )
    with run.unlocked():
      section[name] = value
  return run
