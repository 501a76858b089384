"""Food-101N (Lee et al., CVPR 2018): dishes found by their names.

Food-101N_release/ with images/CLASS/KEY.jpg, meta/classes.txt (its first line
is a header), meta/imagelist.tsv, verified_train.tsv and verified_val.tsv
('CLASS/KEY<TAB>1' where the class is the right one, else 0). It is tested on
the test split of Food-101: food-101/ with images/CLASS/ID.jpg and
meta/test.txt, beside it.
"""

import pathlib

from sce_jax.data.data_config import DataConfig
from sce_jax.data.sources import place
from sce_jax.data.sources.columns import Columns
from sce_jax.data.sources.web import listing, reading
from sce_jax.data.sources.web.listing import Listing
from sce_jax.errors import UserError

NAME = 'food101n'
_FOLDER, _TEST_FOLDER = 'Food-101N_release', 'food-101'
_HEADER = 'class_name'
# As its page says; copies of the list were not counted.
_COUNTS = {listing.TEST: 25_250}


def read(data_config: DataConfig, data_dir: str | None) -> Columns:
  """Reads Food-101N, preparing it first where it is not; see reading.py."""
  return reading.read(NAME, find, data_config, data_dir)


def find(data_config: DataConfig) -> Listing:
  """Reads the lists in config.data.path.

  Raises:
    UserError: it is no such folder, or its lists cannot be used.
  """
  root = place.folder(data_config, f'{_FOLDER} and {_TEST_FOLDER}')
  if root.name == _FOLDER:
    root = root.parent
  meta = root / _FOLDER / 'meta'
  gone = [x for x in ('classes.txt', 'imagelist.tsv') if not _has(meta, x)]
  if gone:
    raise UserError(
      f'{meta} lacks {", ".join(gone)}: give the folder in which {_FOLDER} lies'
      ' with --config.data.path'
    )
  names = [line.strip() for _, line in listing.lines(meta / 'classes.txt')]
  names = [x for x in names if x != _HEADER]
  places = {name: k for k, name in enumerate(names)}
  splits: dict[str, list[str]] = {listing.NOISY_TRAIN: [], listing.TEST: []}
  noisy: dict[str, int] = {}
  for number, line in listing.lines(meta / 'imagelist.tsv'):
    key = line.strip()
    if key.startswith(f'{_HEADER}/'):
      continue
    file = f'{_FOLDER}/images/{key}'
    noisy[file] = _label(
      places, key, f'{meta / "imagelist.tsv"}, line {number}'
    )
    splits[listing.NOISY_TRAIN].append(file)
  clean: dict[str, int] = {}
  warnings = []
  tests = root / _TEST_FOLDER / 'meta' / 'test.txt'
  if tests.is_file():
    for number, line in listing.lines(tests):
      file = f'{_TEST_FOLDER}/images/{line.strip()}.jpg'
      clean[file] = _label(places, line.strip(), f'{tests}, line {number}')
      splits[listing.TEST].append(file)
  else:
    warnings.append(
      f'{tests} is not there, so there are no test figures: unpack Food-101'
      f' beside {_FOLDER}'
    )
  made = listing.make(
    NAME,
    str(root),
    root,
    names,
    splits,
    noisy,
    clean,
    warnings=warnings,
    notes=_verified(meta),
  )
  counts = _COUNTS if tests.is_file() else {}
  return listing.with_warnings(made, listing.count_warning(made, counts))


def _has(folder: pathlib.Path, name: str) -> bool:
  return (folder / name).is_file()


def _label(places: dict[str, int], key: str, where: str) -> int:
  name = key.partition('/')[0]
  if name not in places:
    raise UserError(
      f'{where}: {name!r} is not among the classes of classes.txt'
    )
  return places[name]


def _verified(meta: pathlib.Path) -> list[str]:
  """What was verified by people: right or wrong, not which class it is."""
  notes = []
  for name in ('verified_train.tsv', 'verified_val.tsv'):
    if not (meta / name).is_file():
      continue
    ends = [x.rstrip()[-2:] for _, x in listing.lines(meta / name)]
    right, wrong = ends.count('\t1'), ends.count('\t0')
    if right + wrong:
      notes.append(
        f'{name}: {right + wrong:,} verified labels,'
        f' {100 * wrong / (right + wrong):.2f} % of them wrong'
      )
  return notes
