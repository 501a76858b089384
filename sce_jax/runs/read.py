"""Run folders, read back: what reports are made of. Needs no jax."""

from collections.abc import Iterable, Mapping, Sequence
import dataclasses
import functools
import json
import os
from typing import Any

import numpy as np

from sce_jax.config import fields
from sce_jax.data.info import DatasetInfo
from sce_jax.errors import UserError
from sce_jax.runs import files, progress
from sce_jax.storage import paths


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
    return files.read_dataset(self.folder)[0]


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


def find(root: str | os.PathLike, dataset: str | None = None) -> list[Run]:
  """All runs below a folder, labelled by the settings in which they differ.

  Args:
    root: the folder.
    dataset: only runs on this data set; None: all, which must be of one.

  Raises:
    UserError: there are none, or they are on different data sets.
  """
  root = paths.path(root)
  configs = {}
  for file in paths.find(root, 'config.json'):
    folder = file.parent
    # What a method trained in preparation is not a separate run.
    if folder.name == files.PREPARE:
      continue
    try:
      config = files.read_config(folder)
    except files.NotARunError as error:
      progress.log(f'skipped: {error.reason}')
      continue
    try:
      files.read_result(folder)
      files.read_noise(folder)
    except UserError as error:
      progress.log(f'skipped: {error}')
      continue
    configs[folder] = config
  names = sorted({config['data']['name'] for config in configs.values()})
  if dataset is None and len(names) > 1:
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
  another loss has other ones goes without saying.
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


def group(
  records: Iterable[Run], *keys: str
) -> dict[tuple[str, ...], list[Run]]:
  """Records by the values of some of their labels, in order of appearance."""
  groups: dict[tuple[str, ...], list[Run]] = {}
  for record in records:
    groups.setdefault(tuple(record.labels[key] for key in keys), []).append(
      record
    )
  return groups


def class_accuracy(runs: Iterable[Run]) -> np.ma.MaskedArray:
  """Test accuracy of the last epoch, [runs, classes], in per cent.

  Masked where a class has no test example. Of finished runs only.
  """
  values = [
    r.result['test']['class_accuracy']
    for r in runs
    if r.result and r.result['test']
  ]
  return np.ma.masked_invalid(100 * np.array(values, np.float64))


def finished(records: Iterable[Run]) -> list[Run]:
  """Those that ended well."""
  return [record for record in records if record.status == 'finished']
