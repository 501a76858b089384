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
