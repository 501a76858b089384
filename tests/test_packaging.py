"""sce_jax as a package: what it asks for, and what is in its wheel."""

import importlib.metadata
import os
import subprocess
import sys
import tomllib
import zipfile

import pytest

import sce_jax
from sce_jax.storage import paths
from tests import test_imports
from tests.conftest import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / 'sce_jax/pyproject.toml').read_text())[
  'project'
]


# In an environment of their own.
ONNX = ('jax2onnx', 'onnxruntime')


def requirements(file):
  lines = (REPOSITORY / file).read_text().splitlines()
  return {line for line in lines if line and not line.startswith('#')}


def test_its_dependencies_are_those_of_requirements_txt():
  asked = PROJECT['dependencies']
  assert set(asked) <= requirements('requirements.txt')
  extras = PROJECT['optional-dependencies']
  assert extras['cloud'] == extras['s3'] + extras['gs']
  (jax,) = (line for line in asked if line.startswith('jax>'))
  for name, device in (('cuda', 'cuda13'), ('tpu', 'tpu')):
    assert extras[name] == [jax.replace('jax', f'jax[{device}]')]
  for name in ('s3', 'gs'):
    (line,) = extras[name]
    assert line in requirements('tests/requirements.txt')
    # What the error asks pip for when the package is missing.
    assert line.startswith(paths._BACKENDS[name][1])


def test_so_are_those_of_the_environment_for_onnx():
  own = {
    line
    for line in requirements('sce_jax/requirements-onnx.txt')
    if not line.startswith(ONNX)
  }
  assert own < requirements('requirements.txt')
  # What jax2onnx wants another version of.
  assert not any('orbax' in line for line in own)


def test_it_asks_for_all_that_it_imports():
  names = importlib.metadata.packages_distributions()
  imported = {
    name.split('.')[0]
    for path in test_imports.FILES
    for name in test_imports.imported(path)
  }
  asked = {
    line.partition('>')[0].lower().replace('_', '-')
    for line in PROJECT['dependencies']
  }
  missing = {
    name
    for name in imported - sys.stdlib_module_names - {'sce_jax', *ONNX}
    if not asked & {x.lower().replace('_', '-') for x in names.get(name, ())}
  }
  # orbax-checkpoint stands on the first two; the others are asked for by what
  # needs them, in a line.
  assert missing <= {'etils', 'fsspec', 'huggingface_hub', 'torch'}


def content():
  """What is in the folder, less what Python keeps there."""
  found = (REPOSITORY / 'sce_jax').rglob('*')
  return {x for x in found if '__pycache__' not in x.parts}


@pytest.mark.landing
def test_its_wheel_is_whole_and_can_be_imported(tmp_path):
  before = content()
  subprocess.run(
    [
      *(sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps'),
      *('--no-build-isolation', '--no-index', '-w', tmp_path),
      REPOSITORY / 'sce_jax',
    ],
    check=True,
  )
  assert content() == before
  (wheel,) = tmp_path.iterdir()
  assert wheel.name == f'sce_jax-{sce_jax.__version__}-py3-none-any.whl'
  with zipfile.ZipFile(wheel) as file:
    modules = {x for x in file.namelist() if '.dist-info/' not in x}
    file.extractall(tmp_path / 'site')
  assert modules == {
    path.relative_to(REPOSITORY).as_posix() for path in test_imports.FILES
  }
  code = (
    'import sys, sce_jax; print(sce_jax.__file__, "jax" in sys.modules);'
    'import sce_jax.train; sce_jax.load;'
    'print("configs" in sys.modules or "experiments" in sys.modules)'
  )
  done = subprocess.run(
    [sys.executable, '-c', code],
    cwd=tmp_path,
    env=os.environ | {'PYTHONPATH': str(tmp_path / 'site')},
    capture_output=True,
    text=True,
    check=False,
  )
  found = tmp_path / 'site' / 'sce_jax' / '__init__.py'
  assert done.stdout == f'{found} False\nFalse\n', done.stderr
