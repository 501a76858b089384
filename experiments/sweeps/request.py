"""The door of sweeps: what a command line asks for, and its doing."""

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import dataclasses
import os
import pathlib
import shlex
import sys
from typing import Any

from experiments.paper.registry import EVERYTHING, Choice
from experiments.sweeps import expand, jobs, manifest
from experiments.sweeps.driver import Driver
from experiments.sweeps.local import Local
from experiments.sweeps.manifest import Entry
from experiments.sweeps.ray_cluster import Cluster, Resources
from sce_jax.errors import UserError
from sce_jax.exit_codes import ExitCode
from sce_jax.runs import progress
from sce_jax.storage import lock, paths

EXECUTORS = ('local', 'ray', 'print')
_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class SweepRequest:
  """A sweep: of a config file, of an experiment, or written before.

  Attributes:
    config: 'FILE:ARGUMENT', whose sweep() says which runs.
    name: another of its sweeps: sweep_NAME().
    overrides: fields that the command line changes, by path.
    experiment: an experiment's name, in place of a config.
    dataset: the experiment's.
    scale: the experiment's.
    choice: which of the experiment's runs.
    manifest: a manifest to be run in place of both.
    root: the folder of all runs; None: the manifest's, or runs/.
    data_dir: the tfds folder.
    shard: 'I/N', the I-th of N shares of the runs, counted from 0.
    executor: one of EXECUTORS.
    jobs: how many processes at a time; None: see Local and Cluster.
    resources: ray: what each process is given, and where.
    dry_run: only show what would run.
    retries: how often a process that breaks is tried again.
    pack: how many runs that share a program share a process at most.
    allow_config_change: fields in which the runs of a config file's sweep may
      differ from those of its manifest before, which are then continued.
    flags: more flags for every process.
  """

  config: str | None = None
  name: str = ''
  overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  experiment: str | None = None
  dataset: str = 'digits'
  scale: str = 'short'
  choice: Choice = EVERYTHING
  manifest: str | None = None
  root: str | None = None
  data_dir: str | None = None
  shard: str | None = None
  executor: str = 'local'
  jobs: int | None = None
  resources: Resources = dataclasses.field(default_factory=Resources)
  dry_run: bool = False
  retries: int = 2
  pack: int = 1
  allow_config_change: Sequence[str] = ()
  flags: Sequence[str] = ()


def run(request: SweepRequest) -> int:
  """Runs a sweep, or shows what it would be.

  Returns:
    The exit code: DONE, or SOME_FAILED.

  Raises:
    UserError: bad input; nothing has been run.
    KeyboardInterrupt: Ctrl-C; what ran has saved itself.
  """
  # Processes may start in another folder.
  request = dataclasses.replace(
    request,
    manifest=_absolute(request.manifest),
    root=_absolute(request.root),
    data_dir=_absolute(request.data_dir),
  )
  path, planned = _plan(request)
  entries = planned
  if request.shard is not None:
    entries = jobs.shard(planned, request.shard)
  flags = [f'--manifest={path}']
  if request.manifest is not None:  # A new one has both in it.
    if request.root is not None:
      flags.append(f'--workdir={request.root}')
    if request.data_dir is not None:
      flags.append(f'--data_dir={request.data_dir}')
  if request.allow_config_change:
    allowed = ','.join(request.allow_config_change)
    flags.append(f'--allow_config_change={allowed}')
  packed = jobs.pack(entries, request.pack, [*flags, *request.flags])
  if request.dry_run:
    print(_summary(entries))
    return ExitCode.DONE
  if request.executor == 'print':
    _save(request, path, planned)
    print(f'manifest: {path}', file=sys.stderr)
    for job in packed:
      if any(entry.ended != 'done' for entry in job.entries):
        print(shlex.join(['python', *job.command]))
    return ExitCode.DONE
  logs = _logs(path, request.shard)
  with _locked(logs):
    executor: Local | Cluster
    if request.executor == 'ray':
      executor = Cluster(request.jobs, request.resources, logs)
    else:
      executor = Local(request.jobs, logs)
    _save(request, path, planned)
    print(f'manifest: {paths.shown(path)}\nlogs:     {paths.shown(logs)}')
    sys.stdout.flush()
    failed = Driver(packed, executor, request.retries).run()
  done = len(entries) - len(failed)
  print(f'{done} of {len(entries)} runs have ended well')
  _conclude(entries, logs.with_suffix('.png'))
  for why in failed.values():
    print(f'failed: {why}', file=sys.stderr)
  return ExitCode.SOME_FAILED if failed else ExitCode.DONE


