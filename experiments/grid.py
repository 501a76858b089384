"""A config at all combinations of losses, seeds and values of other fields.

Each combination is a run with a folder. Runs that share a program are trained
together: those that differ in seed, noise and traced hyper-parameters only.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
import copy
import dataclasses
import itertools
import os
import re
import shutil
import textwrap
from typing import Any

from ml_collections import config_dict
import numpy as np

from experiments.analysis import marks, pictures, plots, statistics
from experiments.paper import scales
from experiments.report import text
from sce_jax import methods, train
from sce_jax.config import choose, fields
from sce_jax.errors import NonFiniteLoss, UserError, meant
from sce_jax.parallel import processes
from sce_jax.runs import files, progress, results_table
from sce_jax.storage import paths

_EXAMPLE = '--trials=seed=0..9 --trials=loss.alpha=0.01,0.1'
_RANGE = re.compile(r'(-?\d+)\.\.(-?\d+)')


@dataclasses.dataclass(frozen=True)
class Grid:
  """Which runs.

  Attributes:
    config: what they have in common; its own loss keeps its hyper-parameters.
    config_file: where it comes from: other losses get the hyper-parameters that
      this file gives them. None: the methods' defaults.
    losses: names of losses; empty: that of the config.
    seeds: how many, from the config's seed on; None: that of the config.
    trials: 'FIELD=VALUES' each; VALUES are separated by commas, and a..b is all
      whole numbers from a to b.
  """

  config: config_dict.ConfigDict
  config_file: str | None = None
  losses: Sequence[str] = ()
  seeds: int | None = None
  trials: Sequence[str] = ()

  @property
  def values(self) -> dict[str, list[Any]]:
    """The values of each field, by its path; the seed last.

    Raises:
      UserError: one line that says what cannot be read.
    """
    first = self.config.seed
    values: dict[str, list[Any]] = {
      'loss.name': [fields.as_name(x) for x in self.losses]
    }
    if self.seeds is not None:
      values['seed'] = list(range(first, first + self.seeds))
    for trial in self.trials:
      path, equals, listed = trial.partition('=')
      if not equals or not listed:
        raise UserError(
          f'--trials={trial!r}: give FIELD=VALUES, as in {_EXAMPLE}'
        )
      if values.get(path):
        raise UserError(f'{path} is given twice: list all its values once')
      values[path] = _split(trial, listed)
    unknown = [x for x in values['loss.name'] if x not in methods.SPECS]
    if unknown:
      raise UserError(
        f'loss {unknown[0]!r} is not known'
        f'{meant(unknown[0], methods.SPECS)}: use some of'
        f' {", ".join(methods.SPECS)}'
      )
    if not values['loss.name']:
      values['loss.name'] = [self.config.loss.name]
    # So that the folders of the seeds stand together.
    values['seed'] = values.pop('seed', [first])
    return values

  def configs(self) -> dict[str, dict[str, config_dict.ConfigDict]]:
    """The runs by group and name; a group is all seeds of a combination.

    Raises:
      UserError: one line that says what cannot be.
    """
    values = self.values
    paths_ = list(values)
    groups: dict[str, dict[str, config_dict.ConfigDict]] = {}
    for chosen in itertools.product(*values.values()):
      by_path = dict(zip(paths_, chosen, strict=True))
      run = self._with_loss(by_path.pop('loss.name'))
      parts = []
      if len(values['loss.name']) > 1 or len(values) == 2:
        parts.append(run.loss.name)
      for path, value in by_path.items():
        section, name = _section(run, path)
        section[name] = _convert(section, name, value, path)
        if path != 'seed':
          parts.append(f'{path}={section[name]}')
      group = ','.join(parts)
      # A value may be the path of a file, a run's folder is one level.
      folder = f'{group}-seed{run.seed}'.replace('/', '_')
      groups.setdefault(group, {})[folder] = run
    return groups

  def default_workdir(self) -> str:
    """A folder below runs/."""
    c = self.config
    digest = fields.fingerprint({'config': c, 'grid': self.values})
    noise = f'{c.noise.name}-{c.noise.rate:g}'
    return os.path.join('runs', f'compare-{c.data.name}-{noise}-{digest}')

  def _with_loss(self, loss: str) -> config_dict.ConfigDict:
    """A copy of the config with this loss and all its hyper-parameters."""
    run = copy.deepcopy(self.config)
    if loss != run.loss.name:
      given: Any = {}
      if self.config_file is not None:
        argument = f'{loss},{run.noise.name},{run.noise.rate}'
        module = scales.load_module(self.config_file)
        loss_section = module.get_config(argument).loss
        given = loss_section.items(preserve_field_references=True)
      # The section stays the same object: other fields may depend on it.
      section = run.loss
      with run.unlocked():
        section.name = loss
        for key in [key for key in section if key != 'name']:
          del section[key]
        for key, field in dict(given).items():
          if key != 'name':
            section[key] = field
    given = run.loss.to_dict()
    # What the data will choose stays open.
    left = choose.left({'loss': given})
    filled = choose.with_values(
      {'loss': given}, {path: choose.FIELDS[path] for path in left}
    )['loss']
    del filled['name']
    hparams = {'loss': methods.complete(loss, filled)}
    # What the config lacked may have been typed as 1 for 1.0.
    with run.unlocked(), run.ignore_type():
      run.loss.update(choose.with_values(hparams, dict.fromkeys(left))['loss'])
    return run


def run(
  grid: Grid,
  workdir: str | os.PathLike,
  data_dir: str | None = None,
  allow_config_change: Collection[str] = (),
) -> dict[str, list[train.Result]]:
  """Trains a grid, prints a table, draws a picture.

  Args:
    grid: which runs.
    workdir: a folder for the runs' folders.
    data_dir: as in train.train_and_evaluate.
    allow_config_change: as there.

  Returns:
    The results by what distinguishes the runs, seeds together.

  Raises:
    UserError: something cannot be used; nothing has been done.
    NonFiniteLoss: some runs have diverged; the others ended.
  """
  groups = grid.configs()
  folder = paths.path(workdir)
  if processes.on_primary(lambda: (folder / 'config.json').exists()):
    raise UserError(
      f'{folder} holds a run, whose results.csv would be overwritten: name'
      ' another --workdir'
    )
  folders = {
    group: [folder / name for name in runs] for group, runs in groups.items()
  }
  trained = iter(
    train.train_many(
      [config for runs in groups.values() for config in runs.values()],
      [path for some in folders.values() for path in some],
      data_dir,
      allow_config_change=allow_config_change,
    )
  )
  results = {
    group: [next(trained) for _ in runs] for group, runs in groups.items()
  }
  if processes.is_primary():
    every = itertools.chain.from_iterable(results.values())
    print(f'\n{textwrap.fill(_heading(grid.config, every), 79)}')
    _show(results, folders, folder)
  failed = [
    r['failed'] for runs in results.values() for r in runs if 'failed' in r
  ]
  if failed:
    raise NonFiniteLoss.of_runs(failed)
  return results


def _show(
  results: Mapping[str, Sequence[train.Result]],
  folders: Mapping[str, Sequence[paths.Path]],
  folder: paths.Path,
) -> None:
  """Prints the table of groups of runs; writes results and a picture."""
  finished = [r for runs in results.values() for r in runs if 'failed' not in r]
  path = results_table.write(folder, finished)
  labels = {plots.label(name): paths for name, paths in folders.items()}
  picture = plots.plot_runs(labels, folder / 'comparison.png')
  print(table(results))
  print(f'\nruns:     {folder}\ntable:    {path}\npicture:  {picture}')


def table(results: Mapping[str, Sequence[train.Result]]) -> str:
  """The last epoch's figures, mean and spread over seeds, as text.

  Args:
    results: the runs' results by group.
  """
  # Labels that were held out of noisy ones.
  is_noisy = any(r.get('noisy_test') for runs in results.values() for r in runs)
  noisy = ' (noisy)' if is_noisy else ''
  rows: list[tuple[str, ...]] = [
    (
      'loss',
      f'test\naccuracy{noisy}',
      f'worst\nclass{noisy}',
      'wrong labels\nmemorised',
      'seconds\na run',
    )
  ]
  diverged = []
  for group, every in results.items():
    runs = [run for run in every if 'failed' not in run]
    failed = len(every) - len(runs)
    diverged.append(f'{failed} of {len(every)}' if failed else '')
    if not runs:
      rows.append((group, 'failed', '', '', ''))
      continue
    worst = [
      min(x for x in run['test']['class_accuracy'] if x is not None)
      if run['test']
      else None
      for run in runs
    ]
    rows.append(
      (
        group,
        _spread([run['test_accuracy'] for run in runs]),
        _spread(worst),
        _spread([run['memorised'] for run in runs]),
        f'{np.mean([run["train_seconds"] for run in runs]):.1f}',
      )
    )
  if any(diverged):
    column = ['runs\ndiverged', *diverged]
    rows = [(*row, x) for row, x in zip(rows, column, strict=True)]
  is_random = any(
    run.get('init_from') == files.RANDOM
    for runs in results.values()
    for run in runs
  )
  note = 'init_from=random: the weights were not pretrained' * is_random
  ended = {
    group: next((run for run in runs if 'failed' not in run), {})
    for group, runs in results.items()
  }
  marked = {
    group: marks.mark(run.get('loss', group), run)
    for group, run in ended.items()
  }
  shown = [_fitted(rows, marked), marks.note(marked.values()), note]
  return '\n'.join(filter(None, shown))


def _fitted(rows: Sequence[Sequence[str]], marked: Mapping[str, str]) -> str:
  """The table; with short names of methods if it is too wide otherwise."""
  heading, *body = rows
  for short in (False, True):
    named = [
      (_title(row[0], short=short) + marked[row[0]], *row[1:]) for row in body
    ]
    shown = text.aligned([heading, *named], is_whole=not short)
    if text.columns(shown) <= shutil.get_terminal_size().columns:
      break
  return shown


def _title(group: str, *, short: bool = False) -> str:
  """A group's name in a table: methods by their titles."""
  if group not in methods.SPECS:
    return group
  spec = methods.SPECS[group]
  return spec.short if short else f'{spec.title} ({spec.short})'


