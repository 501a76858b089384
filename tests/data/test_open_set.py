"""Images that are replaced by those of another data set, and imbalance."""

import dataclasses

import numpy as np
import pytest

from sce_jax import noise
from sce_jax.data import dataset as dataset_lib
from sce_jax.data import label_files, labels, open_set
from sce_jax.data.labels import NoiseConfig
from tests.data import reading
from tests.data.reading import told

CLEAN = NoiseConfig('clean', 0.0, 'exact', None, None)


def config(name='clean', rate=0.0, **changes):
  return dataclasses.replace(CLEAN, name=name, rate=rate, **changes)


@pytest.fixture(scope='module')
def cifar10(data_dir):
  return reading.read('cifar10', data_dir)


def changed(dataset, noise_config, data_dir, seed=0):
  section = reading.data_config('cifar10')
  return open_set.apply(dataset, section, noise_config, seed, data_dir)


def test_a_share_of_the_images_is_of_the_other_data_set(cifar10, data_dir):
  noise_config = config(open_set_from='cifar100', open_set_rate=0.25)
  made = changed(cifar10, noise_config, data_dir, seed=3)
  train, before = made.train, cifar10.train
  rows = np.flatnonzero((train.image != before.image).any((1, 2, 3)))
  assert len(rows) == 14  # Of 56.
  other = reading.read('cifar100', data_dir).train
  by_id = dict(zip(other.example_id.tolist(), other.image, strict=True))
  pairs = dict(zip(made.replaced.ids, made.replaced.images, strict=True))
  assert sorted(pairs) == sorted(before.example_id[rows])
  for row in rows:
    image = by_id[int(pairs[before.example_id[row]])]
    np.testing.assert_array_equal(train.image[row], image)
  np.testing.assert_array_equal(train.label, before.label)
  np.testing.assert_array_equal(train.example_id, before.example_id)
  expected = before.clean_label.copy()
  expected[rows] = -1
  np.testing.assert_array_equal(train.clean_label, expected)
  assert made.test is cifar10.test and made.info == cifar10.info
  # What was read is not changed, and nothing is replaced twice.
  assert (before.clean_label >= 0).all()
  assert changed(made, noise_config, data_dir, seed=4) is made
  (line,) = open_set.lines(made, './others')
  assert line.startswith('14 training images are replaced by those of ./others')
  assert not open_set.lines(cifar10, None)


def test_noise_is_drawn_of_the_others(cifar10, data_dir):
  noise_config = config(
    'symmetric', 0.5, open_set_from='cifar100', open_set_rate=0.25
  )
  made = changed(cifar10, noise_config, data_dir)
  drawn = labels.apply_label_noise(made, noise_config, 0)
  own = made.train.clean_label >= 0
  np.testing.assert_array_equal(drawn.labels[~own], made.train.label[~own])
  sizes = np.bincount(made.train.label[own], minlength=10)
  wrong = (drawn.labels != made.train.label)[own].sum()
  assert wrong == np.rint(sizes * 0.5).sum()
  np.testing.assert_array_equal(drawn.transition, noise.symmetric(10, 0.5))


def test_only_runs_of_the_same_images_have_the_same_key():
  one = config(open_set_from='cifar100', open_set_rate=0.25)
  assert open_set.key(config('symmetric', 0.4), 1) == ()
  other = dataclasses.replace(one, name='symmetric', rate=0.4)
  assert open_set.key(one, 1) == open_set.key(other, 1)
  for changes in (
    {'open_set_rate': 0.3},
    {'open_set_from': 'mnist'},
    {'seed': 2},
    {'imbalance': 'step', 'imbalance_ratio': 2.0},
  ):
    other = dataclasses.replace(one, **changes)
    assert open_set.key(one, 1) != open_set.key(other, 1)
  assert open_set.key(one, 1) != open_set.key(one, 2)


