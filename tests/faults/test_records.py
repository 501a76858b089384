"""Each file of a run's record, damaged in each way: never believed."""

import dataclasses
import shutil

import numpy as np
import pytest

from experiments.sweeps import manifest
from sce_jax import train
from sce_jax.data import dataset as dataset_lib
from sce_jax.data import label_files
from sce_jax.errors import UserError
from sce_jax.parallel import messages, processes
from sce_jax.runs import files, read, restore
from tests import synthetic
from tests.data.sources import odd
from tests.faults import inject, record_readers

pytestmark = pytest.mark.faults

RECORD = (
  'config.json',
  'dataset.json',
  'noise.npz',
  'noise.json',
  'metrics.jsonl',
  'result.json',
  'data.json',
  'initial.json',
  'validation.npz',
  'prepared.json',
)


# What cannot be made again.
REFUSED = ('config.json', 'metrics.jsonl', 'initial.json', 'validation.npz')
# Two of them in every run of the tests, all with the suite.
DAMAGES = [
  pytest.param(
    x, marks=() if x in ('flipped bit', 'missing') else pytest.mark.slow
  )
  for x in inject.DAMAGES
]


def config():
  made = synthetic.config('forward,symmetric,0.4')  # Which prepares.
  made.model.name = 'digits_cnn'
  made.model.init_from = 'random'
  made.data.validation = 0.2
  return made


@pytest.fixture(scope='module')
def data():
  found = {'path': 'here', 'source': 'of a test', 'image_shape': [8, 8, 1]}
  found |= {'classes': {}, 'notes': [], 'unreadable': [], 'warnings': []}
  return dataclasses.replace(synthetic.data(), summary=found)


@pytest.fixture(scope='module')
def ended(small_network, data, tmp_path_factory):
  folder = tmp_path_factory.mktemp('ended') / 'run'
  train.train_and_evaluate(config(), folder, dataset=data)
  return folder


@pytest.fixture(autouse=True)
def loaded(monkeypatch, data):
  monkeypatch.setattr(dataset_lib, 'load_on_all_processes', lambda *_: data)
  # As where there are several processes: all that is read can be sent.
  monkeypatch.setattr(
    processes,
    'on_primary',
    lambda do: messages.loads(messages.dumps(do())),
  )


def values(folder):
  """What the record says, without the time that it took."""
  result = files.read_result(folder)
  del result['train_seconds']
  return [
    files.read_config(folder),
    files.read_record(folder, 'dataset.json'),
    files.read_record(folder, 'noise.json'),
    files.read_metrics(folder),
    files.read_summary(folder),
    files.read_initial(folder),
    result,
    *(x.tolist() for x in files.read_prepared(folder).values()),
    *(x.tolist() for x in files.read_validation(folder)),
    *(x.tolist() for x in files.read_labels(folder)),
    label_files.read_clean(folder / 'noise.npz').tolist(),
  ]


@pytest.mark.parametrize('what', DAMAGES)
@pytest.mark.parametrize('name', RECORD)
def test_the_same_again_or_refused(name, what, ended, data, tmp_path, capsys):
  folder = tmp_path / 'run'
  shutil.copytree(ended, folder)
  if name != 'result.json':  # Killed just before it had ended.
    (folder / 'result.json').unlink()
  inject.damage(folder / name, what)
  before = inject.contents(folder)
  capsys.readouterr()
  try:
    train.train_and_evaluate(config(), folder, dataset=data)
  except UserError as error:
    assert name in str(error)
    assert name in REFUSED
    assert inject.contents(folder) == before
    return
  assert values(folder) == values(ended)
  if what != 'flipped bit' and name != 'result.json':
    assert f'{folder / name}' in capsys.readouterr().out


@pytest.mark.parametrize('what', inject.DAMAGES)
@pytest.mark.parametrize('name', RECORD)
def test_readers_name_it_and_change_nothing(
  name, what, ended, tmp_path, capsys
):
  folder = tmp_path / 'run'
  shutil.copytree(ended, folder)
  inject.damage(folder / name, what)
  before = inject.contents(folder)
  capsys.readouterr()
  try:
    found = read.find(tmp_path)
  except UserError:  # No other run is there.
    found = []
  said = capsys.readouterr().out
  if found:
    assert found[0].metrics == files.read_metrics(ended)
    assert found[0].result in (None, files.read_result(ended))
  elif (name, what) != ('config.json', 'missing'):
    assert str(folder / name) in said
  assert inject.contents(folder) == before


@pytest.mark.parametrize('name', ['config.json', 'dataset.json', 'noise.npz'])
def test_evaluate_believes_nothing_that_is_damaged(name, ended, tmp_path):
  folder = tmp_path / 'run'
  shutil.copytree(ended, folder)
  for what in inject.DAMAGES:
    content = (folder / name).read_bytes()
    inject.damage(folder / name, what)
    with pytest.raises(UserError, match=name):
      restore.evaluate_run(folder)
    (folder / name).write_bytes(content)


@odd.HOW_FEW
@pytest.mark.parametrize('name', record_readers.READERS)
def test_damaged_records_are_used_or_refused(name, examples, ended, tmp_path):
  folder = record_readers.copy(ended, tmp_path)
  record_readers.check(folder, name, examples)


def test_labels_that_cannot_be_made_again_are_not_replaced(
  ended, data, tmp_path
):
  folder = tmp_path / 'run'
  shutil.copytree(ended, folder)
  (folder / 'result.json').unlink()
  ids, labels = files.read_labels(folder)
  # As if another version's noise had made them.
  label_files.save_npz(folder / 'noise.npz', ids, np.roll(labels, 1))
  (folder / 'noise.json').unlink()
  train.train_and_evaluate(config(), folder, dataset=data)
  (folder / 'result.json').unlink()
  inject.damage(folder / 'noise.npz', 'emptied')
  with pytest.raises(UserError, match=r'noise\.npz.*copy it back'):
    train.train_and_evaluate(config(), folder, dataset=data)
  assert (folder / 'noise.npz').read_bytes() == b''


@pytest.mark.parametrize('what', [*inject.DAMAGES, 'without its last line'])
def test_a_manifest_is_not_believed(what, tmp_path):
  path = tmp_path / 'sweep.jsonl'
  configs = [config() for _ in range(3)]
  for seed, made in enumerate(configs):
    made.seed = seed
  manifest.write(path, [manifest.entry(c, tmp_path) for c in configs])
  assert len(manifest.load(str(path))) == 3
  if what in inject.DAMAGES:
    inject.damage(path, what)
  else:
    path.write_text(''.join(path.read_text().splitlines(True)[:-1]))
  with pytest.raises(UserError, match=r'sweep\.jsonl'):
    manifest.load(str(path))
