"""Image files into one array: every kind of file, sizes, the cache."""

import os

import numpy as np
from PIL import Image
import pytest

from sce_jax.data.sources import images
from tests.data.reading import told
from tests.data.sources import pictures

pytestmark = pytest.mark.usefixtures('cache')


def load(root, image_size=None, max_unreadable=0.0):
  names = sorted(x.relative_to(root).as_posix() for x in root.rglob('*.*'))
  return images.load(root, names, image_size, max_unreadable)


def save(path, pixels, **options):
  Image.fromarray(np.asarray(pixels)).save(path, **options)


@pytest.mark.parametrize('suffix', ['png', 'bmp', 'tif', 'tiff', 'webp'])
def test_pixels_are_those_of_the_file(suffix, tmp_path):
  pixels = np.random.default_rng(0).integers(0, 256, (9, 10, 3), np.uint8)
  options = {'lossless': True} if suffix == 'webp' else {}
  save(tmp_path / f'a.{suffix}', pixels, **options)
  loaded = load(tmp_path)
  np.testing.assert_array_equal(loaded.images, pixels[None])
  assert loaded.notes == [] and loaded.unreadable == []


def test_a_jpeg_is_close_to_its_pixels(tmp_path):
  save(tmp_path / 'a.jpg', np.full((16, 8, 3), (200, 100, 50), np.uint8))
  loaded = load(tmp_path)
  assert loaded.images.shape == (1, 16, 8, 3)
  assert np.abs(loaded.images[0, 0, 0] - np.array([200, 100, 50])).max() <= 3


@pytest.mark.parametrize(
  ('mode', 'note'),
  [
    ('L', '1 image grey, made RGB'),
    ('1', '1 image grey, made RGB'),
    ('P', '1 image with a palette, converted'),
    ('CMYK', '1 image CMYK, converted'),
    ('RGBA', '1 image transparent, laid on white'),
    ('LA', '1 image transparent, laid on white'),
  ],
)
def test_other_modes_become_rgb(mode, note, tmp_path):
  suffix = 'tif' if mode == 'CMYK' else 'png'
  white = Image.new('RGB', (8, 8), 'white')
  white.save(tmp_path / 'a.png')
  white.convert(mode).save(tmp_path / f'b.{suffix}')
  loaded = load(tmp_path)
  assert (loaded.images == 255).all() and loaded.images.shape == (2, 8, 8, 3)
  assert note in loaded.notes


def test_grey_files_alone_stay_grey(tmp_path):
  save(tmp_path / 'a.png', np.full((8, 8), 7, np.uint8))
  save(tmp_path / 'b.png', np.full((8, 8), True))
  loaded = load(tmp_path)
  assert loaded.images.shape == (2, 8, 8, 1)
  assert [x.ravel()[0] for x in loaded.images] == [7, 255]


def test_what_is_transparent_lies_on_white(tmp_path):
  pixels = np.zeros((8, 8, 4), np.uint8)
  pixels[0, 0] = 10, 20, 30, 255
  # Half of black: (255 * 128 + 0 * 127) / 255.
  pixels[0, 1] = 0, 0, 0, 127
  save(tmp_path / 'a.png', pixels)
  (image,) = load(tmp_path).images
  assert image[0, :3].tolist() == [[10, 20, 30], [128] * 3, [255] * 3]


@pytest.mark.parametrize(
  ('pixels', 'expected'),
  [
    (np.array([0, 257, 32896, 65535], np.uint16), [0, 1, 128, 255]),
    (np.array([0, 257, 32896, 70000], np.int32), [0, 1, 128, 255]),
    (np.array([0, 0.2, 1, np.nan], np.float32), [0, 51, 255, 0]),
    (np.array([-3, 2, 200, 300], np.float32), [0, 2, 200, 255]),
  ],
)
def test_more_than_8_bits_become_8(pixels, expected, tmp_path):
  save(tmp_path / 'a.tif', np.tile(pixels, (8, 2)))
  loaded = load(tmp_path)
  assert loaded.images[0, 0, :4, 0].tolist() == expected
  assert loaded.notes == ['1 image of more than 8 bits, made 8']


def test_exif_turns_an_image(tmp_path):
  pixels = np.zeros((8, 16), np.uint8)
  pixels[0, 0] = 255  # Top left.
  shown = {1: (0, 0), 2: (0, 15), 3: (7, 15), 4: (7, 0)}
  shown |= {5: (0, 0), 6: (0, 7), 7: (15, 7), 8: (15, 0)}
  for turned, place in shown.items():
    exif = Image.Exif()
    exif[0x0112] = turned
    folder = tmp_path / str(turned)
    folder.mkdir()
    save(folder / 'a.png', pixels, exif=exif)
    (image,) = load(folder).images
    assert tuple(np.argwhere(image[..., 0] == 255)[0]) == place
    assert image.shape == ((8, 16, 1) if turned < 5 else (16, 8, 1))