def test_a_file_of_labels_brings_its_images(cifar10, data_dir, tmp_path):
  first = config(open_set_from='cifar100', open_set_rate=0.1)
  made = changed(cifar10, first, data_dir, seed=5)
  path = tmp_path / 'noise.npz'
  label_files.save_npz(
    path, made.train.example_id, made.train.label, None, made.replaced
  )
  again = config('file', path=str(path), open_set_from='cifar100')
  labels.check_name(again, {})
  other = changed(cifar10, again, data_dir, seed=6)
  np.testing.assert_array_equal(other.train.image, made.train.image)
  twice = dataclasses.replace(again, open_set_rate=0.5)
  said = told(changed, cifar10, twice, data_dir)
  assert '6 of them, and config.noise.open_set_rate=0.5 how many' in said
  plain = tmp_path / 'plain.npz'
  label_files.save_npz(plain, made.train.example_id, made.train.label)
  said = told(
    changed, cifar10, dataclasses.replace(again, path=str(plain)), data_dir
  )
  assert 'plain.npz does not say which images are replaced' in said
  without = config('file', path=str(path))
  said = told(changed, cifar10, without, data_dir)
  assert said == (
    f"{path}: 6 images of its examples were replaced by those of 'cifar100':"
    ' set --config.noise.open_set_from=cifar100'
  )
  strange = dataclasses.replace(made.replaced, images=np.arange(6) + 10**6)
  label_files.save_npz(
    path, made.train.example_id, made.train.label, None, strange
  )
  said = told(changed, cifar10, again, data_dir)
  assert 'there is no image of cifar100 1000000, which' in said


def test_images_of_ones_own(data_dir, tmp_path):
  pixels = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 1), np.uint8)
  path = tmp_path / 'mine.npz'
  np.savez(path, images=pixels, labels=np.arange(30) % 3)
  dataset = reading.read('digits', data_dir, limit=20)
  noise_config = config(open_set_from=str(path), open_set_rate=0.5)
  section = reading.data_config('digits', limit=20)
  made = open_set.apply(dataset, section, noise_config, 0)
  mine = {image.tobytes() for image in pixels}
  assert sum(x.tobytes() in mine for x in made.train.image) == 10
  # Two who have the same images need not have them at the same place.
  other = tmp_path / 'theirs.npz'
  other.write_bytes(path.read_bytes())
  at_other = dataclasses.replace(noise_config, open_set_from=str(other))
  theirs = open_set.apply(dataset, section, at_other, 0)
  assert theirs.replaced.source == made.replaced.source
  file = tmp_path / 'noise.npz'
  ids = made.train.example_id
  label_files.save_npz(file, ids, made.train.label, None, made.replaced)
  again = config('file', path=str(file), open_set_from=str(other))
  found = open_set.apply(dataset, section, again, 1)
  np.testing.assert_array_equal(found.train.image, made.train.image)
  np.savez(other, images=255 - pixels, labels=np.arange(30) % 3)
  said = told(open_set.apply, dataset, section, again, 1)
  assert 'to these data, wherever they lie' in said


@pytest.mark.parametrize(
  ('source', 'message'),
  [
    ('mnist', 'has images of 28x28x1, and'),
    ('cifar11', 'config.noise.open_set_from=cifar11: '),
    ('mine.npz', 'open_set_from=mine.npz: config.data.path: there is no mine'),
    (
      'imagenet_resized/8x8',
      "from=imagenet_resized/8x8: data set 'imagenet_re",
    ),
  ],
)
def test_images_that_cannot_serve_are_refused(
  source, message, cifar10, data_dir
):
  noise_config = config(open_set_from=source, open_set_rate=0.25)
  assert message in told(changed, cifar10, noise_config, data_dir)


