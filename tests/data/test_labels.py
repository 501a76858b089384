"""The labels that a run trains on: drawn, given by people, or by a file."""

import dataclasses

import numpy as np
import pytest
import tensorflow_datasets as tfds

from configs import digits as digits_config
from sce_jax import noise
from sce_jax.config import check as config_lib
from sce_jax.data import label_files, labels
from sce_jax.data.dataset import Dataset, Split
from sce_jax.data.labels import NoiseConfig
from tests.data import reading
from tests.data.reading import told
from tests.noise import class_names

NOISE = NoiseConfig('symmetric', 0.4, 'exact', None, None)


def config(name='symmetric', rate=0.4, **changes):
  return dataclasses.replace(NOISE, name=name, rate=rate, **changes)


def from_file(path):
  return config(labels.FROM_FILE, 0.0, path=str(path))


def reordered(dataset, order):
  rows = (x[order] for x in vars(dataset.train).values())
  return Dataset(dataset.info, Split(*rows), dataset.test)


@pytest.fixture(scope='module')
def digits(data_dir):
  return reading.read('digits', data_dir)


def test_noise_is_on_given_training_labels_only(digits):
  before = digits.train.label.copy()
  noisy = labels.apply_label_noise(digits, NOISE, seed=0).labels
  assert np.mean(noisy != before) == pytest.approx(0.4, abs=0.005)
  np.testing.assert_array_equal(digits.train.label, before)
  np.testing.assert_array_equal(digits.train.clean_label, before)
  np.testing.assert_array_equal(digits.test.label, digits.test.clean_label)
  split = labels.with_labels(digits.train, noisy)
  np.testing.assert_array_equal(split.label, noisy)
  np.testing.assert_array_equal(split.clean_label, before)
  np.testing.assert_array_equal(split.image, digits.train.image)
  np.testing.assert_array_equal(split.example_id, digits.train.example_id)


def test_noise_follows_ids_not_order(digits):
  order = np.random.default_rng(0).permutation(len(digits.train))
  shuffled = reordered(digits, order)
  np.testing.assert_array_equal(
    labels.apply_label_noise(shuffled, NOISE, 0).labels,
    labels.apply_label_noise(digits, NOISE, 0).labels[order],
  )


def test_noise_has_the_configs_seed_or_its_own(digits):
  def drawn(seed, noise_seed):
    noise_config = config(seed=noise_seed)
    return labels.apply_label_noise(digits, noise_config, seed).labels

  np.testing.assert_array_equal(drawn(1, None), drawn(0, 1))
  np.testing.assert_array_equal(drawn(5, 3), drawn(6, 3))
  np.testing.assert_array_equal(drawn(5, 0), drawn(0, None))
  assert np.any(drawn(0, None) != drawn(1, None))


def test_noise_has_the_configs_mode(digits):
  """Only `exact` takes the same share of every class."""

  def wrong_by_class(mode):
    noisy = labels.apply_label_noise(digits, config(mode=mode), 0).labels
    clean = digits.train.clean_label
    return np.bincount(clean[noisy != clean]) / np.bincount(clean)

  # Of some 120 examples each: half of one off by rounding.
  np.testing.assert_allclose(wrong_by_class('exact'), 0.4, atol=0.005)
  assert np.abs(wrong_by_class('iid') - 0.4).max() > 0.02


@pytest.mark.parametrize('seed', [0, 1])
def test_the_given_labels_are_those_of_the_matrix(digits, seed):
  noise_config = config('pair_flip', 0.3)
  noisy = labels.apply_label_noise(digits, noise_config, seed)
  expected = noise.corrupt(
    digits.train.clean_label,
    noise.pair_flip(10, 0.3),
    seed=seed,
    mode='exact',
    ids=digits.train.example_id,
  )
  np.testing.assert_array_equal(noisy.labels, expected)
  np.testing.assert_array_equal(noisy.transition, noise.pair_flip(10, 0.3))
  np.testing.assert_array_equal(
    labels.transition_matrix(noise_config, digits.info), noisy.transition
  )


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
  data = reading.read(name, data_dir)
  noise_config = config(choice, 0.0)
  labels.check_fits(noise_config, data.info)
  noisy = labels.apply_label_noise(data, noise_config, 0)
  source = tfds.builder(name, data_dir=data_dir).as_data_source('train')
  assert noisy.labels.tolist() == [record[feature] for record in source]
  assert noisy.labels.dtype == np.int32
  assert noisy.transition is None
  assert labels.transition_matrix(noise_config, data.info) is None


