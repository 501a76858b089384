"""What a user is told when a data set cannot be had."""

import importlib.util
import json
import shutil
import socket
import subprocess
import sys
import tempfile

import pytest

from sce_jax.data.sources import builders, prepare
from sce_jax.storage import paths
from tests.data import animals, reading
from tests.data.reading import told

WAYS_OUT = 'copy a folder prepared elsewhere (file format array_record)'


def test_what_is_missing_is_prepared_on_first_use(tmp_path, monkeypatch):
  temporary = tmp_path / 'temporary'
  temporary.mkdir()
  monkeypatch.setattr(tempfile, 'tempdir', str(temporary))
  monkeypatch.setenv('TMPDIR', str(temporary))  # The child's.
  data = reading.read('digits', str(tmp_path / 'new'), limit=3)
  assert len(data.train) == 3
  assert list((tmp_path / 'new' / 'digits').glob('*/*array_record*'))
  assert not list(temporary.iterdir())


def test_what_is_there_is_not_prepared_again(data_dir, monkeypatch):
  monkeypatch.delattr(prepare, 'download_and_prepare')
  reading.read('mnist', data_dir)


@pytest.mark.faults
def test_a_folder_that_cannot_be_written(tmp_path):
  (tmp_path / 'file').write_text('')
  folder = str(tmp_path / 'file')
  message = told(reading.read, 'digits', folder)
  assert message.startswith(
    f"data set 'digits' is not in {folder}; it could not be prepared: "
  )
  # tfds's own error, by name.
  assert 'Error: ' in message


@pytest.fixture
def no_child(monkeypatch):
  """Preparing fails at once."""

  def run(command, **options):
    return subprocess.CompletedProcess(command, 1, 'needs TensorFlow', None)

  monkeypatch.setattr(prepare.subprocess, 'run', run)


def mnist(data_dir, folder, version='3.0.1'):
  """Copies the data set, as if it were of some version."""
  shutil.copytree(f'{data_dir}/mnist/3.0.1', folder / 'mnist' / version)
  info = folder / 'mnist' / version / 'dataset_info.json'
  info.write_text(info.read_text().replace('3.0.1', version))


@pytest.mark.parametrize('own', ['mnist', 'mnist/3.0.1'])
def test_the_data_sets_own_folder_is_named(own, data_dir, tmp_path, no_child):
  mnist(data_dir, tmp_path)
  assert told(reading.read, 'mnist', str(tmp_path / own)) == (
    f"{tmp_path / own} is the folder of data set 'mnist', not the one that it"
    f' lies in: give --data_dir={tmp_path} (or TFDS_DATA_DIR)'
  )
  # What is told works.
  assert len(reading.read('mnist', str(tmp_path)).train) > 0


def test_the_own_folder_typed_as_a_dot(data_dir, monkeypatch, no_child):
  monkeypatch.chdir(f'{data_dir}/mnist')
  assert told(reading.read, 'mnist', '.').endswith(
    f': give --data_dir={data_dir} (or TFDS_DATA_DIR)'
  )


def test_a_misspelt_folder_is_named(data_dir, tmp_path, no_child):
  mnist(data_dir, tmp_path / 'tensorflow_datasets')
  wrong = tmp_path / 'tensorflow_dataset'
  assert told(reading.read, 'mnist', str(wrong)) == (
    f"data set 'mnist': there is no folder {wrong}, but {wrong}s: give"
    ' the right one with --data_dir or TFDS_DATA_DIR; it could not be prepared:'
    ' needs TensorFlow'
  )
  assert told(reading.read, 'mnist', str(tmp_path / 'x' / 'y')).startswith(
    f"data set 'mnist': there is no folder {tmp_path / 'x' / 'y'}: give the"
  )


def test_another_version_is_named(data_dir, tmp_path, no_child):
  mnist(data_dir, tmp_path, '3.0.0')
  assert told(reading.read, 'mnist', str(tmp_path)) == (
    f"data set 'mnist': of 'mnist' only 3.0.0 is in {tmp_path}, not version"
    ' 3.0.1: use --config.data.name=mnist:3.0.0; it could not be prepared:'
    ' needs TensorFlow'
  )
  # What is told works.
  assert len(reading.read('mnist', str(tmp_path), name='mnist:3.0.0').train) > 0


def test_what_is_there_instead_is_named(data_dir, tmp_path, no_child):
  mnist(data_dir, tmp_path)
  (tmp_path / 'downloads').mkdir()
  assert told(reading.read, 'cifar10', str(tmp_path)) == (
    f"data set 'cifar10' is not in {tmp_path}, which holds mnist; it could not"
    ' be prepared: needs TensorFlow'
  )


def test_in_a_cloud_alike(cloud, data_dir, tmp_path, monkeypatch, no_child):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  mnist(data_dir, tmp_path, '3.0.0')
  folder = cloud()[0]
  paths.upload(tmp_path / 'mnist', paths.path(f'{folder}/mnist'), last='x')
  for own in ('mnist', 'mnist/3.0.0'):
    assert told(reading.read, 'mnist', f'{folder}/{own}').endswith(
      f'give --data_dir={folder} (or TFDS_DATA_DIR)'
    )
  assert told(reading.read, 'mnist', folder).startswith(
    f"data set 'mnist': of 'mnist' only 3.0.0 is in {folder}, not version 3.0.1"
  )
  assert len(reading.read('mnist', folder, name='mnist:3.0.0').train) > 0
  assert told(reading.read, 'cifar10', folder) == (
    f"data set 'cifar10' is not in {folder}; it could not be prepared: needs"
    ' TensorFlow'
  )