def test_images_of_the_training_split_are_not_taken(
  cifar10, data_dir, tmp_path
):
  """As of CIFAR-10N, which has CIFAR-10's under another name."""
  path = tmp_path / 'same.npz'
  np.savez(path, images=cifar10.train.image, labels=cifar10.train.label)
  noise_config = config(open_set_from=str(path), open_set_rate=0.25)
  said = told(changed, cifar10, noise_config, data_dir)
  assert '14 images are to be replaced, but ' in said
  assert ' has 0 that' in said


def test_the_data_set_itself_is_no_other(cifar10):
  noise_config = config(open_set_from='cifar10', open_set_rate=0.25)
  said = told(labels.check_fits, noise_config, cifar10.info)
  assert 'open_set_from=cifar10 is the data set that is trained on' in said


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'open_set_rate': 0.2}, 'give open_set_from with a open_set_rate above 0'),
    ({'open_set_from': 'cifar100'}, 'open_set_rate is 0.0: give open_set_from'),
    ({'imbalance': 'step'}, "imbalance is 'step' and config.noise.imbalance_r"),
    ({'imbalance_ratio': 10.0}, 'with a imbalance_ratio above 1, or neither'),
    ({'second': 'symmetric'}, 'give second with a second_rate above 0'),
    (
      {'second': 'part_dependent', 'second_rate': 0.2},
      "second is 'part_dependent': it must be one of symmetric, symmetric_incl",
    ),
    (
      {'name': 'seal'},
      "noise 'seal' is made of probabilities: name their file",
    ),
    ({'path': 'x.npz'}, 'or of probabilities for noise that is made of them'),
  ],
)
def test_fields_that_do_not_go_together(changes, message):
  said = told(labels.check_name, dataclasses.replace(CLEAN, **changes), {})
  assert message in said


def test_the_second_noise_must_fit_too(cifar10):
  noise_config = config(second='asymmetric_cifar100', second_rate=0.2)
  said = told(labels.check_fits, noise_config, cifar10.info)
  assert "'asymmetric_cifar100' is defined for 100 classes, not 10" in said


def test_imbalance_comes_before_the_noise(tmp_path):
  clean = np.repeat([0, 1, 2], 40)
  theirs = np.where(np.arange(120) % 2, clean, (clean + 1) % 3)
  data = reading.made(clean, label_sets={'theirs': theirs})
  skewed = {'imbalance': 'exponential', 'imbalance_ratio': 4.0}
  noise_config = config('pair_flip', 0.5, **skewed)
  rows = labels.used_rows(data, noise_config, 0)
  assert np.bincount(clean[rows]).tolist() == [40, 20, 10]
  drawn = labels.apply_label_noise(data, noise_config, 0)
  wrong = drawn.labels[rows] != clean[rows]
  # Exactly a half of each class that is left.
  assert np.bincount(clean[rows][wrong]).tolist() == [20, 10, 5]
  # The others keep their labels, which nobody trains on.
  rest = np.setdiff1d(np.arange(120), rows)
  np.testing.assert_array_equal(drawn.labels[rest], clean[rest])
  # Given labels and files are of all examples, and serve those that are left.
  drawn = labels.apply_label_noise(data, config('theirs', **skewed), 0)
  np.testing.assert_array_equal(drawn.labels[rows], theirs[rows])
  path = tmp_path / 'labels.npz'
  label_files.save_npz(path, data.train.example_id, theirs)
  from_file = config('file', path=str(path), **skewed)
  drawn = labels.apply_label_noise(data, from_file, 0)
  np.testing.assert_array_equal(drawn.labels[rows], theirs[rows])


def test_a_hybrid_has_the_product_as_matrix():
  data = reading.made(np.arange(300) % 3)
  noise_config = config(
    'pair_flip', 0.2, second='symmetric', second_rate=0.3, mode='iid'
  )
  labels.check_name(noise_config, {})
  labels.check_fits(noise_config, data.info)
  drawn = labels.apply_label_noise(data, noise_config, 0)
  expected = noise.pair_flip(3, 0.2) @ noise.symmetric(3, 0.3)
  np.testing.assert_allclose(drawn.transition, expected)
  found = labels.transition_matrix(noise_config, data.info)
  np.testing.assert_allclose(found, expected)
  # The second alone: the first is clean.
  alone = config(second='symmetric', second_rate=0.3)
  found = labels.transition_matrix(alone, data.info)
  np.testing.assert_allclose(found, noise.symmetric(3, 0.3))
  assert labels.transition_matrix(config(), data.info) is None


