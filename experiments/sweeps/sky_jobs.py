"""--executor=sky: a sweep as SkyPilot managed jobs, written and not launched.

A YAML file is a task; `sky jobs launch --num-jobs=N` starts N of it, each on a
machine of its own, and tells each which it is. A task runs a share of the
manifest with the local executor. Its disk is lost with it, so the runs live in
a bucket; a preempted task is restarted on another machine and goes
on from there.

The manifest and the YAML file are written to this machine and the manifest is
handed to the tasks as a file: a launch then needs no write access to the bucket
from here, and a manifest is of the code that is shipped with it.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import math
import os
import pathlib
import re
import shlex
from typing import Any

import yaml

from experiments.sweeps import accelerators, manifest
from experiments.sweeps.accelerators import Accelerator
from experiments.sweeps.manifest import Entry
from sce_jax.errors import UserError
from sce_jax.exit_codes import ExitCode

# Where manifest and YAML file go: on this machine.
LOCAL = 'runs'
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
# By the scheme of a bucket: what reads it from Python, and whose it is.
_BUCKETS = {'gs': ('gcsfs', 'gcp'), 's3': ('s3fs', 'aws')}
_ENVIRONMENT = '$HOME/sce_jax_env'
_SHIPPED = '~/sce_jax_sweep'
# Ended by a SIGTERM that came before a run could catch it.
_TERMINATED = 143
# tfds's own default, so that no run needs to be told.
_DATA = '~/tensorflow_datasets'


@dataclasses.dataclass(frozen=True)
class Request:
  """What is asked of SkyPilot.

  Attributes:
    accelerator: of each task, as accelerators.parse reads it.
    shards: how many tasks; None: one.
    data_dir: a folder of prepared data, here or in a bucket, that the tasks
      get; None: they prepare it.
  """

  accelerator: str | None
  shards: int | None
  data_dir: str | None = None

  @property
  def is_given(self) -> bool:
    """Whether anything of it is asked for."""
    return self.accelerator is not None or self.shards is not None


def check(request: Request, shard: str | None) -> Accelerator:
  """Checks a request before anything is planned.

  Raises:
    UserError: no accelerator is named, or one that is not to be had or not
      fit for a sweep; data that are not there; a --shard.
  """
  if request.accelerator is None:
    raise UserError(
      '--executor=sky needs --accelerator, such as tpu-v5e-8, H100:8 or L4'
    )
  if shard is not None:
    raise UserError(
      '--shard is what each task of --executor=sky gets automatically: say how'
      ' many with --shards'
    )
  found = accelerators.parse(request.accelerator)
  if found.hosts > 1:
    raise UserError(
      f'--accelerator={request.accelerator} are {found.hosts} hosts, each of'
      ' which would run the same runs: take a slice of one host, such as'
      ' tpu-v5e-8, and more --shards; for one run on many hosts see'
      ' experiments/cloud'
    )
  data = request.data_dir
  if data is not None and _scheme(data) is None and not os.path.isdir(data):
    raise UserError(
      f'--data_dir={data} is not there: name a folder of this machine or of a'
      ' bucket, which the tasks will get'
    )
  return found


def check_root(root: str) -> None:
  """Checks the folder of all runs.

  Raises:
    UserError: it is in no bucket.
  """
  if _scheme(root) is None:
    raise UserError(
      f'--workdir={root}: --executor=sky needs one in a bucket, such as'
      " gs://BUCKET/runs or s3://BUCKET/runs: a task's disk is lost with it"
    )


def check_entries(entries: Sequence[Entry], shards: int) -> None:
  """Checks that tasks on other machines can run these runs.

  Raises:
    UserError: they lie in no bucket, need a file or folder that no task has, or
      are fewer than tasks.
  """
  if shards > len(entries):
    raise UserError(f'--shards={shards} is more than the {len(entries)} runs')
  for entry in entries:
    if _scheme(entry.workdir) is None:
      raise UserError(
        f'--executor=sky: {entry.id} is to be in {entry.workdir}, which is lost'
        ' with its task: write the manifest with --workdir=gs://BUCKET/runs'
      )
    if data := manifest.data_dir_of(entry.command):
      raise UserError(
        f'--executor=sky: {entry.id} is to read {data}, which no task has:'
        ' write the manifest with --executor=sky --data_dir='
      )
  for file in {_config_file(entry.command) for entry in entries}:
    inside = (REPOSITORY / file).resolve().is_relative_to(REPOSITORY)
    if os.path.isabs(file) or not inside or not (REPOSITORY / file).is_file():
      raise UserError(
        f'--executor=sky: {file} is not shipped with the code: put it below'
        ' configs/ and name it by configs/FILE.py'
      )


def summary(
  entries: Sequence[Entry],
  request: Request,
  accelerator: Accelerator,
  pack: int,
) -> str:
  """What the tasks would run, and what that would cost."""
  shards = request.shards or 1
  lines = [
    f'{len(entries)} runs in {shards} shards of {_per_shard(entries, shards)},'
    f' {sum(entry.epochs for entry in entries)} epochs; each shard on'
    f' {accelerator.spelling}, {accelerator.chips} x'
    f' {accelerator.gigabytes} GB, spot',
    f'price: {shards} shards x hours x the price of an hour, which sky shows'
    ' before it launches',
    'what has ended in the bucket is not looked up here; the tasks skip it',
  ]
  return '\n'.join(lines + _hints(entries, accelerator, pack))


def write(
  entries: Sequence[Entry],
  path: pathlib.Path,
  request: Request,
  accelerator: Accelerator,
  *,
  jobs: int | None,
  retries: int,
  pack: int,
  flags: Sequence[str] = (),
) -> str:
  """Writes the YAML file beside a manifest.

  Args:
    entries: the runs.
    path: the manifest, on this machine.
    request: what is asked for.
    accelerator: of each task.
    jobs: as --jobs, of each task.
    retries: as --retries.
    pack: as --pack.
    flags: more flags for every command.

  Returns:
    What to tell the user: which files, and how to launch them.
  """
  shards = request.shards or 1
  flags = [*flags, f'--retries={retries}']
  if jobs is not None:
    flags.append(f'--jobs={jobs}')
  if pack > 1:
    flags.append(f'--pack={pack}')
  target = path.with_suffix('.sky.yaml')
  launch = f'sky jobs launch --num-jobs={shards} {shlex.quote(str(target))}'
  again = f'sky jobs launch --env SHARD=I {shlex.quote(str(target))}'
  body = _render(_task(entries, path, request, accelerator, flags))
  target.parent.mkdir(parents=True, exist_ok=True)
  target.write_text(
    '# Written by launch.py --executor=sky, for SkyPilot 0.14.\n'
    f'# All shards:    {launch}\n'
    f'# One of them:   {again}\n{body}'
  )
  lines = [
    f'manifest: {path}',
    f'jobs: {target}, {shards} shards of {_per_shard(entries, shards)} runs',
    f'launch with: {launch}',
    f'one shard again, I from 0 to {shards - 1}: {again}',
  ]
  return '\n'.join(lines + _hints(entries, accelerator, pack))


def _task(
  entries: Sequence[Entry],
  path: pathlib.Path,
  request: Request,
  accelerator: Accelerator,
  flags: Sequence[str],
) -> Mapping[str, Any]:
  shards = request.shards or 1
  schemes = {_scheme(entry.workdir) or '' for entry in entries}
  resources: dict[str, Any] = {'accelerators': accelerator.spelling}
  homes = {_BUCKETS[scheme][1] for scheme in schemes}
  if homes <= set(accelerator.clouds):
    # Beside the bucket: that cloud's machines may read it, at no charge.
    resources['infra'] = min(homes)
  elif len(accelerator.clouds) == 1:
    resources['infra'] = accelerator.clouds[0]
  if accelerator.runtime is not None:
    resources['accelerator_args'] = {'runtime_version': accelerator.runtime}
  resources |= {
    'use_spot': True,
    'job_recovery': {
      'strategy': 'EAGER_NEXT_REGION',
      'recover_on_exit_codes': [ExitCode.PREEMPTED, _TERMINATED],
    },
  }
  shipped = f'{_SHIPPED}/{path.name}'
  mounts = {shipped: str(path.resolve())}
  packages = [accelerator.jax, *sorted(_BUCKETS[x][0] for x in schemes)]
  if request.data_dir is not None:
    data = request.data_dir
    mounts[_DATA] = data if _scheme(data) else os.path.abspath(data)
  elif any(not entry.id.startswith('digits-') for entry in entries):
    packages.append('tensorflow')  # Which prepares data, once a machine.
  return {
    'name': _job_name(path),
    'workdir': str(REPOSITORY),
    'resources': resources,
    # SHARD='': the number that sky gives to each of --num-jobs.
    'envs': {'SHARD': '', 'SHARDS': str(shards)},
    'file_mounts': mounts,
    'setup': setup(packages),
    'run': _RUN.format(
      environment=_ENVIRONMENT,
      manifest=shipped.replace('~', '$HOME'),
      flags=' '.join(flags),
    ),
  }


_RUN = """\
set -e
if [ -z "$SHARD" ] && [ "$SKYPILOT_NUM_JOBS" != "$SHARDS" ]; then
  echo "error: launch with --num-jobs=$SHARDS or --env SHARD=I" >&2
  exit 2