def test_a_data_set_of_ones_own_is_looked_for_alike(tmp_path):
  animals.write(tmp_path)

  def refusal(name, folder):
    return told(reading.read, 'digits', str(folder), name=name)

  own = tmp_path / 'animals'
  assert f'give --data_dir={tmp_path} (or' in refusal('animals', own)
  assert f'there is no folder {own}x' in refusal('animals', f'{own}x')
  said = refusal('animls', tmp_path)
  assert said.startswith(
    f"data set 'animls' is not in {tmp_path}, which holds animals (is"
    ' --config.data.name=animals meant?); tfds cannot make it ('
  )


def test_one_line_for_a_community_data_set(tmp_path, capfd):
  """Of Hugging Face, which tfds reads with a package that is not here."""
  message = told(reading.read, 'digits', str(tmp_path), name='huggingface:x')
  assert message.startswith(f"data set 'huggingface:x' is not in {tmp_path}; ")
  assert capfd.readouterr() == ('', '')


@pytest.mark.parametrize('tensorflow', [True, False])
def test_the_hint_where_no_downloads_are_listed(
  tensorflow, monkeypatch, tmp_path, capsys
):
  """Some builders list none: the child tries, and fails without TensorFlow."""

  def builder(*args, **kwargs):
    raise ModuleNotFoundError("No module named 'tensorflow'")

  monkeypatch.setattr(builders.tfds, 'builder', builder)
  monkeypatch.setattr(
    prepare.importlib.util, 'find_spec', lambda _: tensorflow or None
  )
  monkeypatch.setattr(sys, 'argv', ['prepare', 'x', f'--data_dir={tmp_path}'])
  with pytest.raises(SystemExit):
    prepare.main()
  (line,) = capsys.readouterr().out.splitlines()
  assert line.startswith("ModuleNotFoundError: No module named 'tensorflow'")
  assert ('pip install tensorflow' in line) == (not tensorflow)
  assert (WAYS_OUT in line) == (not tensorflow)


@pytest.mark.skipif(
  importlib.util.find_spec('tensorflow') is not None,
  reason='TensorFlow is installed',
)
def test_without_tensorflow(tmp_path):
  message = told(reading.read, 'digits', str(tmp_path), name='svhn_cropped')
  assert 'pip install tensorflow' in message
  assert WAYS_OUT in message
  assert not list(tmp_path.iterdir())


def test_the_childs_last_line_is_told(tmp_path, monkeypatch):
  def run(command, **options):
    stderr = 'a warning\n  of two lines\nthe reason\n\n'
    return subprocess.CompletedProcess(command, 1, '', stderr)

  monkeypatch.setattr(prepare.subprocess, 'run', run)
  message = told(prepare.download_and_prepare, 'svhn', str(tmp_path))
  assert message.endswith('could not be prepared: the reason')


def test_a_child_without_a_word(tmp_path, monkeypatch):
  def run(command, **options):
    return subprocess.CompletedProcess(command, -9, '', None)

  monkeypatch.setattr(prepare.subprocess, 'run', run)
  assert told(prepare.download_and_prepare, 'mnist', str(tmp_path)).endswith(
    'no message'
  )


def test_the_child_ends_with_the_reason(monkeypatch, tmp_path, capsys):
  monkeypatch.setattr(
    prepare, '_why_unavailable', lambda builder: f'no {builder.name}'
  )
  monkeypatch.setattr(
    sys, 'argv', ['prepare', 'svhn_cropped', '--data_dir', str(tmp_path)]
  )
  with pytest.raises(SystemExit) as caught:
    prepare.main()
  assert caught.value.code == 1
  assert capsys.readouterr().out == 'no svhn_cropped\n'


@pytest.mark.parametrize(
  ('tensorflow', 'network', 'message'),
  [
    (False, True, 'pip install tensorflow'),
    (False, False, 'pip install tensorflow'),
    (True, False, 'the network is missing (www.cs.toronto.edu is not found)'),
    (True, True, None),
  ],
)
def test_reasons(tensorflow, network, message, monkeypatch, tmp_path):
  made = [builders.make(name, str(tmp_path)) for name in ('cifar100', 'digits')]
  monkeypatch.setattr(
    prepare.importlib.util, 'find_spec', lambda _: tensorflow or None
  )

  def getaddrinfo(*_):
    if not network:
      raise socket.gaierror

  monkeypatch.setattr(prepare.socket, 'getaddrinfo', getaddrinfo)
  reason = prepare._why_unavailable(made[0])
  if message is None:
    assert reason is None
  else:
    assert message in reason
    assert WAYS_OUT in reason
    assert '--data_dir or TFDS_DATA_DIR' in reason
  # Digits come with scikit-learn.
  assert prepare._why_unavailable(made[1]) is None


@pytest.mark.parametrize('stored', ['tfrecord', 'riegeli'])
def test_other_formats_are_refused(stored, data_dir, tmp_path):
  shutil.copytree(f'{data_dir}/mnist', tmp_path / 'mnist')
  (info,) = tmp_path.glob('mnist/*/dataset_info.json')
  record = json.loads(info.read_text())
  record['fileFormat'] = stored
  info.write_text(json.dumps(record))
  message = told(reading.read, 'mnist', str(tmp_path))
  assert f'is stored as {stored}' in message
  assert f'`tfds convert_format --dataset_dir={info.parent}' in message
