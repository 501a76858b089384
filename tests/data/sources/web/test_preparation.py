"""Shards: what is kept of an image, what goes wrong, what is continued."""

import collections
import io
import json
import re
import shutil

from hypothesis import strategies as st
import numpy as np
from PIL import Image
import pytest

from sce_jax.data import decode, records
from sce_jax.data.sources import shards, summary
from sce_jax.data.sources.web import preparation, prepared
from tests import fake_web
from tests.conftest import run_python
from tests.data.reading import told
from tests.data.sources import damaged, odd
from tests.data.sources.web.test_reading import load
from tests.faults import inject


@pytest.fixture
def made(monkeypatch):
  """How often each file's content was made a record."""
  counts, jpeg = collections.Counter(), decode.jpeg

  def counted(content, *args):
    counts[content] += 1
    return jpeg(content, *args)

  monkeypatch.setattr(decode, 'jpeg', counted)
  monkeypatch.setattr(preparation, '_SAMPLE', 1)
  return counts


def as_image(content):
  with Image.open(io.BytesIO(content)) as image:
    image.load()
    return image


@pytest.mark.parametrize(
  ('size', 'expected'),
  [
    ((100, 50), (64, 32)),
    ((50, 100), (32, 64)),
    ((20, 10), (64, 32)),  # Enlarged.
    ((33, 47), (32, 46)),  # 47 * 32 / 33 = 45.6.
    ((400, 10), (128, 32)),  # Squeezed to four times its short side.
    ((1, 9), (32, 128)),
  ],
)
def test_the_short_side_is_given(size, expected):
  content = fake_web.picture(1, 0, size=size)
  image = as_image(decode.jpeg(content, 32, 90))
  assert (image.size, image.mode, image.format) == (expected, 'RGB', 'JPEG')


@pytest.mark.parametrize('mode', ['L', 'CMYK', 'RGB'])
def test_colours_are_made_rgb(mode):
  content = fake_web.picture(3, 0, mode, size=(40, 48), quality=95)
  image = as_image(decode.jpeg(content, 40, 95))
  hue = np.array([159, (3 * 101 + 80) % 256, 120])
  expected = np.full(3, hue @ [0.299, 0.587, 0.114]) if mode == 'L' else hue
  found = np.asarray(image).mean((0, 1))
  assert image.mode == 'RGB' and np.abs(found - expected).max() < 6


def test_transparent_and_rotated_images():
  clear = Image.new('RGBA', (32, 32), (0, 0, 0, 0))
  content = io.BytesIO()
  clear.save(content, 'PNG')
  image = as_image(decode.jpeg(content.getvalue(), 32, 90))
  assert np.asarray(image).min() == 255
  exif = Image.Exif()
  exif[0x0112] = 6
  turned = fake_web.picture(0, 0, size=(64, 32), exif=exif)
  assert as_image(decode.jpeg(turned, 32, 90)).size == (32, 64)


