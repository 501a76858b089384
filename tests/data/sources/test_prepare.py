"""What a user is told when a data set cannot be had."""

import importlib.util
import json
import shutil
import socket
import subprocess
import sys

import pytest
import tensorflow_datasets as tfds

from sce_jax.data.sources import prepare
from tests.data import reading
from tests.data.reading import told

WAYS_OUT = 'copy a folder prepared elsewhere (file format array_record)'


def test_what_is_missing_is_prepared_on_first_use(tmp_path):
  data = reading.read('digits', str(tmp_path / 'new'), limit=3)
  assert len(data.train) == 3
  assert list((tmp_path / 'new' / 'digits').glob('*/*array_record*'))


def test_what_is_there_is_not_prepared_again(data_dir, monkeypatch):
  monkeypatch.delattr(prepare, 'download_and_prepare')
  reading.read('mnist', data_dir)


def test_a_folder_that_cannot_be_written(tmp_path):
  (tmp_path / 'file').write_text('')
  folder = str(tmp_path / 'file')
  message = told(reading.read, 'digits', folder)
  assert message.startswith(
    f"data set 'digits' is not in {folder} and could not be prepared: "
  )
  # tfds's own error, by name.
  assert 'Error: ' in message


@pytest.mark.skipif(
  importlib.util.find_spec('tensorflow') is not None,
  reason='TensorFlow is installed',
)
def test_without_tensorflow(tmp_path):
  message = told(reading.read, 'cifar100', str(tmp_path))
  assert 'pip install tensorflow' in message
  assert WAYS_OUT in message
  assert not list(tmp_path.iterdir())


def test_the_childs_last_line_is_told(tmp_path, monkeypatch):
  def run(command, **options):
    stderr = 'a warning\n  of two lines\nthe reason\n\n'
    return subprocess.CompletedProcess(command, 1, '', stderr)

  monkeypatch.setattr(prepare.subprocess, 'run', run)
  message = told(prepare.download_and_prepare, 'mnist', str(tmp_path))
  assert message.endswith('could not be prepared: the reason')


def test_a_child_without_a_word(tmp_path, monkeypatch):
  def run(command, **options):
    return subprocess.CompletedProcess(command, -9, '', '')

  monkeypatch.setattr(prepare.subprocess, 'run', run)
  assert told(prepare.download_and_prepare, 'mnist', str(tmp_path)).endswith(
    'no message'
  )


def test_the_child_ends_with_the_reason(monkeypatch, tmp_path):
  monkeypatch.setattr(
    prepare, '_why_unavailable', lambda builder: f'no {builder.name}'
  )
  monkeypatch.setattr(
    sys, 'argv', ['prepare', 'mnist', '--data_dir', str(tmp_path)]
  )
  with pytest.raises(SystemExit) as caught:
    prepare.main()
  assert caught.value.code == 'no mnist'


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
  builders = [
    tfds.builder(name, data_dir=str(tmp_path))
    for name in ('cifar100', 'digits')
  ]
  monkeypatch.setattr(
    prepare.importlib.util, 'find_spec', lambda _: tensorflow or None
  )

  def getaddrinfo(*_):
    if not network:
      raise socket.gaierror

  monkeypatch.setattr(prepare.socket, 'getaddrinfo', getaddrinfo)
  reason = prepare._why_unavailable(builders[0])
  if message is None:
    assert reason is None
  else:
    assert message in reason
    assert WAYS_OUT in reason
    assert '--data_dir or TFDS_DATA_DIR' in reason
  # Digits come with scikit-learn.
  assert prepare._why_unavailable(builders[1]) is None


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
