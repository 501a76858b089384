"""Files as the authors of CIFAR-N publish them, made up."""

import shutil

import numpy as np
import pytest

from sce_jax.data import human_labels


@pytest.fixture
def source(tmp_path):
  folder = tmp_path / 'source'
  (folder / 'data').mkdir(parents=True)
  labels = {'clean': [3, 1], 'aggre': [3, 1], 'worse': [5, 9]}
  np.save(
    folder / 'data' / 'CIFAR-10_human_ordered.npy',
    {key: np.array(value) for key, value in labels.items()},
    allow_pickle=True,
  )
  np.save(folder / 'image_order_c10.npy', np.array([1, 0]))
  (folder / 'side_info_cifar10N.csv').write_text('a,b\n')
  return folder


def test_tfds_finds_what_it_asks_for(source, tmp_path):
  folder = tmp_path / 'manual'
  human_labels.fetch('cifar10_n', folder, source.as_uri())
  text = (folder / 'CIFAR-10_human_annotations.csv').read_text()
  assert text == 'clean,aggre,worse\n3,3,5\n1,1,9\n'
  assert np.load(folder / 'image_order_c10.npy').tolist() == [1, 0]
  assert (folder / 'side_info_cifar10N.csv').read_text() == 'a,b\n'
  # Nothing half done is left, and nothing is fetched twice.
  assert len(list(folder.iterdir())) == 4
  shutil.rmtree(source)
  human_labels.fetch('cifar10_n', folder, source.as_uri())


def test_what_is_missing_is_told(source, tmp_path):
  (source / 'image_order_c10.npy').unlink()
  with pytest.raises(OSError, match=r'image_order_c10\.npy'):
    human_labels.fetch('cifar10_n', tmp_path / 'manual', source.as_uri())
