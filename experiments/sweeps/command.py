"""--sweep: expands a config's or an experiment's runs, and runs them."""

from collections.abc import Mapping, Sequence
import pathlib
import shlex
import sys
from typing import Any

from experiments import plan, protocols
from experiments.sweeps import driver, manifest
from experiments.sweeps.local import Local
from experiments.sweeps.manifest import Entry
from sce_jax import files
from sce_jax.errors import UserError

EXECUTORS = ('local', 'print')
# The exit code of a sweep of which some runs have failed.
SOME_FAILED = 4
BAD_INPUT = 2
INTERRUPTED = 130
_SHOWN = 5


def launch(
  name: str,
  *,
  config: str | None,
  overrides: Mapping[str, Any],
  experiment: str | None,
  dataset: str,
  scale: str,
  root: str,
  data_dir: str | None,
  **how: Any,
) -> int:
  """Does what a command line with --sweep asks for.

  Args:
    name: which sweep of a config file, see `of_config`; '' for its only one.
    config: 'FILE:ARGUMENT'.
    overrides: fields that the command line changes, by path.
    experiment: an experiment's name; either this or a config.
    dataset: the experiment's.
    scale: the experiment's.
    root: the folder of all runs.
    data_dir: handed on to the runs.
    **how: as in `run`.

  Returns:
    The exit code: 0; 2: bad input; 4: some runs have failed; 130: Ctrl-C.
  """
  try:
    files.check(root)
    if (config is None) == (experiment is None):
      raise UserError('--sweep needs either a --config or an --experiment')
    if experiment is not None:
      entries = of_experiment(experiment, dataset, scale, root, data_dir)
      name = f'{experiment}-{dataset}-{scale}'
    else:
      entries = of_config(config or '', name, overrides, root, data_dir)
      file = pathlib.Path((config or '').partition(':')[0])
      name = '-'.join(filter(None, (file.stem, name)))
    return run(entries, name, root, **how)
  except UserError as error:
    print(f'error: {error}', file=sys.stderr)
    return BAD_INPUT
  except KeyboardInterrupt:
    print('interrupted; the same command goes on from here', file=sys.stderr)
    return INTERRUPTED


def of_experiment(
  name: str, dataset: str, scale: str, root: str, data_dir: str | None
) -> list[Entry]:
  """The runs of an experiment.

  Raises:
    UserError: there is no such experiment, or it trains nothing.
  """
  trials = plan.load(name).sweep(dataset, scale)
  if not trials:
    raise UserError(
      f'--experiment={name} trains nothing: leave --sweep out to see its page'
    )
  return _unique([manifest.entry(t.config, root, data_dir) for t in trials])


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
  module = manifest.load_module(file)
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
      protocols.change(chosen, changes)
    except (UserError, TypeError) as error:
      raise UserError(f'{file}, {wanted}(): {error}') from None
    entries.append(manifest.entry(chosen, root, data_dir, file))
  return _unique(entries)


def run(
  entries: Sequence[Entry],
  name: str,
  root: str,
  *,
  executor: str,
  dry_run: bool,
  jobs: int | None,
  retries: int,
) -> int:
  """Runs a sweep, or shows what it would be.

  Args:
    entries: its runs.
    name: of the manifest.
    root: the folder of all runs.
    executor: one of EXECUTORS.
    dry_run: only show what would run.
    jobs: how many at a time; None: as many as there are accelerators.
    retries: how often a run that breaks is tried again.

  Returns:
    The exit code: 0, or SOME_FAILED.
  """
  if executor not in EXECUTORS:
    raise UserError(
      f'--executor={executor} is not known: use one of {", ".join(EXECUTORS)}'
    )
  if dry_run:
    print(_summary(entries))
    return 0
  if executor == 'print':
    for entry in entries:
      if entry.ended != 'done':
        print(shlex.join(['python', *entry.command]))
    return 0
  path = files.path(root) / f'sweep-{name}.jsonl'
  # Lock and logs are this machine's: of a root in a cloud below runs/ here.
  here = pathlib.Path(path)
  if files.is_cloud(path):
    here = pathlib.Path('runs', *path.parts[1:])
  with driver.only_one(here.with_suffix('.lock')):
    manifest.write(path, entries)
    print(f'manifest: {path}')
    local = Local(jobs, here.with_suffix('.logs'))
    if files.is_cloud(path):
      print(f'logs:     {here.with_suffix(".logs")}')
    failed = driver.Driver(entries, local, retries).run()
  done = len(entries) - len(failed)
  print(f'{done} of {len(entries)} runs have ended well')
  for why in failed.values():
    print(f'failed: {why}', file=sys.stderr)
  return SOME_FAILED if failed else 0


def _unique(entries: Sequence[Entry]) -> list[Entry]:
  return list({entry.id: entry for entry in entries}.values())


def _summary(entries: Sequence[Entry]) -> str:
  ends = [entry.ended for entry in entries]
  waiting = [e for e, end in zip(entries, ends, strict=True) if end is None]
  seconds = sum(entry.seconds for entry in waiting)
  lines = [
    f'{len(entries)} runs: {ends.count("done")} done,'
    f' {ends.count("failed")} failed, {len(waiting)} to run;'
    f' {sum(e.epochs for e in waiting)} epochs, some'
    f' {plan.duration(seconds)} on two CPU cores',
  ]
  lines += [shlex.join(['python', *e.command]) for e in waiting[:_SHOWN]]
  if len(waiting) > _SHOWN:
    lines.append(f'and {len(waiting) - _SHOWN} more: --executor=print')
  return '\n'.join(lines)
