"""What .importlinter cannot say of imports."""

import ast
import os
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

FILES = sorted((REPOSITORY / 'sce_jax').rglob('*.py'))


def imported(path):
  """All modules that a file names in an import."""
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      yield from (f'{node.module}.{alias.name}' for alias in node.names)


def test_only_parallel_knows_pmap():
  knowing = [
    str(path.relative_to(REPOSITORY))
    for path in FILES
    if any(
      isinstance(node, ast.Attribute) and node.attr == 'pmap'
      for node in ast.walk(ast.parse(path.read_text()))
    )
  ]
  assert knowing == ['sce_jax/parallel/runners.py']


def test_configs_import_ml_collections_and_fields_only():
  for path in (REPOSITORY / 'configs').glob('*.py'):
    others = {
      name
      for name in imported(path)
      if name.split('.')[0] not in sys.stdlib_module_names
      and name.split('.')[0] not in ('ml_collections', 'configs')
    }
    # These are as light.
    light = {f'sce_jax.config.{name}' for name in ('base', 'fields', 'own')}
    assert others <= light


@pytest.mark.parametrize(
  'name',
  ['', 'noise', 'configs.own', 'launch', 'experiments.sweeps.request'],
)
def test_light_parts_do_not_import_jax(name):
  module = {'': 'sce_jax', 'noise': 'sce_jax.noise'}.get(name, name)
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