def _conclude(entries: Sequence[Entry], picture: pathlib.Path) -> None:
  # Late: matplotlib takes a second, and --dry_run need not wait for it.
  from experiments.sweeps import conclusion  # noqa: PLC0415

  conclusion.show(entries, picture)


def _plan(request: SweepRequest) -> tuple[paths.Path, list[Entry]]:
  """The manifest's path, and all its runs."""
  sources = (request.config, request.experiment, request.manifest)
  if sum(source is not None for source in sources) != 1:
    raise UserError(
      'a sweep needs one of --config, --experiment and --manifest'
    )
  if request.name and request.config is None:
    raise UserError('--name is one of the sweeps of a --config')
  paths.check(request.manifest)
  paths.check(request.root)
  data_dir = request.data_dir
  if request.manifest is not None:
    planned = manifest.load(request.manifest, request.root, data_dir)
    return paths.path(request.manifest), planned
  root = paths.path(request.root or os.path.abspath('runs'))
  if request.experiment is not None:
    stem = f'{request.experiment}-{pathlib.Path(request.dataset).stem}'
    name = '-'.join(filter(None, (stem, request.scale, request.choice.digest)))
    entries = expand.of_experiment(
      request.experiment,
      request.dataset,
      request.scale,
      root,
      data_dir,
      request.choice,
    )
  else:
    config = request.config or ''
    file = pathlib.Path(config.partition(':')[0])
    name = '-'.join(filter(None, (file.stem, request.name)))
    entries = expand.of_config(
      config, request.name, request.overrides, root, data_dir
    )
    path = root / f'sweep-{name}.jsonl'
    if path.exists():
      allowed = request.allow_config_change
      entries = expand.continued(entries, _before(path, allowed), allowed)
  return root / f'sweep-{name}.jsonl', entries


def _before(path: paths.Path, allowed: Sequence[str]) -> list[Entry]:
  """The runs of a sweep's manifest; none if it is damaged and made again."""
  try:
    return manifest.load(os.fspath(path))
  except UserError:
    if allowed:
      raise
    return []


def _save(
  request: SweepRequest, path: paths.Path, planned: Sequence[Entry]
) -> None:
  """Writes a new sweep's manifest: all runs, whichever share is run here."""
  if request.manifest is None:
    manifest.write(path, planned)


def _absolute(text: str | None) -> str | None:
  return text and os.fspath(paths.absolute(paths.path(text)))


@contextlib.contextmanager
def _locked(logs: pathlib.Path) -> Iterator[None]:
  """Makes the folder of a sweep's logs, locked against another driver."""
  logs.mkdir(parents=True, exist_ok=True)
  try:
    held = lock.acquire(logs)
  except lock.LockHeldError:
    raise UserError(
      f'another sweep is at work in {logs.parent}: wait for it, or name another'
      ' folder with --workdir'
    ) from None
  try:
    yield
  finally:
    held.close()


def _logs(path: paths.Path, shard: str | None) -> pathlib.Path:
  """Where a sweep's logs and lock are: on this machine."""
  if paths.is_cloud(path):  # Of a root in a cloud they are below runs/ here.
    here = pathlib.Path('runs', *path.parts[1:-1], path.stem).absolute()
  else:
    here = pathlib.Path(path).with_suffix('')
  share = '' if shard is None else f'.{shard.replace("/", "-of-")}'
  return here.with_name(f'{here.name}{share}.logs')


def _summary(entries: Sequence[Entry]) -> str:
  ends = [entry.ended for entry in entries]
  waiting = [e for e, end in zip(entries, ends, strict=True) if end is None]
  epochs = [entry.epochs for entry in waiting]
  known = sum(x for x in epochs if x is not None)
  unknown = epochs.count(None)
  said = [progress.counted(known, 'epoch')] if known or not unknown else []
  if unknown:
    said.append(f'the data choose the epochs of {unknown}')
  lines = [
    f'{progress.counted(len(entries), "run")}: {ends.count("done")} done,'
    f' {ends.count("failed")} failed, {len(waiting)} to run;'
    f' {", ".join(said)}'
  ]
  lines += [paths.shown(entry.workdir) for entry in waiting[:_SHOWN]]
  if len(waiting) > _SHOWN:
    lines.append(f'and {len(waiting) - _SHOWN} more: --executor=print')
  return '\n'.join(lines)
