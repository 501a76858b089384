"""Data without a test split, or of which nobody knows the true labels."""

import csv
import pathlib

import pytest

from experiments.cli import runtime
from experiments.sweeps import driver, jobs, manifest
from sce_jax.runs import dataset_record, files
from tests.data import animals

pytestmark = pytest.mark.usefixtures('small_network')

TEST = {'test': animals.examples(*([0, 1, 2] * 8))}
TRAIN = {'train': animals.examples(*([0, 1, 2] * 16))}
OWN = """
from configs import digits

def get_config(argument=None):
  c = digits.get_config(argument)
  c.data.name = 'animals'
  c.data.pixel_max = 255.0
  c.data.mean = c.data.std = None
  c.data.clean_labels = {is_clean}
  c.train.batch_size = 16
  return c
"""


class Data:
  """A tfds folder and what is trained on it.

  Attributes:
    has_test: whether there is a test split.
    is_clean: whether the labels are the true ones.
    folder: for the runs.
  """

  def __init__(self, folder: pathlib.Path, has_test: bool, is_clean: bool):
    self.has_test, self.is_clean = has_test, is_clean
    self.folder = folder / 'runs'
    self._data_dir = folder / 'data'
    animals.write(self._data_dir, splits=TRAIN | (TEST if has_test else {}))
    (folder / 'own.py').write_text(OWN.format(is_clean=is_clean))
    self.file = str(folder / 'own.py')

  @property
  def config(self) -> str:
    noise = 'symmetric,0.4' if self.is_clean else 'clean,0.0'
    return f'--config={self.file}:sl,{noise},tiny'

  def run(self, *arguments, workdir):
    return runtime.run(['launch.py', *arguments, f'--workdir={workdir}'])

  @property
  def data_dir(self) -> str:
    return f'--data_dir={self._data_dir}'


@pytest.fixture(
  scope='module',
  params=[
    pytest.param((False, True), id='no test split'),
    pytest.param((True, False), id='no clean labels'),
    pytest.param((False, False), id='neither', marks=pytest.mark.slow),
  ],
)
def data(request, tmp_path_factory):
  folder = tmp_path_factory.mktemp('unusual')
  return Data(folder, *request.param)


@pytest.fixture(scope='module')
def trained(data, small_network):
  """A run that has ended: launch.py's code, and the run's folder."""
  folder = data.folder / 'one'
  return data.run(data.config, data.data_dir, workdir=folder), folder


def test_a_run_ends_with_what_is_known(data, trained):
  code, folder = trained
  assert code == 0
  result = files.read_result(folder)
  assert (result['test'] is not None) == data.has_test
  assert (result['test_accuracy'] is not None) == data.has_test
  assert (result['memorised'] is not None) == data.is_clean
  assert (result['realised_rate'] is not None) == data.is_clean
  assert 0 <= result['train_eval']['accuracy_noisy'] <= 1
  for record in files.read_metrics(folder):
    assert ('test' in record) == data.has_test
  assert (files.read_noise(folder) is not None) == data.is_clean
  info, _ = dataset_record.read(folder)
  assert info.class_names == animals.CLASSES
  assert (info.num_test > 0, info.clean_labels) == (
    data.has_test,
    data.is_clean,
  )
  with open(folder / 'results.csv') as file:
    (row,) = csv.DictReader(file)
  assert (row['test_accuracy'] != '') == data.has_test


def test_it_is_evaluated(data, trained, capsys):
  _, folder = trained
  capsys.readouterr()
  assert data.run('evaluate', data.data_dir, workdir=folder) == 0
  out = capsys.readouterr().out
  assert ('test split, 24 examples' in out) == data.has_test
  assert 'training split, 40 examples' in out
  assert ('memorised' in out) == data.is_clean


def test_its_report_is_written(data, trained):
  assert trained[0] == 0
  assert data.run('report', workdir=data.folder) == 0
  text = (data.folder / 'report' / 'report.md').read_text()
  assert '1 finished' in text
  assert 'nan' not in text and 'None' not in text


class NoExecutor:
  """Nothing is left for it."""

  slots = 1


def test_a_sweep_counts_it_as_done(data, trained, tmp_path):
  _, folder = trained
  entry = manifest.Entry('one', str(folder), {})
  packed = jobs.pack([entry], 1, [])
  assert driver.Driver(packed, NoExecutor(), retries=0).run() == {}


def test_runs_on_it_are_compared(data, capsys):
  folder = data.folder.parent / 'compared'
  code = data.run(
    'compare',
    data.config,
    data.data_dir,
    '--seeds=1',
    '--losses=ce,sl',
    workdir=folder,
  )
  assert code == 0
  (row,) = (
    line
    for line in capsys.readouterr().out.splitlines()
    if line.startswith('cross entropy (CE)')
  )
  assert row.split()[3:].count('-') == 2 * (not data.has_test) + (
    not data.is_clean
  )
  assert (folder / 'comparison.png').exists()


@pytest.mark.landing
def test_an_experiment_takes_a_config_file_of_ones_own(tmp_path):
  data = Data(tmp_path, has_test=True, is_clean=True)
  code = data.run(
    'experiment',
    'confidence',
    f'--dataset={data.file}',
    '--scale=tiny',
    data.data_dir,
    workdir=data.folder,
  )
  assert code == 0
  text = (data.folder / 'confidence-own-tiny' / 'report.md').read_text()
  assert '2 finished' in text


def test_experiments_show_test_accuracy(data, trained, tmp_path, capsys):
  """What has none is refused before the first run, and has no page."""
  if data.has_test:
    pytest.skip('these data have a test split')
  capsys.readouterr()
  flags = [f'--dataset={data.file}', '--scale=tiny', data.data_dir]
  assert data.run('experiment', 'ablation', *flags, workdir=tmp_path) == 2
  (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
  assert line == (
    "error: experiments show test accuracy, and data set 'animals' has no test"
    ' split: use compare or report'
  )
  assert not list(tmp_path.iterdir())
