"""--sweep and --manifest: which runs, and what is to become of them."""

from collections.abc import Mapping, Sequence
import pathlib
import shlex
import sys
from typing import Any

from experiments.sweeps import (
  driver,
  executors,
  expand,
  manifest,
  sky_jobs,
  task,
)
from experiments.sweeps.accelerators import Accelerator
from experiments.sweeps.executors import Resources
from experiments.sweeps.manifest import Entry
from experiments.sweeps.task import Job
from sce_jax.errors import UserError
from sce_jax.storage import paths

# The exit code of a sweep of which some runs have failed.
SOME_FAILED = 4
BAD_INPUT = 2
INTERRUPTED = 130
_SHOWN = 5


def launch(
  name: str | None,
  *,
  config: str | None,
  overrides: Mapping[str, Any],
  experiment: str | None,
  dataset: str,
  scale: str,
  root: str,
  data_dir: str | None,
  written: str | None = None,
  shard: str | None = None,
  executor: str = 'local',
  sky: sky_jobs.Request | None = None,
  **how: Any,
) -> int:
  """Does what a command line with --sweep or --manifest asks for.

  Args:
    name: which sweep of a config file, see expand.py; '' for its only one.
    config: 'FILE:ARGUMENT'.
    overrides: fields that the command line changes, by path.
    experiment: an experiment's name; either this or a config.
    dataset: the experiment's.
    scale: the experiment's.
    root: the folder of all runs.
    data_dir: handed on to the runs.
    written: a manifest to be run in place of a sweep.
    shard: 'I/N', the I-th of N shares of its runs, counted from 0.
    executor: one of executors.NAMES.
    sky: what is asked of SkyPilot; only with its executor.
    **how: as in `run`.

  Returns:
    The exit code: 0; 2: bad input; 4: some runs have failed; 130: Ctrl-C.
  """
  try:
    executors.check(executor)
    sky = sky or sky_jobs.Request(None, None)
    accelerator = _accelerator(executor, sky, shard)
    if accelerator is not None:
      if written is None:
        sky_jobs.check_root(root)
      data_dir = None  # The tasks get it where they look for it.
    else:
      paths.check(root)
    if written is not None:
      if name is not None or config is not None or experiment is not None:
        raise UserError(
          '--manifest has its runs: leave --sweep, --config and --experiment'
          ' out'
        )
      paths.check(written)
      path = paths.path(written)
      entries = manifest.read(path, lambda runs: _share(runs, shard))
    else:
      if (config is None) == (experiment is None):
        raise UserError('--sweep needs either a --config or an --experiment')
      if experiment is not None:
        entries = expand.of_experiment(
          experiment, dataset, scale, root, data_dir
        )
        name = f'{experiment}-{pathlib.Path(dataset).stem}-{scale}'
      else:
        name = name or ''
        entries = expand.of_config(
          config or '', name, overrides, root, data_dir
        )
        file = pathlib.Path((config or '').partition(':')[0])
        name = '-'.join(filter(None, (file.stem, name)))
      path = paths.path(sky_jobs.LOCAL if executor == 'sky' else root)
      path = path / f'sweep-{name}.jsonl'
      entries = _share(entries, shard)
    if accelerator is not None:
      return _write_jobs(
        entries, path, sky, accelerator, is_new=written is None, **how
      )
    return run(
      entries, path, shard, is_new=written is None, executor=executor, **how
    )
  except UserError as error:
    print(f'error: {error}', file=sys.stderr)
    return BAD_INPUT
  except KeyboardInterrupt:
    print('interrupted; the same command resumes from here', file=sys.stderr)
    return INTERRUPTED


