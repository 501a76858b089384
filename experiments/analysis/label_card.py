"""The card of a set of labels: fingerprint, noise, and how two sets differ.

Labels of the same fingerprint are the same, whatever the order or the file they
stand in.
"""

import dataclasses
import io
import os

from jaxtyping import Int32, Int64
import numpy as np

from experiments.analysis import noise_plots, pictures
from experiments.report import text
from sce_jax import noise
from sce_jax.data import label_files
from sce_jax.errors import UserError
from sce_jax.runs import dataset_record, files
from sce_jax.storage import paths

_SHOWN = 5
# The largest transition matrix that is printed.
_MOST_CLASSES = 20


@dataclasses.dataclass(frozen=True)
class Labels:
  """The labels of a run or of a file.

  Attributes:
    path: the file.
    ids: of the N examples, rising.
    labels: their labels.
    clean: their true labels, -1 where one is not known; None: none is.
    classes: titles of the K classes.
    replaced: which images were replaced; None: none was.
    made: what a run's config says of its noise; '' of a file.
  """

  path: str
  ids: Int64[np.ndarray, ' N']
  labels: Int32[np.ndarray, ' N']
  clean: Int32[np.ndarray, ' N'] | None
  classes: tuple[str, ...]
  replaced: noise.Replaced | None = None
  made: str = ''

  @property
  def fingerprint(self) -> str:
    """That of the labels and of the replaced images."""
    return noise.fingerprint(self.ids, self.labels, self.replaced)


def read(path: str) -> Labels:
  """Reads the labels of a run's folder, or of a file.

  Raises:
    UserError: there are none, or they cannot be read.
  """
  file = paths.path(path)
  names: tuple[str, ...] = ()
  made = ''
  if file.suffix not in ('.npz', '.csv'):
    folder, file = file, file / 'noise.npz'
    if not file.exists():
      raise UserError(
        f'{path} holds no labels of a run (no noise.npz): name the folder of'
        ' one, or a file of labels (.npz, .csv)'
      )
    names = dataset_record.read(folder)[0].class_titles
    made = _made(folder)
  ids, labels = label_files.read(file)
  clean = label_files.read_clean(file)
  if not len(ids):
    raise UserError(f'{path} holds no label')
  if labels.min() < 0:
    raise UserError(
      f'{path}: label {labels.min()} is no class: they are from 0'
    )
  largest = max(int(x.max()) for x in (labels, clean) if x is not None)
  names += tuple(map(str, range(len(names), largest + 1)))
  order = np.argsort(ids)
  return Labels(
    os.fspath(file),
    ids[order],
    labels[order],
    None if clean is None else clean[order],
    names,
    label_files.read_replaced(file),
    made,
  )


def _made(folder: paths.Path) -> str:
  """What the config of a run says of its noise."""
  config = files.read_config(folder)
  section = config['noise']
  own = section.get('seed')
  seed = config['seed'] if own is None else own
  title = pictures.noise_title(section) or section['name']
  parts = [title, *pictures.changes_of_examples(section)]
  if section.get('mode', 'exact') != 'exact':
    parts.append(section['mode'])
  return ', '.join([*parts, f'seed {seed}'])


def card(found: Labels) -> str:
  """What there is to say of labels: fingerprint, rates, realised T."""
  lines = [
    f'labels:       {found.path}',
    *([f'made by:      {found.made}'] if found.made else []),
    f'examples:     {len(found.ids):,} of {len(found.classes)} classes',
    f'fingerprint:  {found.fingerprint}',
  ]
  if found.replaced is not None and len(found.replaced.ids):
    count = len(found.replaced.ids)
    lines.append(
      f'open-set:     {count:,} images ({100 * count / len(found.ids):.2f} %)'
      f' are those of {found.replaced.source}; what follows leaves them out'
    )
  matrix, rate, sizes = _counted(found)
  if matrix is None or found.clean is None:
    return '\n'.join([*lines, 'wrong labels: the true labels are not known'])
  lines += [
    f'true labels:  {noise.fingerprint(found.ids, found.clean)}',
    f'class sizes:  {_sizes_line(sizes)}',
    f'wrong labels: {100 * rate:.2f} % of {sizes.sum():,}',
    '',
  ]
  rows = [['true class', 'examples', 'wrong', 'most often labelled', 'share']]
  for k, title in enumerate(found.classes):
    if sizes[k]:
      others = matrix[k].copy()
      others[k] = 0
      most = int(others.argmax())
      is_wrong = others[most] > 0
      rows.append(
        [
          title,
          f'{sizes[k]:,}',
          f'{100 * others.sum():.1f} %',
          found.classes[most] if is_wrong else '-',
          f'{100 * others[most]:.1f} %' if is_wrong else '-',
        ]
      )
  return '\n'.join([*lines, text.aligned(rows), *_matrix(found, matrix, sizes)])


