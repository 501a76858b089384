"""An ONNX program is added to an export once it gives its probabilities."""

import os
import subprocess
import sys
import types

import numpy as np
import pytest

import sce_jax
from sce_jax import export, onnx
from sce_jax.config.check import check_config
from sce_jax.runs.run import TrainingRun
from tests import conftest, synthetic
from tests.data.reading import told
from tests.export.exported import IMAGES, content_of


@pytest.fixture
def libraries(plain, monkeypatch):
  """Stands in for both libraries; returns how they may be at fault."""
  model = sce_jax.load(plain.folder)
  faults = {'convert': None, 'add': 0.0}

  def to_onnx(function, inputs, **names):
    del function, names
    if faults['convert']:
      raise faults['convert']
    (images,) = inputs
    assert images.shape == ('N', 8, 8, 1)
    return types.SimpleNamespace(SerializeToString=lambda: b'program')

  class InferenceSession:
    def __init__(self, content, providers):
      assert (content, providers) == (b'program', ['CPUExecutionProvider'])

    def run(self, outputs, inputs):
      del outputs
      found = model.predict_proba(inputs['images'])
      return [found + np.float32(faults['add'])]

  for name, value in (
    ('jax2onnx', {'to_onnx': to_onnx}),
    ('onnxruntime', {'InferenceSession': InferenceSession}),
  ):
    module = types.ModuleType(name)
    vars(module).update(value)
    monkeypatch.setitem(sys.modules, name, module)
  return faults


def test_it_is_added(libraries, plain, tmp_path):
  copy = plain.copy(tmp_path)
  for _ in range(2):  # The second replaces the first.
    assert onnx.add(copy) == copy / 'model.onnx'
    assert (copy / 'model.onnx').read_bytes() == b'program'
    readme = (copy / 'README.md').read_text()
    assert readme.count("onnxruntime.InferenceSession('model.onnx')") == 1
  info = sce_jax.load(copy).info
  before = sce_jax.load(plain.folder).info
  # Of b'program'; by sha256sum.
  assert info['sha256'].pop('model.onnx').startswith('1310ca2c8932')
  assert info == before


@pytest.mark.parametrize(
  ('fault', 'reason'),
  [
    ({'add': 0.01}, 'gives other probabilities for two_conv'),
    ({'add': np.nan}, 'gives other probabilities for two_conv'),
    ({'convert': KeyError('a\nb')}, "as an ONNX program ('a\\nb')"),
  ],
)
def test_what_is_not_the_network_is_not_written(
  fault, reason, libraries, plain, tmp_path
):
  libraries.update(fault)
  copy = plain.copy(tmp_path)
  before = content_of(copy)
  assert reason in told(onnx.add, copy)
  assert content_of(copy) == before


def test_what_is_no_export_is_refused(libraries, plain):
  assert 'holds no exported network' in told(onnx.add, plain.run)


@pytest.mark.process
def test_onnx_runtime_gives_the_probabilities(tmp_path):
  python = os.environ.get('SCE_ONNX_PYTHON')
  if not python:
    pytest.skip('no Python with requirements-onnx.txt (SCE_ONNX_PYTHON)')
  # A network that the other process knows, too.
  config = synthetic.config()
  config.model.name = 'digits_cnn'
  trainer, inputs, _ = synthetic.program([config])
  run = TrainingRun.open(
    check_config(config), tmp_path / 'run', synthetic.data()
  )
  run.save(trainer.init(inputs), 0.0)
  run.close()
  folder = export.export(tmp_path / 'run', tmp_path / 'model')
  np.save(tmp_path / 'images.npy', IMAGES)
  code = f"""
import numpy, onnxruntime
session = onnxruntime.InferenceSession({str(folder / 'model.onnx')!r})
images = numpy.load({str(tmp_path / 'images.npy')!r})
found = session.run(None, {{'images': images}})[0]
numpy.save({str(tmp_path / 'found.npy')!r}, found)
"""
  for command in (
    ['launch.py', 'export', f'--model={folder}', '--format=onnx'],
    ['-c', code],
  ):
    subprocess.run(
      [python, *command],
      cwd=conftest.REPOSITORY,
      env={'PATH': os.environ['PATH'], 'JAX_PLATFORMS': 'cpu'},
      check=True,
    )
  np.testing.assert_allclose(
    np.load(tmp_path / 'found.npy'),
    sce_jax.load(folder).predict_proba(IMAGES),
    rtol=1e-4,
  )
