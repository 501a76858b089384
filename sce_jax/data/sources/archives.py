"""Prepares the families of MNIST and CIFAR from their original archives.

tfds itself would need TensorFlow to read their files and to encode PNG. Here
NumPy and Pillow do; all else is tfds's own: the features, the digests that the
archives must have, the order of the examples and the format that is written.
So the folder is the one that tfds would have made, but for the bytes of its
PNGs.
"""

from collections.abc import Iterator, Mapping
import gzip
import hashlib
import io
import os
import pathlib
import struct
import tarfile
from typing import Any, NamedTuple
import urllib.error
import urllib.request

from jaxtyping import Float64, Num, UInt8
import numpy as np
from PIL import Image
import tensorflow_datasets as tfds

from sce_jax.data.sources import bar, builders
from sce_jax.errors import UserError

Example = dict[str, Any]

_IDX = {'train': 'train', 'test': 't10k'}
_IDX_NAMES = ('mnist', 'fashion_mnist', 'kmnist')


class _Cifar(NamedTuple):
  """The files of an archive of images, each after bytes of its labels.

  Attributes:
    files: of each split.
    names: of each label, in the order of the bytes, the file of its classes.
  """

  files: Mapping[str, tuple[str, ...]]
  names: Mapping[str, str]


class _Human(NamedTuple):
  """Human labels of images in an archive.

  Attributes:
    archive: of the images.
    labels: a table, a row an image; the first column is the clean label.
    columns: its others.
    order: the image of each row.
    people: a table of annotators, a row stands for several images.
    people_columns: its columns from the second on.
  """

  archive: str
  labels: str
  columns: tuple[str, ...]
  order: str
  people: str
  people_columns: tuple[str, ...]


_CIFAR = {
  'cifar10': _Cifar(
    {
      'train': tuple(f'data_batch_{i}.bin' for i in range(1, 6)),
      'test': ('test_batch.bin',),
    },
    {'label': 'batches.meta.txt'},
  ),
  'cifar100': _Cifar(
    {'train': ('train.bin',), 'test': ('test.bin',)},
    {
      'coarse_label': 'coarse_label_names.txt',
      'label': 'fine_label_names.txt',
    },
  ),
}
_HUMAN = {
  'cifar10_n': _Human(
    'cifar10',
    'CIFAR-10_human_annotations.csv',
    (
      'aggre_label',
      'worse_label',
      'random_label1',
      'random_label2',
      'random_label3',
    ),
    'image_order_c10.npy',
    'side_info_cifar10N.csv',
    (
      'worker1_id',
      'worker1_time',
      'worker2_id',
      'worker2_time',
      'worker3_id',
      'worker3_time',
    ),
  ),
  'cifar100_n': _Human(
    'cifar100',
    'CIFAR-100_human_annotations.csv',
    ('noise_label',),
    'image_order_c100.npy',
    'side_info_cifar100N.csv',
    ('worker_id', 'worker_time'),
  ),
}
NAMES = (*_IDX_NAMES, *_CIFAR, *_HUMAN)
_CHUNK = 2**20
_SIDE = 32  # Pixels of an image of CIFAR.


def prepare(name: str, data_dir: str, source: str | None = None) -> None:
  """Writes a data set's tfds folder.

  Args:
    name: one of NAMES.
    data_dir: the tfds folder to write to.
    source: a folder that holds the archives, as they are downloaded; None: they
      are looked for in DATA_DIR/downloads, and downloaded into it. Human labels
      cannot be downloaded: tfds wants them in DATA_DIR/downloads/manual.

  Raises:
    UserError: a file cannot be had, or is not the published one.
  """
  # The class, and not its instance, says which methods a builder has.
  made_by_tfds = type(builders.make(name, data_dir))

  class Archives(made_by_tfds, skip_registration=True):  # type: ignore[call-arg, misc, valid-type]
    """The data set, whose examples come from its archives."""

    name = made_by_tfds.name

    def _split_generators(self, dl_manager):
      del dl_manager  # It has downloaded nothing.
      return {split: examples(self, split, folders) for split in _IDX}

  downloads = pathlib.Path(data_dir) / 'downloads'
  folders = (
    (pathlib.Path(source),) if source else (downloads / 'manual', downloads)
  )
  with builders.no_bucket():
    builder = Archives(data_dir=data_dir, file_format='array_record')
  builder.download_and_prepare()


def examples(
  builder: tfds.core.DatasetBuilder,
  split: str,
  folders: tuple[pathlib.Path, ...],
) -> Iterator[tuple[int, Example]]:
  """The examples of a split by their place in the archive."""
  name = builder.name
  if name in _IDX_NAMES:
    yield from enumerate(_idx_examples(name, split, folders))
    return
  human = _HUMAN.get(name)
  archive = human.archive if human else name
  ((_, packed),) = _archives(archive, folders).items()
  with tarfile.open(packed) as tar:
    for feature, file in _CIFAR[archive].names.items():
      lines = _member(tar, file).read().decode().split('\n')
      builder.info.features[feature].names = [x for x in lines if x]
  extra = _human_labels(human, split, folders) if human else {}
  for i, example in enumerate(_cifar_examples(archive, split, packed)):
    more = {
      key: column[i] if len(column) else -1 for key, column in extra.items()
    }
    yield i, {'id': f'{split}_{i:05d}', **example, **more}


