"""The list of a sweep's runs: a JSON object a line, each a command.

  {"id": ..., "command": [...], "fingerprint": ..., "workdir": ...,
   "epochs": ...}

`command` follows the interpreter; it is idempotent: given again it resumes, and
does nothing once its run has ended.
"""

import ast
from collections.abc import Callable, Iterable, Sequence
import dataclasses
import json
import os
import re
from typing import Any

from ml_collections import config_dict

from experiments.paper import scales
from sce_jax.config import fields
from sce_jax.errors import NonFiniteLoss, UserError
from sce_jax.runs import files
from sce_jax.runs import read as read_lib
from sce_jax.storage import paths


@dataclasses.dataclass(frozen=True)
class Entry:
  """A run of a sweep.

  Attributes:
    id: its name, that of its folder.
    command: what follows the interpreter on the command line.
    fingerprint: of its config.
    workdir: its folder.
    epochs: how many it trains.
  """

  id: str
  command: Sequence[str]
  fingerprint: str
  workdir: str
  epochs: int

  @property
  def ended(self) -> str | None:
    """'done' or 'failed', or None if it is still to be run."""
    result = files.read_result(self.workdir)
    if result is None:
      return None
    return 'failed' if 'failed' in result else 'done'


def entry(
  config: config_dict.ConfigDict,
  root: str | os.PathLike,
  data_dir: str | None,
  file: str,
) -> Entry:
  """The entry of a config.

  Args:
    config: the config.
    root: the folder of all runs.
    data_dir: handed on to the command.
    file: the config file.
  """
  name = read_lib.run_name(config)
  folder = os.path.join(root, name)
  argument = (
    f'{config.loss.name},{config.noise.name},{float(config.noise.rate)!r},'
    f'seed={config.seed}'
  )
  command = ['launch.py', f'--config={file}:{argument}']
  command += _overrides(load_config(file, argument), config)
  command.append(f'--workdir={folder}')
  if data_dir is not None:
    command.append(f'--data_dir={data_dir}')
  return Entry(
    name,
    command,
    fields.fingerprint(config),
    folder,
    config.train.epochs,
  )


def load_config(file: str, argument: str | None) -> config_dict.ConfigDict:
  """The config that `--config=FILE:ARGUMENT` means."""
  return scales.load_module(file).get_config(argument)


def _fingerprint(command: Sequence[str]) -> str | None:
  try:
    return fields.fingerprint(config_of(command))
  except (UserError, ValueError):  # Such as a loss that is there no more.
    return None


def _overrides(
  base: config_dict.ConfigDict, config: config_dict.ConfigDict
) -> list[str]:
  old, new = fields.flatten(base), fields.flatten(config)
  return [
    f'--config.{path}={value}'
    for path, value in new.items()
    if path not in old or old[path] != value
  ]


def write(path: str | os.PathLike, entries: Iterable[Entry]) -> None:
  """Writes a manifest, whole or not at all."""
  path = paths.path(path)
  paths.make_folder(path.parent)
  paths.write(
    path, ''.join(json.dumps(dataclasses.asdict(e)) + '\n' for e in entries)
  )


def read(
  path: str | os.PathLike,
  pick: Callable[[list[Entry]], list[Entry]] | None = None,
) -> list[Entry]:
  """Reads a manifest, or some of its runs.

  Args:
    path: the manifest.
    pick: which of its runs are wanted, None: all. The others are not checked,
      which of ten thousand would take seconds in each process.

  Raises:
    UserError: it is not there, is no manifest, or its configs are not those
      that this version of the code makes of its commands.
  """
  try:
    lines = paths.read(paths.path(path)).decode().splitlines()
  except OSError:
    raise UserError(
      f'manifest {path} is not there: write one with --sweep'
    ) from None
  try:
    entries = [Entry(**json.loads(line)) for line in lines]
  except (json.JSONDecodeError, TypeError):
    raise UserError(f'{path} is no manifest of a sweep') from None
  if pick is not None:
    entries = pick(entries)
  for one in entries:
    if _fingerprint(one.command) != one.fingerprint:
      raise UserError(
        f'{path} was written by another version of the code: {one.id} would'
        ' not be the same run now; write it anew with --sweep'
      )
  return entries


def config_of(command: Sequence[str]) -> config_dict.ConfigDict:
  """The config that a command means to this code.

  Args:
    command: as `entry` makes them.

  Raises:
    UserError: it has no config, or one that this code does not know.
  """
  config = config_dict.ConfigDict()
  for flag in command:
    if match := re.fullmatch(r'--config=([^:]+):(.*)', flag):
      config = load_config(*match.groups())
    elif match := re.fullmatch(r'--config\.([\w.]+)=(.*)', flag):
      try:
        _set(config, *match.groups())
      except (AttributeError, KeyError):
        raise UserError(f'no config has the field {match[1]!r}') from None
  if not config:
    raise UserError(f'{" ".join(command)} has no --config')
  return config


def data_dir_of(command: Sequence[str]) -> str | None:
  """The --data_dir of a command, if it has one."""
  flag = '--data_dir='
  found = [x.removeprefix(flag) for x in command if x.startswith(flag)]
  return found[0] if found else None


def _literal(text: str) -> Any:
  """A value of a type that the text shows: a number, or the text."""
  try:
    return ast.literal_eval(text)
  except (ValueError, SyntaxError):
    return text


def _set(config: config_dict.ConfigDict, path: str, text: str) -> None:
  *sections, name = path.split('.')
  section = config
  for part in sections:
    section = section[part]
  if sections == ['loss'] and name not in section:
    # A hyper-parameter that the config leaves to its default.
    with config.unlocked():
      section[name] = _literal(text)
    return
  kind = section.get_type(name)
  if kind is tuple:
    section[name] = tuple(
      float(x) if '.' in x else int(x) for x in re.findall(r'[-\d.e]+', text)
    )
  elif kind is bool:
    section[name] = text == 'True'
  else:
    section[name] = kind(text)


def train(path: str, names: Sequence[str]) -> None:
  """Trains runs of a manifest together.

  Raises:
    UserError: one of them is not there.
    NonFiniteLoss: some have diverged; the others ended.
  """
  from sce_jax import train as train_lib  # noqa: PLC0415  A driver needs no jax.

  def pick(entries: list[Entry]) -> list[Entry]:
    by_name = {entry.id: entry for entry in entries}
    unknown = [name for name in names if name not in by_name]
    if unknown:
      raise UserError(f'{path} has no run {unknown[0]}')
    return [by_name[name] for name in names]

  chosen = read(path, pick)
  results = train_lib.train_many(
    [config_of(entry.command) for entry in chosen],
    [entry.workdir for entry in chosen],
    data_dir_of(chosen[0].command),
  )
  failed = [r['failed'] for r in results if 'failed' in r]
  if failed:
    raise NonFiniteLoss('; '.join(failed))
