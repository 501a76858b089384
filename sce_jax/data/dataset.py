"""Data sets in memory, which carry their own description.

Nobody looks a data set up by its name: what is known of one travels as its
`DatasetInfo`, and a run's folder keeps it as dataset.json.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import pathlib
from typing import Any
import zlib

from jaxtyping import Float32, Float64, Int, Int32, Int64, Shaped
import numpy as np
from numpy.typing import ArrayLike

from sce_jax.data import held_out, ids, image_info, label_files
from sce_jax.data.data_config import DataConfig
from sce_jax.data.info import DatasetInfo
from sce_jax.data.records import Records
from sce_jax.data.sources import arrays, folder, found, npz, table, tfds
from sce_jax.data.sources.columns import Columns, Inputs, Part
from sce_jax.data.sources.web import animal10n, clothing1m, food101n, webvision
from sce_jax.errors import UserError
from sce_jax.noise import Replaced, rows_of
from sce_jax.parallel import processes

# The choice for an example that keeps its label.
UNDECIDED = -2


@dataclasses.dataclass(frozen=True)
class Split:
  """A split in memory.

  Attributes:
    image: pixels as stored, or feature vectors; or files of images, which are
      decoded as they are read.
    label: the labels, which the network sees once noise has been applied.
    clean_label: the true labels, -1 where one is not known; None if none is.
    example_id: numbers of the data set's own ids, see ids.py; where it has
      none, the place in the order of reading.
  """

  image: Inputs | Records
  label: Int32[np.ndarray, ' N']
  clean_label: Int32[np.ndarray, ' N'] | None
  example_id: Int64[np.ndarray, ' N']

  def __len__(self) -> int:
    return len(self.label)

  @property
  def pixels(self) -> Inputs:
    """`image`, where it is known to lie in memory."""
    assert not isinstance(self.image, Records)
    return self.image

  def rows(self, rows: Int[np.ndarray, ' M']) -> 'Split':
    """Some of the examples."""
    image, clean = self.image, self.clean_label
    return Split(
      image.rows(rows) if isinstance(image, Records) else image[rows],
      self.label[rows],
      None if clean is None else clean[rows],
      self.example_id[rows],
    )


@dataclasses.dataclass(frozen=True)
class Dataset:
  """A data set in memory, before label noise.

  Attributes:
    info: its description.
    train: the training split, with the labels that the data set has.
    test: the test split, which noise never touches; None if there is none.
    label_sets: other labels of the training examples, by name.
    choices: what was decided about each training example: its label, UNDECIDED
      or label_files.DROP; None: nothing was.
    train_names: what the source calls the training examples, such as the
      files' names; None: they have no names.
    summary: what the source found and did, see sources/summary.py; empty
      where there is nothing to tell.
    replaced: which training images are those of another data set, see
      open_set.py; None: all are its own.
    validation: as `test`, to choose settings by; None if there is none.
    transition: measured P(noisy j | clean i) of the training labels, where the
      true ones of themselves are not known; None: it is not known.
    pixel_mean: the mean training image of pixels scaled to [0, 1], or the mean
      feature vector.
  """

  info: DatasetInfo
  train: Split
  test: Split | None
  label_sets: Mapping[str, Int32[np.ndarray, ' N']] = dataclasses.field(
    default_factory=dict
  )
  choices: Int32[np.ndarray, ' N'] | None = None
  train_names: Shaped[np.ndarray, ' N'] | None = None
  summary: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  replaced: Replaced | None = None
  validation: Split | None = None
  transition: Float64[np.ndarray, 'K K'] | None = None

  @property
  def kept(self) -> Int64[np.ndarray, ' P'] | None:
    """The rows of the training examples that are to be used; None: all."""
    if self.choices is None or (self.choices != label_files.DROP).all():
      return None
    return np.flatnonzero(self.choices != label_files.DROP)

  @property
  def pixel_mean(self) -> Float32[np.ndarray, '...']:
    """The mean training image, of pixels scaled to [0, 1]; of features, too.

    Of files that are decoded as they are read nobody knows it: it is black.
    """
    if isinstance(self.train.image, Records):
      return np.zeros(self.info.image_shape, np.float32)
    mean = self.train.image.mean(axis=0, dtype=np.float64)
    return (mean / self.info.pixel_max).astype(np.float32)


# Of each source (data_config, data_dir) -> Columns.
_Sources = dict[str, Callable[[DataConfig, str | None], Columns]]
# Those whose images, RGB and of config.data.image_size, take hours to prepare.
WEB: _Sources = {
  'clothing1m': clothing1m.read,
  'animal10n': animal10n.read,
  'food101n': food101n.read,
  'webvision_mini': webvision.read,
}
SOURCES: _Sources = {
  'tfds': tfds.read,
  'path': found.read,  # One of the following, found by looking.
  'folder': folder.read,
  'table': table.read,
  'npz': npz.read,
  **WEB,
}


def read(data_config: DataConfig, data_dir: str | None = None) -> Dataset:
  """Reads a data set; tfds prepares it first where it must.

  Args:
    data_config: the `data` section of a config.
    data_dir: the tfds folder; None for TFDS_DATA_DIR or tfds's default. One
      in a cloud is copied down, see sources/cloud.py.

  Raises:
    UserError: it cannot be read, or is no data set of images and labels; the
      message says what to do.
  """
  columns = SOURCES[data_config.source](data_config, data_dir)
  return _relabelled(from_columns(columns, data_config), data_config)


def from_arrays(
  data_config: DataConfig,
  images: ArrayLike,
  labels: ArrayLike,
  *,
  clean_labels: ArrayLike | None = None,
  test_images: ArrayLike | None = None,
  test_labels: ArrayLike | None = None,
  class_names: Sequence[str] | None = None,
) -> Dataset:
  """Makes a data set of arrays in memory.

  What `train.train_many(..., dataset=...)` then trains on; the section's
  source and path are not looked at. An example's id is its row in them,
  whatever the section's limit.

  Args:
    data_config: the `data` section of a config, configs/own.py's say.
    images: of the training split: [N, H, W, C] or [N, H, W], uint8, booleans,
      integers in [0, 255], or floats in [0, 1] or [0, 255]; or feature vectors
      [N, D], finite numbers of any type, see features.py.
    labels: [N], whole numbers or texts, a label for each image.
    clean_labels: [N], the true labels, -1 or '' where one is not known.
    test_images: of the test split, of the same size; None: there is none.
    test_labels: [M], their labels.
    class_names: of the classes, in order; then labels are their numbers, from
      0 on, and there may be classes without an example. None: the classes are
      the different labels, in order: by value if all are whole numbers.

  Raises:
    UserError: they cannot be used; the message says what to do.
  """

  def array(values: ArrayLike | None) -> Any:
    return None if values is None else np.asarray(values)

  columns = arrays.columns(
    f'data set {data_config.name!r}',
    'arrays',
    data_config,
    images=np.asarray(images),
    labels=np.asarray(labels),
    clean_labels=array(clean_labels),
    test_images=array(test_images),
    test_labels=array(test_labels),
    class_names=class_names,
  )
  return _relabelled(from_columns(columns, data_config), data_config)


def _relabelled(dataset: Dataset, data_config: DataConfig) -> Dataset:
  """The data set with the choices that its config names, if it does."""
  if data_config.relabel is None:
    return dataset
  choices = _read_choices(data_config.relabel, dataset)
  return dataclasses.replace(dataset, choices=choices)


def _read_choices(path: str, dataset: Dataset) -> Int32[np.ndarray, ' N']:
  example_ids = dataset.train.example_id
  ids, labels = label_files.read_choices(
    path, dataset.info.class_titles, example_ids
  )
  num_classes = dataset.info.num_classes
  bad = np.flatnonzero(
    (labels != label_files.DROP) & ((labels < 0) | (labels >= num_classes))
  )
  if bad.size:
    raise UserError(
      f'{path}: label {labels[bad[0]]} of example {ids[bad[0]]} is no class;'
      f' there are {num_classes}, 0 to {num_classes - 1}'
    )
  choices = np.full(len(example_ids), UNDECIDED, np.int32)
  choices[rows_of(example_ids, ids)] = labels
  if (choices == label_files.DROP).all():
    raise UserError(f'{path} drops all training examples')
  return choices


def from_columns(columns: Columns, data_config: DataConfig) -> Dataset:
  """Makes a data set of what a source has read.

  Raises:
    UserError: the images or labels cannot be used.
  """
  where = f'data set {data_config.name!r}'
  noisy_test = False
  if data_config.held_out and columns.test is None:
    columns, noisy_test = held_out.split(
      columns, data_config.held_out, is_clean=data_config.clean_labels
    )
  feature = columns.id_feature and f', feature {columns.id_feature!r}'

  def make(name: str, part: Part | None) -> Split | None:
    if part is None:
      return None
    clean = part.clean_label
    if data_config.clean_labels or name != 'training':
      clean = part.label
    numbers = _numbers(f'{where}, {name} split{feature}', part.ids)
    return Split(part.image, part.label, clean, numbers)

  train, test = make('training', columns.train), make('test', columns.test)
  validation = make('validation', columns.validation)
  if train is None or not len(train):
    raise UserError(f'{where} has no training examples')
  num_classes = columns.num_classes
  for name, split in (
    ('training', train),
    ('test', test),
    ('validation', validation),
  ):
    if split is not None:
      _check_labels(f'{where}, {name} split', split.label, num_classes)
  for name, labels in columns.label_sets.items():
    _check_labels(f'{where}, label set {name!r}', labels, num_classes)
  if num_classes < 2:
    raise UserError(f'{where} has {num_classes} class; at least 2 are needed')
  image_info.check_feed(train.image, data_config)
  shape = image_info.shape(train.image, data_config)
  mean, std = image_info.channel_statistics(train.image, shape, data_config)
  info = DatasetInfo(
    data_config.name,
    num_classes,
    shape,
    columns.class_names,
    1.0 if len(shape) == 1 else data_config.pixel_max,
    mean,
    std,
    len(train),
    0 if test is None else len(test),
    train.clean_label is not None,
    tuple(columns.label_sets),
    noisy_test,
  )
  names = columns.train.ids if columns.id_feature == 'file name' else None
  return Dataset(
    info,
    train,
    test,
    columns.label_sets,
    train_names=names,
    summary=columns.summary,
    validation=validation,
    transition=columns.transition,
  )


def _numbers(where: str, given: np.ndarray) -> np.ndarray:
  try:
    return ids.to_numbers(given)
  except ValueError as error:
    raise UserError(f'{where}: {error}') from None


def _check_labels(where: str, labels: np.ndarray, num_classes: int) -> None:
  if labels.size and not 0 <= labels.min() <= labels.max() < num_classes:
    raise UserError(
      f'{where}: labels go from {labels.min()} to {labels.max()}, but there are'
      f' {num_classes} classes, 0 to {num_classes - 1}'
    )


def load_on_all_processes(
  data_config: DataConfig, data_dir: str | None
) -> Dataset:
  """Reads a data set, checked to be the same in all processes.

  Args:
    data_config: the `data` section of a config.
    data_dir: as in `read`.

  Raises:
    UserError: as in `read`, or the processes do not have the same data.
  """
  dataset = processes.on_primary_then_others(
    lambda: read(data_config, data_dir)
  )
  check_same(dataset)
  return dataset


def check_same(dataset: Dataset) -> None:
  """Checks that all processes have the same data.

  Raises:
    UserError: they do not.
  """
  if processes.num_processes() > 1:
    processes.check_same(
      {
        f'the {name} data': [
          digest(x) for x in (split.image, split.label, split.example_id)
        ]
        for name, split in (('training', dataset.train), ('test', dataset.test))
        if split is not None
      }
    )


def digest(array: Shaped[np.ndarray, '...'] | Records) -> int:
  """A checksum of an array; of files that of their names and lengths.

  What is in the files would take as long to read as an epoch: it is not looked
  at.
  """
  if isinstance(array, Records):
    names = [pathlib.PurePath(file).name for file in array.files]
    text = repr((names, array.sizes))
    return zlib.crc32(array.record.tobytes(), zlib.crc32(text.encode()))
  return zlib.crc32(np.ascontiguousarray(array).data)


def other_digests(dataset: Dataset) -> dict[str, int]:
  """Checksums of all that figures follow from but the training images."""
  found = {}
  for name, split in (
    ('training', dataset.train),
    ('validation', dataset.validation),
    ('test', dataset.test),
  ):
    if split is None:
      continue
    if split is not dataset.train:
      found[f'{name} images'] = digest(split.image)
    found[f'{name} labels'] = digest(split.label)
    if split.clean_label is not None:
      found[f'true {name} labels'] = digest(split.clean_label)
  return found