def _idx_examples(
  name: str, split: str, folders: tuple[pathlib.Path, ...]
) -> Iterator[Example]:
  files = _archives(name, folders)
  images = _idx(files[f'{_IDX[split]}-images-idx3-ubyte.gz'], 3)
  labels = _idx(files[f'{_IDX[split]}-labels-idx1-ubyte.gz'], 1)
  for image, label in zip(images, labels, strict=True):
    yield {'image': _png(image), 'label': int(label)}


def _idx(path: pathlib.Path, ndim: int) -> UInt8[np.ndarray, 'N ...']:
  """An array of unsigned bytes in the IDX format of the MNIST database."""
  with gzip.open(path) as file:
    head = struct.unpack(f'>{1 + ndim}i', file.read(4 * (1 + ndim)))
    values = np.frombuffer(file.read(), np.uint8)
  if head[0] != 0x800 + ndim or values.size != np.prod(head[1:]):
    raise UserError(f'{path} does not hold an array of {ndim} dimension(s)')
  return values.reshape(head[1:])


def _cifar_examples(
  archive: str, split: str, packed: pathlib.Path
) -> Iterator[Example]:
  files, names = _CIFAR[archive].files, _CIFAR[archive].names
  size = len(names) + 3 * _SIDE**2
  with tarfile.open(packed) as tar:
    for name in files[split]:
      file = _member(tar, name)
      while record := file.read(size):
        values = np.frombuffer(record, np.uint8)
        pixels = values[len(names) :].reshape(3, _SIDE, _SIDE)
        labels = values[: len(names)].tolist()
        yield {
          **dict(zip(names, labels, strict=True)),
          'image': _png(pixels.transpose(1, 2, 0)),
        }


def _member(tar: tarfile.TarFile, name: str) -> io.BufferedReader:
  """A file of an archive, read where it lies: nothing is extracted."""
  for member in tar:
    if member.isfile() and member.name.endswith(f'/{name}'):
      file = tar.extractfile(member)
      assert isinstance(file, io.BufferedReader)
      return file
  raise UserError(f'{tar.name!r} holds no file {name}')


def _human_labels(
  human: _Human, split: str, folders: tuple[pathlib.Path, ...]
) -> dict[str, Num[np.ndarray, ' N']]:
  """The columns of both tables, in the order of the images.

  Empty ones of the test split, which nobody has labelled anew.

  Raises:
    UserError: a file is missing.
  """
  names = (*human.columns, *human.people_columns)
  if split != 'train':
    return dict.fromkeys(names, np.empty(0))
  files = (human.labels, human.order, human.people)
  labels, order, people = (_find(file, folders) for file in files)
  if labels is None or order is None or people is None:
    raise UserError(
      f'{", ".join(files)} must be in {folders[0]}: human labels cannot be'
      ' downloaded, sce_jax/data/README.md says how they are had'
    )
  rows = np.argsort(np.load(order, allow_pickle=False))
  answers = _table(labels)[rows, 1 : 1 + len(human.columns)]
  sides = _table(people)[:, 1 : 1 + len(human.people_columns)]
  sides = sides.repeat(len(rows) // len(sides), axis=0)
  both = np.concatenate([answers, sides], axis=1)
  return dict(zip(names, both.T, strict=True))


def _table(path: pathlib.Path) -> Float64[np.ndarray, 'N M']:
  return np.genfromtxt(path, delimiter=',', skip_header=1)


def _archives(
  name: str, folders: tuple[pathlib.Path, ...]
) -> dict[str, pathlib.Path]:
  """The archives of a data set by file name, each with the published digest."""
  files = {}
  for url, info in published(name).items():
    path = _find(info.filename, folders)
    if path is None:
      path = folders[-1] / info.filename
      download(url, path, info.size)
    with open(path, 'rb') as file:
      digest = hashlib.file_digest(file, 'sha256').hexdigest()
    if digest != info.checksum:
      raise UserError(
        f'{path} is not the published file: its sha256 is {digest}, not'
        f' {info.checksum}; remove it, or name a folder with the right one with'
        ' --source'
      )
    files[info.filename] = path
  return files


def published(name: str) -> Mapping[str, Any]:
  """Size, digest and file name of each archive, by its address, as of tfds."""
  return tfds.builder_cls(name).url_infos


def _find(file: str, folders: tuple[pathlib.Path, ...]) -> pathlib.Path | None:
  paths = (folder / file for folder in folders)
  return next((path for path in paths if path.is_file()), None)


def download(url: str, path: pathlib.Path, size: int) -> None:
  """Downloads a file, with a progress bar; what is there is whole.

  Raises:
    UserError: it cannot be downloaded.
  """
  path.parent.mkdir(parents=True, exist_ok=True)
  part = path.with_name(f'{path.name}.{os.getpid()}')
  try:
    with (
      bar.show(path.name, int(size), 'B') as advance,
      open(part, 'wb') as file,
      urllib.request.urlopen(url) as response,
    ):
      while chunk := response.read(_CHUNK):
        file.write(chunk)
        advance(len(chunk))
    part.rename(path)
  except (urllib.error.URLError, TimeoutError) as error:
    reason = getattr(error, 'reason', error)
    raise UserError(
      f'{url} cannot be downloaded ({reason}): download it elsewhere, and name'
      ' the folder that it lies in with `python -m'
      ' sce_jax.data.sources.prepare NAME --data_dir=DIR --source=FOLDER`'
    ) from None
  finally:
    part.unlink(missing_ok=True)


def _png(image: UInt8[np.ndarray, 'H W *C']) -> bytes:
  buffer = io.BytesIO()
  Image.fromarray(image).save(buffer, 'png')
  return buffer.getvalue()
