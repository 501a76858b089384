"""Imports run one way, as the design says; a look at the source."""

import ast
import os
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

# What each part of sce_jax may import of the others.
ALLOWED = {
  'errors': set(),
  'losses': set(),
  'files': {'errors'},
  'noise': {'files'},
  'models': set(),
  'fields': set(),
  'metrics': set(),
  'd2l': set(),
  'anchors': set(),
  'parallel': set(),
  'optim': set(),
  'cluster': {'distributed', 'errors'},
  'distributed': {'errors'},
  'preemption': {'distributed'},
  'progress': {'distributed'},
  'compilation_cache': set(),
  'data': {'distributed', 'files', 'noise', 'errors'},
  'train_state': {'metrics'},
  'predict': {'data', 'train_state'},
  'steps': {'metrics', 'parallel', 'train_state'},
  'evaluate': {'data', 'metrics', 'parallel', 'steps', 'train_state'},
  'epoch': {'data', 'metrics', 'parallel', 'steps', 'train_state'},
  'checkpointing': {'distributed', 'files', 'train_state'},
  'config': {
    'data',
    'errors',
    'fields',
    'losses',
    'models',
    'optim',
    'parallel',
  },
  'trials': {'errors', 'fields'},
  'holding': {'files'},
  'provenance': set(),
  'trackers': {'errors', 'files'},
  'workdir': {
    'data',
    'distributed',
    'errors',
    'fields',
    'files',
    'holding',
    'noise',
    'progress',
    'provenance',
    'trackers',
  },
}
ON_TOP = {'program', 'run', 'inference', 'loop', 'train'}
# Packages that only one file, or no file of a part, may know.
ONLY_IN = {
  'orbax': {'sce_jax/checkpointing.py'},
  'tensorboardX': {'sce_jax/trackers.py'},
  'etils': {'sce_jax/files.py'},
  'fsspec': {'sce_jax/files.py'},
  'tqdm': {'sce_jax/progress.py'},
  'tensorflow': set(),
}
NEVER_IN = {
  'losses': {'flax', 'tensorflow_datasets', 'optax'},
  'noise': {'flax', 'tensorflow_datasets', 'jax', 'optax'},
}
FILES = sorted((REPOSITORY / 'sce_jax').rglob('*.py'))


def imported(path):
  """All modules that a file names in an import."""
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      yield from (f'{node.module}.{alias.name}' for alias in node.names)


def part(path):
  """'losses' for sce_jax/losses/table.py, 'steps' for sce_jax/steps.py."""
  return path.relative_to(REPOSITORY / 'sce_jax').parts[0].removesuffix('.py')


@pytest.mark.parametrize('path', FILES, ids=lambda p: str(p.name))
def test_imports_run_one_way(path):
  own = part(path)
  names = list(imported(path))
  others = {
    name.split('.')[1] for name in names if name.startswith('sce_jax.')
  } - {own}
  if own not in ON_TOP and own != '__init__':
    assert others <= ALLOWED[own]
  assert not {n.split('.')[0] for n in names} & {'experiments', 'configs'}


@pytest.mark.parametrize('path', FILES, ids=lambda p: str(p.name))
def test_packages_stay_where_they_belong(path):
  packages = {name.split('.')[0] for name in imported(path)}
  where = str(path.relative_to(REPOSITORY))
  for package, files in ONLY_IN.items():
    assert package not in packages or where in files
  assert not packages & NEVER_IN.get(part(path), set())


def test_only_parallel_knows_pmap():
  knowing = [
    str(path.relative_to(REPOSITORY))
    for path in FILES
    if any(
      isinstance(node, ast.Attribute) and node.attr == 'pmap'
      for node in ast.walk(ast.parse(path.read_text()))
    )
  ]
  assert knowing == ['sce_jax/parallel.py']


def test_configs_import_ml_collections_only():
  for path in (REPOSITORY / 'configs').glob('*.py'):
    packages = {name.split('.')[0] for name in imported(path)}
    assert packages - sys.stdlib_module_names <= {'ml_collections', 'configs'}


@pytest.mark.parametrize(
  'name', ['noise', 'configs.mnist', 'launch', 'experiments.sweeps.command']
)
def test_light_parts_do_not_import_jax(name):
  module = name if name != 'noise' else 'sce_jax.noise'
  code = (
    f'import {module}, sys; sys.exit("jax" in sys.modules and "jax came too")'
  )
  env = {k: v for k, v in os.environ.items() if not k.startswith('COV')}
  done = subprocess.run(
    [sys.executable, '-c', code],
    cwd=REPOSITORY,
    env=env,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
