"""Losses side by side: several seeds of each, trained together."""

from collections.abc import Mapping, Sequence
import copy
import os
import sys

from ml_collections import config_dict
import numpy as np

from experiments.analysis import plots
from experiments.paper import scales
from experiments.report import text
from sce_jax import methods, train
from sce_jax.config import fields
from sce_jax.errors import UserError
from sce_jax.parallel import processes
from sce_jax.runs import files
from sce_jax.storage import paths


def compare(
  config: config_dict.ConfigDict,
  losses: Sequence[str],
  seeds: int,
  workdir: str | None,
  data_dir: str | None,
  *,
  config_file: str,
  suggest: bool = True,
) -> dict[str, list[train.Result]]:
  """Trains each loss with each seed, prints a table, draws a picture.

  Args:
    config: what all runs have in common; its own loss keeps its parameters.
    losses: config names of losses.
    seeds: how many, from the config's seed on.
    workdir: a folder for the runs' folders; None for one below runs/.
    data_dir: as in train.train_and_evaluate.
    config_file: where the config comes from; other losses have the parameters
      that it gives them.
    suggest: whether to print commands to try next.

  Returns:
    The results of each loss.
  """
  configs = {
    name: _configs(config, name, seeds, config_file) for name in losses
  }
  folder = paths.path(workdir or _default_workdir(config, losses, seeds))
  folders = {
    name: [folder / f'{name}-seed{run.seed}' for run in runs]
    for name, runs in configs.items()
  }
  trained = iter(
    train.train_many(
      [run for runs in configs.values() for run in runs],
      [path for some in folders.values() for path in some],
      data_dir,
    )
  )
  results = {
    name: [next(trained) for _ in runs] for name, runs in configs.items()
  }
  if processes.is_primary():
    print(f'\n{heading(config, seeds)}')
    show(results, folders, folder)
  if suggest and processes.is_primary():
    print(f'\n{_suggestions(config, folder, losses[-1], config_file)}')
  check_finite(results)
  return results


def show(
  results: Mapping[str, Sequence[train.Result]],
  folders: Mapping[str, Sequence[paths.Path]],
  folder: paths.Path,
) -> None:
  """Prints the table of groups of runs; writes results and a picture.

  Args:
    results: the runs' results by group.
    folders: the runs' folders by group.
    folder: for results.csv and comparison.png.
  """
  finished = [r for runs in results.values() for r in runs if 'failed' not in r]
  path = files.write_results(folder, finished)
  labels = {plot_label(name): paths for name, paths in folders.items()}
  picture = plots.plot_runs(labels, folder / 'comparison.png')
  print(table(results))
  print(f'\nruns:     {folder}\ntable:    {path}\npicture:  {picture}')


def plot_label(name: str) -> str:
  """A group's name in a picture: losses by their abbreviations."""
  return methods.SPECS[name].short if name in methods.SPECS else name


def _title(name: str) -> str:
  """A group's name in a table: methods by their titles."""
  if name not in methods.SPECS:
    return name
  spec = methods.SPECS[name]
  return f'{spec.title} ({spec.short})'


def check_finite(results: Mapping[str, Sequence[train.Result]]) -> None:
  """Says which runs have diverged.

  Raises:
    train.NonFiniteLoss: some have.
  """
  failed = [
    r['failed'] for runs in results.values() for r in runs if 'failed' in r
  ]
  if failed:
    raise train.NonFiniteLoss('; '.join(failed))


def table(results: Mapping[str, Sequence[train.Result]]) -> str:
  """The last epoch's figures, mean and spread over seeds, as text."""
  rows = [
    (
      'loss',
      'test accuracy',
      'worst class',
      'wrong labels memorised',
      'seconds a run',
    )
  ]
  for name, runs in results.items():
    runs = [run for run in runs if 'failed' not in run]
    if not runs:
      rows.append((_title(name), 'failed', '', '', ''))
      continue
    worst = [
      min(x for x in run['test']['class_accuracy'] if x is not None)
      if run['test']
      else None
      for run in runs
    ]
    rows.append(
      (
        _title(name),
        _spread([run['test_accuracy'] for run in runs]),
        _spread(worst),
        _spread([run['memorised'] for run in runs]),
        f'{np.mean([run["train_seconds"] for run in runs]):.1f}',
      )
    )
  return text.aligned(rows)


def _spread(values: Sequence[float | None]) -> str:
  if any(value is None for value in values):
    return '-'
  mean = f'{100 * np.mean(values):.1f} %'
  if len(values) == 1:
    return mean
  return f'{mean} +- {100 * np.std(values, ddof=1):.1f}'


def _configs(
  config: config_dict.ConfigDict, loss: str, seeds: int, file: str
) -> list[config_dict.ConfigDict]:
  if loss not in methods.SPECS:
    raise UserError(
      f'loss {loss!r} is not known: use some of {", ".join(methods.SPECS)}'
    )
  runs = []
  for seed in range(config.seed, config.seed + seeds):
    run = copy.deepcopy(config)
    run.seed = seed
    if loss != config.loss.name:
      with run.unlocked():
        argument = f'{loss},{config.noise.name},{config.noise.rate}'
        run.loss = scales.load_module(file).get_config(argument).loss
    runs.append(run)
  return runs


def _default_workdir(
  config: config_dict.ConfigDict, losses: Sequence[str], seeds: int
) -> str:
  digest = fields.fingerprint(
    {'config': config, 'losses': list(losses), 'seeds': seeds}
  )
  noise = f'{config.noise.name}-{config.noise.rate:g}'
  return os.path.join('runs', f'compare-{config.data.name}-{noise}-{digest}')


def heading(config: config_dict.ConfigDict, seeds: int) -> str:
  """What a table's runs have in common, in a line."""
  noise = f'{config.noise.name} {config.noise.rate:g}'
  return (
    f'{config.data.name}, {noise} label noise, {config.train.epochs} epochs,'
    f' last epoch, mean +- standard deviation over {seeds} seed(s)'
  )


def _suggestions(
  config: config_dict.ConfigDict, folder: paths.Path, loss: str, file: str
) -> str:
  # With the interpreter in use, and on the data that are there.
  launch = f'{os.path.relpath(sys.executable)} launch.py'
  if launch.startswith('..'):
    launch = f'{sys.executable} launch.py'
  file = f'--config={file}'
  return '\n'.join(
    [
      'To try next:',
      f'  {launch} {file}:sl,symmetric,0.6 --mode=compare'
      ' --losses=ce,sl,gce,mae',
      f'  {launch} {file}:forward,pair_flip,0.3',
      f'  {launch} --mode=evaluate --workdir='
      f'{folder / f"{loss}-seed{config.seed}"}',
    ]
  )