def test_a_label_set_keeps_to_its_examples():
  data = reading.made([0, 1, 2, 0], label_sets={'theirs': [2, 1, 0, 0]})
  noisy = labels.apply_label_noise(data, config('theirs'), seed=3)
  # Neither rate nor mode nor seed are read.
  assert noisy.labels.tolist() == [2, 1, 0, 0]
  assert noisy.transition is None


@pytest.mark.parametrize('mode', ['exact', 'iid'])
def test_noise_is_matched_to_a_label_set(mode):
  clean = np.arange(3000) % 3
  # A quarter of class 0 is taken for 2, a half of class 1 for 0.
  theirs = clean.copy()
  theirs[0:750:3], theirs[1:1500:3] = 2, 0
  data = reading.made(clean, label_sets={'theirs': theirs})
  noise_config = config('matched_theirs', mode=mode)
  labels.check_name(noise_config, {'theirs': 'feature'})
  labels.check_fits(noise_config, data.info)
  drawn = labels.apply_label_noise(data, noise_config, 1)
  matrix = [[0.75, 0, 0.25], [0.5, 0.5, 0], [0, 0, 1]]
  np.testing.assert_array_equal(drawn.transition, matrix)
  counted, _ = noise.empirical_transition_matrix(clean, drawn.labels, 3)
  # Of 1000: 0.07 are more than 4 deviations.
  np.testing.assert_allclose(counted, matrix, atol=mode == 'iid' and 0.07)
  assert labels.transition_matrix(noise_config, data.info) is None
  again = labels.apply_label_noise(data, noise_config, 2)
  assert (again.labels != drawn.labels).any()


def test_noise_is_matched_only_where_true_labels_are_known():
  made = {'label_sets': {'theirs': [0, 0, 1]}, 'clean_labels': False}
  noise_config = config('matched_theirs')
  said = told(
    labels.check_fits, noise_config, reading.made([0, 1, 1], **made).info
  )
  assert "'matched_theirs' corrupts clean labels, which are not known" in said
  said = told(labels.check_name, noise_config, {'others': 'feature'})
  assert said.endswith(', file, others, matched_file, matched_others')


@pytest.mark.parametrize('choice', ['worse', 'noisy'])
def test_peoples_labels_of_another_data_set_are_refused(choice):
  c = digits_config.get_config(f'sl,{choice},0.0')
  assert told(config_lib.check_config, c).startswith(
    f'noise {choice!r} is not known: use one of clean, symmetric, '
  )


def save(path, dataset, values, order=slice(None)):
  ids = dataset.train.example_id[order]
  values = np.array(values)[order]
  if path.suffix == '.npz':
    label_files.save_npz(path, ids, values)
  else:
    rows = zip(ids, values, strict=True)
    lines = [f'{value},{i}' for i, value in rows]
    path.write_text('\n'.join(['label,example_id', *lines]) + '\n')


@pytest.mark.parametrize('name', ['labels.npz', 'labels.csv'])
@pytest.mark.parametrize('order', [slice(None), [3, 0, 2, 1]])
def test_the_labels_of_a_file_are_found_by_id(name, order, tmp_path):
  data = reading.made([0, 1, 2, 0])
  save(tmp_path / name, data, [2, 2, 1, 0], order)
  noise_config = from_file(tmp_path / name)
  labels.check_fits(noise_config, data.info)
  noisy = labels.apply_label_noise(data, noise_config, seed=0)
  assert noisy.labels.tolist() == [2, 2, 1, 0]
  assert noisy.labels.dtype == np.int32
  assert noisy.transition is None
  assert labels.transition_matrix(noise_config, data.info) is None
  # Whatever the order in which the data set is read.
  again = [1, 3, 0, 2]
  noisy = labels.apply_label_noise(reordered(data, again), noise_config, 0)
  assert noisy.labels.tolist() == [2, 0, 2, 1]


