"""Feature vectors: read, checked, standardised."""

import jax.numpy as jnp
import numpy as np
import pytest

from configs import own
from sce_jax.config.check import check_config, check_fits
from sce_jax.data import batches, features, info
from sce_jax.data import dataset as dataset_lib
from sce_jax.data.sources import summary
from tests.data.reading import data_config, told

LABELS = ['a', 'b', 'a', 'b']
# Means 2, 5, -1; standard deviations sqrt(2.5), 0, 1.
ROWS = np.array(
  [[0.0, 5.0, -2.0], [2.0, 5.0, 0.0], [2.0, 5.0, -2.0], [4.0, 5.0, 0.0]]
)


def made(rows=ROWS, labels=LABELS, changes=None, **arrays):
  section = data_config('own', **(changes or {}))
  return dataset_lib.from_arrays(section, rows, labels, **arrays)


@pytest.mark.parametrize('block', [3, 8192])
def test_statistics_by_hand(block, monkeypatch):
  monkeypatch.setattr(features, '_BLOCK', block)
  mean, std = features.statistics(ROWS.astype(np.float32))
  np.testing.assert_allclose(mean, [2, 5, -1])
  np.testing.assert_allclose(std, [2**0.5, features.CONSTANT, 1])


def test_what_varies_by_rounding_only_is_constant():
  # float32 holds 2 ** 23 + 1, but nothing between it and its neighbours.
  large = np.float32(2**23) + np.arange(4, dtype=np.float32)
  tiny = np.float32(1e-35) * np.arange(4, dtype=np.float32)
  small = np.float32(1e-20) * np.arange(4, dtype=np.float32)
  _, std = features.statistics(np.stack([large, tiny, small], axis=1))
  assert (std == features.CONSTANT).tolist() == [True, True, False]


def test_the_network_sees_standard_scores():
  data = made(test_images=[[8, 5, 0], [2, 1e9, -1]], test_labels=['a', 'b'])
  assert data.info.image_shape == (3,) and data.info.has_features
  assert (data.info.num_train, data.info.num_test) == (4, 2)
  assert data.train.image.dtype == data.test.image.dtype == np.float32
  section = data_config('own', pixel_max=16.0)
  normalization = batches.Normalization.of(section, data.info)
  seen = [
    batches.normalize(
      jnp.asarray(split.image), jnp.asarray(data.pixel_mean), normalization
    )
    for split in (data.train, data.test)
  ]
  root = 2**0.5
  np.testing.assert_allclose(
    seen[0], [[-root, 0, -1], [0, 0, 1], [0, 0, -1], [root, 0, 1]], rtol=1e-6
  )
  # Of a feature that was constant nothing was learned: it stays 0.
  np.testing.assert_allclose(
    seen[1], [[3 * root, 0, 1], [0, 0, 0]], rtol=1e-6, atol=1e-29
  )
  # Of other configs: the numbers as they are, or less their means.
  for kind, row in (('unit', [0, 5, -2]), ('pixel_mean', [-2, 0, -1])):
    other = data_config('own', normalization=kind, pixel_max=16.0)
    found = batches.normalize(
      jnp.asarray(data.train.image[:1]),
      jnp.asarray(data.pixel_mean),
      batches.Normalization.of(other, data.info),
    )
    np.testing.assert_array_equal(found, [row])


@pytest.mark.parametrize('kind', ['uint8', 'int64', 'float16', 'bool'])
def test_numbers_of_any_type_become_float32(kind):
  rows = np.array([[0, 1], [1, 0], [3, 1], [0, 0]], kind)
  data = made(rows)
  assert data.train.image.dtype == np.float32
  np.testing.assert_array_equal(data.train.image, rows.astype(np.float32))


def test_what_is_found_is_told():
  data = made(test_images=ROWS[:1], test_labels=['b'], changes={'limit': 4})
  assert data.summary['image_shape'] == [3]
  assert data.summary['warnings'] == [
    'test rows that are copies of training rows: 1, such as 0 of 0',
    '1 feature of the same value in all training examples, not used: 1',
  ]
  lines = summary.lines(data.summary)
  assert lines[0] == "data set 'own' (arrays): feature vectors of 3 numbers"


def changed(row, column, value, dtype=np.float64):
  rows = ROWS.astype(dtype)
  rows[row, column] = value
  return rows


REFUSED = [
  ({'rows': changed(2, 1, np.nan)}, 'images: row 2, column 1 is nan: give fin'),
  ({'rows': changed(3, 0, -np.inf)}, 'row 3, column 0 is -inf'),
  ({'rows': changed(0, 2, 1e300)}, 'row 0, column 2 is 1e+300'),
  ({'rows': ROWS[:, :0]}, 'are of shape [4, 0]'),
  ({'rows': ROWS.astype(str)}, 'are <U32 of shape [4, 3]: give feature'),
  ({'rows': ROWS[:3]}, '3 images and 4 labels'),
  (
    {'test_images': ROWS[:, :2], 'test_labels': LABELS},
    'images are [4, 3] and test_images [4, 2]: give both one size',
  ),
  (
    {'test_images': changed(1, 2, np.nan), 'test_labels': LABELS},
    'test_images: row 1, column 2 is nan',
  ),
  ({'changes': {'image_size': 16}}, 'leave config.data.image_size out'),
  ({'changes': {'mean': (0.0,)}}, 'but the feature vectors of'),
]


@pytest.mark.faults
@pytest.mark.parametrize(('arguments', 'message'), REFUSED)
def test_what_cannot_be_used_is_refused(arguments, message):
  assert message in told(made, **arguments)


def test_what_is_for_images_is_refused():
  found = made().info
  config = own.get_config()
  check_fits(check_config(config), found)
  config.data.augment.flip = True
  line = told(check_fits, check_config(config), found)
  assert 'config.data.augment is for images' in line
  config.model.name = 'cifar_cnn'
  line = told(check_fits, check_config(config), found)
  assert "'cifar_cnn', a network for images" in line
  assert 'it must be one of mlp' in line


def test_a_network_takes_the_features_that_it_was_trained_on():
  found = info.check_input(np.array([[1, 2]], np.int64), (2,))
  assert found.dtype == np.float32 and found.tolist() == [[1, 2]]
  line = told(info.check_input, ROWS, (2,), 'x.npy')
  assert line == (
    'x.npy holds float64 of shape [4, 3], but the network takes feature'
    ' vectors [N, 2]'
  )
  line = told(info.check_input, ROWS[0], (3,))
  assert 'the array holds float64 of shape [3]' in line
  line = told(info.check_input, changed(1, 1, np.nan), (3,))
  assert 'the array: row 1, column 1 is nan' in line