def test_matched_to_a_file(tmp_path):
  clean = np.arange(400) % 2
  theirs = clean.copy()
  theirs[:100:2] = 1  # A quarter of class 0, and those with low ids.
  data = reading.made(clean, num_classes=2)
  path = tmp_path / 'theirs.npz'
  label_files.save_npz(path, data.train.example_id, theirs)
  noise_config = config('matched_file', path=str(path))
  labels.check_name(noise_config, {})
  labels.check_fits(noise_config, data.info)
  drawn = labels.apply_label_noise(data, noise_config, 0)
  np.testing.assert_array_equal(drawn.transition, [[0.75, 0.25], [0, 1]])
  wrong = np.flatnonzero(drawn.labels != clean)
  assert len(wrong) == 50 and (wrong >= 100).any()
  label_files.save_npz(path, data.train.example_id + 1, theirs)
  said = told(labels.apply_label_noise, data, noise_config, 0)
  assert said.startswith(f'{path}: there is no label for example 10')


def test_what_was_replaced_is_read_back(tmp_path):
  path = tmp_path / 'labels.npz'
  ids = np.array([4, 8, 6])
  replaced = noise.Replaced('far', np.array([6, 4]), np.array([1, 3]))
  label_files.save_npz(path, ids, np.array([0, 1, 1]), None, replaced)
  found = label_files.read_replaced(path)
  assert (found.source, found.ids.tolist()) == ('far', [6, 4])
  assert found.images.tolist() == [1, 3]
  label_files.save_npz(path, ids, np.array([0, 1, 1]))
  assert label_files.read_replaced(path) is None
  for own, images in (([5], [1]), ([6, 4], [1]), ([6, 6], [1, 2])):
    np.savez(
      path, ids=ids, labels=ids * 0, replaced_ids=own, replaced_by=images
    )
    assert f'{path}: ' in told(label_files.read_replaced, path)


def test_a_data_set_in_memory(data_dir):
  """Its own data section is that of no tfds data set."""
  section = reading.data_config('cifar10', name='mine', source='npz')
  pixels = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
  dataset = dataset_lib.from_arrays(section, pixels, np.arange(8) % 2)
  noise_config = config(open_set_from='cifar100', open_set_rate=0.5)
  made = open_set.apply(dataset, section, noise_config, 0, data_dir)
  assert (made.train.image != pixels).any((1, 2, 3)).sum() == 4


def test_what_is_dropped_changes_neither_noise_nor_images(data_dir, tmp_path):
  """So that a run can be trained again without what its audit found."""
  noise_config = config(
    'symmetric',
    0.5,
    imbalance='step',
    imbalance_ratio=2.0,
    open_set_from='cifar100',
    open_set_rate=0.25,
  )
  before = changed(reading.read('cifar10', data_dir), noise_config, data_dir)
  rows = labels.used_rows(before, noise_config, 0)
  path = tmp_path / 'choices.csv'
  given = before.train.example_id[rows[3]]
  path.write_text(f'example_id,label\n{given},drop\n')
  dropped = reading.read('cifar10', data_dir, relabel=str(path))
  after = changed(dropped, noise_config, data_dir)
  np.testing.assert_array_equal(after.train.image, before.train.image)
  np.testing.assert_array_equal(
    labels.used_rows(after, noise_config, 0), np.delete(rows, 3)
  )
  first, second = (
    labels.apply_label_noise(x, noise_config, 0).labels for x in (before, after)
  )
  np.testing.assert_array_equal(first, second)