def test_a_file_stands_for_the_noise_that_it_holds(digits, tmp_path):
  noisy = labels.apply_label_noise(digits, NOISE, seed=1).labels
  save(tmp_path / 'labels.npz', digits, noisy)
  again = labels.apply_label_noise(
    digits, from_file(tmp_path / 'labels.npz'), seed=2
  )
  np.testing.assert_array_equal(again.labels, noisy)


@pytest.mark.parametrize(
  ('ids', 'values', 'message'),
  [
    ([10, 20, 30], [0, 1, 2], '3 labels for 4 training examples: give each'),
    ([10, 20, 30, 40, 50], [0] * 5, '5 labels for 4 training examples'),
    ([10, 20, 30, 45], [0, 1, 2, 0], 'no label for example 40, but one for 45'),
    ([5, 20, 30, 40], [0, 1, 2, 0], 'no label for example 10, but one for 5'),
    (
      [10, 20, 30, 40],
      [0, 1, 3, 0],
      'labels must be in [0, 2] for 3 classes, not in [0, 3]',
    ),
    ([10, 20, 30, 40], [0, -1, 2, 0], '3 classes, not in [-1, 2]'),
  ],
)
def test_a_file_of_other_examples_or_classes_is_refused(
  ids, values, message, tmp_path
):
  path = tmp_path / 'labels.npz'
  label_files.save_npz(path, np.array(ids), np.array(values))
  data = reading.made([0, 1, 2, 0])
  said = told(labels.apply_label_noise, data, from_file(path), 0)
  assert said.startswith(f'{path}: ')
  assert message in said


def test_a_file_is_named_with_its_noise_and_with_no_other():
  c = digits_config.get_config('sl,file,0.0')
  message = told(config_lib.check_config, c)
  assert 'config.noise.path is the file of labels' in message
  c.noise.path = 'labels.npz'
  assert config_lib.check_config(c).noise == from_file('labels.npz')
  c.noise.name = 'clean'
  assert 'give both or neither' in told(config_lib.check_config, c)


@pytest.mark.parametrize(
  ('name', 'class_names', 'message'),
  [
    (
      'asymmetric_cifar10',
      tuple('0123456789'),
      "number 0 is 'airplane', but here it is '0': use one of clean, ",
    ),
    (
      'asymmetric_mnist',
      class_names.CIFAR10,
      "number 0 is '0', but here it is 'airplane': use one of clean, ",
    ),
  ],
)
def test_noise_of_other_classes_is_refused(name, class_names, message):
  data = reading.made(range(10), 10, class_names)
  said = told(labels.check_fits, config(name, 0.2), data.info)
  assert said.startswith(f'noise {name!r} is defined for classes of which ')
  assert message in said
  # It suggests the noise of these classes, and not that of other ones.
  own = {'asymmetric_cifar10', 'asymmetric_mnist'} - {name}
  offered = said.partition('use one of ')[2].split(', ')
  assert own <= set(offered) and name not in offered
  labels.check_fits(config(own.pop(), 0.2), data.info)


@pytest.mark.parametrize('name', ['asymmetric_cifar10', 'asymmetric_mnist'])
def test_where_classes_have_no_names_their_number_decides(name):
  labels.check_fits(config(name), reading.made(range(10), 10).info)
  said = told(labels.check_fits, config(name), reading.made([0, 1, 2]).info)
  assert f'noise {name!r} is defined for 10 classes, not 3' in said


def test_a_rate_that_no_noise_has_is_refused():
  info = reading.made([0, 1, 2]).info
  said = told(labels.check_fits, config('clean', 0.2), info)
  assert "noise 'clean' has rate 0, not 0.2" in said
  said = told(labels.check_fits, config('random_matrix', 0.7), info)
  assert 'can be learned from only at a rate below 0.6667, not at 0.7' in said


