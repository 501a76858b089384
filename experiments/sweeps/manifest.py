"""The list of a sweep's runs: a JSON object a line, each with its config.

  {"id": ..., "workdir": ..., "config": {...}, "data_dir": ..., "labels": {...}}

Each line also has its digest and, as "of", the number of lines, so that damage
is found.

`workdir` is relative to the folder of all runs, which is the manifest's own
unless --workdir names another.
"""

from collections.abc import Iterable, Mapping
import dataclasses
import json
import os
import pathlib
from typing import Any

from sce_jax.config import fields
from sce_jax.errors import UserError
from sce_jax.runs import files, read
from sce_jax.storage import digests, paths, typed


@dataclasses.dataclass(frozen=True)
class Entry:
  """A run of a sweep.

  Attributes:
    id: its name.
    workdir: its folder.
    config: its config, as plain dicts.
    data_dir: the tfds folder; None: as in train.train_and_evaluate.
    labels: what it is in an experiment: method, noise and so on.
  """

  id: str
  workdir: str
  config: Mapping[str, Any]
  data_dir: str | None = None
  labels: Mapping[str, str] = dataclasses.field(default_factory=dict)

  @property
  def ended(self) -> str | None:
    """'done' or 'failed', or None if it is still to be run."""
    try:
      result = files.read_result(self.workdir)
    except files.DamagedError:  # The run makes it again.
      return None
    if result is None:
      return None
    if 'failed' in result:
      return 'failed'
    epochs = self.epochs or 0
    # A run that is continued has a result of fewer epochs.
    return None if result.get('epochs', epochs) < epochs else 'done'

  @property
  def epochs(self) -> int | None:
    """How many epochs its config has; None if the data will choose."""
    return self.config.get('train', {}).get('epochs')


def entry(
  config: fields.RawConfig,
  root: str | os.PathLike,
  data_dir: str | None = None,
  labels: Mapping[str, str] | None = None,
) -> Entry:
  """The entry of a config.

  Args:
    config: the config.
    root: the folder of all runs.
    data_dir: the tfds folder.
    labels: what the run is in an experiment.
  """
  name = read.run_name(config)
  folder = os.fspath(paths.path(root) / name)
  return Entry(name, folder, fields.plain(config), data_dir, labels or {})


def write(path: paths.Path, entries: Iterable[Entry]) -> None:
  """Writes a manifest, whole or not at all, to the folder of all runs."""
  paths.make_folder(path.parent)
  lines = []
  entries = list(entries)
  for one in entries:
    folder = paths.path(one.workdir).relative_to(path.parent)
    values = dataclasses.asdict(one) | {'workdir': os.fspath(folder)}
    lines.append(digests.dumps({**values, 'of': len(entries)}))
  paths.write(path, ''.join(lines))


def load(
  path: str, root: str | None = None, data_dir: str | None = None
) -> list[Entry]:
  """Reads a manifest.

  Args:
    path: the manifest.
    root: the folder of all runs; None: the manifest's.
    data_dir: the tfds folder in place of that of the manifest.

  Raises:
    UserError: it does not exist or is no manifest.
  """
  file = paths.path(path)
  folder = file.parent if root is None else paths.path(root)
  try:
    lines = paths.read(file).splitlines()
  except OSError as error:
    raise UserError(
      f'manifest {path} cannot be read ({error.strerror or "not there"}): write'
      ' one with launch.py sweep --executor=print'
    ) from None
  entries = []
  for number, line in enumerate(lines, 1):
    try:
      values = json.loads(line)
      if digests.is_sealed(values) or 'of' in values:
        values = digests.unseal(values)
        if values.pop('of') != len(lines):
          raise ValueError
      typed.check(values, Entry)
      one = Entry(**values)
      inside = pathlib.PurePath(one.workdir)
      if inside.is_absolute() or '..' in inside.parts:
        raise ValueError  # It would be trained in anybody's folder.
      entries.append(
        dataclasses.replace(
          one,
          workdir=os.fspath(folder / one.workdir),
          config=dict(one.config),
          data_dir=data_dir or one.data_dir,
        )
      )
    except (ValueError, TypeError, KeyError, RecursionError):
      raise UserError(
        f'{path}, line {number} is no run of a sweep, or is damaged, or lines'
        ' are missing: write the manifest anew with launch.py sweep'
      ) from None
  if not entries:
    raise UserError(
      f'{path} holds no run of a sweep: write the manifest anew with launch.py'
      ' sweep'
    )
  return entries
