"""Arrays in memory as a data set, and training on one."""

import numpy as np
import pytest

from configs import own
from sce_jax import train
from sce_jax.data import dataset as dataset_lib
from sce_jax.runs import dataset_record
from tests.data.reading import data_config, told

IMAGES = np.arange(24 * 8 * 8, dtype=np.uint8).reshape(24, 8, 8)
LABELS = np.array(['no', 'yes', 'no'] * 8)


def test_texts_of_any_type_are_labels():
  data = dataset_lib.from_arrays(data_config('own'), IMAGES, LABELS)
  assert data.info.class_names == ('no', 'yes')
  assert data.train.label[:3].tolist() == [0, 1, 0]
  for labels in (list(LABELS), LABELS.astype(object), LABELS.astype(bytes)):
    same = dataset_lib.from_arrays(data_config('own'), IMAGES, labels)
    assert same.info == data.info
    np.testing.assert_array_equal(same.train.label, data.train.label)
  mixed = [1, '1'] * 12
  line = told(
    dataset_lib.from_arrays,
    data_config('own'),
    IMAGES,
    np.array(mixed, object),
  )
  assert 'are of several types' in line


@pytest.mark.parametrize(
  ('labels', 'clean', 'names'),
  [
    ([True, False], [1, -1], ('0', '1')),
    (['1', '0'], ['1.0', ''], ('0', '1')),
    ([True, False], [True, False], ('False', 'True')),
  ],
)
def test_labels_and_clean_labels_are_written_alike(labels, clean, names):
  data = dataset_lib.from_arrays(
    data_config('own'), IMAGES, labels * 12, clean_labels=clean * 12
  )
  assert data.info.class_names == names
  assert data.train.clean_label[:2].tolist() in ([1, -1], [1, 0])
  assert data.train.label[:2].tolist() == [1, 0]


def test_clean_labels_of_other_classes_are_refused():
  line = told(
    dataset_lib.from_arrays,
    data_config('own'),
    IMAGES,
    LABELS,
    clean_labels=[0, 1, -1] * 8,
  )
  assert "no clean label, such as '0', is also a label, such as 'no'" in line


def test_a_limit_leaves_ids_and_the_numbers_of_the_classes():
  # Of four examples it leaves the first and the third.
  data = dataset_lib.from_arrays(
    data_config('own', limit=2),
    IMAGES[:4],
    ['b', 'a', 'd', 'c'],
    clean_labels=['', 'e', 'd', ''],
  )
  assert data.train.example_id.tolist() == [0, 2]
  np.testing.assert_array_equal(data.train.image, IMAGES[[0, 2], ..., None])
  assert data.info.class_names == ('a', 'b', 'c', 'd', 'e')
  assert data.train.label.tolist() == [1, 3]
  assert data.train.clean_label.tolist() == [-1, 3]


def test_names_say_which_classes_there_are():
  names = ['cat', 'cow', 'dog', 'ewe']
  data = dataset_lib.from_arrays(
    data_config('own', held_out=0.5),
    IMAGES,
    [0, 3] * 12,
    clean_labels=[0, -1] * 12,
    class_names=names,
  )
  assert (data.info.num_classes, data.info.class_names) == (4, tuple(names))
  assert (len(data.train), len(data.test)) == (12, 12)
  assert set(data.train.label) == {0, 3}
  line = told(
    dataset_lib.from_arrays,
    data_config('own'),
    IMAGES,
    [0, 2] * 12,
    class_names=names[:2],
  )
  assert "label '2' is no class; there are names of 2 classes" in line


@pytest.mark.usefixtures('small_network')
def test_what_is_in_memory_is_trained_on(tmp_path):
  config = own.get_config('sl,clean,0,tiny')
  data = dataset_lib.from_arrays(
    data_config('own'), IMAGES, LABELS, test_images=IMAGES, test_labels=LABELS
  )
  result = train.train_and_evaluate(config, tmp_path / 'run', dataset=data)
  assert dataset_record.read(tmp_path / 'run')[0] == data.info
  # The same run, whoever has read the arrays.
  np.savez(
    tmp_path / 'own.npz',
    x=IMAGES,
    y=LABELS,
    test_images=IMAGES,
    test_labels=LABELS,
  )
  config.data.path = str(tmp_path / 'own.npz')
  again = train.train_and_evaluate(config, tmp_path / 'again')
  assert again['test'] == result['test']
  other = own.get_config('sl,clean,0,tiny')
  line = told(
    train.train_many,
    [config, other],
    [tmp_path / 'a', tmp_path / 'b'],
    dataset=data,
  )
  assert 'must have the same data section' in line
  assert not (tmp_path / 'a').exists()
