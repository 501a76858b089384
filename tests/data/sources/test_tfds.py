"""Any tfds data set of images and labels, whatever its features are called."""

import re

import numpy as np
import pytest
import tensorflow_datasets as tfds

from sce_jax import noise
from sce_jax.data import labels
from sce_jax.data.labels import NoiseConfig
from tests import fake_data
from tests.data import animals, reading
from tests.data.animals import KIND, PICTURE, SIZE, examples, write
from tests.data.reading import told

FIELDS = {'name': 'animals', 'pixel_max': 255.0, 'mean': None, 'std': None}


def read(folder, **changes):
  return reading.read('digits', str(folder), **(FIELDS | changes))


def refusal(folder, **changes):
  return told(read, folder, **changes)


def test_features_may_have_any_name(tmp_path):
  write(tmp_path)
  data = read(tmp_path)
  assert data.info.name == 'animals'
  assert data.info.num_classes == 3
  assert data.info.class_names == animals.CLASSES
  assert data.info.image_shape == animals.SHAPE
  assert (data.info.num_train, data.info.num_test) == (SIZE, 0)
  assert data.info.label_sets == ()
  assert data.test is None
  assert data.train.image.dtype == np.uint8
  np.testing.assert_array_equal(
    data.train.image, [animals.picture(i) for i in range(SIZE)]
  )
  assert data.train.label.tolist() == [i % 3 for i in range(SIZE)]
  np.testing.assert_array_equal(data.train.clean_label, data.train.label)
  assert data.train.example_id.tolist() == list(range(SIZE))


def test_statistics_are_those_of_the_training_images(tmp_path):
  write(tmp_path)
  info = read(tmp_path).info
  pixels = np.stack([animals.picture(i) for i in range(SIZE)]).reshape(-1, 3)
  pixels = pixels / np.float64(255)
  np.testing.assert_allclose(info.mean, pixels.mean(0), atol=1e-6)
  np.testing.assert_allclose(info.std, pixels.std(0), atol=1e-6)
  # Of what is read; and not where the config has them.
  pixels = pixels[: 4 * 8 * 6]
  info = read(tmp_path, limit=4).info
  np.testing.assert_allclose(info.mean, pixels.mean(0), atol=1e-6)
  np.testing.assert_allclose(info.std, pixels.std(0), atol=1e-6)
  info = read(tmp_path, mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0)).info
  assert (info.mean, info.std) == ((0.1, 0.2, 0.3), (1.0, 2.0, 3.0))


@pytest.mark.parametrize(
  ('splits', 'found'),
  [
    (['train', 'test'], [1, 1]),
    (['train', 'validation'], [2]),
    (['train', 'validation', 'test'], [1, 1]),
    (['train', 'other'], None),
  ],
)
def test_the_test_split_is_test_or_else_validation(splits, found, tmp_path):
  kinds = {'train': [0], 'test': [1, 1], 'validation': [2], 'other': [0]}
  write(
    tmp_path,
    {'picture': PICTURE, 'kind': KIND},
    {split: examples(*kinds[split]) for split in splits},
  )
  data = read(tmp_path)
  assert data.train.label.tolist() == [0]
  if found is None:
    assert data.test is None
  else:
    assert data.test.label.tolist() == found
    assert data.info.num_test == len(found)


def test_what_is_supervised_is_taken_of_several(tmp_path):
  features = {'picture': PICTURE, 'kind': KIND, 'mood': KIND}
  splits = {'train': examples(0, 1, mood=2)}
  write(tmp_path, features, splits)
  # tfds gives the features in any order.
  assert re.fullmatch(
    r"data set 'animals' cannot be used: it must have one label"
    r' \(a ClassLabel\), but has several: (kind, mood|mood, kind)'
    r' \(features: .*\)',
    refusal(tmp_path),
  )
  write(tmp_path / 'said', features, splits, ('picture', 'kind'))
  assert read(tmp_path / 'said').train.label.tolist() == [0, 1]
  write(tmp_path / 'other', features, splits, ('picture', 'mood'))
  assert read(tmp_path / 'other').train.label.tolist() == [2, 2]


def test_the_usual_names_are_taken_of_several(tmp_path):
  write(
    tmp_path,
    {'image': PICTURE, 'depth': PICTURE, 'label': KIND, 'mood': KIND},
    {
      'train': [
        {
          'image': animals.picture(1),
          'depth': animals.picture(2),
          'label': 1,
          'mood': 2,
        }
      ]
    },
  )
  data = read(tmp_path)
  assert data.train.label.tolist() == [1]
  np.testing.assert_array_equal(data.train.image[0], animals.picture(1))


def test_other_labels_may_be_named(tmp_path):
  write(
    tmp_path,
    {'picture': PICTURE, 'kind': KIND, 'guess': KIND},
    {'train': examples(0, 1, guess=2)},
    ('picture', 'kind'),
  )
  data = read(tmp_path, label_sets={'guessed': 'guess'})
  assert data.train.label.tolist() == [0, 1]
  assert data.info.label_sets == ('guessed',)
  assert data.label_sets['guessed'].tolist() == [2, 2]
  message, _, found = refusal(
    tmp_path, label_sets={'guessed': 'gess'}
  ).partition('; it has ')
  assert message == (
    "data set 'animals' has no feature 'gess', which config.data.label_sets"
    ' names'
  )
  assert set(found.split(', ')) == {'picture', 'kind', 'guess'}