def test_what_is_right_already_keeps_its_bytes():
  content = fake_web.picture(0, 0, size=(32, 48))
  assert decode.jpeg(content, 32, 90) == content
  assert decode.jpeg(content, 31, 90) != content
  with pytest.raises(decode.UnreadableError):
    decode.jpeg(content[: len(content) // 2], 32, 90)


ODD = {
  2: fake_web.picture(2, 2, 'L'),
  3: fake_web.picture(3, 3, 'CMYK'),
  4: fake_web.picture(4, 4, size=(90, 10)),
  5: b'no image',
  6: fake_web.picture(6, 6)[:200],
  7: b'',  # Missing.
}


@pytest.mark.faults
@pytest.mark.parametrize('in_tars', [False, True])
def test_odd_images_are_converted_counted_and_named(in_tars, tmp_path):
  fake_web.write_clothing1m(tmp_path / 'clothes', 120, odd=ODD, in_tars=in_tars)
  dataset = load(tmp_path / 'clothes', max_unreadable=0.04)
  splits, _, _ = fake_web.clothing1m_files(120)
  listed = splits['noisy_train']
  assert len(dataset.train) == 77
  lost = {x['file']: x['reason'] for x in dataset.summary['unreadable']}
  assert lost.keys() == {listed[5], listed[6], listed[7]}
  assert lost[listed[5]] == 'not an image'
  assert lost[listed[7]] == 'No such file or directory'
  notes = dataset.summary['notes']
  assert '1 image CMYK, converted' in notes
  assert '1 image grey, made RGB' in notes
  assert any('4 times as long as wide' in x for x in notes)
  (folder,) = (tmp_path / 'data' / 'clothing1m').iterdir()
  table = (folder / 'unreadable.csv').read_text()
  assert table.startswith('file,reason\n') and table.count('\n') == 4
  # A record of what is missing would move the others.
  manifest = json.loads((folder / 'manifest.json').read_text())
  assert manifest['splits']['noisy_train'] == {
    'listed': 80,
    'prepared': 80,
    'examples': 77,
  }
  # The images are those of their names.
  by_name = dict(zip(dataset.train_names, dataset.train.image, strict=True))
  grey = by_name[listed[2]].astype(int)
  assert np.abs(grey[..., 0] - grey[..., 2]).max() <= 2


@pytest.mark.faults
def test_too_many_unreadable(tmp_path):
  fake_web.write_clothing1m(
    tmp_path / 'clothes', 120, odd=dict.fromkeys(range(5), b'no image')
  )
  message = told(load, tmp_path / 'clothes', max_unreadable=0.04)
  assert '5 of 100 images cannot be read' in message
  assert 'max_unreadable=0.04 allows' in message and '(not an image)' in message
  # No shard is made again with a larger share.
  load(tmp_path / 'clothes', max_unreadable=0.05)


@pytest.mark.faults
def test_missing_images_are_told_before_any_is_prepared(tmp_path):
  fake_web.write_clothing1m(tmp_path / 'clothes', 120)
  shutil.rmtree(tmp_path / 'clothes' / 'images' / '3')
  message = told(load, tmp_path / 'clothes')
  assert 'of 100 listed images are not there' in message
  assert 'the first: images/3/' in message
  assert not list((tmp_path / 'data').rglob('*.array_record'))
  (tmp_path / 'clothes' / 'images' / '3.tar').write_bytes(b'\x1f\x8b damaged')
  assert 'if it is compressed, unpack it' in told(load, tmp_path / 'clothes')


@pytest.mark.faults
def test_too_little_space(tmp_path, monkeypatch):
  fake_web.write_clothing1m(tmp_path / 'clothes', 60)
  usage = shutil.disk_usage(tmp_path)._replace(free=100)
  monkeypatch.setattr(shutil, 'disk_usage', lambda _: usage)
  message = told(load, tmp_path / 'clothes')
  assert '50 images take about 0.0 MB there, and 0.0 MB are free' in message
  assert '--data_dir' in message and '--config.data.limit' in message
  assert not list((tmp_path / 'data').rglob('*.array_record'))


@pytest.mark.faults
def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
  fake_web.write_clothing1m(tmp_path / 'clothes', 60)

  def fail(*_):
    raise OSError(28, 'No space left on device')

  with monkeypatch.context() as patch:
    patch.setattr(shards, 'write', fail)
    message = told(load, tmp_path / 'clothes')
  assert 'No space left on device' in message and 'continues' in message
  assert len(load(tmp_path / 'clothes').train) == 40


@pytest.mark.faults
def test_damaged_shards_are_made_again(tmp_path, made, monkeypatch):
  monkeypatch.setattr(preparation, 'SHARD_RECORDS', 8)
  fake_web.write_clothing1m(tmp_path / 'clothes', 60)
  first = load(tmp_path / 'clothes')
  (folder,) = (tmp_path / 'data' / 'clothing1m').iterdir()
  cut = folder / 'shards' / 'noisy_train-00001.array_record'
  cut.write_bytes(cut.read_bytes()[:-10])
  (folder / 'shards' / 'noisy_train-00002.json').unlink()
  made.clear()
  again = load(tmp_path / 'clothes')
  assert 16 <= sum(made.values()) <= 17  # One more to tell the size.
  np.testing.assert_array_equal(again.train.image, first.train.image)
  made.clear()
  load(tmp_path / 'clothes')
  assert not made


@pytest.mark.faults
@pytest.mark.parametrize(
  ('content', 'message'),
  [
    ('{', 'cannot be read'),
    ('[' * 10**5, 'cannot be read'),
    ('{"format": 0}', 'another version of sce_jax'),
    ('{"format": 1}', 'missing required field'),
    # As a folder in a cloud may say, of which files are copied down.
    (r'"../\g<1>"', "'../index-"),
  ],
)
def test_a_damaged_manifest(content, message, tmp_path):
  fake_web.write_clothing1m(tmp_path / 'clothes', 60)
  load(tmp_path / 'clothes')
  (folder,) = (tmp_path / 'data' / 'clothing1m').iterdir()
  whole = (folder / 'manifest.json').read_text()
  if 'index' in message:
    content = re.sub('"(index-.*)"', content, whole)
  (folder / 'manifest.json').write_text(content)
  assert message in told(load, None)
  # What the line says helps.
  (folder / 'manifest.json').unlink()
  assert len(load(tmp_path / 'clothes').train) == 40


@pytest.mark.faults
def test_a_damaged_index(tmp_path):
  fake_web.write_clothing1m(tmp_path / 'clothes', 60)
  load(tmp_path / 'clothes')
  (folder,) = (tmp_path / 'data' / 'clothing1m').iterdir()
  (index,) = folder.glob('index-*.npz')
  index.write_bytes(index.read_bytes()[:50])
  assert 'remove manifest.json' in told(load, None)


_INDEX = ('split', 'noisy_label', 'clean_label', 'record', 'example_id')
_FROM_0 = np.arange(59)
_LIKELY = st.sampled_from(
  [_FROM_0, _FROM_0 * 0, _FROM_0 * 0 - 1, _FROM_0 + 2**40, _FROM_0 * 1.0]
)
DAMAGED = {
  'manifest.json': damaged.JSON,
  'index-*.npz': damaged.arrays('name', *_INDEX, like=_LIKELY),
  'unreadable.csv': damaged.TABLES,
  'shards/noisy_train-00000.json': damaged.JSON,
  'shards/noisy_train-00000.array_record': damaged.BYTES,
}


@odd.HOW_FEW
@pytest.mark.parametrize('name', DAMAGED)
def test_damaged_prepared_data_are_used_or_refused(name, examples, tmp_path):
  lost = {5: b'no image'}
  fake_web.write_clothing1m(tmp_path / 'clothes', 60, odd=lost)
  both = {'train_split': 'noisy_and_clean', 'max_unreadable': 0.1}
  load(tmp_path / 'clothes', **both)
  (folder,) = (tmp_path / 'data' / 'clothing1m').iterdir()
  (file,) = folder.glob(name)

  def read():
    records.close()
    dataset = load(None, **both)
    info, train = dataset.info, dataset.train
    assert 0 <= train.label.min() <= train.label.max() < info.num_classes
    assert train.image.shape == (len(train), 16, 16, 3)
    assert all(x.isprintable() for x in summary.lines(dataset.summary))
    return dataset

  read()
  odd.check_file(file, DAMAGED[name], read, examples, names=str(folder))
  read()


KILLED = """
import os, signal, sys
from sce_jax.data import decode
from sce_jax.data.sources.web import preparation
from tests.data.sources.web.test_reading import load
import pathlib

count, jpeg = 0, decode.jpeg
def killed(*args):
  global count
  count += 1
  if count > 36:
    os.kill(os.getpid(), signal.SIGKILL)
  return jpeg(*args)

decode.jpeg = killed
preparation.SHARD_RECORDS, preparation._SAMPLE = 8, 1
load(pathlib.Path({folder!r}))
"""


@pytest.mark.faults
@pytest.mark.process
def test_a_preparation_that_is_killed_is_continued(tmp_path, made, monkeypatch):
  """By kill -9, in the third shard of noisy_train."""
  fake_web.write_clothing1m(tmp_path / 'clothes', 60)
  run_python(KILLED.format(folder=str(tmp_path / 'clothes')), returncode=-9)
  monkeypatch.setattr(preparation, 'SHARD_RECORDS', 8)
  left = list((tmp_path / 'data').rglob('*.json'))
  assert 3 <= len(left) <= 5  # Test, validation, and 1 to 3 of noisy_train.
  dataset = load(tmp_path / 'clothes')
  assert len(dataset.train) == 40 and len(dataset.test) == 5
  done = sum(json.loads(x.read_text())['records'] for x in left)
  assert sum(made.values()) - 1 == 50 - done
  # As if nothing had happened.
  (folder,) = (tmp_path / 'data' / 'clothing1m').iterdir()
  before = inject.contents(folder)
  shutil.rmtree(tmp_path / 'data')
  load(tmp_path / 'clothes')
  assert inject.contents(folder) == before


@pytest.mark.process
@pytest.mark.parametrize('scheme', ['gs', 's3'])
def test_in_a_cloud(scheme, tmp_path, cloud, made, monkeypatch):
  monkeypatch.setattr(preparation, 'SHARD_RECORDS', 16)
  address, environment = cloud(scheme)
  for name, value in environment.items():
    monkeypatch.setenv(name, value)
  fake_web.write_clothing1m(tmp_path / 'clothes', 60)
  monkeypatch.setenv('TFDS_DATA_DIR', address)
  few = load(tmp_path / 'clothes', limit=3)
  first = load(tmp_path / 'clothes')
  assert len(few.train) == 3 and len(first.train) == 40
  # Another machine: it has neither the images nor a cache.
  made.clear()
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'other'))
  again = load(None)
  assert not made
  np.testing.assert_array_equal(again.train.image, first.train.image)
  # A third one, on which a shard has been lost meanwhile.
  from sce_jax.storage import paths  # noqa: PLC0415

  there = paths.path(address) / preparation.folder(
    'clothing1m', preparation.Settings(16, 90, 0.01)
  )
  paths.store(there).rm(f'{there}/shards/noisy_train-00001.json')
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'third'))
  assert 'only in part' in told(load, None)
  np.testing.assert_array_equal(
    load(tmp_path / 'clothes').train.image, first.train.image
  )
  assert sum(made.values()) == 16 + 1


@pytest.mark.faults
def test_another_process_is_waited_for(tmp_path, monkeypatch, capsys):
  from sce_jax.storage import lock  # noqa: PLC0415

  fake_web.write_clothing1m(tmp_path / 'clothes', 60)
  folder = tmp_path / 'data' / 'clothing1m' / 'short16-q90'
  folder.mkdir(parents=True)
  held = lock.acquire(folder)
  monkeypatch.setattr(lock, '_TRIES', 1)  # Or it would sleep, too.
  monkeypatch.setattr(preparation.time, 'sleep', lambda _: held.close())
  assert len(load(tmp_path / 'clothes').train) == 40
  assert f'another process prepares {folder}' in capsys.readouterr().err


def test_prepared_is_none_where_there_is_nothing(tmp_path):
  assert prepared.load(tmp_path) is None
