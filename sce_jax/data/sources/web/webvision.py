"""WebVision 1.0 (Li et al., 2017), mini: Google's images of 50 classes.

info/train_filelist_google.txt ('google/q0001/NAME.jpg LABEL'),
info/val_filelist.txt ('val000001.jpg LABEL') and val_images_256/; of both the
classes below 50, as in MentorNet's and all later papers: 65,944 and 2,500
images.
"""

import pathlib

from sce_jax.data.data_config import DataConfig
from sce_jax.data.sources import place
from sce_jax.data.sources.columns import Columns
from sce_jax.data.sources.web import listing, reading
from sce_jax.data.sources.web.listing import Listing
from sce_jax.errors import UserError

NAME = 'webvision_mini'
CLASSES = 50
_TRAIN, _TEST = 'train_filelist_google.txt', 'val_filelist.txt'
_TEST_FOLDER = 'val_images_256'
_COUNTS = {listing.NOISY_TRAIN: 65_944, listing.TEST: 2_500}


def read(data_config: DataConfig, data_dir: str | None) -> Columns:
  """Reads WebVision mini, preparing it first where it is not."""
  return reading.read(NAME, find, data_config, data_dir)


def find(data_config: DataConfig) -> Listing:
  """Reads the lists in config.data.path.

  Raises:
    UserError: it is no such folder, or its lists cannot be used.
  """
  root = place.folder(data_config, 'the WebVision 1.0 download')
  info = root / 'info'
  gone = [name for name in (_TRAIN, _TEST) if not (info / name).is_file()]
  if gone:
    raise UserError(
      f'{info} lacks {", ".join(gone)}: give the folder of the WebVision 1.0'
      ' download with --config.data.path'
    )
  train, warnings = listing.labels(info / _TRAIN)
  test, more = listing.labels(info / _TEST)
  noisy = {file: label for file, label in train.items() if label < CLASSES}
  clean = {
    f'{_TEST_FOLDER}/{file}': label
    for file, label in test.items()
    if label < CLASSES
  }
  made = listing.make(
    NAME,
    str(root),
    root,
    _class_names(info),
    {listing.NOISY_TRAIN: list(noisy), listing.TEST: list(clean)},
    noisy,
    clean,
    warnings=[*warnings, *more],
  )
  return listing.with_warnings(made, listing.count_warning(made, _COUNTS))


def _class_names(info: pathlib.Path) -> list[str]:
  """The first of each synset's words; numbers where there is no list."""
  if not (info / 'synsets.txt').is_file():
    return [f'class {k}' for k in range(CLASSES)]
  lines = [line for _, line in listing.lines(info / 'synsets.txt')][:CLASSES]
  words = [x.partition(' ')[2].split(',')[0].strip() for x in lines]
  if len(words) < CLASSES:
    raise UserError(
      f'{info / "synsets.txt"} names {len(words)} classes: WebVision has 1,000;'
      ' give the file of the download, or remove it'
    )
  # Some words name two classes.
  return [x if words.count(x) == 1 else f'{x} {k}' for k, x in enumerate(words)]
