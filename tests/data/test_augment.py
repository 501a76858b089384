"""Augmentation against NumPy, for draws given by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax.data import augment, batches, datasets, load

OFF = {
  'pad_crop': 0,
  'shift': 0.0,
  'rotate': 0.0,
  'flip': False,
  'fill': 'black',
}
IMAGES = jax.random.uniform(jax.random.key(0), (3, 5, 5, 2), minval=0.1)


def draws(**given):
  n = len(IMAGES)
  values = {
    'crop': jnp.zeros((n, 2), jnp.int32),
    'shift': jnp.zeros((n, 2)),
    'angle': jnp.zeros(n),
    'flip': jnp.zeros(n, bool),
  }
  return augment.Draws(**(values | given))


@pytest.mark.parametrize(
  ('fill', 'mode'), [('black', 'constant'), ('nearest', 'edge')]
)
def test_crops_are_cut_from_the_padded_image(fill, mode):
  corners = np.array([[0, 0], [4, 1], [2, 2]])
  actual = augment.apply(
    IMAGES, draws(crop=jnp.array(corners)), OFF | {'pad_crop': 2, 'fill': fill}
  )
  padded = np.pad(IMAGES, ((0, 0), (2, 2), (2, 2), (0, 0)), mode)
  for i, (row, column) in enumerate(corners):
    np.testing.assert_array_equal(
      actual[i], padded[i, row : row + 5, column : column + 5]
    )


def test_flips_mirror_left_to_right():
  flip = jnp.array([True, False, True])
  actual = augment.apply(IMAGES, draws(flip=flip), OFF | {'flip': True})
  np.testing.assert_array_equal(actual[0], np.asarray(IMAGES)[0, :, ::-1])
  np.testing.assert_array_equal(actual[1], IMAGES[1])


def test_whole_shifts_move_down_and_to_the_right():
  shift = jnp.array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
  actual = augment.apply(IMAGES, draws(shift=shift), OFF | {'shift': 0.4})
  x = np.asarray(IMAGES)
  # Bilinear at whole pixels: up to float32's rounding.
  np.testing.assert_allclose(actual[0, 1:], x[0, :-1], atol=1e-6)
  np.testing.assert_allclose(actual[0, 0], 0, atol=1e-6)
  np.testing.assert_allclose(actual[1, :, 2:], x[1, :, :-2], atol=1e-6)
  np.testing.assert_allclose(actual[2], x[2], atol=1e-6)


def test_nearest_repeats_the_border():
  shift = jnp.array([[2.0, 0.0]] * 3)
  options = OFF | {'shift': 0.4, 'fill': 'nearest'}
  actual = augment.apply(IMAGES, draws(shift=shift), options)
  for row in range(3):
    np.testing.assert_allclose(actual[:, row], IMAGES[:, 0], atol=1e-6)


def test_half_a_pixel_is_the_mean_of_two():
  shift = jnp.array([[0.5, 0.0]] * 3)
  actual = augment.apply(IMAGES, draws(shift=shift), OFF | {'shift': 0.4})
  np.testing.assert_allclose(
    actual[:, 1:], (IMAGES[:, 1:] + IMAGES[:, :-1]) / 2, atol=1e-6
  )


def test_a_quarter_turn_is_numpys():
  angle = jnp.full(3, jnp.pi / 2)
  actual = augment.apply(IMAGES, draws(angle=angle), OFF | {'rotate': 90.0})
  # The corners lie on the image's edge, so a rounding error may black them.
  expected = np.rot90(IMAGES, axes=(1, 2))
  np.testing.assert_allclose(
    actual[:, 1:-1, 1:-1], expected[:, 1:-1, 1:-1], atol=1e-5
  )


def test_what_is_off_changes_nothing():
  some = augment.draw(jax.random.key(1), 3, (5, 5, 2), OFF | {'pad_crop': 1})
  np.testing.assert_array_equal(augment.apply(IMAGES, some, OFF), IMAGES)


def test_draws_keep_to_their_bounds_and_reach_them():
  options = {
    'pad_crop': 4,
    'shift': 0.2,
    'rotate': 20.0,
    'flip': True,
    'fill': 'black',
  }
  d = augment.draw(jax.random.key(0), 5000, (32, 16, 3), options)
  assert (int(d.crop.min()), int(d.crop.max())) == (0, 8)
  reach = jnp.abs(d.shift).max(0)
  # The largest of 5000 uniform draws lies within 1 % of the bound.
  np.testing.assert_allclose(reach, [6.4, 3.2], rtol=0.01)
  assert float(jnp.abs(d.angle).max()) == pytest.approx(
    np.deg2rad(20), rel=0.01
  )
  # Five standard deviations of a fair coin's mean.
  assert float(d.flip.mean()) == pytest.approx(0.5, abs=0.036)


@pytest.fixture(scope='module')
def split():
  rng = np.random.default_rng(0)
  label = np.arange(6, dtype=np.int32)
  image = rng.integers(0, 256, (6, 32, 32, 3), np.uint8)
  return load.Split(image, label[::-1].copy(), label, 10 * label)


def take(split, normalization, given=None, counted=None, **options):
  device = batches.to_device_split(split, split, 'cifar10')
  config = {
    'name': 'cifar10',
    'normalization': normalization,
    'augment': OFF | options,
  }
  return batches.take(device, jnp.array([4, 1]), counted, config, given)


def test_a_batch_carries_all_labels(split):
  batch = take(split, 'unit')
  assert batch['label'].tolist() == [1, 4]
  assert batch['clean_label'].tolist() == [4, 1]
  assert batch['index'].tolist() == [40, 10]
  assert 'counted' not in batch
  counted = jnp.array([True, False])
  assert take(split, 'unit', counted=counted)['counted'] is counted


def test_normalisations_against_numpy(split):
  unit = split.image[[4, 1]] / 255.0
  info = datasets.DATASETS['cifar10']
  expected = {
    'unit': unit,
    'pixel_mean': unit - (split.image / 255.0).mean(0),
    'mean_std': (unit - np.array(info.mean)) / np.array(info.std),
  }
  assert set(expected) == set(batches.NORMALIZATIONS)
  for name, value in expected.items():
    np.testing.assert_allclose(take(split, name)['image'], value, atol=1e-6)


def test_what_a_crop_fills_in(split):
  """Keras subtracts the mean first, torch normalises last."""
  given = augment.Draws(
    jnp.zeros((2, 2), jnp.int32),
    jnp.zeros((2, 2)),
    jnp.zeros(2),
    jnp.zeros(2, bool),
  )
  info = datasets.DATASETS['cifar10']
  corner = {
    name: take(split, name, given, pad_crop=2)['image'][0, 0, 0]
    for name in ('pixel_mean', 'mean_std')
  }
  np.testing.assert_array_equal(corner['pixel_mean'], [0, 0, 0])
  np.testing.assert_allclose(
    corner['mean_std'], -np.array(info.mean) / np.array(info.std), rtol=1e-6
  )
