"""Batches: what they carry, how pixels are normalised, and in which order."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import digits
from sce_jax.config.check import check_config
from sce_jax.data import augment, batches
from sce_jax.data import dataset as dataset_lib

MEAN, STD = np.array([0.5, 0.4, 0.3]), np.array([0.2, 0.25, 0.3])
OFF = augment.AugmentConfig(
  pad_crop=0, shift=0.0, rotate=0.0, flip=False, fill='black'
)
POSITIONS = np.array([4, 1])
# What the run trains on, as rows of the split, and which of that is taken.
OWN = np.array([5, 4, 2, 1, 0])
PLACES = np.array([1, 3])
LABELS = np.array([9, 7, 9, 8, 9], np.int32)


def make_split(seed):
  rng = np.random.default_rng(seed)
  label = np.arange(6, dtype=np.int32)
  image = rng.integers(0, 256, (6, 32, 32, 3), np.uint8)
  return dataset_lib.Split(
    image, label[::-1].copy(), label, 10 * label.astype(np.int64)
  )


def pixel_mean(train):
  return (train.image / 255.0).mean(0).astype(np.float32)


@pytest.fixture(scope='module')
def train():
  return make_split(0)


@pytest.fixture(scope='module')
def split():
  return make_split(1)


def take(split, train, kind, params=None, mask=None, **options):
  normalization = batches.Normalization(kind, 255.0, tuple(MEAN), tuple(STD))
  config = dataclasses.replace(OFF, **options)

  @jax.jit
  def run(device, labels, own, places, mask, params):
    augmentation = None if params is None else (params, config)
    return batches.take(
      device, labels, own, places, mask, normalization, augmentation
    )

  device = batches.to_device_split(split, pixel_mean(train))
  return run(device, *map(jnp.asarray, (LABELS, OWN, PLACES)), mask, params)


def test_a_batch_carries_all_labels(split, train):
  batch = take(split, train, 'unit')
  # Those of the run, by their place among its examples; the split has others.
  assert batch.label.tolist() == [7, 8]
  assert batch.clean_label.tolist() == [4, 1]
  assert batch.position.tolist() == POSITIONS.tolist() == [4, 1]
  assert batch.image.dtype == jnp.float32
  assert batch.mask is None
  assert batch.counted.tolist() == [True, True]


def test_a_batch_says_what_fills_it_up_only_if_something_does(split, train):
  mask = jnp.array([True, False])
  batch = take(split, train, 'unit', mask=mask)
  assert batch.mask.tolist() == batch.counted.tolist() == [True, False]


def test_without_clean_labels_a_batch_has_none(split, train):
  unknown = dataclasses.replace(split, clean_label=None)
  batch = take(unknown, train, 'unit')
  assert batch.clean_label is None
  assert batch.label.tolist() == [7, 8]


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
    np.testing.assert_allclose(take(split, train, name).image, value, atol=1e-6)


def test_the_brightest_pixel_is_one(data_dir):
  """Digits have 17 grey levels, all else 256."""
  data_config = check_config(digits.get_config()).data
  data = dataset_lib.read(data_config, data_dir)
  device = jax.device_put(batches.to_device_split(data.train, data.pixel_mean))
  normalization = batches.Normalization.of(data_config, data.info)
  assert normalization.kind == 'unit'
  assert normalization.mean == data_config.mean
  assert normalization.std == data_config.std
  image = batches.normalize(
    device.image[:100], device.pixel_mean, normalization
  )
  assert (float(image.min()), float(image.max())) == (0, 1)
  np.testing.assert_allclose(
    device.pixel_mean, (data.train.image / 16).mean(0), atol=1e-7
  )


@pytest.mark.parametrize(
  ('shape', 'is_flat'), [((32, 32, 3), True), ((28, 28, 1), False)]
)
def test_images_lie_flat_where_a_tpu_would_copy_them(shape, is_flat):
  rng = np.random.default_rng(0)
  image = rng.integers(0, 256, (4, *shape), np.uint8)
  labels = np.arange(4, dtype=np.int32)
  mean = np.full(shape, 0.25, np.float32)
  device = batches.to_device_split(
    dataset_lib.Split(image, labels, None, labels.astype(np.int64)), mean
  )
  assert device.image.ndim == (2 if is_flat else 4)
  normalization = batches.Normalization('pixel_mean', 255.0, (), ())
  np.testing.assert_allclose(
    batches.normalize(
      jnp.asarray(device.image), jnp.asarray(mean), normalization
    ),
    image / 255 - 0.25,
    atol=1e-6,
  )


def test_nothing_is_augmented_without_draws(split, train):
  plain = take(split, train, 'unit')
  augmenting = take(split, train, 'unit', pad_crop=2, flip=True, rotate=20.0)
  np.testing.assert_array_equal(plain.image, augmenting.image)


@pytest.mark.parametrize('fill', augment.FILLS)
@pytest.mark.parametrize('normalization', batches.NORMALIZATIONS)
def test_order_of_augmentation_and_normalisation(
  normalization, fill, split, train
):
  """Keras subtracts the mean first, torch normalises last."""
  params = augment.AugmentParams(
    jnp.array([[0, 3], [4, 1]]),
    jnp.zeros((2, 2)),
    jnp.zeros(2),
    jnp.array([True, False]),
  )
  actual = take(
    split, train, normalization, params, pad_crop=2, flip=True, fill=fill
  ).image
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
