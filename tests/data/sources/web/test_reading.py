"""Data sets from the web, from their files to arrays; generated images."""

import dataclasses
import io

import numpy as np
from PIL import Image
import pytest

from experiments.cli import runtime
from sce_jax import train
from sce_jax.data import stream
from sce_jax.data.records import Records
from sce_jax.data.sources import memory
from sce_jax.data.sources.web import choosing, preparation, prepared
from sce_jax.data.unlabelled import Images
from sce_jax.exit_codes import ExitCode
from tests import fake_web
from tests.data import jpegs
from tests.data.reading import data_config, read, told

SMALL = {'prepared_side': 16, 'image_size': 16, 'feed': 'resident'}


# Of files that have this size their bytes are kept.
BYTES = {'prepared_side': 64, 'image_size': 64}


def load(folder, name='clothing1m', **changes):
  """Reads a data set into memory, small."""
  path = None if folder is None else str(folder)
  augment = dataclasses.replace(data_config(name).augment, crop='center')
  fields = {'path': path, 'augment': augment, **SMALL}
  return read(name, None, **(fields | changes))


@pytest.fixture
def clothes(tmp_path):
  fake_web.write_clothing1m(tmp_path / 'clothes', 120)
  return tmp_path / 'clothes'


def labels_by_name(split, names):
  return dict(zip(names, split.label.tolist(), strict=True))


def test_splits_and_labels_are_those_of_the_lists(clothes):
  dataset = load(clothes)
  splits, noisy, clean = fake_web.clothing1m_files(120)
  train, test, validation = dataset.train, dataset.test, dataset.validation
  assert labels_by_name(train, dataset.train_names) == {
    name: noisy[name] for name in splits['noisy_train']
  }
  assert sorted(test.label) == sorted(clean[x] for x in splits['clean_test'])
  assert sorted(validation.label) == sorted(
    clean[x] for x in splits['clean_val']
  )
  # Nothing of clean train, and nothing is said of true labels.
  assert train.clean_label is None and not dataset.info.clean_labels
  np.testing.assert_array_equal(test.clean_label, test.label)
  # An image shows the colour of its class, whatever its label.
  for name, image in zip(dataset.train_names[:20], train.image, strict=False):
    label = splits['noisy_train'].index(name) % 14
    hue = [(label * 53) % 256, (label * 101 + 80) % 256, 40 * (label % 7)]
    assert np.abs(image.mean((0, 1)) - np.clip(hue, 8, 248)).max() < 20


def test_the_measured_t_comes_with_it(clothes):
  dataset = load(clothes)
  _, noisy, clean = fake_web.clothing1m_files(120)
  counts = np.zeros((14, 14))
  for name in noisy.keys() & clean.keys():
    counts[clean[name], noisy[name]] += 1
  expected = np.eye(14)
  seen = counts.sum(1) > 0
  expected[seen] = counts[seen] / counts[seen].sum(1, keepdims=True)
  np.testing.assert_allclose(dataset.transition, expected)
  wrong = 1 - np.trace(counts) / counts.sum()
  assert f'of which {100 * wrong:.2f} % have a wrong' in '\n'.join(
    dataset.summary['notes']
  )
  assert dataset.summary['transition_counts'] == counts.tolist()
  # Of clean labels none is wrong; of both together a part.
  assert load(clothes, train_split='clean_train').transition is None
  mixed = load(clothes, train_split='noisy_and_clean').transition
  np.testing.assert_allclose(mixed, 0.8 * expected + 0.2 * np.eye(14))


def test_other_training_splits(clothes):
  splits, _, clean = fake_web.clothing1m_files(120)
  dataset = load(clothes, train_split='clean_train')
  assert labels_by_name(dataset.train, dataset.train_names) == {
    name: clean[name] for name in splits['clean_train']
  }
  np.testing.assert_array_equal(dataset.train.clean_label, dataset.train.label)
  dataset = load(clothes, train_split='noisy_and_clean')
  given = labels_by_name(dataset.train, dataset.train_names)
  assert len(given) == len(splits['noisy_train']) + len(splits['clean_train'])
  assert all(given[x] == clean[x] for x in splits['clean_train'])
  assert dataset.train.clean_label is None


def test_as_many_of_each_class(clothes):
  def names(**changes):
    dataset = load(clothes, **changes)
    counts = np.bincount(dataset.train.label, minlength=14)
    notes = '\n'.join(dataset.summary['notes'])
    return counts.tolist(), set(dataset.train_names), notes

  everything, _, _ = names()
  counts, first, notes = names(per_class=0)
  assert counts == [min(everything)] * 14
  assert f'{sum(counts)} training images, as many of each class' in notes
  assert 'per_class_seed=0' in notes
  assert names(per_class=0)[1] == first
  other = names(per_class=0, per_class_seed=1)[1]
  assert other != first and len(other) == len(first)
  assert names(per_class=1)[0] == [1] * 14
  message = told(load, clothes, per_class=min(everything) + 1)
  assert 'give at most as many, or 0' in message