fi
exec "{environment}/bin/python" launch.py \\
  --manifest="{manifest}" \\
  --shard="${{SHARD:-$SKYPILOT_JOB_RANK}}/$SHARDS" \\
  --executor=local {flags}
"""


def setup(packages: Sequence[str]) -> str:
  """The commands that make a machine ready: an environment of its own.

  Its Python is uv's: the images of TPU machines bring one that is too old.

  Args:
    packages: what is to be installed besides requirements.txt.
  """
  wanted = ' '.join(shlex.quote(package) for package in packages)
  return (
    'set -e\n'
    'export PATH="$HOME/.local/bin:$PATH"\n'
    'command -v uv || curl -LsSf https://astral.sh/uv/install.sh | sh\n'
    f'uv venv --allow-existing --python=3.11 "{_ENVIRONMENT}"\n'
    f'uv pip install --python="{_ENVIRONMENT}" -r requirements.txt {wanted}\n'
  )


def _hints(
  entries: Sequence[Entry], accelerator: Accelerator, pack: int
) -> list[str]:
  hints = []
  schemes = {_scheme(entry.workdir) or '' for entry in entries}
  for scheme in sorted(schemes):
    home = _BUCKETS[scheme][1]
    if home not in accelerator.clouds:
      hints.append(
        f'hint: {accelerator.spelling} is not to be had at {home}, where the'
        f' {scheme}:// bucket is: its machines need credentials for it, and'
        ' pay for what leaves it'
      )
  if accelerator.is_tpu and accelerator.chips > 1 and pack == 1:
    hints.append(
      f'hint: each run gets all {accelerator.chips} chips; --pack='
      f'{accelerator.chips} trains as many runs of equal shape, one a chip'
    )
  return hints


def _scheme(path: str) -> str | None:
  """'gs' of gs://BUCKET..., None if it is no bucket that is known."""
  match = re.fullmatch(r'(\w+)://[^/]+.*', path)
  return match[1] if match and match[1] in _BUCKETS else None


def _per_shard(entries: Sequence[Entry], shards: int) -> str:
  least, most = len(entries) // shards, math.ceil(len(entries) / shards)
  return str(most) if least == most else f'{least} or {most}'


def _config_file(command: Sequence[str]) -> str:
  flag = '--config='
  found = [x.removeprefix(flag) for x in command if x.startswith(flag)]
  return found[0].partition(':')[0]


def _job_name(path: pathlib.Path) -> str:
  return re.sub('[^a-z0-9]+', '-', f'sce-jax-{path.stem}'.lower()).strip('-')


class _Dumper(yaml.SafeDumper):
  """Writes scripts as they are read."""


_Dumper.add_representer(
  str,
  lambda dumper, text: dumper.represent_scalar(
    'tag:yaml.org,2002:str', text, style='|' if '\n' in text else None
  ),
)


def _render(task: Mapping[str, Any]) -> str:
  return yaml.dump(dict(task), Dumper=_Dumper, sort_keys=False, width=10_000)
