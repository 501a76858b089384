"""Data sets in memory: what is read, and what is known of it."""

import os
import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from sce_jax.data import dataset as dataset_lib
from sce_jax.data.sources.columns import Columns, Part
from tests import conftest, fake_data
from tests.data import reading
from tests.data.reading import told


@pytest.fixture(scope='module')
def digits(data_dir):
  return reading.read('digits', data_dir)


def test_digits_are_scikit_learns(digits):
  images, labels = load_digits(return_X_y=True)
  for split in (digits.train, digits.test):
    np.testing.assert_array_equal(
      split.image.reshape(-1, 64), images[split.example_id]
    )
    np.testing.assert_array_equal(split.label, labels[split.example_id])


def test_digits_are_split_fixed_and_stratified(digits):
  assert (len(digits.train), len(digits.test)) == (1198, 599)
  ids = np.concatenate([digits.train.example_id, digits.test.example_id])
  assert sorted(ids) == list(range(1797))
  # A golden: the split may not change from version to version.
  assert digits.test.example_id[:6].tolist() == [1, 4, 10, 21, 24, 25]
  share = np.bincount(digits.test.label) / np.bincount(
    np.concatenate([digits.train.label, digits.test.label])
  )
  np.testing.assert_allclose(share, 1 / 3, atol=1 / 174)  # One of 174.


def test_the_constants_of_digits_are_those_of_its_training_split(digits):
  config = reading.data_config('digits')
  pixels = digits.train.image / config.pixel_max
  assert (pixels.min(), pixels.max()) == (0, 1)
  assert pixels.mean() == pytest.approx(config.mean[0], abs=5e-5)
  assert pixels.std() == pytest.approx(config.std[0], abs=5e-5)
  assert (digits.info.mean, digits.info.std) == (config.mean, config.std)


@pytest.mark.parametrize('name', reading.NAMES)
def test_every_data_set_is_read(name, data_dir):
  config = reading.data_config(name)
  data = dataset_lib.read(config, data_dir)
  info = data.info
  shape = {'digits': (8, 8, 1), 'mnist': (28, 28, 1)}.get(name, (32, 32, 3))
  assert info.name == name
  assert info.num_classes == (100 if 'cifar100' in name else 10)
  assert info.image_shape == shape
  assert info.pixel_max == (16 if name == 'digits' else 255)
  assert (info.mean, info.std) == (config.mean, config.std)
  assert len(info.mean) == len(info.std) == shape[-1]
  assert (info.num_train, info.num_test) == (len(data.train), len(data.test))
  assert info.clean_labels
  for split in (data.train, data.test):
    assert split.image.shape == (len(split), *shape)
    assert split.image.dtype == np.uint8
    for labels in (split.label, split.clean_label):
      assert labels.dtype == np.int32
      assert 0 <= labels.min() <= labels.max() < info.num_classes
    np.testing.assert_array_equal(split.label, split.clean_label)
    assert len(set(split.example_id.tolist())) == len(split)
  assert set(data.label_sets) == set(info.label_sets) == set(config.label_sets)
  for labels in data.label_sets.values():
    assert labels.shape == data.train.label.shape
    assert np.any(labels != data.train.label)


@pytest.mark.parametrize('name', ['cifar10', 'cifar100', 'cifar10_n'])
def test_ids_are_cifars_own(name, data_dir):
  data = reading.read(name, data_dir)
  for split in (data.train, data.test):  # From 'train_10', 'test_10'.
    np.testing.assert_array_equal(split.example_id, 10 * np.arange(len(split)))


def test_ids_are_places_where_there_are_none(data_dir):
  train = reading.read('mnist', data_dir).train
  np.testing.assert_array_equal(train.example_id, np.arange(len(train)))


def test_the_folder_may_be_named_by_the_environment(
  data_dir, tmp_path, monkeypatch
):
  monkeypatch.setenv('TFDS_DATA_DIR', data_dir)
  assert len(reading.read('mnist').train) == fake_data.TRAIN
  # A home is looked up only where a folder begins with it.
  monkeypatch.setenv('HOME', os.path.dirname(data_dir))
  monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path))
  home = f'~/{os.path.basename(data_dir)}'
  assert len(reading.read('mnist', home).train) == fake_data.TRAIN


def test_a_limit_reads_the_first(data_dir, digits):
  data = reading.read('digits', data_dir, limit=7)
  assert len(data.train) == len(data.test) == 7
  assert (data.info.num_train, data.info.num_test) == (7, 7)
  np.testing.assert_array_equal(data.train.image, digits.train.image[:7])


