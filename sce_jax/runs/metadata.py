"""What a run was started with: versions, devices, commit, command."""

import datetime
import importlib.metadata
import os
import pathlib
import platform
import subprocess
import sys
from typing import Any

from sce_jax.storage import digests

# What of this package decides a run's figures.
_ROOMS = ('data', 'engine', 'losses', 'methods', 'models', 'noise', 'parallel')
_PACKAGES = ('jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'numpy')


def describe(config: dict[str, Any]) -> dict[str, Any]:
  """The content of config.json for a run that starts now."""
  return {
    'config': config,
    'command': sys.argv,
    'created': datetime.datetime.now(datetime.UTC).isoformat(
      timespec='seconds'
    ),
    **environment(),
    'git_commit': _git_commit(),
    'code': code(),
  }


def environment() -> dict[str, Any]:
  """What a process computes with: versions and devices."""
  import jax  # noqa: PLC0415  Reading folders does not need it.

  return {
    'python': sys.version.split()[0],
    'versions': {name: importlib.metadata.version(name) for name in _PACKAGES},
    'devices': [f'{d.platform} {d.device_kind}' for d in jax.devices()],
    'processor': processor(),
  }


def code() -> dict[str, str]:
  """A digest of each file that decides a run's figures."""
  root = pathlib.Path(__file__).parent.parent
  found = [root / 'loop.py', root / 'train.py']
  found += [x for room in _ROOMS for x in (root / room).rglob('*.py')]
  return {
    x.relative_to(root).as_posix(): digests.of_bytes(x.read_bytes())[:8]
    for x in sorted(found)
  }


def processor() -> str:
  """The CPU's name and its number of cores that this process may use."""
  try:
    lines = pathlib.Path('/proc/cpuinfo').read_text().splitlines()
  except OSError:  # No Linux.
    lines = []
  names = [x.partition(':')[2].strip() for x in lines if 'model name' in x]
  count = len(os.sched_getaffinity(0)) if lines else os.cpu_count()
  cores = '1 core' if count == 1 else f'{count} cores'
  return f'{names[0] if names else platform.processor()}, {cores}'


def _git_commit() -> str | None:
  git = ['git', '-C', str(pathlib.Path(__file__).parent)]
  try:
    commit = subprocess.run(
      [*git, 'rev-parse', 'HEAD'], capture_output=True, text=True, check=True
    ).stdout.strip()
    changed = subprocess.run(
      [*git, 'status', '--porcelain', '--untracked-files=no'],
      capture_output=True,
      text=True,
      check=True,
    ).stdout.strip()
  except (OSError, subprocess.CalledProcessError):  # Not a checkout.
    return None
  return commit + (' with changes' if changed else '')
