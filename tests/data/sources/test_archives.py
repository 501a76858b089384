"""The known data sets from small archives in the form of the original ones."""

import gzip
import hashlib
import io
import struct
import sys
import tarfile
import types

import numpy as np
import pytest
import tensorflow_datasets as tfds

from sce_jax.data.sources import archives, prepare
from tests.data.reading import told

COUNT = {'train': 20, 'test': 10}


@pytest.fixture
def source(tmp_path, monkeypatch):
  """A folder to put archives into, whose digests are the published ones."""
  folder = tmp_path / 'source'
  folder.mkdir()
  real = archives.published

  def published(name):
    return {
      url: types.SimpleNamespace(
        filename=info.filename,
        size=info.size,
        checksum=hashlib.sha256(
          (folder / info.filename).read_bytes()
        ).hexdigest(),
      )
      for url, info in real(name).items()
    }

  monkeypatch.setattr(archives, 'published', published)
  return folder


def idx(values):
  head = struct.pack(f'>{1 + values.ndim}i', 0x800 + values.ndim, *values.shape)
  return gzip.compress(head + values.astype(np.uint8).tobytes())


def write_mnist(folder):
  rng = np.random.default_rng(0)
  written = {}
  for split, prefix in (('train', 'train'), ('test', 't10k')):
    images = rng.integers(0, 256, (COUNT[split], 28, 28))
    labels = rng.integers(0, 10, COUNT[split])
    (folder / f'{prefix}-images-idx3-ubyte.gz').write_bytes(idx(images))
    (folder / f'{prefix}-labels-idx1-ubyte.gz').write_bytes(idx(labels))
    written[split] = images[..., None], labels
  return written


def write_cifar(folder, archive, files, names):
  """Writes images of random bytes; returns images and labels by split."""
  rng = np.random.default_rng(0)
  written = {split: ([], []) for split in files}
  with tarfile.open(folder / f'{archive}-binary.tar.gz', 'w:gz') as tar:

    def add(name, data):
      member = tarfile.TarInfo(f'{archive}-batches-bin/{name}')
      member.size = len(data)
      tar.addfile(member, io.BytesIO(data))

    for split, parts in files.items():
      for part in parts:
        size = COUNT[split] // len(parts)
        images = rng.integers(0, 256, (size, 3, 32, 32))
        labels = rng.integers(0, 10, (size, len(names)))
        rows = np.concatenate([labels, images.reshape(size, -1)], axis=1)
        add(part, rows.astype(np.uint8).tobytes())
        written[split][0].append(images.transpose(0, 2, 3, 1))
        written[split][1].append(labels)
    for name, classes in names.items():
      add(name, '\n'.join(f'{name[0]}{i}' for i in range(classes)).encode())
  return {
    split: (np.concatenate(images), np.concatenate(labels))
    for split, (images, labels) in written.items()
  }


def write_cifar10(folder):
  files = {
    'train': [f'data_batch_{i}.bin' for i in range(1, 6)],
    'test': ['test_batch.bin'],
  }
  return write_cifar(folder, 'cifar-10', files, {'batches.meta.txt': 10})


def write_cifar100(folder):
  names = {'coarse_label_names.txt': 20, 'fine_label_names.txt': 100}
  files = {'train': ['train.bin'], 'test': ['test.bin']}
  return write_cifar(folder, 'cifar-100', files, names)


def read(name, data_dir, split):
  """The examples of a prepared data set, in their order."""
  builder = tfds.builder(name, data_dir=str(data_dir))
  assert builder.info.file_format.value == 'array_record'
  return list(builder.as_data_source(split=split))


def test_mnist(source, tmp_path):
  written = write_mnist(source)
  archives.prepare('mnist', str(tmp_path), str(source))
  for split, (images, labels) in written.items():
    found = read('mnist', tmp_path, split)
    assert len(found) == COUNT[split]
    pixels = {
      image.tobytes(): label
      for image, label in zip(images.astype(np.uint8), labels, strict=True)
    }
    assert {x['image'].tobytes(): x['label'] for x in found} == pixels
    assert found[0]['image'].shape == (28, 28, 1)


@pytest.mark.parametrize(
  ('name', 'write', 'keys'),
  [
    ('cifar10', write_cifar10, ['label']),
    ('cifar100', write_cifar100, ['coarse_label', 'label']),
  ],
)
def test_cifar(name, write, keys, source, tmp_path):
  written = write(source)
  archives.prepare(name, str(tmp_path), str(source))
  for split, (images, labels) in written.items():
    found = {x['id'].decode(): x for x in read(name, tmp_path, split)}
    assert len(found) == COUNT[split]
    for i in range(COUNT[split]):
      example = found[f'{split}_{i:05d}']
      np.testing.assert_array_equal(example['image'], images[i])
      assert [example[key] for key in keys] == labels[i].tolist()
  label = tfds.builder(name, data_dir=str(tmp_path)).info.features['label']
  # Of cifar100 the first letter of the file of the fine ones.
  assert label.names[3] == {'cifar10': 'b3', 'cifar100': 'f3'}[name]


