"""Run folders, read back: what reports are made of. Needs no jax."""

from collections.abc import Iterable, Mapping, Sequence
import dataclasses
import functools
import json
import math
import os
from typing import TYPE_CHECKING, Any

from sce_jax.config import fields
from sce_jax.data.info import DatasetInfo
from sce_jax.errors import UserError
from sce_jax.runs import dataset_record, files, progress
from sce_jax.storage import paths

if TYPE_CHECKING:  # Training need not wait for pandas.
  import pandas as pd

# What `frame` calls the fields that every run is told by.
_COLUMNS = {
  'dataset': 'data.name',
  'method': 'loss.name',
  'noise': 'noise.name',
  'rate': 'noise.rate',
  'seed': 'seed',
}
FIGURES = (
  'test_accuracy',
  'worst_class',
  'memorised',
  'validation_accuracy',
  'train_seconds',
)


@dataclasses.dataclass(frozen=True)
class Run:
  """A run, whether or not it has been trained.

  Attributes:
    folder: its folder.
    labels: what it is in an experiment: method, noise and so on.
    config: its config, as plain dicts.
  """

  folder: paths.Path
  labels: Mapping[str, str]
  config: Mapping[str, Any]

  @functools.cached_property
  def result(self) -> Mapping[str, Any] | None:
    """Its result, if it ended well."""
    ended = files.read_result(self.folder)
    return ended if ended and 'failed' not in ended else None

  @functools.cached_property
  def status(self) -> str:
    """'finished', 'failed', 'unfinished' or 'missing'."""
    ended = files.read_result(self.folder)
    if ended:
      return 'failed' if 'failed' in ended else 'finished'
    begun = (self.folder / 'config.json').exists()
    return 'unfinished' if begun else 'missing'

  @functools.cached_property
  def noisy_test(self) -> bool:
    """Whether part of its test labels may be wrong, see DatasetInfo."""
    return dataset_record.has_noisy_test(self.folder)

  @functools.cached_property
  def initial(self) -> str | None:
    """What its parameters began from, if its config says it, in a line."""
    record = files.read_initial(self.folder)
    return None if record is None else files.initial_title(record)

  @property
  def failure(self) -> str:
    """Why it failed; '' if it did not."""
    return (files.read_result(self.folder) or {}).get('failed', '')

  @functools.cached_property
  def metrics(self) -> Sequence[Mapping[str, Any]]:
    """Its epochs, see files.read_metrics."""
    return files.read_metrics(self.folder)

  @functools.cached_property
  def description(self) -> Mapping[str, Any]:
    """When, where and with what it was begun; empty if it was not."""
    if not (self.folder / 'config.json').exists():
      return {}
    return files.read_description(self.folder)

  @functools.cached_property
  def info(self) -> DatasetInfo:
    """The description of the data set that it was trained on."""
    return dataset_record.read(self.folder)[0]


def run_name(config: fields.RawConfig) -> str:
  """A folder name for a config."""
  return '-'.join(
    [
      config['data']['name'].replace('/', '_'),
      config['loss']['name'],
      config['noise']['name'],
      f'{config["noise"]["rate"]:g}',
      f'seed{config["seed"]}',
      fields.fingerprint(config),
    ]
  )


def find(
  root: str | os.PathLike, dataset: str | None = None, *, mixed: bool = False
) -> list[Run]:
  """All runs below a folder, labelled by the settings in which they differ.

  Args:
    root: the folder.
    dataset: only runs on this data set; None: all, which must be of one.
    mixed: whether they may be of several.

  Raises:
    UserError: there are none, or they are on different data sets.
  """
  root = paths.path(root)
  configs = {}
  for file in paths.find(root, 'config.json'):
    folder = file.parent
    # What a method trained in preparation is not a separate run, and an audit's
    # folds are not trained on all examples.
    if folder.name == files.PREPARE or folder.name.startswith(files.FOLD):
      continue
    try:
      config = files.read_config(folder)
    except files.NotARunError as error:
      progress.log(f'skipped: {error.reason}')
      continue
    try:
      files.check_whole(folder)
    except UserError as error:
      progress.log(f'skipped: {error}')
      continue
    configs[folder] = config
  names = sorted({config['data']['name'] for config in configs.values()})
  if dataset is None and len(names) > 1 and not mixed:
    raise UserError(
      f'{root} holds runs on different data, {", ".join(names)}, which no'
      f' table should mix: choose with --dataset={names[0]}, say'
    )
  configs = {
    folder: config
    for folder, config in configs.items()
    if dataset in (None, config['data']['name'])
  }
  if not configs:
    what = 'runs' if dataset is None else f'runs on {dataset}'
    raise UserError(
      f'{root} holds no {what} (no config.json below it): name the folder of'
      ' some with --workdir'
    )
  labels = distinguishing_settings(configs.values())
  return [
    Run(folder, label, config)
    for (folder, config), label in zip(configs.items(), labels, strict=True)
  ]


