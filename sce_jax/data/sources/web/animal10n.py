"""ANIMAL-10N (Song et al., ICML 2019): animals that people confuse.

raw_image.zip unpacked: training/ (50,000) and testing/ (5,000), whose files are
named LABEL_NUMBER.jpg. It is given by its authors by a form. About 8 % of the
training labels are wrong.
"""

from sce_jax.data import image_files
from sce_jax.data.data_config import DataConfig
from sce_jax.data.sources import place
from sce_jax.data.sources.columns import Columns
from sce_jax.data.sources.web import listing, reading
from sce_jax.data.sources.web.listing import Listing
from sce_jax.errors import UserError

NAME = 'animal10n'
CLASSES = (
  'cat',
  'lynx',
  'wolf',
  'coyote',
  'cheetah',
  'jaguar',
  'chimpanzee',
  'orangutan',
  'hamster',
  'guinea-pig',
)
_FOLDERS = {listing.NOISY_TRAIN: 'training', listing.TEST: 'testing'}
_COUNTS = {listing.NOISY_TRAIN: 50_000, listing.TEST: 5_000}


def read(data_config: DataConfig, data_dir: str | None) -> Columns:
  """Reads ANIMAL-10N, preparing it first where it is not; see reading.py."""
  return reading.read(NAME, find, data_config, data_dir)


def find(data_config: DataConfig) -> Listing:
  """Lists the images in config.data.path.

  Raises:
    UserError: it is no such folder.
  """
  root = place.folder(data_config, 'the ANIMAL-10N download')
  if (root / 'raw_image').is_dir():
    root = root / 'raw_image'
  splits: dict[str, list[str]] = {}
  labels: dict[str, int] = {}
  bad = []
  for split, folder in _FOLDERS.items():
    if not (root / folder).is_dir():
      raise UserError(
        f'{root} lacks the folder {folder}: unpack raw_image.zip of the'
        ' ANIMAL-10N download, and give its folder with --config.data.path'
      )
    splits[split] = []
    for name in image_files.find(root / folder):
      label, underscore, _ = name.rpartition('/')[2].partition('_')
      if not (underscore and label.isascii() and label.isdecimal()):
        bad.append(f'{folder}/{name}')
        continue
      splits[split].append(f'{folder}/{name}')
      labels[f'{folder}/{name}'] = min(int(label[:9]), 2**30)
  warnings = []
  if bad:
    warnings.append(
      f'{len(bad):,} images whose names do not begin with a label and _ are'
      f' left out, such as {bad[0]}'
    )
  noisy = {x: labels[x] for x in splits[listing.NOISY_TRAIN]}
  clean = {x: labels[x] for x in splits[listing.TEST]}
  made = listing.make(
    NAME,
    str(root),
    root,
    CLASSES,
    splits,
    noisy,
    clean,
    warnings=warnings,
  )
  return listing.with_warnings(made, listing.count_warning(made, _COUNTS))