def test_cifar10_with_human_labels(source, tmp_path):
  """In an order of their own, and annotators by the ten images."""
  _, clean = write_cifar10(source)['train']
  order = np.random.default_rng(1).permutation(COUNT['train'])
  np.save(source / 'image_order_c10.npy', order)
  answers = (clean + np.arange(6)) % 10
  # A row for each image, in that order.
  np.savetxt(
    source / 'CIFAR-10_human_annotations.csv',
    answers[order],
    fmt='%d',
    delimiter=',',
    header='clean_label,aggre_label,...',
    comments='',
  )
  np.savetxt(
    source / 'side_info_cifar10N.csv',
    [[0, 5, 1.5, 6, 2.5, 7, 3.5], [10, 8, 4.5, 9, 5.5, 10, 6.5]],
    fmt='%g',
    delimiter=',',
    header='Image-batch,Worker1-id,...',
    comments='',
  )
  archives.prepare('cifar10_n', str(tmp_path), str(source))
  found = {x['id'].decode(): x for x in read('cifar10_n', tmp_path, 'train')}
  keys = [
    'aggre_label',
    'worse_label',
    *(f'random_label{i}' for i in (1, 2, 3)),
  ]
  for i in range(COUNT['train']):
    example = found[f'train_{i:05d}']
    assert example['label'] == clean[i, 0]
    assert [example[key] for key in keys] == answers[i, 1:].tolist()
    assert example['worker1_id'] == (5 if i < 10 else 8)
    assert example['worker3_time'] == (3.5 if i < 10 else 6.5)
  for example in read('cifar10_n', tmp_path, 'test'):
    assert example['worse_label'] == -1


def test_human_labels_that_are_missing_are_named(source, tmp_path):
  write_cifar10(source)
  message = told(archives.prepare, 'cifar10_n', str(tmp_path), str(source))
  assert message.startswith(
    'CIFAR-10_human_annotations.csv, image_order_c10.npy,'
    f' side_info_cifar10N.csv must be in {source}'
  )


@pytest.mark.faults
def test_another_file_of_that_name_is_refused(tmp_path):
  """By the digests that tfds knows."""
  write_mnist(tmp_path)
  message = told(archives.prepare, 'mnist', str(tmp_path / 'd'), str(tmp_path))
  assert f'{tmp_path}/t10k-images-idx3-ubyte.gz is not the published' in message
  assert (
    'not 8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6'
    in message
  )
  assert not list(tmp_path.glob('d/mnist/*/*.json'))


@pytest.mark.faults
def test_an_array_of_another_form_is_refused(source, tmp_path):
  write_mnist(source)
  labels = source / 'train-labels-idx1-ubyte.gz'
  labels.write_bytes((source / 'train-images-idx3-ubyte.gz').read_bytes())
  message = told(archives.prepare, 'mnist', str(tmp_path), str(source))
  assert message.startswith(f'{labels} does not hold an array of 1 dimension')


def test_archives_are_downloaded_once(tmp_path):
  """From an address, here of a file."""
  data = np.random.default_rng(0).bytes(3 * 2**20)
  (tmp_path / 'there').write_bytes(data)
  target = tmp_path / 'new' / 'here'
  url = (tmp_path / 'there').as_uri()
  archives.download(url, target, len(data))
  assert target.read_bytes() == data
  assert [x.name for x in target.parent.iterdir()] == ['here']


@pytest.mark.faults
def test_what_cannot_be_downloaded_leaves_nothing(tmp_path):
  target = tmp_path / 'new' / 'here'
  url = (tmp_path / 'nowhere').as_uri()
  message = told(archives.download, url, target, 5)
  assert message.startswith(f'{url} cannot be downloaded (')
  assert '--source=FOLDER' in message
  assert not list(target.parent.iterdir())


def test_the_command(source, tmp_path, monkeypatch, capsys):
  write_mnist(source)
  folder = tmp_path / 'data'
  arguments = [f'--data_dir={folder}', f'--source={source}']
  monkeypatch.setattr(sys, 'argv', ['prepare', 'mnist', *arguments])
  prepare.main()
  assert len(read('mnist', folder, 'train')) == COUNT['train']
  monkeypatch.setattr(sys, 'argv', ['prepare', 'digits', *arguments])
  with pytest.raises(SystemExit, match=r'--source is for mnist, fashion_mnist'):
    prepare.main()