def test_a_noise_may_look_at_the_images(monkeypatch):
  """And then there is no matrix that it is drawn from."""

  def bright(clean, ids, num_classes, rate, seed, mode, images):
    order = np.argsort(images.pixels.mean((1, 2, 3)))
    wrong = order[round((1 - rate) * len(clean)) :]
    noisy = clean.copy()
    noisy[wrong] = (noisy[wrong] + 1) % num_classes
    return noise.NoisyLabels(noisy, None)

  monkeypatch.setitem(noise.NOISE, 'bright', noise.NoiseSpec(bright))
  data = reading.made([0, 1, 2, 0])  # Images of rising brightness.
  noise_config = config('bright', 0.5)
  noisy = labels.apply_label_noise(data, noise_config, seed=0)
  assert noisy.labels.tolist() == [0, 1, 0, 1]
  assert noisy.transition is None
  assert labels.transition_matrix(noise_config, data.info) is None
  labels.check_fits(noise_config, data.info)


def test_noise_of_images_sees_them_as_the_config_normalises_them(digits):
  noise_config = config('part_dependent', 0.3)
  labels.check_fits(noise_config, digits.info)
  noisy = labels.apply_label_noise(digits, noise_config, seed=2)
  train, info = digits.train, digits.info
  expected = noise.part_dependent(
    train.clean_label,
    train.example_id,
    10,
    0.3,
    2,
    'iid',
    noise.Images((train.image / info.pixel_max - info.mean) / info.std),
  )
  np.testing.assert_array_equal(noisy.labels, expected.labels)
  wrong = np.mean(noisy.labels != train.clean_label)
  assert wrong == pytest.approx(0.3, abs=0.05)


def test_labels_of_which_nobody_knows_the_true_ones_are_left_as_they_are():
  data = reading.made([2, 0, 1, 1], clean_labels=False)
  clean = config('clean', 0.0)
  labels.check_fits(clean, data.info)
  noisy = labels.apply_label_noise(data, clean, seed=0)
  assert noisy.labels.tolist() == [2, 0, 1, 1]
  assert noisy.transition is None
  assert labels.transition_matrix(clean, data.info) is None


@pytest.mark.parametrize('name', ['symmetric', 'pair_flip'])
def test_what_is_not_known_to_be_clean_is_not_corrupted(name):
  info = reading.made([2, 0, 1, 1], clean_labels=False).info
  said = told(labels.check_fits, config(name), info)
  assert said.startswith(
    f'noise {name!r} corrupts clean labels, which are not known of data set'
    " 'digits': use config.noise.name=clean"
  )


def test_given_labels_need_no_clean_ones(tmp_path):
  data = reading.made(
    [2, 0, 1, 1], label_sets={'theirs': [0, 0, 1, 2]}, clean_labels=False
  )
  save(tmp_path / 'labels.csv', data, [1, 1, 2, 0])
  for noise_config, expected in (
    (config('theirs', 0.0), [0, 0, 1, 2]),
    (from_file(tmp_path / 'labels.csv'), [1, 1, 2, 0]),
  ):
    labels.check_fits(noise_config, data.info)
    noisy = labels.apply_label_noise(data, noise_config, seed=0)
    assert noisy.labels.tolist() == expected
    assert noisy.transition is None


@pytest.mark.parametrize(
  ('name', 'noises'),
  [
    ('digits', {'asymmetric_mnist'}),
    ('mnist', {'asymmetric_mnist'}),
    ('cifar100', {x for x in noise.NOISE if 'cifar100' in x}),
  ],
)
def test_asymmetric_noise_fits_its_own_data_set(name, noises, data_dir):
  info = reading.read(name, data_dir, limit=2).info
  for other in (x for x in noise.NOISE if 'asymmetric' in x):
    if other in noises:
      labels.check_fits(config(other, 0.2), info)
    else:
      said = told(labels.check_fits, config(other, 0.2), info)
      assert said.startswith(f'noise {other!r} is defined for ')


