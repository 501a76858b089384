"""Batches: what they carry, how pixels are normalised, and in which order."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax.data import augment, batches, datasets
from sce_jax.data import dataset as dataset_lib

INFO = datasets.DATASETS['cifar10']
MEAN, STD = np.array(INFO.mean), np.array(INFO.std)
POSITIONS = np.array([4, 1])


def make_split(seed):
  rng = np.random.default_rng(seed)
  label = np.arange(6, dtype=np.int32)
  image = rng.integers(0, 256, (6, 32, 32, 3), np.uint8)
  return dataset_lib.Split(image, label[::-1].copy(), label, 10 * label)


@pytest.fixture(scope='module')
def train():
  return make_split(0)


@pytest.fixture(scope='module')
def split():
  return make_split(1)


def take(split, train, normalization, draws=None, mask=None, **options):
  config = {
    'name': 'cifar10',
    'normalization': normalization,
    'augment': {
      'pad_crop': 0,
      'shift': 0.0,
      'rotate': 0.0,
      'flip': False,
      'fill': 'black',
    }
    | options,
  }

  @jax.jit
  def run(device, positions, mask, draws):
    return batches.take(device, positions, mask, config, draws)

  device = batches.to_device_split(split, train, 'cifar10')
  return run(device, jnp.array(POSITIONS), mask, draws)


def test_a_batch_carries_all_labels(split, train):
  batch = take(split, train, 'unit')
  assert batch['label'].tolist() == [1, 4]
  assert batch['clean_label'].tolist() == [4, 1]
  assert batch['index'].tolist() == [40, 10]
  assert batch['image'].dtype == jnp.float32
  assert set(batch) == {'image', 'label', 'clean_label', 'index'}


def test_a_batch_says_what_fills_it_up_only_if_something_does(split, train):
  mask = jnp.array([True, False])
  batch = take(split, train, 'unit', mask=mask)
  assert batch['mask'].tolist() == [True, False]


def test_normalisations_against_numpy(split, train):
  unit = split.image[POSITIONS] / 255.0
  expected = {
    'unit': unit,
    # Of the training images, for the test split too.
    'pixel_mean': unit - (train.image / 255.0).mean(0),
    'mean_std': (unit - MEAN) / STD,
  }
  assert set(expected) == set(batches.NORMALIZATIONS)
  for name, value in expected.items():
    # float32's rounding of numbers below 3.
    np.testing.assert_allclose(
      take(split, train, name)['image'], value, atol=1e-6
    )


def test_the_brightest_pixel_is_one(data_dir):
  """Digits have 17 grey levels, all else 256."""
  train = dataset_lib.read('digits', data_dir).train
  device = batches.to_device_split(train, train, 'digits')
  config = {'name': 'digits', 'normalization': 'unit'}
  image = batches.take(device, jnp.arange(100), None, config)['image']
  assert (float(image.min()), float(image.max())) == (0, 1)
  np.testing.assert_allclose(
    device.pixel_mean, (train.image / 16).mean(0), atol=1e-7
  )


def test_nothing_is_augmented_without_draws(split, train):
  plain = take(split, train, 'unit')
  augmenting = take(split, train, 'unit', pad_crop=2, flip=True, rotate=20.0)
  np.testing.assert_array_equal(plain['image'], augmenting['image'])


@pytest.mark.parametrize('fill', augment.FILLS)
@pytest.mark.parametrize('normalization', batches.NORMALIZATIONS)
def test_order_of_augmentation_and_normalisation(
  normalization, fill, split, train
):
  """Keras subtracts the mean first, torch normalises last."""
  draws = augment.AugmentParams(
    jnp.array([[0, 3], [4, 1]]),
    jnp.zeros((2, 2)),
    jnp.zeros(2),
    jnp.array([True, False]),
  )
  actual = take(
    split, train, normalization, draws, pad_crop=2, flip=True, fill=fill
  )['image']
  unit = split.image[POSITIONS] / 255.0
  if normalization == 'pixel_mean':
    unit = unit - (train.image / 255.0).mean(0)
  mode = 'constant' if fill == 'black' else 'edge'
  padded = np.pad(unit, ((0, 0), (2, 2), (2, 2), (0, 0)), mode)
  expected = np.stack([padded[0, :32, 3:35][:, ::-1], padded[1, 4:36, 1:33]])
  if normalization == 'mean_std':
    expected = (expected - MEAN) / STD
  np.testing.assert_allclose(actual, expected, atol=1e-6)
  if fill == 'black':  # What stands in the first image's first row.
    filled = -MEAN / STD if normalization == 'mean_std' else np.zeros(3)
    np.testing.assert_allclose(actual[0, 0, 0], filled, rtol=1e-5)