def _spread(values: Sequence[float | None]) -> str:
  known = [value for value in values if value is not None]
  if len(known) < len(values):
    return '-'
  mean, deviation = statistics.mean_std(100 * np.array(known))
  text = f'{mean:.1f} %'
  return text if len(known) == 1 else f'{text} ± {deviation:.1f}'


def _heading(
  config: config_dict.ConfigDict, results: Iterable[train.Result]
) -> str:
  """What a table's runs have in common, in a line.

  Read off the results, as a trial or the data may have chosen something else
  than the config says.
  """
  ended = [r for r in results if 'failed' not in r]
  if not ended:
    return f'{config.data.name}: no run ended'
  section = config.noise.to_dict()
  noises = dict.fromkeys(
    pictures.noise_title(
      {**section, 'name': r['noise'], 'rate': r['noise_rate']}
    )
    or 'no added'
    for r in ended
  )
  parts = [
    config.data.name,
    f'{" or ".join(noises)} label noise',
    *pictures.changes_of_examples(section),
  ]
  epochs = sorted({r['epochs'] for r in ended})
  seeds = len({r['seed'] for r in ended})
  *others, last = epochs
  lengths = [*map(str, others), progress.counted(last, 'epoch')]
  return (
    f'{", ".join(parts)}, {" or ".join(lengths)}, last epoch,'
    f' mean ± standard deviation over {progress.counted(seeds, "seed")}'
  )


