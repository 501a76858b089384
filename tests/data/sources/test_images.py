"""Image files into one array: every kind of file, sizes, the cache."""

import io
import os
import shutil
import signal
import struct
import subprocess
from unittest import mock
import zlib

from hypothesis import strategies as st
import numpy as np
from PIL import Image
import pytest

from sce_jax.data import decode
from sce_jax.data.sources import images, memory
from tests.conftest import run_python
from tests.data import reading
from tests.data.reading import told
from tests.data.sources import odd, pictures

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


@pytest.mark.parametrize(
  ('pixels', 'told'),
  [
    # 12 bits, stored in 16: 255 * 4095 / 65535 = 15.9.
    (np.array([0, 4095], np.uint16), 'the brightest pixel became 16 of 255'),
    (np.array([0, 255, 300, 4000], np.float32), '75% of the pixels became whi'),
    (np.array([0, 65535], np.uint16), None),
    (np.array([0, 4095], np.uint16) // 16, 'the brightest pixel became 1 of'),
    (np.array([0, 1], np.float32), None),
    # Of 8 bits: they may be dark.
    (np.array([0, 16], np.uint8), None),
  ],
)
def test_deep_images_that_become_dark_or_white_are_told(pixels, told, tmp_path):
  save(tmp_path / 'a.tif', np.tile(pixels, (8, 4)))
  (warning, *_) = *load(tmp_path).warnings, ''
  assert (told or '') in warning and bool(warning) == bool(told)


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
  assert loaded.notes == [
    '2 sizes, 30 x 40 to 50 x 60 pixels',
    '2 images resized to 32 x 32 pixels',
  ]
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


@pytest.mark.faults
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


@pytest.mark.faults
def test_what_is_no_plain_file_is_not_waited_for(tmp_path):
  pictures.write(tmp_path / 'a.png')
  os.mkfifo(tmp_path / 'pipe.png')
  (tmp_path / 'endless.png').symlink_to('/dev/zero')
  (tmp_path / 'itself.png').symlink_to(tmp_path / 'itself.png')
  with open(tmp_path / 'huge.png', 'wb') as file:
    file.truncate(2**40)  # Of holes.
  loaded = load(tmp_path, max_unreadable=0.9)
  assert [x['reason'] for x in loaded.unreadable] == [
    'not a plain file',
    'larger than 536,870,912 bytes',
    'Too many levels of symbolic links',
    'not a plain file',
  ]


@pytest.mark.faults
def test_no_program_is_run_for_a_file(tmp_path, monkeypatch):
  """Pillow would call Ghostscript."""
  monkeypatch.delattr(subprocess, 'Popen')
  pictures.write(tmp_path / 'a.png')
  pictures.write(tmp_path / 'b.png', format='EPS')
  (unreadable,) = load(tmp_path, max_unreadable=0.5).unreadable
  assert unreadable == {'file': 'b.png', 'reason': 'not an image'}


@pytest.mark.faults
def test_an_image_that_unpacks_to_gigabytes_is_not_unpacked(tmp_path):
  pictures.write(tmp_path / 'a.png')
  content = bytearray((tmp_path / 'a.png').read_bytes())
  content[16:24] = struct.pack('>II', 50_000, 50_000)  # Width and height.
  content[29:33] = struct.pack('>I', zlib.crc32(content[12:29]))
  (tmp_path / 'b.png').write_bytes(content)
  (unreadable,) = load(tmp_path, max_unreadable=0.5).unreadable
  assert 'exceeds limit of 178956970 pixels' in unreadable['reason']


@pytest.mark.faults
def test_nothing_readable_is_refused_at_any_share(tmp_path):
  (tmp_path / 'a.png').write_bytes(b'')
  assert '1 of 1 files' in told(load, tmp_path, max_unreadable=1.0)


@pytest.fixture
def decoded(monkeypatch):
  """The contents of the files that are decoded, in any order."""
  contents, pixels = [], decode.pixels

  def counted(content, *args):
    contents.append(content)
    return pixels(content, *args)

  monkeypatch.setattr(decode, 'pixels', counted)
  return contents


def write_some(folder, count=8):
  for i in range(count):
    pictures.write(folder / f'{i}.png', seed=i)


def test_what_is_decoded_is_kept(tmp_path, decoded, monkeypatch):
  write_some(tmp_path / 'a')
  first = load(tmp_path / 'a')
  assert len(decoded) == 8
  # Also elsewhere: it is known by its content.
  shutil.copytree(tmp_path / 'a', tmp_path / 'b')
  for folder in ('a', 'b'):
    again = load(tmp_path / folder)
    np.testing.assert_array_equal(again.images, first.images)
    assert again.digests == first.digests
  assert len(decoded) == 8
  # Nor is it read again where it has been read.
  monkeypatch.delattr(decode, 'read')
  load(tmp_path / 'b')


@pytest.mark.parametrize('keeps_time', [True, False])
def test_a_file_that_changes_is_decoded_again(keeps_time, tmp_path, decoded):
  write_some(tmp_path, 2)
  load(tmp_path)
  file = tmp_path / '1.png'
  found = file.stat()
  pictures.write(file, seed=9)
  if keeps_time:
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
  second = load(tmp_path).images[1]
  np.testing.assert_array_equal(second, np.asarray(Image.open(file)))


def test_more_files_cost_their_own_shards_only(tmp_path, decoded, monkeypatch):
  monkeypatch.setattr(images, '_SHARD_FILES', 4)
  write_some(tmp_path, 60)  # In 15, so in 16 shards.
  load(tmp_path)
  decoded.clear()
  pictures.write(tmp_path / '00.png', seed=60)
  assert len(load(tmp_path).images) == 61
  assert 1 <= len(decoded) <= 15


@pytest.mark.faults
def test_a_damaged_shard_is_made_again(tmp_path, cache):
  write_some(tmp_path)
  first = load(tmp_path)
  for file in (cache / 'sce_jax' / 'data' / 'images').iterdir():
    content = file.read_bytes()
    for damaged in (b'', content[: len(content) // 2], content[:-100]):
      file.write_bytes(damaged)
      np.testing.assert_array_equal(load(tmp_path).images, first.images)
      assert file.read_bytes() == content


@pytest.mark.faults
def test_decoding_that_is_interrupted_is_continued(
  tmp_path, decoded, monkeypatch
):
  monkeypatch.setattr(images, '_SHARD_FILES', 4)
  write_some(tmp_path, 60)
  pixels = decode.pixels

  def until_ctrl_c(content, *args):
    if len(decoded) >= 30:
      raise KeyboardInterrupt
    return pixels(content, *args)

  with monkeypatch.context() as patch:
    patch.setattr(decode, 'pixels', until_ctrl_c)
    with pytest.raises(KeyboardInterrupt):
      load(tmp_path)
  before = len(decoded)
  found = load(tmp_path)
  # Once more only the shard in which it was interrupted; shards are of
  # different sizes.
  assert 60 <= len(decoded) <= 60 + 12 and before >= 30
  for i, name in enumerate(sorted(x.name for x in tmp_path.iterdir())):
    expected = np.asarray(Image.open(tmp_path / name))
    np.testing.assert_array_equal(found.images[i], expected)


@pytest.mark.faults
@pytest.mark.process
def test_so_is_decoding_that_is_killed(tmp_path, cache, decoded):
  """By kill -9, while it decodes the third shard."""
  write_some(tmp_path / 'data', 60)
  code = f"""
import os, pathlib, signal
from sce_jax.data import decode, image_files
from sce_jax.data.sources import images

root = pathlib.Path({str(tmp_path / 'data')!r})
images._SHARD_FILES = 4
before, record = 0, images._record


def killed(make, row):
  global before
  if len(list((pathlib.Path({str(cache)!r}).rglob('*.array_record')))) >= 18:
    os.kill(os.getpid(), signal.SIGKILL)
  return record(make, row)


images._record = killed
images.load(root, list(image_files.find(root)), None, 0.0)
"""
  run_python(code, -signal.SIGKILL)
  with mock.patch.object(images, '_SHARD_FILES', 4):
    assert len(load(tmp_path / 'data').images) == 60
  assert 40 <= len(decoded) < 60


@pytest.mark.faults
def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, cache):
  pictures.write(tmp_path / 'data' / 'a.png')
  cache.write_text('no folder')
  assert len(load(tmp_path / 'data').rows) == 1


@pytest.mark.faults
def test_too_many_images_are_refused_with_their_bytes(tmp_path, monkeypatch):
  monkeypatch.setattr(memory.os, 'sysconf', lambda name: 10)
  pictures.write(tmp_path / 'a.png')  # 8 x 8 x 3 = 192 bytes, of 10 * 10.
  message = told(load, tmp_path)
  assert message.startswith(
    f"{tmp_path}: 1 images of 8 x 8 x 3 take 192 bytes, and of this machine's"
    ' 100 bytes of memory'
  )


def of_every_format():
  """Small files of formats that are read, and of others."""
  rng = np.random.default_rng(0)
  image = Image.fromarray(rng.integers(0, 256, (9, 8, 3), np.uint8))
  found = []
  for name in ('PNG', 'JPEG', 'WEBP', 'BMP', 'TIFF', 'GIF', 'EPS', 'PPM'):
    made = io.BytesIO()
    exif = {'exif': image.getexif()} if name in ('PNG', 'JPEG') else {}
    image.save(made, name, **exif)
    found.append(made.getvalue())
  return [*found, b'%!PS-Adobe-3.0 EPSF-3.0\n', b'<svg/>', b'8BPS\0\1', b'BM']


def damaged(content):
  """A file with some bytes changed, put in or taken away."""
  place = st.integers(0, len(content) - 1)
  changes = st.lists(
    st.tuples(place, st.integers(0, 3), st.binary(max_size=8)), max_size=4
  )

  def apply(changes):
    made = content
    for at, less, more in changes:
      made = made[:at] + more + made[at + less :]
    return made

  return changes.map(apply)


@pytest.mark.faults
@odd.HOW_MANY
def test_odd_image_files_are_used_or_counted(examples, tmp_path, cache):
  root = tmp_path / 'data'
  for name in ('a/1.png', 'b/2.png'):
    pictures.write(root / name, size=(8, 9))

  def check(content):
    (root / 'a' / 'odd.png').write_bytes(content)
    data = odd.check(
      lambda: reading.read('own', None, path=str(root), max_unreadable=0.5),
      root,
      cache,
    )
    assert len(data.train) + len(data.summary['unreadable']) == 3
    odd.outcomes['counted as unreadable'] += len(data.train) == 2

  strategy = st.sampled_from(of_every_format()).flatmap(damaged)
  odd.for_all(strategy, check, examples)