@pytest.mark.parametrize(
  ('sizes', 'chosen'),
  [
    ([(20, 30)] * 2, (20, 30)),
    ([(64, 64)], (64, 64)),
    ([(480, 640)] * 3, (64, 64)),
    ([(20, 90), (35, 35), (40, 31)], (28, 28)),  # Shorter: 20, 31, 35.
    ([(3, 3), (4, 4)], (8, 8)),
  ],
)
def test_the_size_is_chosen_from_the_images(sizes, chosen):
  assert images.choose_size(sizes) == chosen


def test_images_are_resized(tmp_path):
  for name, size in (('a', (30, 40)), ('b', (50, 60))):
    save(tmp_path / f'{name}.png', np.full(size, 9, np.uint8))
  loaded = load(tmp_path)  # Of the shorter sides 30 and 50 the middle is 40.
  assert loaded.images.shape == (2, 32, 32, 1) and (loaded.images == 9).all()
  assert loaded.notes == ['2 images resized to 32 x 32 pixels']
  assert load(tmp_path, 50).images.shape == (2, 50, 50, 1)


def damage(folder):
  """Three good files and four that cannot be read."""
  for name in 'abc':
    pictures.write(folder / f'{name}.png', size=(32, 32), seed=ord(name))
  (folder / 'empty.png').write_bytes(b'')
  (folder / 'text.jpg').write_text('no image')
  content = (folder / 'a.png').read_bytes()
  (folder / 'cut.png').write_bytes(content[:800])
  (folder / 'head.png').write_bytes(content[:20])


def test_files_that_cannot_be_read_are_named(tmp_path):
  damage(tmp_path)
  loaded = load(tmp_path, max_unreadable=0.6)
  assert loaded.rows.tolist() == [0, 1, 2]
  assert len(loaded.images) == len(loaded.digests) == 3
  reasons = {x['file']: x['reason'] for x in loaded.unreadable}
  assert sorted(reasons) == ['cut.png', 'empty.png', 'head.png', 'text.jpg']
  assert reasons['empty.png'] == 'empty'
  assert reasons['text.jpg'] == 'not an image'
  message = told(load, tmp_path, max_unreadable=0.5)
  assert '4 of 7 files cannot be read' in message
  assert 'max_unreadable=0.5 allows; the first: cut.png' in message


def test_nothing_readable_is_refused_at_any_share(tmp_path):
  (tmp_path / 'a.png').write_bytes(b'')
  assert '1 of 1 files' in told(load, tmp_path, max_unreadable=1.0)


def test_decoded_images_are_kept_until_a_file_changes(tmp_path, cache):
  folder = tmp_path / 'data'
  for name in 'ab':
    pictures.write(folder / f'{name}.png', seed=ord(name))
  first = load(folder)
  (kept,) = (cache / 'sce_jax' / 'data' / 'images').iterdir()
  # Not decoded again: with the same size and time other bytes do not show.
  file = folder / 'a.png'
  found = file.stat()
  file.write_bytes(b'x' * found.st_size)
  os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
  again = load(folder)
  np.testing.assert_array_equal(again.images, first.images)
  assert again.digests == first.digests
  os.utime(file, ns=(0, 0))
  assert len(load(folder, max_unreadable=0.5).rows) == 1
  # A damaged one is made again.
  pictures.write(folder / 'a.png', seed=ord('a'))
  kept.write_bytes(kept.read_bytes()[:100])
  os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
  np.testing.assert_array_equal(load(folder).images, first.images)


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, cache):
  pictures.write(tmp_path / 'data' / 'a.png')
  cache.write_text('no folder')
  assert len(load(tmp_path / 'data').rows) == 1


def test_too_many_images_are_refused_with_their_bytes(tmp_path, monkeypatch):
  monkeypatch.setattr(images.os, 'sysconf', lambda name: 10)
  pictures.write(tmp_path / 'a.png')  # 8 x 8 x 3 = 192 bytes, of 10 * 10.
  message = told(load, tmp_path)
  assert message.startswith(
    f"{tmp_path}: 1 images of 8 x 8 x 3 take 192 bytes, and of this machine's"
    ' 100 bytes of memory'
  )