def _split(trial: str, listed: str) -> list[str]:
  texts: list[str] = []
  for part in listed.split(','):
    if match := _RANGE.fullmatch(part):
      first, last = int(match[1]), int(match[2])
      if last < first:
        raise UserError(
          f'--trials={trial}: {part} is empty, write it {last}..{first}'
        )
      texts += map(str, range(first, last + 1))
    else:
      texts.append(part)
  if len(set(texts)) < len(texts):
    raise UserError(f'--trials={trial}: a value is given twice')
  return texts


def _convert(
  section: config_dict.ConfigDict, name: str, value: Any, path: str
) -> Any:
  """A value, of the type that the config has there."""
  kind = section.get_type(name)
  if value in ('None', 'none'):
    return None  # Whether the field may be None is checked with the config.
  if isinstance(value, kind):
    return value
  try:
    if kind is bool:
      return {'true': True, 'false': False}[value.lower()]
    return {int: int, float: float, str: str}[kind](value)
  except (ValueError, KeyError):
    raise UserError(
      f'--trials={path}: its values must be of type {kind.__name__}, not'
      f' {value!r}'
    ) from None


def _section(
  config: config_dict.ConfigDict, path: str
) -> tuple[config_dict.ConfigDict, str]:
  *sections, name = path.split('.')
  found = config
  for part in sections:
    found = found.get(part) if part in found else None
    if not isinstance(found, config_dict.ConfigDict):
      raise _unknown(path, config)
  if sections == ['loss'] and name not in found:
    raise UserError(
      f'--trials: loss {config.loss.name!r} has no hyper-parameter {name!r}'
    )
  if name not in found or isinstance(found[name], config_dict.ConfigDict):
    raise _unknown(path, config)
  return found, name


def _unknown(path: str, config: config_dict.ConfigDict) -> UserError:
  return UserError(
    f'--trials: the config has no field {path!r}'
    f'{fields.near(path, fields.own(config))} (all fields:'
    ' sce_jax/config/base.py)'
  )