def distinguishing_settings(
  configs: Iterable[fields.RawConfig],
) -> list[dict[str, str]]:
  """The settings in which configs differ, of each config, as text.

  A loss's own parameters are among them where runs with that loss differ: that
  another loss has other ones is not a difference.
  """
  flat = [fields.flatten(config) for config in configs]

  def among(path, config):
    """Whose values a run's is compared with: those of its loss, or all."""
    own = path.startswith('loss.') and path != 'loss.name'
    return path, config['loss.name'] if own else None

  values: dict[Any, set[str]] = {}
  for config in flat:
    for path, value in config.items():
      values.setdefault(among(path, config), set()).add(json.dumps(value))
  return [
    {
      path: str(config[path])
      for path in sorted(config)
      if len(values[among(path, config)]) > 1
    }
    for config in flat
  ]


def frame(
  root: str | os.PathLike, dataset: str | None = None
) -> 'pd.DataFrame':
  """The finished runs below a folder as a table, one row per run.

  For example, mean and standard deviation over seeds, and a table of methods
  against noise rates:

    runs = read.frame('runs')
    accuracy = runs.groupby(['method', 'noise', 'rate']).test_accuracy
    print(accuracy.agg(['mean', 'std', 'count']))
    print(runs.pivot_table('test_accuracy', index='method', columns='rate'))

  Args:
    root: the folder.
    dataset: only runs on this data set; None: all.

  Returns:
    A data frame with these columns: dataset; method, its name in the config;
    noise, rate and seed; by its path (such as loss.alpha) each other field of
    the config in which runs on the same data set differ; epochs; the figures
    of `figures`; noisy_test, whether part of the test labels may be wrong, so
    that right predictions count as errors; folder, as text.

  Raises:
    UserError: the folder holds no runs.
  """
  import pandas as pd  # noqa: PLC0415  Training need not wait for it.

  by_dataset: dict[str, list[Run]] = {}
  for run in find(root, dataset, mixed=True):
    by_dataset.setdefault(run.config['data']['name'], []).append(run)
  settings, results = [], []
  for runs in by_dataset.values():
    labels = distinguishing_settings(run.config for run in runs)
    for run, differing in zip(runs, labels, strict=True):
      if run.result is None:
        continue
      flat = fields.flatten(run.config)
      named = {name: flat[path] for name, path in _COLUMNS.items()}
      further = [path for path in differing if path not in _COLUMNS.values()]
      settings.append(named | {path: flat[path] for path in further})
      results.append(
        {'epochs': run.result.get('epochs')}
        | figures(run)
        | {'noisy_test': run.noisy_test, 'folder': str(run.folder)}
      )
  # Side by side, so that the figures follow all settings that any run has.
  return pd.concat(
    [
      pd.DataFrame(settings, columns=None if settings else list(_COLUMNS)),
      pd.DataFrame(
        results, columns=['epochs', *FIGURES, 'noisy_test', 'folder']
      ),
    ],
    axis=1,
  )


def figures(run: Run) -> dict[str, float]:
  """A run's figures of the last epoch, and how long it took.

  Returns:
    FIGURES: test_accuracy, worst_class (the lowest test accuracy of a class),
    memorised (the share of wrongly labelled training examples predicted as
    their wrong label) and validation_accuracy (where the data have a validation
    split), all between 0 and 1; train_seconds (of runs trained
    together, each one's share). nan: not known, or the run has not finished.
  """
  result = run.result or {}
  classes = (result.get('test') or {}).get('class_accuracy', ())
  worst = min((x for x in classes if x is not None), default=None)
  validation = (result.get('validation') or {}).get('accuracy')
  found = {
    **result,
    'worst_class': worst,
    'validation_accuracy': validation,
  }
  return {
    name: math.nan if found.get(name) is None else float(found[name])
    for name in FIGURES
  }
