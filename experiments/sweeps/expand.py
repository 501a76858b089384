"""Which runs a config file's sweep, or an experiment, means."""

import collections
from collections.abc import Collection, Iterable, Mapping, Sequence
import dataclasses
import os
from typing import Any

from experiments.paper import registry, scales
from experiments.sweeps import manifest
from experiments.sweeps.manifest import Entry
from sce_jax.config import fields
from sce_jax.errors import UserError
from sce_jax.runs import changes as changes_lib


def of_experiment(
  name: str,
  dataset: str,
  scale: str,
  root: str | os.PathLike,
  data_dir: str | None,
  choice: registry.Choice = registry.EVERYTHING,
) -> list[Entry]:
  """The runs of an experiment.

  Raises:
    UserError: there is no such experiment, or it trains nothing.
  """
  trials = registry.plan(name, dataset, scale, choice)
  if not trials:
    raise UserError(
      f'experiment {name} trains nothing: see its page with launch.py'
      f' experiment {name}'
    )
  return _unique(
    manifest.entry(t.config, root, data_dir, t.labels) for t in trials
  )


def of_config(
  config: str,
  name: str,
  overrides: Mapping[str, Any],
  root: str | os.PathLike,
  data_dir: str | None,
) -> list[Entry]:
  """The runs of a config file's sweep.

  Args:
    config: 'FILE:ARGUMENT'. The file's function sweep(), or sweep_NAME(),
      yields dicts: fields by path, and 'argument', an argument string that
      this one's options (tiny, recipe=) are added to.
    name: which sweep; '' for sweep().
    overrides: fields that the command line changes, by path.
    root: the folder of all runs.
    data_dir: the tfds folder.

  Raises:
    UserError: there is no such sweep, or no such field; or the sweep chooses
      itself what the argument or a flag says.
  """
  file, _, argument = config.partition(':')
  module = scales.load_module(file)
  wanted = f'sweep_{name}' if name else 'sweep'
  if not hasattr(module, wanted):
    have = [
      f'--name={x.removeprefix("sweep_")}' if x != 'sweep' else 'no --name'
      for x in vars(module)
      if x == 'sweep' or x.startswith('sweep_')
    ]
    raise UserError(
      f'{file} has no function {wanted}()'
      + (f': use {" or ".join(have)}' if have else '')
    )
  entries = []
  runs = [dict(changes) for changes in getattr(module, wanted)()]
  # Else what is given beside options would change nothing.
  is_taken = any(changes.get('argument') is None for changes in runs)
  for changes in runs:
    own = changes.pop('argument', None)
    said = _with_options(own, argument, f'{file}, {wanted}()', is_taken)
    for field in overrides.keys() & changes.keys():
      raise UserError(
        f'--config.{field} would change nothing: {file}, {wanted}() chooses it'
        ' for each run; leave it out'
      )
    changes = {**overrides, **changes}
    try:
      chosen = module.get_config(said or None)
      scales.change(chosen, changes)
      entries.append(manifest.entry(chosen, root, data_dir))
    except (ValueError, TypeError) as error:
      raise UserError(f'{file}, {wanted}(): {error}') from None
  return _unique(entries)


def continued(
  entries: Iterable[Entry],
  before: Sequence[Entry],
  allowed: Collection[str],
) -> list[Entry]:
  """Runs that stay in the folders of the same sweep's runs before.

  A folder is named after its config as it was first.

  Args:
    entries: the runs now.
    before: those of the sweep's manifest.
    allowed: the fields in which they may differ, such as 'train.epochs'.

  Raises:
    UserError: it is not clear which run continues which, or nothing would be
      trained with what has changed, or that cannot change in a run.
  """
  names = {old.id for old in before}
  made = [
    entry if entry.id in names else _continued(entry, before, allowed)
    for entry in entries
  ]
  for name, count in collections.Counter(entry.id for entry in made).items():
    if count > 1:
      raise UserError(
        f'{count} runs of this sweep could continue {name}: name fewer fields'
        ' with --allow_config_change, or another folder with --workdir'
      )
  return made


def _continued(
  entry: Entry, before: Sequence[Entry], allowed: Collection[str]
) -> Entry:
  found: list[Entry] = []
  exact: list[Entry] = []
  for old in before:
    differences = fields.differences(old.config, entry.config)
    if {x.partition(':')[0] for x in differences} <= {*allowed}:
      (found if differences else exact).append(old)
  if not exact and len(found) > 1:
    raise UserError(
      f'{entry.id} could continue any of {", ".join(x.id for x in found)}: name'
      ' fewer fields with --allow_config_change, or another folder with'
      ' --workdir'
    )
  if not exact + found:
    return entry
  old = (exact + found)[0]
  changed = changes_lib.check(
    old.workdir, {'config': old.config}, entry.config, {}, allowed
  )
  done = old.epochs if old.ended else 0
  # What the data choose only the run itself knows, which checks it again.
  if entry.epochs is not None and done is not None:
    changes_lib.check_epochs(
      old.workdir, changed, entry.epochs, done, old.ended is not None
    )
  return dataclasses.replace(entry, id=old.id, workdir=old.workdir)


def _with_options(
  own: str | None, given: str, whose: str, is_taken: bool
) -> str:
  """A sweep's argument with the options of the command line's."""
  if own is None:
    return given
  options = []
  names = {part.partition('=')[0].strip() for part in own.split(',')}
  for part in filter(None, map(str.strip, given.split(','))):
    name, equals, _ = part.partition('=')
    if name not in names and (equals or name.lower() == 'tiny'):
      options.append(part)
    elif not is_taken:
      raise UserError(
        f'{part!r} in --config would change nothing: {whose} chooses'
        f' {own.partition("=")[0].rpartition(",")[0] or own} and the like for'
        ' each run; leave it out (options such as tiny are added)'
      )
  return ','.join([own, *options])


def _unique(entries: Iterable[Entry]) -> list[Entry]:
  return list({entry.id: entry for entry in entries}.values())