def test_choices_replace_noisy_labels(data_dir, digits, tmp_path):
  before = labels.apply_label_noise(digits, NOISE, seed=0).labels
  path = tmp_path / 'choices.csv'
  given = digits.train.example_id
  path.write_text(f'example_id,label\n{given[5]},3\n{given[2]},drop\n')
  dataset = reading.read('digits', data_dir, relabel=str(path))
  after = labels.apply_label_noise(dataset, NOISE, seed=0)
  expected = before.copy()
  expected[5] = 3
  np.testing.assert_array_equal(after.labels, expected)
  assert after.transition is None
  np.testing.assert_array_equal(
    dataset.kept, np.delete(np.arange(len(before)), 2)
  )
  # Where nothing is dropped, all are kept.
  path.write_text(f'example_id,label\n{given[5]},3\n')
  assert reading.read('digits', data_dir, relabel=str(path)).kept is None


@pytest.mark.parametrize(
  ('lines', 'message'),
  [
    ('0,10', 'label 10 of example 0 is no class; there are 10, 0 to 9'),
    ('0,-1', "whole number or drop, not '0' and '-1'"),
    ('99999,1', "there is no training example '99999': are these choices for"),
    ('0,1\n0,2', "id '0' stands twice"),
  ],
)
def test_choices_that_do_not_fit(lines, message, data_dir, tmp_path):
  path = tmp_path / 'choices.csv'
  path.write_text(f'example_id,label\n{lines}\n')
  assert message in told(reading.read, 'digits', data_dir, relabel=str(path))


def test_not_all_examples_can_be_dropped(data_dir, tmp_path):
  path = tmp_path / 'choices.csv'
  ids = reading.read('digits', data_dir, limit=2).train.example_id
  path.write_text(f'example_id,label\n{ids[0]},drop\n{ids[1]},drop\n')
  message = told(reading.read, 'digits', data_dir, relabel=str(path), limit=2)
  assert 'drops all training examples' in message


@pytest.mark.parametrize(
  ('name', 'rate', 'lost'),
  [
    ('symmetric', 0.89, None),
    ('symmetric', 0.9, 10),  # 1 - 1/K: all labels alike.
    ('symmetric', 0.95, 10),
    ('pair_flip', 0.49, None),
    ('pair_flip', 0.5, 10),
    ('asymmetric_mnist', 0.6, 5),  # 2, 3, 5, 6 and 7 turn into others.
    ('clean', 0.0, None),
  ],
)
def test_noise_that_leaves_nothing_to_learn_is_warned_of(
  name, rate, lost, digits
):
  line = labels.warning(config(name, rate), digits.info)
  if lost is None:
    assert line is None
  else:
    assert f'most frequent label of {lost} of 10 classes' in line
    assert f'with {name} noise at rate {rate} the true class' in line


def test_the_warning_names_the_noises_that_there_are(digits):
  second = {'second': 'pair_flip', 'second_rate': 0.6}
  after = dataclasses.replace(config('clean', 0.0), **second)
  said = 'warning: with pair_flip noise at rate 0.6 the true class is not'
  assert labels.warning(after, digits.info).startswith(said)
  after = dataclasses.replace(config('symmetric', 0.2), **second)
  said = (
    'warning: with symmetric noise at rate 0.2 and then pair_flip noise at rate'
    ' 0.6 the true class is not'
  )
  assert labels.warning(after, digits.info).startswith(said)


def test_a_second_noise_is_refused_under_its_own_field():
  """Its rate, its classes, and what it needs; the first is `clean` here."""
  clean = config('clean', 0.0)
  unknown = reading.made([2, 0, 1, 1], clean_labels=False).info
  second = dataclasses.replace(clean, second='pair_flip', second_rate=0.2)
  assert told(labels.check_fits, second, unknown) == (
    "noise 'pair_flip' corrupts clean labels, which are not known of data set"
    " 'digits': leave config.noise.second out"
  )
  second = dataclasses.replace(clean, second='random_matrix', second_rate=0.7)
  said = told(labels.check_fits, second, reading.made([0, 1, 2]).info)
  assert said.startswith('config.noise.second: ') and 'not at 0.7' in said
