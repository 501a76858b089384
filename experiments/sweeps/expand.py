"""Which runs a config file's sweep, or an experiment, means."""

from collections.abc import Iterable, Mapping
from typing import Any

from experiments.paper import registry, scales
from experiments.sweeps import manifest
from experiments.sweeps.manifest import Entry
from sce_jax.errors import UserError


def of_experiment(
  name: str, dataset: str, scale: str, root: str, data_dir: str | None
) -> list[Entry]:
  """The runs of an experiment.

  Raises:
    UserError: there is no such experiment, or it trains nothing.
  """
  trials = registry.load(name).sweep(dataset, scale)
  if not trials:
    raise UserError(
      f'--experiment={name} trains nothing: leave --sweep out to see its page'
    )
  file = scales.config_file(dataset)
  return _unique(
    [manifest.entry(t.config, root, data_dir, file) for t in trials]
  )


def of_config(
  config: str,
  name: str,
  overrides: Mapping[str, Any],
  root: str,
  data_dir: str | None,
) -> list[Entry]:
  """The runs of a config file's sweep.

  Args:
    config: 'FILE:ARGUMENT'. The file's function sweep(), or sweep_NAME(),
      yields dicts: fields by path, and 'argument', an argument string to be
      used in place of this one.
    name: which sweep; '' for sweep().
    overrides: fields that the command line changes, by path.
    root: the folder of all runs.
    data_dir: handed on.

  Raises:
    UserError: there is no such sweep, or no such field.
  """
  file, _, argument = config.partition(':')
  module = scales.load_module(file)
  wanted = f'sweep_{name}' if name else 'sweep'
  if not hasattr(module, wanted):
    have = [
      '--sweep' + x.removeprefix('sweep').replace('_', '=', 1)
      for x in vars(module)
      if x == 'sweep' or x.startswith('sweep_')
    ]
    raise UserError(
      f'{file} has no function {wanted}(): use {" or ".join(have)}'
      if have
      else f'{file} has no function {wanted}()'
    )
  entries = []
  for changes in getattr(module, wanted)():
    chosen = module.get_config(changes.get('argument', argument or None))
    changes = {**overrides, **changes}
    changes.pop('argument', None)
    try:
      scales.change(chosen, changes)
    except (UserError, TypeError) as error:
      raise UserError(f'{file}, {wanted}(): {error}') from None
    entries.append(manifest.entry(chosen, root, data_dir, file))
  return _unique(entries)


def _unique(entries: Iterable[Entry]) -> list[Entry]:
  return list({entry.id: entry for entry in entries}.values())