def run(
  entries: Sequence[Entry],
  path: paths.Path,
  shard: str | None,
  *,
  is_new: bool,
  executor: str,
  resources: Resources,
  dry_run: bool,
  retries: int,
  pack: int,
  flags: Sequence[str] = (),
) -> int:
  """Runs a sweep, or shows what it would be.

  Args:
    entries: its runs, or the share of them.
    path: its manifest.
    shard: which share this is, 'I/N'; None: all.
    is_new: whether the manifest is to be written.
    executor: one of executors.NAMES.
    resources: what the commands are given.
    dry_run: only show what would run.
    retries: how often a command that breaks is tried again.
    pack: how many runs of equal shape share a process at most.
    flags: more flags for every command.

  Returns:
    The exit code: 0, or SOME_FAILED.
  """
  tasks = task.pack(entries, pack, path, flags)
  if dry_run:
    print(_summary(entries, tasks))
    return 0
  if executor == 'print':
    if is_new:  # For packed commands, and for --manifest with --shard.
      manifest.write(path, entries)
      print(f'manifest: {path}', file=sys.stderr)
    for waiting in _waiting(tasks):
      print(shlex.join(['python', *waiting.command]))
    return 0
  here = _here(path)
  if shard is not None:
    here = here.with_name(f'{here.name}.{shard.replace("/", "-of-")}')
  with driver.only_one(here.with_name(f'{here.name}.lock')):
    logs = here.with_name(f'{here.name}.logs')
    chosen = executors.make(executor, resources, logs)
    if is_new:
      manifest.write(path, entries)
    print(f'manifest: {path}')
    if paths.is_cloud(path):
      print(f'logs:     {logs}')
    failed = driver.Driver(tasks, chosen, retries).run()
  done = len(entries) - len(failed)
  print(f'{done} of {len(entries)} runs have ended well')
  for why in failed.values():
    print(f'failed: {why}', file=sys.stderr)
  return SOME_FAILED if failed else 0


def _here(path: paths.Path) -> pathlib.Path:
  """Where a sweep's lock and logs begin: they are this machine's."""
  if paths.is_cloud(path):  # Of a root in a cloud they are below runs/ here.
    return pathlib.Path('runs', *path.parts[1:-1], path.stem)
  return pathlib.Path(path).with_suffix('')


def _share(entries: list[Entry], shard: str | None) -> list[Entry]:
  return entries if shard is None else task.shard(entries, shard)


def _accelerator(
  executor: str, sky: sky_jobs.Request, shard: str | None
) -> Accelerator | None:
  """What each task of SkyPilot gets; None if it is not asked."""
  if executor == 'sky':
    return sky_jobs.check(sky, shard)
  if sky.is_given:
    raise UserError('--accelerator and --shards go with --executor=sky')
  return None


def _write_jobs(
  entries: Sequence[Entry],
  path: paths.Path,
  sky: sky_jobs.Request,
  accelerator: Accelerator,
  *,
  is_new: bool,
  resources: Resources,
  dry_run: bool,
  retries: int,
  pack: int,
  flags: Sequence[str] = (),
) -> int:
  sky_jobs.check_entries(entries, sky.shards or 1)
  if dry_run:
    print(sky_jobs.summary(entries, sky, accelerator, pack=pack))
    return 0
  if is_new:
    manifest.write(path, entries)
  print(
    sky_jobs.write(
      entries,
      path,
      sky,
      accelerator,
      jobs=resources.jobs,
      retries=retries,
      pack=pack,
      flags=flags,
    )
  )
  return 0


def _waiting(tasks: Sequence[Job]) -> list[Job]:
  return [t for t in tasks if any(entry.ended != 'done' for entry in t.entries)]


def _summary(entries: Sequence[Entry], tasks: Sequence[Job]) -> str:
  ends = [entry.ended for entry in entries]
  waiting = [e for e, end in zip(entries, ends, strict=True) if end is None]
  commands = [t.command for t in tasks if t.waiting]
  lines = [
    f'{len(entries)} runs: {ends.count("done")} done,'
    f' {ends.count("failed")} failed, {len(waiting)} to run;'
    f' {sum(e.epochs for e in waiting)} epochs',
  ]
  lines += [shlex.join(['python', *c]) for c in commands[:_SHOWN]]
  if len(commands) > _SHOWN:
    lines.append(f'and {len(commands) - _SHOWN} more: --executor=print')
  return '\n'.join(lines)
