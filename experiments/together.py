"""A config at several values of some of its fields.

  --trials=seed=0..9 --trials=loss.alpha=0.01,0.1

is twenty runs: all combinations of the values. Those that differ in seed, noise
and traced hyper-parameters only share a program.
"""

from collections.abc import Sequence
import copy
import itertools
import os
import re
from typing import Any

from ml_collections import config_dict

from experiments import compare
from sce_jax import methods, train
from sce_jax.config import fields
from sce_jax.errors import UserError
from sce_jax.parallel import processes
from sce_jax.storage import paths as paths_lib

_EXAMPLE = '--trials=seed=0..9 --trials=loss.alpha=0.01,0.1'
_RANGE = re.compile(r'(-?\d+)\.\.(-?\d+)')


def train_values(
  config: config_dict.ConfigDict,
  trials: Sequence[str],
  workdir: str | None,
  data_dir: str | None,
) -> dict[str, list[train.Result]]:
  """Trains all combinations of values, prints a table, draws a picture.

  Args:
    config: what the runs have in common.
    trials: 'FIELD=VALUES' each, see `read`.
    workdir: a folder for the runs' folders; None for one below runs/.
    data_dir: as in train.train_and_evaluate.

  Returns:
    The results by what distinguishes them, seeds together.

  Raises:
    UserError: the fields cannot be read.
    train.NonFiniteLoss: some of the runs have diverged; the others ended.
  """
  configs = read(config, trials)
  folder = paths_lib.path(workdir or _default_workdir(config, trials))
  results = train.train_many(
    list(configs.values()), [folder / name for name in configs], data_dir
  )
  groups: dict[str, list[train.Result]] = {}
  folders: dict[str, list[paths_lib.Path]] = {}
  for name, result in zip(configs, results, strict=True):
    group = _without_seed(name) or config.loss.name
    groups.setdefault(group, []).append(result)
    folders.setdefault(group, []).append(folder / name)
  seeds = max(map(len, groups.values()))
  if processes.is_primary():
    print(f'\n{compare.heading(config, seeds)}')
    compare.show(groups, folders, folder)
  compare.check_finite(groups)
  return groups


def read(
  config: config_dict.ConfigDict, trials: Sequence[str]
) -> dict[str, config_dict.ConfigDict]:
  """The configs of all combinations, by name, such as 'loss.alpha=0.1,seed=0'.

  Args:
    config: what they have in common.
    trials: 'FIELD=VALUES' each; VALUES are separated by commas, and a..b is
      all whole numbers from a to b.

  Raises:
    UserError: one line that says what cannot be read.
  """
  config = _with_defaults(config)
  values: dict[str, list[Any]] = {}
  for text in trials:
    path, equals, listed = text.partition('=')
    if not equals or not listed:
      raise UserError(f'--trials={text!r}: give FIELD=VALUES, as in {_EXAMPLE}')
    if path == 'loss.name':
      raise UserError(
        '--trials: runs with different losses are different programs: use'
        f' --mode=compare --losses={listed}'
      )
    if path in values:
      raise UserError(f'--trials: {path} is given twice: list all its values')
    values[path] = _values(config, path, listed)
  # The seed last, so that the folders of its values stand together.
  paths = sorted(values, key=lambda path: (path == 'seed', path))
  configs = {}
  for chosen in itertools.product(*(values[path] for path in paths)):
    run = copy.deepcopy(config)
    for path, value in zip(paths, chosen, strict=True):
      section, name = _section(run, path)
      section[name] = value
    name = ','.join(
      f'{path}={value}' for path, value in zip(paths, chosen, strict=True)
    )
    configs[name] = run
  return configs


def _with_defaults(config: config_dict.ConfigDict) -> config_dict.ConfigDict:
  """The config with the hyper-parameters that it leaves to their defaults."""
  config = copy.deepcopy(config)
  given = config.loss.to_dict()
  name = given.pop('name')
  with config.unlocked():
    config.loss.update(methods.complete(name, given))
  return config


def _values(
  config: config_dict.ConfigDict, path: str, listed: str
) -> list[Any]:
  section, name = _section(config, path)
  kind = section.get_type(name)
  texts: list[str] = []
  for part in listed.split(','):
    if kind is int and (match := _RANGE.fullmatch(part)):
      first, last = int(match[1]), int(match[2])
      if last < first:
        raise UserError(
          f'--trials={path}={listed}: {part} is empty, write it {last}..{first}'
        )
      texts += map(str, range(first, last + 1))
    else:
      texts.append(part)
  if len(set(texts)) < len(texts):
    raise UserError(f'--trials={path}={listed}: a value is given twice')
  try:
    return [_convert(kind, text) for text in texts]
  except (ValueError, KeyError):
    raise UserError(
      f'--trials={path}={listed}: its values must be of type {kind.__name__}'
    ) from None


def _convert(kind: type, text: str) -> Any:
  if kind is bool:
    return {'true': True, 'false': False}[text.lower()]
  return {int: int, float: float, str: str}[kind](text)


def _section(
  config: config_dict.ConfigDict, path: str
) -> tuple[config_dict.ConfigDict, str]:
  *sections, name = path.split('.')
  for part in sections:
    config = config.get(part) if part in config else None
    if not isinstance(config, config_dict.ConfigDict):
      raise _unknown(path)
  if sections == ['loss'] and name not in config:
    raise UserError(
      f'--trials: loss {config.name!r} has no hyper-parameter {name!r}'
    )
  if name not in config or isinstance(config[name], config_dict.ConfigDict):
    raise _unknown(path)
  return config, name


def _unknown(path: str) -> UserError:
  return UserError(
    f'--trials: the config has no field {path!r}; all fields: configs/common.py'
  )


def _without_seed(name: str) -> str:
  return ','.join(
    part for part in name.split(',') if not part.startswith('seed=')
  )


def _default_workdir(
  config: config_dict.ConfigDict, trials: Sequence[str]
) -> str:
  digest = fields.fingerprint({'config': config, 'trials': list(trials)})
  return os.path.join(
    'runs', f'trials-{config.data.name}-{config.loss.name}-{digest}'
  )
