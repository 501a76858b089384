"""The line that a command begins with: what it will do, where, how long.

Needs no jax: it is printed before anything slow is imported.
"""

from collections.abc import Iterator
import itertools
import json
import os
from typing import Any

from sce_jax.config import fields
from sce_jax.runs import files, progress, read
from sce_jax.storage import paths

# So many earlier runs are looked at, at most.
_LOOKED_AT = 200


def describe(config: fields.RawConfig) -> str:
  """A run in a few words."""
  noise = config['noise']
  rate = f' {noise["rate"]:g}' if noise['rate'] else ''
  # clean: the labels are taken as they are.
  added = f' ({noise["name"]}{rate} noise)' if noise['name'] != 'clean' else ''
  # What the data will choose is not known yet.
  epochs = config['train']['epochs']
  length = '' if epochs is None else f', {progress.counted(epochs, "epoch")}'
  return f'{config["data"]["name"]}{added}{length}'


def run_folder(config: fields.RawConfig, workdir: str | None) -> str:
  """The folder of a run."""
  return workdir or os.path.join('runs', read.run_name(config))


def of_run(config: fields.RawConfig, workdir: str | None) -> str:
  """The line of one run."""
  folder = run_folder(config, workdir)
  line = f'Trains {config["loss"]["name"]} on {describe(config)}, in {folder}'
  if files.read_result(folder) is not None:
    return f'{line}: it has ended before, nothing is trained again'
  return f'{line}; {duration(config, 1, "runs")}'


def duration(config: fields.RawConfig, runs: int, root: str) -> str:
  """How long so many runs will take, from an earlier run on this machine.

  Args:
    config: that of a run.
    runs: how many of them.
    root: the folder that earlier runs are looked for in.
  """
  before = _earlier(config, root)
  if before is None:
    return 'the time left is shown as soon as it is known'
  return f'about {progress.duration(before * runs)}, as an earlier run took'


def _earlier(config: fields.RawConfig, root: str) -> float | None:
  """Seconds of an ended run of the same data, network and length."""

  def key(c: Any) -> tuple:
    return tuple(
      c[section][name]
      for section, name in (
        ('data', 'name'),
        ('data', 'limit'),
        ('model', 'name'),
        ('train', 'epochs'),
        ('train', 'batch_size'),
      )
    )

  wanted = key(config)
  for folder in itertools.islice(_folders(root), _LOOKED_AT):
    try:
      with open(os.path.join(folder, 'result.json')) as file:
        seconds = json.load(file)['train_seconds']
      if key(files.read_config(paths.path(folder))) == wanted:
        return float(seconds)
    except (OSError, ValueError, KeyError, TypeError):
      continue
  return None


def _folders(root: str) -> Iterator[str]:
  """Folders below the root, the newest first, and then those in the newest."""
  if paths.is_cloud(root):
    return
  for _ in range(2):
    try:
      with os.scandir(root) as found:
        some = sorted(
          (x for x in found if x.is_dir()),
          key=lambda x: x.stat().st_mtime,
          reverse=True,
        )
    except OSError:
      return
    yield from (x.path for x in some)
    if not some:
      return
    root = some[0].path