def _matrix(found: Labels, matrix: np.ndarray, sizes: np.ndarray) -> list[str]:
  """The lines of the realised T, if there are few classes."""
  if len(matrix) > _MOST_CLASSES:
    return []
  rows = [['true class', *map(str, range(len(matrix)))]]
  for k, title in enumerate(found.classes):
    if sizes[k]:
      called = title if title == str(k) else f'{k} {title}'
      rows.append([called, *(f'{100 * x:.1f}' for x in matrix[k])])
  said = 'Realised T: share of each true class with each given label, per cent'
  return ['', said, '', text.aligned(rows)]


def _sizes_line(sizes: np.ndarray) -> str:
  """The largest and the smallest true class, and their ratio."""
  present = sizes[sizes > 0]
  most, least = present.max(), present.min()
  if most == least:
    return f'{most:,} each'
  return f'{least:,} to {most:,}, ratio {most / least:.3g}'


def compare(mine: Labels, other: Labels) -> str:
  """Whether two sets of labels are the same, and if not how they differ."""
  _, left, right = np.intersect1d(
    mine.ids, other.ids, assume_unique=True, return_indices=True
  )
  alone = len(mine.ids) - len(left), len(other.ids) - len(right)
  differ = np.flatnonzero(mine.labels[left] != other.labels[right])
  images = _replaced_by(mine)[left] != _replaced_by(other)[right]
  untrue = 0
  if mine.clean is not None and other.clean is not None:
    untrue = int((mine.clean[left] != other.clean[right]).sum())
  of_true = (
    f'the true labels of {untrue:,} differ: these are other data, or the ids'
    ' number the examples in another order'
  )
  if not differ.size and not any(alone) and not images.any():
    same = f'The same labels of the same {len(left):,} examples'
    return f'{same}, but {of_true}.' if untrue else f'{same}.'
  lines = [
    'The labels differ:',
    f'  examples of both: {len(left):,}; only of the first: {alone[0]:,}; only'
    f' of the second: {alone[1]:,}',
    f'  of those of both, {differ.size:,} are labelled differently',
  ]
  lines += [
    f'    example {mine.ids[left[row]]}: {mine.labels[left[row]]},'
    f' {other.labels[right[row]]}'
    for row in differ[:_SHOWN]
  ]
  if differ.size > _SHOWN:
    lines.append(f'    and {differ.size - _SHOWN:,} more')
  if images.any():
    lines.append(
      f'  the images of {images.sum():,} differ: one set was made with open-set'
      ' noise, or with another'
    )
  if untrue:
    lines.append(f'  {of_true}')
  return '\n'.join(lines)


def _replaced_by(found: Labels) -> np.ndarray:
  """What replaces the image of each example, as text; '' where it stays."""
  texts = np.full(len(found.ids), '', object)
  if found.replaced is not None:
    texts[noise.rows_of(found.ids, found.replaced.ids)] = [
      f'{found.replaced.source} {image}' for image in found.replaced.images
    ]
  return texts


def _counted(found: Labels):
  """The matrix, the share of wrong labels, and each class's examples."""
  clean, size = found.clean, len(found.classes)
  if clean is None or (clean < 0).all():
    return None, None, None
  matrix, rate = files.actual_noise(found.labels, clean, size)
  return matrix, rate, np.bincount(clean[clean >= 0], minlength=size)


def draw(found: Labels, path: str) -> None:
  """Draws the transition matrix into a .png.

  Raises:
    UserError: the true labels are not known, or the file cannot be written.
  """
  matrix, rate, _ = _counted(found)
  if matrix is None or not path.endswith('.png'):
    raise UserError(
      f'{path} cannot be drawn: a picture is a .png, of labels whose true ones'
      ' are known'
    )
  title = f'{100 * rate:.1f} % wrong'
  figure = noise_plots.heat_maps({title: matrix}, found.classes)
  content = io.BytesIO()
  figure.drawing.savefig(content, format='png')
  try:
    paths.write(paths.path(path), content.getvalue())
  except OSError as error:
    raise UserError(
      f'{path} cannot be written ({error.strerror or error}): name another file'
      ' with --picture'
    ) from None