@pytest.mark.parametrize('feed', ['stream', 'resident'])
def test_files_are_predicted_as_they_were_evaluated(feed, tmp_path):
  # Wide ones: of the square in the middle the sides are not seen.
  wide = {i: jpegs.jpeg(jpegs.smooth(20, 60, blue=i)) for i in range(9)}
  fake_web.write_clothing1m(tmp_path / 'clothes', 120, odd=wide)
  data = load(tmp_path / 'clothes', feed=feed, image_size=12)
  train = data.train.image
  if isinstance(train, Records):
    train = np.concatenate(list(stream.evaluated(train, 12, 50)))
  found = Images(tmp_path / 'clothes', (12, 12, 3), data.summary['decoding'])
  shown = {
    name: image
    for names, images in found.chunks(50)
    for name, image in zip(names, images, strict=True)
  }
  for name, image in zip(data.train_names, train, strict=True):
    np.testing.assert_array_equal(shown[name], image)


def test_once_prepared_the_files_are_not_needed(clothes, tmp_path):
  first = load(clothes)
  clothes.rename(tmp_path / 'elsewhere')
  again = load(None)
  np.testing.assert_array_equal(again.train.image, first.train.image)
  np.testing.assert_array_equal(again.train.label, first.train.label)
  message = told(load, None, train_split='clean_train')
  assert 'only in part prepared' in message and 'config.data.path' in message


def test_other_lists_than_those_prepared_are_noticed(clothes, tmp_path):
  load(clothes)
  fake_web.write_clothing1m(tmp_path / 'other', 60)
  assert 'was prepared from other lists' in told(load, tmp_path / 'other')


def test_a_limit_prepares_no_more_shards_than_it_needs(clothes, monkeypatch):
  monkeypatch.setattr(preparation, 'SHARD_RECORDS', 8)
  few = load(clothes, limit=5)
  assert len(few.train) == len(few.test) == 5
  (folder,) = clothes.parent.glob('data/clothing1m/*')
  names = sorted(x.name for x in (folder / 'shards').glob('*.array_record'))
  assert names == [
    f'{split}-00000.array_record'
    for split in ('noisy_train', 'test', 'validation')
  ]
  more = load(clothes, limit=20)
  # Those of before come first: a limit leaves a random sample, the same.
  assert more.train_names[:5].tolist() == few.train_names.tolist()
  np.testing.assert_array_equal(more.train.image[:5], few.train.image)
  assert len(load(clothes).train) == 80
  assert len(set(more.train.label.tolist())) > 5


def test_images_stay_encoded_until_they_are_wanted(clothes):
  load(clothes)
  (folder,) = clothes.parent.glob('data/clothing1m/*')
  made = prepared.load(folder)
  rows = made.rows('noisy_train')
  images = made.images(rows)
  assert isinstance(images, Records) and len(images) == 80
  names = made.names(rows)
  for row in (0, 7, 79):
    (content,) = images.rows(np.array([row])).read([0])
    (same,) = images.read([row])
    assert content == same
    with Image.open(io.BytesIO(content)) as image:
      assert (image.format, image.mode) == ('JPEG', 'RGB')
      with Image.open(clothes / names[row]) as original:
        width, height = original.size
      scale = 16 / min(width, height)
      expected = round(width * scale), round(height * scale)
      assert image.size == tuple(min(x, 64) for x in expected)


def test_animal10n(tmp_path):
  fake_web.write_animal10n(tmp_path / 'animals')
  (tmp_path / 'animals' / 'raw_image' / 'training' / 'odd.jpg').touch()
  dataset = load(tmp_path / 'animals', 'animal10n', **BYTES)
  assert len(dataset.train) == 40 and len(dataset.test) == 20
  for name, label in zip(dataset.train_names, dataset.train.label, strict=True):
    assert name.startswith(f'training/{label}_')
  assert dataset.info.class_names[9] == 'guinea-pig'
  assert dataset.transition is None and dataset.validation is None
  told_of = dataset.summary['warnings']
  assert 'such as training/odd.jpg' in told_of[0]
  assert 'noisy_train 40 (50,000), test 20 (5,000)' in told_of[1]
  # They have the size that is kept: their bytes are kept.
  (folder,) = tmp_path.glob('data/animal10n/*')
  made = prepared.load(folder)
  rows = made.rows('test')
  (content,) = made.images(rows).read([3])
  file = tmp_path / 'animals' / 'raw_image' / made.names(rows)[3]
  assert content == file.read_bytes()


def test_food101n(tmp_path):
  fake_web.write_food101n(tmp_path / 'food')
  # The folder of the release itself does, too.
  dataset = load(tmp_path / 'food' / 'Food-101N_release', 'food101n')
  assert dataset.info.class_names == ('apple_pie', 'waffles')
  # The header is no image; the one of two classes is in both.
  assert np.bincount(dataset.train.label).tolist() == [10, 10]
  assert np.bincount(dataset.test.label).tolist() == [4, 4]
  notes = '\n'.join(dataset.summary['notes'])
  assert 'verified_val.tsv: 2 verified labels, 50.00 % of them wrong' in notes
  # What people verified is not which class it is.
  assert dataset.train.clean_label is None


