"""Clothing1M (Xiao et al., CVPR 2015): clothes from shops' pages.

The download, as its users have it: category_names_eng.txt,
noisy_label_kv.txt and clean_label_kv.txt ('images/0/00/NAME LABEL'),
noisy_train_key_list.txt, clean_train_key_list.txt, clean_val_key_list.txt and
clean_test_key_list.txt, all in one folder (or in annotations/), and images/0
to images/9, or tars of them. It is given by its authors on request.
"""

from collections.abc import Mapping, Sequence
import pathlib

from sce_jax.data.data_config import DataConfig
from sce_jax.data.sources import place
from sce_jax.data.sources.columns import Columns
from sce_jax.data.sources.web import listing, reading
from sce_jax.data.sources.web.listing import Listing
from sce_jax.errors import UserError

NAME = 'clothing1m'
CLASSES = (
  'T-Shirt',
  'Shirt',
  'Knitwear',
  'Chiffon',
  'Sweater',
  'Hoodie',
  'Windbreaker',
  'Jacket',
  'Downcoat',
  'Suit',
  'Shawl',
  'Dress',
  'Vest',
  'Underwear',
)
# By class; counted in copies of the lists.
COUNTS: Mapping[str, Sequence[int]] = {
  split: tuple(map(int, counts.split()))
  for split, counts in {
    listing.NOISY_TRAIN: '86152 88131 85788 50092 18976 82829 80437 80699 73318'
    ' 88588 42312 87958 59663 75057',
    listing.CLEAN_TRAIN: '3974 3032 2507 5225 4126 3670 2690 1326 4420 3467'
    ' 2223 3126 4051 3733',
    listing.VALIDATION: '1221 891 735 1562 1259 1147 785 435 1362 1021 704 944'
    ' 1145 1102',
    listing.TEST: '845 636 527 1171 918 824 558 297 1017 727 523 686 946 851',
  }.items()
}
_LISTS = {
  listing.NOISY_TRAIN: 'noisy_train_key_list.txt',
  listing.CLEAN_TRAIN: 'clean_train_key_list.txt',
  listing.VALIDATION: 'clean_val_key_list.txt',
  listing.TEST: 'clean_test_key_list.txt',
}
_NOISY, _CLEAN = 'noisy_label_kv.txt', 'clean_label_kv.txt'
_NAMES = 'category_names_eng.txt'
# Without these nothing can be trained or tested.
_NEEDED = (_NOISY, _CLEAN, _LISTS[listing.NOISY_TRAIN], _LISTS[listing.TEST])


def read(data_config: DataConfig, data_dir: str | None) -> Columns:
  """Reads Clothing1M, preparing it first where it is not; see reading.py."""
  return reading.read(NAME, find, data_config, data_dir)


def find(data_config: DataConfig) -> Listing:
  """Reads the lists in config.data.path.

  Raises:
    UserError: it is no such folder, or its lists cannot be used.
  """
  root = place.folder(data_config, 'the Clothing1M download')
  at = next(
    (x for x in (root, root / 'annotations') if (x / _NEEDED[2]).is_file()),
    root,
  )
  gone = [name for name in _NEEDED if not (at / name).is_file()]
  if gone:
    raise UserError(
      f'{at} lacks {", ".join(gone)}: give the folder of the Clothing1M'
      ' download with --config.data.path; it holds these lists beside images/'
      ' (copies that others hand on often lack them: ask its authors)'
    )
  noisy, warnings = listing.labels(at / _NOISY)
  clean, more = listing.labels(at / _CLEAN)
  warnings += more
  splits: dict[str, list[str]] = {}
  for split, name in _LISTS.items():
    if (at / name).is_file():
      splits[split] = [line.strip() for _, line in listing.lines(at / name)]
    else:
      warnings.append(f'{name} is not there, so there is no {split} split')
  made = listing.make(
    NAME,
    str(root),
    root,
    _class_names(at, warnings),
    splits,
    noisy,
    clean,
    warnings=warnings,
  )
  counted = listing.count_warning(made, COUNTS)
  sizes = [len(splits.get(s, ())) for s in (listing.VALIDATION, listing.TEST)]
  published = [sum(COUNTS[s]) for s in (listing.VALIDATION, listing.TEST)]
  if sizes == published[::-1]:
    counted.append(
      'the lists of validation and test have the size of each other: are'
      f' {_LISTS[listing.VALIDATION]} and {_LISTS[listing.TEST]} exchanged?'
    )
  return listing.with_warnings(made, counted)


def _class_names(at: pathlib.Path, warnings: list[str]) -> tuple[str, ...]:
  if not (at / _NAMES).is_file():
    warnings.append(f'{_NAMES} is not there; the published names are used')
    return CLASSES
  names = tuple(line.strip() for _, line in listing.lines(at / _NAMES))
  if len(names) != len(CLASSES):
    raise UserError(
      f'{at / _NAMES} names {len(names)} classes, but Clothing1M has'
      f' {len(CLASSES)}: give the file of the download, or remove it to use the'
      ' published names'
    )
  return names
