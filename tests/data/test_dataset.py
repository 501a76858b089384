"""Reading tfds folders, and the noise that comes with it."""

import os
import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits
import tensorflow_datasets as tfds

from sce_jax import noise
from sce_jax.data import dataset as dataset_lib
from sce_jax.data import datasets
from tests import conftest, fake_data

NOISE = {'name': 'symmetric', 'rate': 0.4, 'mode': 'exact', 'seed': None}


@pytest.fixture(scope='module')
def digits(data_dir):
  return dataset_lib.read('digits', data_dir)


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
  assert digits.test.index[:6].tolist() == [1, 4, 10, 21, 24, 25]
  share = np.bincount(digits.test.label) / np.bincount(
    np.concatenate([digits.train.label, digits.test.label])
  )
  np.testing.assert_allclose(share, 1 / 3, atol=1 / 174)  # One of 174.


def test_the_constants_of_digits_are_those_of_its_training_split(digits):
  info = datasets.DATASETS['digits']
  pixels = digits.train.image / info.maximum
  assert (pixels.min(), pixels.max()) == (0, 1)
  assert pixels.mean() == pytest.approx(info.mean[0], abs=5e-5)
  assert pixels.std() == pytest.approx(info.std[0], abs=5e-5)


@pytest.mark.parametrize('name', list(datasets.DATASETS))
def test_every_data_set_is_read(name, data_dir):
  info = datasets.DATASETS[name]
  data = dataset_lib.read(name, data_dir)
  for split in (data.train, data.test):
    assert split.image.shape == (len(split), *info.image_shape)
    assert split.image.dtype == np.uint8
    for labels in (split.label, split.clean_label):
      assert labels.dtype == np.int32
      assert 0 <= labels.min() <= labels.max() < info.num_classes
    np.testing.assert_array_equal(split.label, split.clean_label)
    assert len(set(split.index.tolist())) == len(split)
  assert set(data.human_labels) == set(info.human_labels)
  for labels in data.human_labels.values():
    assert labels.shape == data.train.label.shape
    assert np.any(labels != data.train.label)


@pytest.mark.parametrize('name', ['cifar10', 'cifar100', 'cifar10_n'])
def test_ids_are_cifars_own(name, data_dir):
  data = dataset_lib.read(name, data_dir)
  for split in (data.train, data.test):  # From 'train_10', 'test_10'.
    np.testing.assert_array_equal(split.index, 10 * np.arange(len(split)))


def test_ids_are_places_where_there_are_none(data_dir):
  data = dataset_lib.read('mnist', data_dir)
  np.testing.assert_array_equal(data.train.index, np.arange(len(data.train)))


# By the names of tfds's own catalogue.
FEATURES = [
  ('cifar10_n', 'aggre', 'aggre_label'),
  ('cifar10_n', 'worse', 'worse_label'),
  ('cifar10_n', 'random1', 'random_label1'),
  ('cifar10_n', 'random2', 'random_label2'),
  ('cifar10_n', 'random3', 'random_label3'),
  ('cifar100_n', 'noisy', 'noise_label'),
]


@pytest.mark.parametrize(('name', 'choice', 'feature'), FEATURES)
def test_peoples_labels_are_a_choice_of_noise(name, choice, feature, data_dir):
  data = dataset_lib.read(name, data_dir)
  config = NOISE | {'name': choice}
  noisy = dataset_lib.apply_label_noise(data, config, 0)
  source = tfds.builder(name, data_dir=data_dir).as_data_source('train')
  assert noisy.label.tolist() == [record[feature] for record in source]
  np.testing.assert_array_equal(noisy.clean_label, data.train.label)
  assert dataset_lib.transition_matrix(name, config) is None


def test_the_folder_may_be_named_by_the_environment(
  data_dir, tmp_path, monkeypatch
):
  monkeypatch.setenv('TFDS_DATA_DIR', data_dir)
  assert len(dataset_lib.read('mnist').train) == fake_data.TRAIN
  # A home is looked up only where a folder begins with it.
  monkeypatch.setenv('HOME', os.path.dirname(data_dir))
  monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path))
  home = os.path.join('~', os.path.basename(data_dir))
  assert len(dataset_lib.read('mnist', home).train) == fake_data.TRAIN


def test_a_limit_reads_the_first(data_dir, digits):
  data = dataset_lib.read('digits', data_dir, limit=7)
  assert len(data.train) == len(data.test) == 7
  np.testing.assert_array_equal(data.train.image, digits.train.image[:7])


