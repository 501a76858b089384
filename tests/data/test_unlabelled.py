"""Arrays to be classified are made what those were that were trained on."""

import numpy as np
from PIL import Image
import pytest

from sce_jax.data import decode
from sce_jax.data.unlabelled import Images
from tests.data import reading
from tests.data.reading import told

RANDOM = np.random.default_rng(0).random((4, 8, 8))


def chunks(path, data):
  """All images of a file, for a network that was trained on some data."""
  images = Images(path, data.info.image_shape, data.summary['decoding'])
  return [x for _, some in images.chunks(3) for x in some]


@pytest.mark.parametrize(
  'images',
  [
    RANDOM.astype(np.float32),
    np.stack([RANDOM * 255] * 3, axis=-1),
    (RANDOM * 255).astype(np.int64),
    (RANDOM * 255).astype(np.uint8)[..., None],
    RANDOM > 0.5,
  ],
  ids=['0 to 1', '0 to 255', 'integers', 'bytes', 'booleans'],
)
@pytest.mark.parametrize('side', [None, 12])
def test_arrays_are_read_as_for_training(images, side, tmp_path):
  path = tmp_path / 'own.npz'
  np.savez(path, images=images, labels=[0, 1, 1, 0])
  data = reading.read('own', None, path=str(path), image_size=side)
  assert data.info.image_shape[:2] == ((side, side) if side else (8, 8))
  np.testing.assert_array_equal(chunks(path, data), data.train.image)
  # Dark ones alone are not taken for bright ones in [0, 1].
  np.save(tmp_path / 'dark.npy', images[:2] * images.dtype.type(0))
  assert not np.any(chunks(tmp_path / 'dark.npy', data))


@pytest.mark.parametrize('name', ['images', 'x', 'train_images', 'x_train'])
def test_an_npz_that_was_trained_on_is_predicted(name, tmp_path):
  path = tmp_path / 'own.npz'
  np.savez(path, **{name: RANDOM}, labels=[0, 1, 1, 0])
  data = reading.read('own', None, path=str(path))
  np.testing.assert_array_equal(chunks(path, data), data.train.image)


def test_pixels_just_beyond_the_range_are_cut_off(tmp_path):
  path = tmp_path / 'own.npz'
  np.savez(path, images=RANDOM, labels=[0, 1, 1, 0])
  data = reading.read('own', None, path=str(path))
  np.save(tmp_path / 'resized.npy', np.full((1, 8, 8), [-0.1, 1.1] * 4))
  found = np.unique(chunks(tmp_path / 'resized.npy', data))
  assert found.tolist() == [0, 255]


@pytest.mark.parametrize(
  ('prepared', 'expected'),
  [
    # The middle third, of 90 x 90 pixels, holds the square.
    ({'short_side': 90, 'quality': 90, 'crop': 'center'}, (0, 255, 0)),
    ({'short_side': 90, 'quality': 90, 'crop': None}, (85, 85, 85)),
    # A network of an earlier version, or of files of one's own.
    (None, (85, 85, 85)),
  ],
)
def test_files_are_cropped_as_a_streamed_network_was_shown_them(
  prepared, expected, tmp_path
):
  thirds = np.repeat(np.eye(3, dtype=np.uint8) * 255, 100, axis=0)
  pixels = np.broadcast_to(thirds, (100, 300, 3))
  Image.fromarray(np.ascontiguousarray(pixels)).save(tmp_path / '1.png')
  decoding = decode.description(is_resized=True, prepared=prepared)
  ((_, (image,)),) = Images(tmp_path, (64, 64, 3), decoding).chunks(1)
  np.testing.assert_allclose(image.mean((0, 1)), expected, atol=3)


def test_arrays_for_a_streamed_network_are_not_squeezed(tmp_path):
  np.save(tmp_path / 'wide.npy', np.zeros((1, 100, 300, 3), np.uint8))
  prepared = {'short_side': 90, 'quality': 90, 'crop': 'center'}
  decoding = decode.description(is_resized=True, prepared=prepared)
  assert 'takes uint8 images [N, 64, 64, 3]' in told(
    Images, tmp_path / 'wide.npy', (64, 64, 3), decoding
  )


def test_dark_pixels_keep_the_scale_of_the_training(tmp_path):
  path = tmp_path / 'own.npz'
  np.savez(path, images=RANDOM * 255, labels=[0, 1, 1, 0])
  data = reading.read('own', None, path=str(path))
  np.save(tmp_path / 'dark.npy', np.full((1, 8, 8), 0.9))
  assert np.unique(chunks(tmp_path / 'dark.npy', data)).tolist() == [1]


def test_pixels_of_another_range_are_refused(tmp_path):
  path = tmp_path / 'own.npz'
  np.savez(path, images=RANDOM, labels=[0, 1, 1, 0])
  data = reading.read('own', None, path=str(path))
  np.save(tmp_path / 'bright.npy', RANDOM * 255)
  assert 'holds float64 of shape [4, 8, 8, 1], but the network takes' in told(
    chunks, tmp_path / 'bright.npy', data
  )
