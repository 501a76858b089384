"""What is written of a run's network, and what is never replaced."""

import json
import re
import shutil

import jax
from jax import export as jax_export
import numpy as np
from PIL import Image
import pytest
from safetensors import numpy as safetensors
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

import sce_jax
from sce_jax import export
from sce_jax.runs import files, restore
from sce_jax.storage import paths
from tests.data.reading import told
from tests.export.exported import IMAGES, RTOL, change, content_of
from tests.faults import inject


def test_several_networks_are_exported_as_the_first(several):
  tensors = safetensors.load(
    (several.folder / 'model.safetensors').read_bytes()
  )
  state = restore.load(several.run).state
  kernels = state.params['conv2']['kernel']
  assert kernels.shape == (2, 3, 3, 4, 8)
  np.testing.assert_array_equal(tensors['params.conv2.kernel'], kernels[0])
  np.testing.assert_array_equal(
    tensors['batch_stats.conv2_bn.var'],
    state.batch_stats['conv2_bn']['var'][0],
  )
  assert {x.dtype for x in tensors.values()} == {np.dtype('float32')}


def test_the_program_is_for_all_platforms_and_has_no_layout_of_cpus(plain):
  program = jax_export.deserialize(
    bytearray((plain.folder / 'model.jax_export').read_bytes())
  )
  assert program.platforms == ('cpu', 'cuda', 'tpu')
  text = str(program.mlir_module())
  # Each platform has its own copy of 2 convolutions and 2 products; the layout
  # for CPUs has products only, and transposes.
  assert text.count('stablehlo.convolution(') == 2 * 3
  assert text.count('stablehlo.dot_general') == 2 * 3
  assert 'stablehlo.transpose' not in text
  assert set(re.findall(r'dim_numbers = (\[[^]]*\]).*->(\[[^]]*\])', text)) == {
    ('[b, 0, 1, f]', '[b, 0, 1, f]')
  }


def test_the_folder_says_what_it_is(plain, several):
  info = sce_jax.load(plain.folder).info
  assert info['metrics'] == files.read_result(plain.run)
  assert info['input'] == {
    'shape': [8, 8, 1],
    'dtype': 'uint8',
    'decoding': {'version': 1, 'resize': None, 'scale': None},
  }
  record = json.loads((plain.run / 'dataset.json').read_text())
  assert info['data']['digest'] == record['digest']
  assert info['normalization']['mean'] == record['info']['mean']
  assert info['versions'] == {
    'jax': jax.__version__,
    'sce_jax': sce_jax.__version__,
  }
  assert (info['run']['epoch'], info['run']['loss']['name']) == (2, 'sl')
  assert info['network']['name'] == 'two_convolutions'
  # It has not ended.
  assert sce_jax.load(several.folder).info['metrics'] is None


@pytest.mark.faults
def test_figures_are_those_of_the_exported_epoch(plain, tmp_path):
  run = shutil.copytree(plain.run, tmp_path / 'run')
  newest = max(run.glob('checkpoints/[0-9]*'), key=lambda x: int(x.name))
  inject.damage(newest / 'extra' / 'metadata', 'flipped bit')
  export.export(run, tmp_path / 'model')
  info = sce_jax.load(tmp_path / 'model').info
  assert info['run']['epoch'] == 1
  assert info['metrics'] == files.read_metrics(run)[0]


def test_its_readme_runs(plain, tmp_path, monkeypatch, capsys):
  folder = plain.copy(tmp_path)
  monkeypatch.chdir(folder)
  (folder / 'photos').mkdir()
  Image.fromarray(IMAGES[0, ..., 0]).save(folder / 'photos' / 'a.png')
  page = Sybil([PythonCodeBlockParser()]).parse(folder / 'README.md')
  page.namespace['images'] = IMAGES
  found = []
  for example in page.examples():
    example.evaluate()
    found.append(np.asarray(page.namespace['probabilities']))
    if len(found) == 1:
      names = [str(x) for x in found[0].argmax(axis=1)]
      assert page.namespace['names'] == names
    page.namespace['images'] = IMAGES  # As a name it is used twice.
  first, _, last = found
  np.testing.assert_allclose(first, last, rtol=RTOL)
  assert capsys.readouterr().out.startswith("['a.png'] [[")


def test_nothing_else_is_replaced(plain, tmp_path):
  (tmp_path / 'file').write_text('mine')
  copy = plain.copy(tmp_path)
  (copy / 'notes.txt').write_text('mine')
  foreign = tmp_path / 'foreign'
  foreign.mkdir()
  (foreign / 'model.safetensors').write_text('mine')
  before = content_of(tmp_path)
  for out, reason in (
    (tmp_path / 'file', 'is a file'),
    (tmp_path / 'file' / 'below', 'cannot be written'),
    (copy, 'holds notes.txt, which is not of an exported network'),
    (plain.run, 'which is not of an exported network'),
    (foreign, 'is there and would be replaced'),
  ):
    assert reason in told(export.export, plain.run, out)
  assert content_of(tmp_path) == before


@pytest.mark.faults
def test_an_export_appears_whole_or_not_at_all(plain, tmp_path):
  copy = plain.copy(tmp_path)
  change(copy, created='before')
  (copy / 'model.onnx').write_text('of the earlier network')
  before = content_of(tmp_path)
  with inject.files_no_larger(2000):
    for out in (copy, tmp_path / 'new'):
      assert told(export.export, plain.run, out) == (
        f'{out} cannot be written (File too large): make room, or name another'
        ' with --out'
      )
  assert content_of(tmp_path) == before
  assert not (tmp_path / 'new').exists()
  assert export.export(plain.run, copy) == copy
  assert sce_jax.load(copy).info['created'] != 'before'
  assert {x.name for x in copy.iterdir()} == {
    x.name for x in plain.folder.iterdir()
  }
  assert [x.name for x in tmp_path.iterdir()] == ['copy']


def test_an_export_can_be_in_a_cloud(plain, cloud):
  address, _ = cloud()
  for _ in range(2):  # The second replaces the first.
    export.export(plain.run, f'{address}/model')
  found = sce_jax.load(f'{address}/model').predict_proba(IMAGES)
  np.testing.assert_allclose(found, plain.expected, rtol=RTOL)
  paths.write(paths.path(f'{address}/model/notes.txt'), 'mine')
  assert 'holds notes.txt' in told(export.export, plain.run, f'{address}/model')


def test_a_run_without_a_checkpoint_is_refused(plain, tmp_path):
  copy = shutil.copytree(plain.run, tmp_path / 'run')
  shutil.rmtree(files.checkpoints(copy))
  said = told(export.export, copy, tmp_path / 'model')
  assert 'has no checkpoint yet' in said
  assert not (tmp_path / 'model').exists()