def test_reading_does_not_import_tensorflow(data_dir, tmp_path):
  marker = tmp_path / 'imported'
  # It would stand first on the path, installed or not.
  (tmp_path / 'tensorflow.py').write_text(f'open({str(marker)!r}, "w")')
  code = f"""
import sys
from sce_jax.data import load
for name in ('digits', 'mnist', 'cifar10_n'):
  load.read(name, {data_dir!r})
assert 'tensorflow' not in sys.modules
"""
  done = subprocess.run(
    [sys.executable, '-c', code],
    cwd=conftest.REPOSITORY,
    env=os.environ | {'PYTHONPATH': str(tmp_path)},
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  assert not marker.exists()


def test_noise_is_on_given_training_labels_only(digits):
  before = digits.train.label.copy()
  noisy = dataset_lib.apply_label_noise(digits, NOISE, seed=0)
  assert np.mean(noisy.label != noisy.clean_label) == pytest.approx(
    0.4, abs=0.005
  )
  np.testing.assert_array_equal(noisy.clean_label, before)
  np.testing.assert_array_equal(digits.train.label, before)
  np.testing.assert_array_equal(noisy.image, digits.train.image)
  np.testing.assert_array_equal(noisy.index, digits.train.index)
  np.testing.assert_array_equal(digits.test.label, digits.test.clean_label)


def test_noise_follows_ids_not_order(digits):
  order = np.random.default_rng(0).permutation(len(digits.train))
  shuffled = dataset_lib.Dataset(
    'digits',
    dataset_lib.Split(*(x[order] for x in vars(digits.train).values())),
    digits.test,
    {},
  )
  np.testing.assert_array_equal(
    dataset_lib.apply_label_noise(shuffled, NOISE, 0).label,
    dataset_lib.apply_label_noise(digits, NOISE, 0).label[order],
  )


def test_noise_has_the_configs_seed_or_its_own(digits):
  def labels(seed, noise_seed):
    return dataset_lib.apply_label_noise(
      digits, NOISE | {'seed': noise_seed}, seed
    ).label

  np.testing.assert_array_equal(labels(1, None), labels(0, 1))
  np.testing.assert_array_equal(labels(5, 3), labels(6, 3))
  np.testing.assert_array_equal(labels(5, 0), labels(0, None))
  assert np.any(labels(0, None) != labels(1, None))


def test_noise_has_the_configs_mode(digits):
  """Only `exact` takes the same share of every class."""

  def wrong_by_class(mode):
    noisy = dataset_lib.apply_label_noise(digits, NOISE | {'mode': mode}, 0)
    wrong = np.bincount(noisy.clean_label[noisy.label != noisy.clean_label])
    return wrong / np.bincount(noisy.clean_label)

  # Of some 120 examples each: half of one off by rounding.
  np.testing.assert_allclose(wrong_by_class('exact'), 0.4, atol=0.005)
  assert np.abs(wrong_by_class('iid') - 0.4).max() > 0.02


@pytest.mark.parametrize('seed', [0, 1])
def test_the_given_labels_are_those_of_the_matrix(digits, seed):
  config = NOISE | {'name': 'pair_flip', 'rate': 0.3}
  noisy = dataset_lib.apply_label_noise(digits, config, seed)
  expected = noise.corrupt(
    digits.train.clean_label,
    noise.pair_flip(10, 0.3),
    seed=seed,
    mode='exact',
    ids=digits.train.index,
  )
  np.testing.assert_array_equal(noisy.label, expected)
  np.testing.assert_array_equal(
    dataset_lib.transition_matrix('digits', config), noise.pair_flip(10, 0.3)
  )


@pytest.mark.parametrize('choice', ['worse', 'noisy'])
def test_peoples_labels_of_another_data_set_are_refused(digits, choice):
  other = {'worse': 'cifar10_n', 'noisy': 'cifar100_n'}[choice]
  with pytest.raises(ValueError, match=choice) as caught:
    dataset_lib.apply_label_noise(digits, NOISE | {'name': choice}, 0)
  message = str(caught.value)
  assert f"of data set '{other}', not of 'digits'" in message
  assert f'use configs/{other}.py' in message
  assert '\n' not in message


def test_the_fakes_are_small():
  assert fake_data.TRAIN >= 40 <= fake_data.TEST  # The tiny configs' limit.