@pytest.mark.parametrize(
  ('features', 'example', 'message'),
  [
    (
      {'kind': KIND},
      {'kind': 1},
      'it must have one image (uint8, height x width x channels), but has none'
      ' (features: kind)',
    ),
    (
      {'picture': PICTURE},
      {'picture': animals.picture(0)},
      'it must have one label (a ClassLabel), but has none (features: picture)',
    ),
    (
      {'picture': PICTURE, 'age': tfds.features.Scalar(dtype=np.int64)},
      {'picture': animals.picture(0), 'age': 1},
      'one label (a ClassLabel), but has none (features: ',
    ),
    (
      {
        'sound': tfds.features.Tensor(shape=animals.SHAPE, dtype=np.float32),
        'kind': KIND,
      },
      {'sound': animals.picture(0).astype(np.float32), 'kind': 1},
      'one image (uint8, height x width x channels), but has none',
    ),
    (
      {'left': PICTURE, 'right': PICTURE, 'kind': KIND},
      {'left': animals.picture(0), 'right': animals.picture(0), 'kind': 1},
      'one image (uint8, height x width x channels), but has several: ',
    ),
  ],
)
def test_what_has_no_one_image_and_label_is_refused(
  features, example, message, tmp_path
):
  write(tmp_path, features, {'train': [example]})
  said = refusal(tmp_path)
  assert said.startswith("data set 'animals' cannot be used: it must have one ")
  assert message in said


def test_images_of_several_sizes_are_refused(tmp_path):
  images = [
    animals.picture(0),
    animals.picture(1),
    np.zeros((6, 2, 3), np.uint8),
  ]
  write(
    tmp_path,
    {'picture': tfds.features.Image(), 'kind': KIND},
    {'train': [{'picture': fake_data._png(x), 'kind': 0} for x in images]},
  )
  assert refusal(tmp_path) == (
    "data set 'animals' has images of several sizes, such as (6, 2, 3)"
    ' and (8, 6, 3): images of one size are needed'
  )
  data = read(tmp_path, limit=2)
  assert data.info.image_shape == animals.SHAPE
  np.testing.assert_array_equal(data.train.image, images[:2])


def test_without_a_training_split_it_is_refused(tmp_path):
  write(
    tmp_path, {'picture': PICTURE, 'kind': KIND}, {'unlabelled': examples(0)}
  )
  assert refusal(tmp_path) == (
    "data set 'animals' has no split named train; it has unlabelled"
  )


@pytest.mark.faults
def test_labels_that_are_not_known_are_refused(tmp_path):
  """They are -1."""
  write(
    tmp_path,
    {'picture': PICTURE, 'kind': KIND},
    {'train': examples(0, 1, 2), 'test': examples(-1, -1)},
  )
  assert refusal(tmp_path) == (
    "data set 'animals', test split: labels go from -1 to -1, but there are 3"
    ' classes, 0 to 2'
  )


def write_ids(folder, ids, feature):
  """Writes the data set 'animals' with these ids."""
  write(
    folder,
    {'picture': PICTURE, 'kind': KIND, 'id': feature},
    {'train': [x for i in ids for x in examples(0, id=i)]},
  )


TEXT = tfds.features.Text()
INT = tfds.features.Scalar(dtype=np.int64)


@pytest.mark.parametrize(
  ('ids', 'feature', 'found'),
  [
    (['train_30', 'train_7', 'train_00100'], TEXT, [30, 7, 100]),
    (['1', '2', str(2**31)], TEXT, [1, 2, 2**31]),
    ([7, 5_000_000_000, 0], INT, [7, 5_000_000_000, 0]),
    # The hash of their text, see test_ids.py.
    (['7', '0.png'], TEXT, [7, 5276155199410853889]),
  ],
)
def test_ids_become_numbers(ids, feature, found, tmp_path):
  write_ids(tmp_path, ids, feature)
  train = read(tmp_path).train
  assert train.example_id.dtype == np.int64
  assert train.example_id.tolist() == found


@pytest.mark.parametrize(
  ('ids', 'feature', 'shown'),
  [(['a', '00-ab', 'b', '00-ab'], TEXT, "'00-ab'"), ([5, 7, 8, 7], INT, '7')],
)
def test_an_id_of_two_examples_is_refused(ids, feature, shown, tmp_path):
  write_ids(tmp_path, ids, feature)
  assert refusal(tmp_path) == (
    f"data set 'animals', training split, feature 'id': id {shown} stands"
    ' twice, at places 1 and 3 from 0 on: give each example one of its own'
  )


def test_labels_in_a_file_are_found_by_any_id(tmp_path):
  ids = ['0.png', '00000000-ab', 'train_7', 'x y']
  write_ids(tmp_path, ids, TEXT)
  rows = [
    f'{i},{label}' for i, label in zip(ids[::-1], [2, 1, 0, 1], strict=True)
  ]
  path = tmp_path / 'labels.csv'
  path.write_text('\n'.join(['example_id,label', *rows]))
  noise_config = NoiseConfig('file', 0.0, 'exact', None, str(path))
  made = labels.apply_label_noise(read(tmp_path), noise_config, seed=0)
  assert made.labels.tolist() == [1, 0, 1, 2]


@pytest.mark.parametrize('name', ['animls', 'animals/big', 'mnist2', 'a b', ''])
def test_names_that_nobody_knows_are_refused(name, tmp_path):
  write(tmp_path)
  message = refusal(tmp_path, name=name)
  assert repr(name) in message
  assert str(tmp_path) in message
  assert len(message) < 600


def test_noise_is_applied_to_it_as_to_any_other(tmp_path):
  write(tmp_path)
  data = read(tmp_path)
  noise_config = NoiseConfig('pair_flip', 0.4, 'exact', None, None)
  labels.check_fits(noise_config, data.info)
  noisy = labels.apply_label_noise(data, noise_config, seed=2)
  expected = noise.corrupt(
    data.train.label, noise.pair_flip(3, 0.4), seed=2, mode='exact'
  )
  np.testing.assert_array_equal(noisy.labels, expected)