@pytest.mark.process
def test_reading_does_not_import_tensorflow(data_dir, tmp_path):
  marker = tmp_path / 'imported'
  # It would stand first on the path, installed or not.
  (tmp_path / 'tensorflow.py').write_text(f'open({str(marker)!r}, "w")')
  code = f"""
import sys
from configs import cifar10_n, digits, mnist
from sce_jax.config.check import check_config
from sce_jax.data import dataset
for module in (digits, mnist, cifar10_n):
  dataset.read(check_config(module.get_config()).data, {data_dir!r})
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


def test_a_title_is_a_name_or_a_number():
  data = reading.made([0, 1, 2], class_names=('ape', 'bee', 'cow'))
  assert data.info.class_names == ('ape', 'bee', 'cow')
  assert data.info.class_titles == ('ape', 'bee', 'cow')
  data = reading.made([0, 1, 2])
  assert data.info.class_names == ()
  assert data.info.class_titles == ('0', '1', '2')


def test_clean_labels_may_be_unknown():
  data = reading.made([2, 0, 1, 1], clean_labels=False)
  assert not data.info.clean_labels
  assert data.train.label.tolist() == [2, 0, 1, 1]
  assert data.train.clean_label is None
  # Those of the test split, by which accuracy is counted, always are.
  np.testing.assert_array_equal(data.test.clean_label, data.test.label)


def test_the_mean_image_is_that_of_scaled_pixels():
  data = reading.made([0, 1, 2, 0])  # Pixels 0, 1, 2, 3 of 16.
  assert data.pixel_mean.dtype == np.float32
  np.testing.assert_array_equal(data.pixel_mean, np.full((1, 1, 1), 1.5 / 16))


@pytest.mark.faults
@pytest.mark.parametrize('labels', [[0, 1, 3], [0, -1, 2]])
def test_labels_that_are_no_class_are_refused(labels):
  message = told(reading.made, labels)
  low, high = min(labels), max(labels)
  assert message == (
    f"data set 'digits', training split: labels go from {low} to {high}, but"
    ' there are 3 classes, 0 to 2'
  )
  columns = Columns(reading.part([0, 1]), reading.part(labels), 3)
  message = told(dataset_lib.from_columns, columns, reading.data_config())
  assert f'test split: labels go from {low} to {high}' in message
  message = told(reading.made, [0, 1, 2], label_sets={'theirs': labels})
  assert f"label set 'theirs': labels go from {low} to {high}" in message


@pytest.mark.faults
def test_what_cannot_be_learned_from_is_refused():
  assert 'has no training examples' in told(reading.made, [])
  message = told(reading.made, [0, 0], num_classes=2, mean=(0.1, 0.2, 0.3))
  assert message == (
    "config.data.mean has 3 values, but the images of 'digits' have 1"
    ' channel(s)'
  )
  assert 'config.data.std has 2 values' in told(
    reading.made, [0, 0], num_classes=2, std=(0.1, 0.2)
  )
  one = Columns(reading.part([0, 0]), None, 1)
  message = told(dataset_lib.from_columns, one, reading.data_config())
  assert 'has 1 class; at least 2 are needed' in message


@pytest.mark.parametrize(
  ('shape', 'low', 'high'),
  [
    ((2000, 28, 28, 1), 0, 256),
    ((500, 32, 32, 3), 0, 256),
    # Bright and even: what is summed is far larger than what is left of it.
    ((2000, 28, 28, 1), 250, 253),
    ((1000, 28, 28, 3), 200, 201),
  ],
)
def test_statistics_are_measured_where_none_are_given(shape, low, high):
  rng = np.random.default_rng(0)
  images = rng.integers(low, high, shape, np.uint8)
  size = len(images)
  train = Part(
    images, np.arange(size, dtype=np.int32) % 3, np.arange(size, dtype=np.int32)
  )
  info = dataset_lib.from_columns(
    Columns(train, None, 3),
    reading.data_config(pixel_max=255.0, mean=None, std=None),
  ).info
  pixels = images.reshape(-1, shape[-1]) / np.float64(255)
  # 1e-6 is what stands for none at all, by which nothing can be divided.
  np.testing.assert_allclose(info.mean, pixels.mean(0), atol=1e-6)
  np.testing.assert_allclose(info.std, pixels.std(0), atol=1.001e-6)
  assert min(info.std) > 0


def test_the_fakes_are_small():
  assert fake_data.TRAIN >= 40 <= fake_data.TEST  # The tiny configs' limit.


@pytest.mark.parametrize(
  ('given', 'mean', 'std'),
  [
    # Of two pixels, 0 and 255, so 0 and 1: mean and deviation are a half.
    ({'mean': None, 'std': None}, 0.5, 0.5),
    ({'mean': (0.25,), 'std': None}, 0.25, 0.5),
    ({'mean': None, 'std': (2.0,)}, 0.5, 2.0),
    ({'mean': (0.25,), 'std': (2.0,)}, 0.25, 2.0),
  ],
)
def test_what_a_config_gives_of_mean_and_std_is_used(given, mean, std):
  part = Part(
    np.array([0, 255], np.uint8).reshape(2, 1, 1, 1),
    np.array([0, 1], np.int32),
    np.arange(2),
  )
  config = reading.data_config(pixel_max=255.0, **given)
  info = dataset_lib.from_columns(Columns(part, None, 2), config).info
  assert (info.mean, info.std) == ((mean,), (std,))


def test_ids_of_any_source_may_be_texts():
  def made(*ids):
    pixels = np.zeros((len(ids), 1, 1, 1), np.uint8)
    labels = np.arange(len(ids), dtype=np.int32)
    return dataset_lib.from_columns(
      Columns(Part(pixels, labels, np.array(ids)), None, 2),
      reading.data_config(),
    )

  assert made('train_8', '5').train.example_id.tolist() == [8, 5]
  assert told(made, 'a', 'a') == (
    "data set 'digits', training split: id 'a' stands twice, at places 0 and 1"
    ' from 0 on: give each example one of its own'
  )
