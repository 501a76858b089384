"""Reading tfds folders, and the noise that comes with it."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from sce_jax.data import datasets, load, prepare
from sce_jax.errors import UserError
from tests import conftest, fake_data

NOISE = {'name': 'symmetric', 'rate': 0.4, 'mode': 'exact', 'seed': None}


@pytest.fixture(scope='module')
def digits(data_dir):
  return load.read('digits', data_dir)


def test_digits_are_scikit_learns(digits):
  images, labels = load_digits(return_X_y=True)
  for split in (digits.train, digits.test):
    np.testing.assert_array_equal(
      split.image.reshape(-1, 64), images[split.index]
    )
    np.testing.assert_array_equal(split.label, labels[split.index])


def test_digits_are_split_fixed_and_stratified(digits):
  assert (len(digits.train), len(digits.test)) == (1198, 599)
  ids = np.concatenate([digits.train.index, digits.test.index])
  assert sorted(ids) == list(range(1797))
  # A golden: the split may not change from version to version.
  assert digits.test.index[:6].tolist() == GOLDEN
  share = np.bincount(digits.test.label) / np.bincount(
    np.concatenate([digits.train.label, digits.test.label])
  )
  np.testing.assert_allclose(share, 1 / 3, atol=1 / 174)  # One of 174.


GOLDEN = [1, 4, 10, 21, 24, 25]


def test_the_constants_of_digits_are_those_of_its_training_split(digits):
  info = datasets.DATASETS['digits']
  pixels = digits.train.image / info.maximum
  assert pixels.max() == 1
  assert pixels.mean() == pytest.approx(info.mean[0], abs=5e-5)
  assert pixels.std() == pytest.approx(info.std[0], abs=5e-5)


@pytest.mark.parametrize('name', list(datasets.DATASETS))
def test_every_data_set_is_read(name, data_dir):
  info = datasets.DATASETS[name]
  data = load.read(name, data_dir)
  for split in (data.train, data.test):
    assert split.image.shape == (len(split), *info.image_shape)
    assert split.image.dtype == np.uint8
    assert split.label.max() < info.num_classes
  assert set(data.human_labels) == set(info.human_labels)
  for labels in data.human_labels.values():
    assert labels.shape == data.train.label.shape
    assert np.any(labels != data.train.label)


def test_ids_are_cifars_own(data_dir):
  data = load.read('cifar10', data_dir)
  assert data.train.index[:3].tolist() == [0, 10, 20]  # From 'train_10'.


def test_a_limit_reads_the_first(data_dir, digits):
  data = load.read('digits', data_dir, limit=7)
  assert len(data.train) == len(data.test) == 7
  np.testing.assert_array_equal(data.train.image, digits.train.image[:7])


def test_reading_does_not_import_tensorflow(data_dir, tmp_path):
  (tmp_path / 'tensorflow.py').write_text('raise RuntimeError("imported")')
  code = f'from sce_jax.data import load; load.read("mnist", {data_dir!r})'
  done = subprocess.run(
    [sys.executable, '-c', code],
    cwd=conftest.REPOSITORY,
    env=os.environ | {'PYTHONPATH': str(tmp_path)},
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr


def test_noise_is_on_given_training_labels_only(digits):
  before = digits.train.label.copy()
  noisy = load.with_noise(digits, NOISE, seed=0)
  assert np.mean(noisy.label != noisy.clean_label) == pytest.approx(
    0.4, abs=0.005
  )
  np.testing.assert_array_equal(noisy.clean_label, before)
  np.testing.assert_array_equal(digits.train.label, before)
  np.testing.assert_array_equal(noisy.image, digits.train.image)
  np.testing.assert_array_equal(digits.test.label, digits.test.clean_label)


def test_noise_follows_ids_not_order(digits):
  order = np.random.default_rng(0).permutation(len(digits.train))
  shuffled = load.Data(
    'digits',
    load.Split(*(x[order] for x in vars(digits.train).values())),
    digits.test,
    {},
  )
  np.testing.assert_array_equal(
    load.with_noise(shuffled, NOISE, 0).label,
    load.with_noise(digits, NOISE, 0).label[order],
  )


def test_noise_has_the_configs_seed_or_its_own(digits):
  def labels(seed, noise_seed):
    return load.with_noise(digits, NOISE | {'seed': noise_seed}, seed).label

  np.testing.assert_array_equal(labels(1, None), labels(0, 1))
  np.testing.assert_array_equal(labels(5, 3), labels(6, 3))
  assert np.any(labels(0, None) != labels(1, None))


def test_people_s_labels_are_a_choice_of_noise(data_dir):
  data = load.read('cifar10_n', data_dir)
  for name in ('aggre', 'worse', 'random1', 'random2', 'random3'):
    noisy = load.with_noise(data, NOISE | {'name': name}, 0)
    np.testing.assert_array_equal(noisy.label, data.human_labels[name])


def test_people_s_labels_of_another_data_set_are_refused(digits):
  with pytest.raises(ValueError, match=r"'cifar10_n', not of 'digits'"):
    load.with_noise(digits, NOISE | {'name': 'worse'}, 0)


def test_tfrecords_are_refused_with_the_way_out(data_dir, tmp_path):
  shutil.copytree(f'{data_dir}/mnist', tmp_path / 'mnist')
  (info,) = tmp_path.glob('mnist/*/dataset_info.json')
  record = json.loads(info.read_text())
  record['fileFormat'] = 'tfrecord'
  info.write_text(json.dumps(record))
  with pytest.raises(UserError, match='tfds convert_format') as caught:
    load.read('mnist', str(tmp_path))
  assert '\n' not in str(caught.value)


def test_a_folder_that_cannot_be_written_gets_one_line(tmp_path):
  (tmp_path / 'file').write_text('')
  with pytest.raises(UserError, match='could not be prepared') as caught:
    load.read('digits', str(tmp_path / 'file'))
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
  ('tensorflow', 'network', 'message'),
  [
    (False, True, 'pip install tensorflow'),
    (True, False, 'the network is missing'),
    (True, True, None),
  ],
)
def test_what_stands_in_the_way_of_preparing(
  tensorflow, network, message, monkeypatch
):
  monkeypatch.setattr(
    prepare.importlib.util, 'find_spec', lambda _: tensorflow or None
  )

  def getaddrinfo(*_):
    if not network:
      raise socket.gaierror

  monkeypatch.setattr(prepare.socket, 'getaddrinfo', getaddrinfo)
  obstacle = prepare._obstacle('cifar100')
  if message is None:
    assert obstacle is None
  else:
    assert message in obstacle
    assert '--data_dir or TFDS_DATA_DIR' in obstacle
  assert prepare._obstacle('digits') is None


@pytest.fixture(scope='module')
def real(shared_data, tmp_path_factory):
  """Real MNIST and CIFAR-10N as tfds folders; takes a minute."""
  folder = tmp_path_factory.mktemp('real')
  script = shared_data / 'prepare_tfds.py'
  subprocess.run(
    [sys.executable, script, '--data_dir', folder, 'mnist', 'cifar10_n'],
    check=True,
    capture_output=True,
  )
  return str(folder)


@pytest.mark.slow
def test_real_mnist(real):
  data = load.read('mnist', real)
  assert (len(data.train), len(data.test)) == (60_000, 10_000)
  pixels = data.train.image / 255.0
  info = datasets.DATASETS['mnist']
  assert pixels.mean() == pytest.approx(info.mean[0], abs=5e-5)
  assert pixels.std() == pytest.approx(info.std[0], abs=5e-5)


@pytest.mark.slow
def test_real_cifar10_n(real, shared_data):
  data = load.read('cifar10_n', real)
  table = np.load(pathlib.Path(shared_data) / 'cifar_n.npz')
  np.testing.assert_array_equal(
    data.train.clean_label, table['cifar10_clean'][data.train.index]
  )
  rates = {
    name: np.mean(labels != data.train.clean_label)
    for name, labels in data.human_labels.items()
  }
  # As in the paper (Wei et al., ICLR 2022), to its two decimals.
  expected = {
    'aggre': 0.0901,
    'worse': 0.4021,
    'random1': 0.1723,
    'random2': 0.1812,
    'random3': 0.1764,
  }
  assert rates == pytest.approx(expected, abs=1e-4)
  for name, labels in data.human_labels.items():
    np.testing.assert_array_equal(
      labels, table[f'cifar10_{name}'][data.train.index]
    )


def test_the_fakes_are_small():
  assert fake_data.TRAIN >= 40 <= fake_data.TEST  # The tiny configs' limit.