def test_food101n_without_its_test_images(tmp_path):
  fake_web.write_food101n(tmp_path / 'food')
  (tmp_path / 'food' / 'food-101' / 'meta' / 'test.txt').unlink()
  dataset = load(tmp_path / 'food', 'food101n')
  assert dataset.test is None
  assert 'there are no test figures' in dataset.summary['warnings'][0]
  lists = tmp_path / 'food' / 'Food-101N_release' / 'meta'
  (lists / 'imagelist.tsv').write_text('class_name/key\npizza/1.jpg')
  message = told(load, tmp_path / 'food', 'food101n')
  assert "line 2: 'pizza' is not among the classes" in message
  (lists / 'classes.txt').unlink()
  assert 'lacks classes.txt' in told(load, tmp_path / 'food', 'food101n')


def test_webvision_takes_the_first_fifty_classes(tmp_path):
  fake_web.write_webvision(tmp_path / 'web')
  words = [f'n{k:08d} thing, item' for k in range(1000)]
  words[3] = 'n00000003 crane, bird'
  fake_web._write_list(tmp_path / 'web' / 'info' / 'synsets.txt', words)
  dataset = load(tmp_path / 'web', 'webvision_mini')
  assert dataset.info.num_classes == 50
  assert sorted(dataset.train.label) == list(range(50))
  assert sorted(dataset.test.label) == [0, 10, 20, 30, 40]
  assert dataset.info.class_names[2:4] == ('thing 2', 'crane')


@pytest.mark.parametrize('name', ['animal10n', 'food101n', 'webvision_mini'])
def test_folders_of_other_data(name, tmp_path):
  (tmp_path / 'other').mkdir()
  message = told(load, tmp_path / 'other', name)
  assert 'lacks' in message and 'config.data.path' in message


def test_what_cannot_be_asked_for(clothes, monkeypatch):
  assert 'config.data.held_out' in told(load, clothes, held_out=0.1)
  fake_web.write_animal10n(clothes.parent / 'animals')
  message = told(
    load, clothes.parent / 'animals', 'animal10n', train_split='clean_train'
  )
  assert 'has no clean_train split' in message
  message = told(load, clothes, image_size=32)
  assert 'image_size=32 is more than config.data.prepared_side=16' in message
  # Decoded images must fit into memory.
  monkeypatch.setattr(memory.os, 'sysconf', lambda _: 100)
  assert '80 images of 16 x 16 x 3 take' in told(load, clothes)


def test_a_run_on_it(tmp_path):
  """Forward uses the measured T; validation is evaluated beside test."""
  clothes = tmp_path / 'clothes'
  fake_web.write_clothing1m(clothes, 480)  # T needs each class as a label.
  from configs import clothing1m  # noqa: PLC0415

  config = clothing1m.get_config('forward,tiny')
  config.data.path = str(clothes)
  config.data.prepared_side = config.data.image_size = 8
  config.model.name, config.model.init_from = 'mlp', None
  config.train.balanced_batches = 2
  config.checkpoint.every = 10
  result = train.train_and_evaluate(config, tmp_path / 'run')
  assert result['test']['examples'] == result['validation']['examples'] == 40
  assert result['epochs'] == 2 and result['memorised'] is None
  assert result['transition'] == 'measured'
  from sce_jax.runs import files  # noqa: PLC0415

  used = files.read_prepared(tmp_path / 'run')['transition_matrix']
  np.testing.assert_allclose(used, load(clothes, limit=40).transition, 1e-6)


def test_weights_are_looked_at_before_images_are_prepared(clothes, tmp_path):
  from configs import clothing1m  # noqa: PLC0415

  config = clothing1m.get_config('ce,tiny')
  config.data.path = str(clothes)
  config.model.init_from = str(tmp_path / 'weights.pth')
  (tmp_path / 'weights.pth').write_bytes(b'no weights')
  message = told(
    train.train_and_evaluate, config, tmp_path / 'run', str(tmp_path / 'data')
  )
  assert 'neither safetensors nor a PyTorch checkpoint' in message
  assert not (tmp_path / 'data').exists()


def test_a_command_prepares_and_no_more(clothes, tmp_path, capsys):
  code = runtime.run(
    [
      'launch.py',
      'prepare',
      '--config=configs/clothing1m.py',
      '--config.data.prepared_side=16',
      '--config.data.image_size=16',
      f'--config.data.path={clothes}',
      f'--data_dir={tmp_path / "data"}',
    ]
  )
  assert code == ExitCode.DONE
  assert 'prepared: 80 training examples' in capsys.readouterr().out
  found = prepared.load(tmp_path / 'data' / 'clothing1m' / 'short16-q90')
  assert found is not None and found.prepared('noisy_train') == 80
  assert [x.name for x in tmp_path.iterdir()].count('runs') == 0


def test_choices_name_splits_that_there_are():
  assert set(choosing.TRAIN_SPLITS) == {
    'noisy_train',
    'clean_train',
    'noisy_and_clean',
  }
