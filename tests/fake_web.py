"""Generated images in the exact layouts of data sets from the web.

python -m tests.fake_web clothing1m FOLDER [COUNT]

Each class has a colour of its own, so that there is something to learn; sizes
are odd, names have commas, lists end without a newline.
"""

from collections.abc import Mapping
import io
import pathlib
import sys
import tarfile
import zlib

import numpy as np
from PIL import Image

from sce_jax.data.sources.web import clothing1m, food101n

# Of each split: of so many parts one.
_SHARES = {'noisy_train': 8, 'clean_train': 2, 'clean_val': 1, 'clean_test': 1}
_README = (
  'clean_train 47570, clean_val 10526, clean_test 14313'  # Exchanged, as there.
)


def picture(
  label: int, seed: int, mode: str = 'RGB', size=None, **options
) -> bytes:
  """A JPEG of a class's colour, with noise, of an odd size."""
  rng = np.random.default_rng(seed)
  if size is None:
    size = (int(rng.integers(20, 90)), int(rng.integers(20, 90)))
  hue = np.array(
    [(label * 53) % 256, (label * 101 + 80) % 256, 40 * (label % 7)]
  )
  pixels = hue + rng.integers(-20, 20, (size[1], size[0], 3))
  image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
  made = io.BytesIO()
  image.convert(mode).save(made, options.pop('format', 'JPEG'), **options)
  return made.getvalue()


def _put(folder: pathlib.Path, name: str, content: bytes) -> None:
  path = folder / name
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(content)


def _write_list(path: pathlib.Path, lines) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text('\n'.join(lines))  # No newline at its end.


def clothing1m_files(
  count: int, classes: int = 14
) -> tuple[dict[str, list[str]], dict[str, int], dict[str, int]]:
  """Names by split as the lists are called, and noisy and clean labels.

  A quarter of the noisy labels are wrong, by one class; half of the images with
  a clean label have a noisy one, too.
  """
  rng = np.random.default_rng(1)
  parts = sum(_SHARES.values())
  splits, noisy, clean = {}, {}, {}
  for split, share in _SHARES.items():
    splits[split] = []
    for i in range(count * share // parts):
      label = i % classes
      key = f'{split}{i}'
      code = zlib.crc32(key.encode())
      name = f'images/{code % 10}/{code // 10 % 100:02d}/{code},{i}.jpg'
      splits[split].append(name)
      given = (label + (rng.random() < 0.25)) % classes
      if split == 'noisy_train':
        noisy[name] = given
        continue
      clean[name] = label
      if i // classes % 2 == 0:
        noisy[name] = given
  return splits, noisy, clean


def write_clothing1m(
  folder: pathlib.Path,
  count: int = 240,
  *,
  odd: Mapping[int, bytes] | None = None,
  in_tars: bool = False,
) -> None:
  """Writes a Clothing1M of so many images.

  Args:
    folder: where.
    count: of all splits together.
    odd: contents of some images of noisy_train, by their place in the list;
      an empty one is not written.
    in_tars: whether the images lie in images/0.tar to images/9.tar.
  """
  splits, noisy, clean = clothing1m_files(count)
  for split, names in splits.items():
    _write_list(folder / f'{split}_key_list.txt', names)
    for i, name in enumerate(names):
      # In noisy_train, too, the picture is of what it is, not of its label.
      content = picture(i % 14, i)
      if split == 'noisy_train' and odd and i in odd:
        content = odd[i]
      if content:
        _put(folder, name, content)
  for file, labels in (('noisy', noisy), ('clean', clean)):
    lines = [f'{name} {label}' for name, label in labels.items()]
    _write_list(folder / f'{file}_label_kv.txt', lines)
  _write_list(folder / 'category_names_eng.txt', clothing1m.CLASSES)
  (folder / 'README.md').write_text(_README)
  if in_tars:
    _pack(folder)


def _pack(folder: pathlib.Path) -> None:
  for own in sorted((folder / 'images').iterdir()):
    with tarfile.open(folder / 'images' / f'{own.name}.tar', 'w') as tar:
      for file in sorted(own.rglob('*.jpg')):
        tar.add(file, file.relative_to(folder / 'images').as_posix())
        file.unlink()


def write_animal10n(folder: pathlib.Path, train: int = 40, test: int = 20):
  """Writes an ANIMAL-10N: images of 64 x 64 pixels."""
  for name, count in (('training', train), ('testing', test)):
    for i in range(count):
      content = picture(i % 10, i, size=(64, 64))
      _put(folder / 'raw_image' / name, f'{i % 10}_{i:06d}.jpg', content)


def write_food101n(folder: pathlib.Path, classes=('apple_pie', 'waffles')):
  """Writes a Food-101N, ten images a class, and Food-101's test images."""
  release = folder / food101n._FOLDER
  keys = [f'{name}/{i:032x}.jpg' for name in classes for i in range(10)]
  # One image stands under two classes, as in the real one.
  keys.append(f'{classes[1]}/{0:032x}.jpg')
  for i, key in enumerate(dict.fromkeys(keys)):
    _put(release / 'images', key, picture(classes.index(key.split('/')[0]), i))
  meta = release / 'meta'
  _write_list(meta / 'classes.txt', ['class_name', *classes])
  _write_list(meta / 'imagelist.tsv', ['class_name/key', *dict.fromkeys(keys)])
  _write_list(
    meta / 'verified_val.tsv',
    ['class_name/key\tverification_label', f'{keys[0]}\t1', f'{keys[1]}\t0'],
  )
  tests = [f'{name}/{i}' for name in classes for i in range(4)]
  _write_list(folder / 'food-101' / 'meta' / 'test.txt', tests)
  for i, key in enumerate(tests):
    content = picture(classes.index(key.split('/')[0]), i)
    _put(folder / 'food-101' / 'images', f'{key}.jpg', content)


def write_webvision(folder: pathlib.Path, train: int = 60, test: int = 10):
  """Writes a WebVision whose labels go up to 59."""
  lines = []
  for i in range(train):
    name = f'google/q{i % 60:04d}/{i}.jpg'
    _put(folder, name, picture(i % 60, i))
    lines.append(f'{name} {i % 60}')
  _write_list(folder / 'info' / 'train_filelist_google.txt', lines)
  lines = []
  for i in range(test):
    name = f'val{i:06d}.jpg'
    _put(folder / 'val_images_256', name, picture(10 * i, i))
    lines.append(f'{name} {10 * i}')
  _write_list(folder / 'info' / 'val_filelist.txt', lines)


if __name__ == '__main__':
  write = {
    'clothing1m': lambda folder, count: write_clothing1m(folder, count),
    'animal10n': lambda folder, count: write_animal10n(folder, count),
    'food101n': lambda folder, _: write_food101n(folder),
    'webvision_mini': lambda folder, count: write_webvision(folder, count),
  }[sys.argv[1]]
  write(pathlib.Path(sys.argv[2]), int((sys.argv[3:] or ['240'])[0]))
