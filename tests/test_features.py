"""Feature vectors through every command, from one run."""

import csv
import json
import re

import numpy as np
import pytest

from experiments.cli import runtime
import sce_jax
from sce_jax.exit_codes import ExitCode
from sce_jax.runs import dataset_record, files, restore
from tests import browser

# How ml_collections reads a config file.
pytestmark = pytest.mark.filterwarnings('ignore:the load_module')

SIZE, DIMENSIONS = 96, 6
CENTRES = np.random.default_rng(0).normal(size=(3, DIMENSIONS))


def embeddings(size, seed):
  """Three clusters, one label in seven wrong, and a constant feature."""
  rng = np.random.default_rng(seed)
  true = np.arange(size) % 3
  x = 100 * (CENTRES[true] + 0.1 * rng.normal(size=(size, DIMENSIONS)))
  x[:, 2] = 7
  given = np.where(np.arange(size) % 7 == 0, (true + 1) % 3, true)
  return x, given, true


class Own:
  """A file of features, and what is made of it."""

  def __init__(self, folder):
    self.folder, self.run = folder, folder / 'run'
    self.path = folder / 'clip.npz'
    self.x, given, true = embeddings(SIZE, 1)
    names = np.array(['cat', 'cow', 'dog'])
    np.savez(self.path, x=self.x, y=names[given], clean_labels=names[true])

  def launch(self, command, *more, config=True):
    flags = [
      '--config=configs/own.py:sl,clean,0,tiny',
      '--config.data.limit=None',
      f'--config.data.path={self.path}',
      '--config.train.epochs=8',
      '--config.data.held_out=0.25',
    ]
    return runtime.run(['launch.py', command, *(flags * config), *more])


@pytest.fixture(scope='module')
def data(tmp_path_factory):
  made = Own(tmp_path_factory.mktemp('features'))
  assert made.launch('train', f'--workdir={made.run}') == 0
  return made


def test_a_run_learns_them(data):
  info, _ = dataset_record.read(data.run)
  assert info.image_shape == (DIMENSIONS,) and info.class_names[2] == 'dog'
  config = files.read_config(data.run)
  assert config['model']['name'] == 'mlp'
  result = files.read_result(data.run)
  assert result['test']['accuracy'] > 0.9
  assert result['memorised'] is not None and not info.noisy_test


@pytest.mark.landing
def test_it_is_evaluated_and_reported(data, capsys):
  flag = f'--workdir={data.run}'
  assert data.launch('evaluate', flag, config=False) == 0
  assert 'test split, 24 examples' in capsys.readouterr().out
  assert data.launch('report', flag, config=False) == 0
  assert (data.run / 'report' / 'report.md').exists()


def test_an_export_predicts_from_a_file(data, capsys):
  model, out = data.folder / 'model', data.folder / 'predictions.csv'
  flags = f'--workdir={data.run}', f'--out={model}'
  assert data.launch('export', *flags, config=False) == 0
  assert f'float32 feature vectors [N, {DIMENSIONS}]' in (
    (model / 'README.md').read_text()
  )
  expected, _ = restore.load(data.run).predict(data.x)
  loaded = sce_jax.load(model)
  np.testing.assert_allclose(loaded.predict_proba(data.x), expected, rtol=2e-5)
  # Without the program the network is built from the parameters.
  (model / 'model.jax_export').unlink()
  built = sce_jax.load(model)
  np.testing.assert_allclose(built.predict_proba(data.x), expected, rtol=2e-5)

  flags = f'--model={model}', f'--out={out}'
  predict = ('predict', *flags)
  assert data.launch(*predict, f'--images={data.path}', config=False) == 0
  with open(out) as file:
    rows = list(csv.DictReader(file))
  assert [int(row['label']) for row in rows] == expected.argmax(1).tolist()
  assert [row['index'] for row in rows] == [str(i) for i in range(SIZE)]
  np.save(data.folder / 'wide.npy', np.zeros((2, 9)))
  np.save(data.folder / 'nan.npy', data.x * np.nan)
  (data.folder / 'picture.png').write_text('')
  for name, message in (
    ('wide.npy', 'holds float64 of shape [2, 9], but the network takes feat'),
    ('nan.npy', 'row 0, column 0 is nan'),
    ('picture.png', 'takes feature vectors [N, 6]: name an .npy'),
  ):
    capsys.readouterr()
    code = data.launch(*predict, f'--images={data.folder / name}', config=False)
    (line,) = capsys.readouterr().err.splitlines()
    assert (code, message in line) == (ExitCode.BAD_INPUT, True), line


@pytest.mark.slow  # Several trainings.
def test_an_audit_finds_the_wrong_labels_and_they_are_relabelled(data, capsys):
  folder = data.folder / 'audit'
  held = '--config.data.held_out=0'
  flags = held, '--folds=2', f'--workdir={folder}'
  assert data.launch('audit', *flags) == 0
  found = re.search(r'AUROC +(\S+)', capsys.readouterr().out)
  assert found and float(found[1]) > 0.9
  source = (folder / 'audit.html').read_text()
  (embedded,) = re.findall(r'id="data">(.*?)</script>', source, re.DOTALL)
  assert json.loads(embedded)['image'] is None
  if browser.CHROMIUM:
    script = """
      const card = document.querySelector('.card');
      result = [document.images.length, card.textContent];
    """
    images, text = browser.evaluate(source, script, data.folder)
    assert images == 0 and text.startswith('1. example ')
  choices = folder / 'suggestions.csv'
  code = data.launch(
    'compare',
    held,
    '--losses=sl',
    f'--trials=data.relabel=None,{choices}',
    f'--workdir={data.folder / "compared"}',
  )
  assert code == 0


def test_another_file_in_its_place_is_refused(data, tmp_path, capsys):
  other = Own(tmp_path)
  np.savez(other.path, x=other.x + 1, y=np.arange(SIZE) % 3)
  code = other.launch('train', f'--workdir={data.run}')
  (line,) = capsys.readouterr().err.splitlines()
  assert code == ExitCode.BAD_INPUT and len(line) < 800
