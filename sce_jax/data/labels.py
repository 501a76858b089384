"""The labels that a run trains on: the data set's own, with label noise."""

from collections.abc import Mapping
import dataclasses
from typing import Any

from jaxtyping import Float64, Int32, Int64
import numpy as np

from sce_jax import noise
from sce_jax.data import label_files, probability_files
from sce_jax.data.dataset import Dataset, Split
from sce_jax.data.info import DatasetInfo
from sce_jax.data.records import Records
from sce_jax.errors import UserError, meant
from sce_jax.noise import NoisyLabels

# Noise that is read from a file of labels.
FROM_FILE = 'file'
# With the name of a label set: drawn from the matrix of its confusions.
MATCHED = 'matched_'


@dataclasses.dataclass(frozen=True)
class NoiseConfig:
  """The `noise` section of a config; config/base.py explains each field."""

  name: str
  rate: float
  mode: str
  seed: int | None
  path: str | None
  second: str = ''
  second_rate: float = 0.0
  imbalance: str = ''
  imbalance_ratio: float = 1.0
  open_set_from: str = ''
  open_set_rate: float = 0.0


def check_name(
  noise_config: NoiseConfig, label_sets: Mapping[str, object]
) -> None:
  """Checks that there is such a noise, as far as a config tells.

  Raises:
    UserError: there is not, it lacks its file, or its fields do not go
      together.
  """
  name = noise_config.name
  given = [FROM_FILE, *label_sets]
  known = [*noise.NOISE, *noise.FROM_PROBABILITIES, *given]
  known += [MATCHED + x for x in given]
  if name not in known:
    raise UserError(
      f'noise {name!r} is not known{meant(name, known)}: use one of'
      f' {", ".join(known)}'
    )
  if name in noise.FROM_PROBABILITIES and noise_config.path is None:
    raise UserError(
      f"noise {name!r} is made of probabilities: name their file, an audit's"
      ' probabilities.npz, with config.noise.path'
    )
  with_file = name in (FROM_FILE, MATCHED + FROM_FILE)
  with_file |= name in noise.FROM_PROBABILITIES
  if with_file != (noise_config.path is not None):
    raise UserError(
      'config.noise.path is the file of labels of config.noise.name=file, or of'
      ' probabilities for noise that is made of them: give both or neither'
    )
  second = noise_config.second
  if second and _matrix_of(second) is None:
    matrices = [x for x in noise.NOISE if _matrix_of(x) and x != 'clean']
    raise UserError(
      f'config.noise.second is {second!r}: it must be one of'
      f' {", ".join(matrices)}'
    )
  for field, of, least in (
    ('second', 'second_rate', 0),
    ('imbalance', 'imbalance_ratio', 1),
    ('open_set_from', 'open_set_rate', 0),
  ):
    value, number = getattr(noise_config, field), getattr(noise_config, of)
    # A file of labels may say which images it was made with.
    by_file = field == 'open_set_from' and name == FROM_FILE
    if bool(value) != (number > least) and not (value and by_file):
      raise UserError(
        f'config.noise.{field} is {value!r} and config.noise.{of} is {number}:'
        f' give {field} with a {of} above {least}, or neither'
      )


def check_fits(noise_config: NoiseConfig, info: DatasetInfo) -> None:
  """Checks that a noise can be applied to a data set.

  Raises:
    UserError: it needs other classes, or clean labels that are not known.
  """
  name = noise_config.name
  if noise_config.open_set_from == info.name:
    raise UserError(
      f'config.noise.open_set_from={info.name} is the data set that is trained'
      ' on: name another one, whose images are of none of its classes'
    )
  if name != FROM_FILE and name not in info.label_sets:
    _check_drawn('name', name, noise_config.rate, info)
  if noise_config.second:
    _check_drawn('second', noise_config.second, noise_config.second_rate, info)


def _check_drawn(field: str, name: str, rate: float, info: DatasetInfo) -> None:
  """Checks that noise that config.noise.`field` names can be drawn."""
  if not info.clean_labels and name != 'clean':
    advice = {
      'name': 'use config.noise.name=clean to train on its labels as they are,'
      ' or file',
      'second': 'leave config.noise.second out',
    }
    raise UserError(
      f'noise {name!r} corrupts clean labels, which are not known of data set'
      f' {info.name!r}: {advice[field]}'
    )
  if name not in noise.NOISE:
    return
  try:
    noise.check_fits(name, info.num_classes, info.class_names, info.name)
    spec = noise.NOISE[name]
    if spec.check is not None:
      spec.check(info.num_classes, rate)
    if spec.transition is not None:
      noise.transition_matrix(name, info.num_classes, rate)
  except ValueError as error:
    where = 'config.noise.second: ' if field == 'second' else ''
    raise UserError(f'{where}{error}') from None


def apply_label_noise(
  dataset: Dataset, noise_config: NoiseConfig, seed: int
) -> NoisyLabels:
  """The training labels under the label noise of a config.

  Args:
    dataset: the data set.
    noise_config: the `noise` section of a config.
    seed: the config's seed, used if noise_config has none.

  Returns:
    The labels of all training examples, and the transition matrix that they
    were drawn from, if they were. What was decided about labels replaces them.

  Raises:
    UserError: the noise or its file does not fit the data set.
  """
  noisy = _noisy(dataset, noise_config, seed)
  choices = dataset.choices
  if choices is None:
    return noisy
  return NoisyLabels(np.where(choices < 0, noisy.labels, choices), None)


def _noisy(
  dataset: Dataset, noise_config: NoiseConfig, seed: int
) -> NoisyLabels:
  train, info = dataset.train, dataset.info
  is_clean = noise_config.name == 'clean' and not noise_config.second
  if is_clean and not info.clean_labels:
    return NoisyLabels(train.label, None)  # As they are, however wrong.
  rows = left_rows(dataset, noise_config, seed)
  if dataset.replaced is not None and noise_config.name != FROM_FILE:
    # Labels of replaced images stay: the noise is that of the others.
    own = ~np.isin(train.example_id[rows], dataset.replaced.ids)
    rows = rows[own]
  part = train.rows(rows)
  try:
    drawn = _find(dataset, part, rows, noise_config)(
      part.label,
      part.example_id,
      info.num_classes,
      noise_config.rate,
      noise_seed(noise_config, seed),
      noise_config.mode,
      # Nobody can look at images that are decoded as they are read.
      None
      if isinstance(part.image, Records)
      else noise.Images(part.image, info.mean, info.std, info.pixel_max),
    )
  except ValueError as error:
    raise UserError(str(error)) from None
  noisy = train.label.astype(np.int32)
  noisy[rows] = drawn.labels
  return NoisyLabels(noisy, drawn.transition)


def noise_seed(noise_config: NoiseConfig, seed: int) -> int:
  """The seed of the noise: its own, else the config's."""
  return seed if noise_config.seed is None else noise_config.seed


def used_rows(
  dataset: Dataset, noise_config: NoiseConfig, seed: int
) -> Int64[np.ndarray, ' P']:
  """The rows of the training examples that a config trains on, rising.

  Those that class imbalance leaves and that were not dropped.

  Raises:
    UserError: all that it leaves were dropped.
  """
  rows = left_rows(dataset, noise_config, seed)
  if dataset.kept is not None:
    rows = np.intersect1d(rows, dataset.kept)
  if not len(rows):
    raise UserError(
      'all examples that config.noise.imbalance leaves are dropped by'
      ' config.data.relabel'
    )
  return rows


def left_rows(
  dataset: Dataset, noise_config: NoiseConfig, seed: int
) -> Int64[np.ndarray, ' P']:
  """The rows of the training examples that class imbalance leaves, rising.

  Noise is drawn of these, whatever was decided about them.
  """
  train = dataset.train
  if not noise_config.imbalance:
    return np.arange(len(train))
  return noise.imbalanced(
    train.label,
    train.example_id,
    dataset.info.num_classes,
    noise_config.imbalance,
    noise_config.imbalance_ratio,
    noise_seed(noise_config, seed),
  )


def transition_matrix(
  noise_config: NoiseConfig, info: DatasetInfo
) -> Float64[np.ndarray, 'K K'] | None:
  """The matrix that a config's noise draws labels from.

  None if it has none, or if it is that of given labels: it is then counted
  when the labels are drawn.
  """
  if noise_config.name in info.label_sets or not info.clean_labels:
    return None
  steps = _steps(noise_config)
  matrices = [_matrix_of(name) for name, _ in steps]
  if not steps or None in matrices:
    return None  # Of what it would have been drawn from, nothing is known.
  product = np.eye(info.num_classes)
  for matrix, (_, rate) in zip(matrices, steps, strict=True):
    assert matrix is not None
    product = product @ matrix(info.num_classes, rate)
  return product


def warning(noise_config: NoiseConfig, info: DatasetInfo) -> str | None:
  """What to say of noise under which labels do not tell the class any more.

  That is so where a class's own label is not the most frequent of its labels:
  symmetric noise of K classes from the rate 1 - 1/K on, pair flip from 1/2.

  Args:
    noise_config: the noise.
    info: the data set's description.

  Returns:
    A line; None if there is nothing to say.
  """
  matrix = transition_matrix(noise_config, info)
  if matrix is None:
    return None
  others = np.where(np.eye(len(matrix), dtype=bool), -1.0, matrix).max(axis=1)
  lost = int(np.sum(np.diag(matrix) <= others + 1e-9))
  if not lost:
    return None
  steps = (f'{name} noise at rate {x:g}' for name, x in _steps(noise_config))
  return (
    f'warning: with {" and then ".join(steps)} the true class is not the most'
    f' frequent label of {lost} of {len(matrix)} classes: the labels do not'
    ' tell it, expect no accuracy there'
  )


def _steps(noise_config: NoiseConfig) -> list[tuple[str, float]]:
  """The noises that change labels, one after the other, with their rates."""
  steps = [
    (noise_config.name, noise_config.rate),
    (noise_config.second, noise_config.second_rate),
  ]
  return [(name, rate) for name, rate in steps if name not in ('', 'clean')]


def _matrix_of(name: str) -> noise.TransitionFn | None:
  """The matrix of a noise as a function of classes and rate, if it is one."""
  return noise.NOISE[name].transition if name in noise.NOISE else None


def _find(
  dataset: Dataset,
  part: Split,
  rows: Int64[np.ndarray, ' P'],
  noise_config: NoiseConfig,
) -> noise.Noise:
  """The noise that a config names, of a part of the training split."""
  first = _find_first(dataset, part, rows, noise_config)
  if not noise_config.second:
    return first
  second = noise.NOISE[noise_config.second].apply
  return noise.followed_by(first, second, noise_config.second_rate)


def _find_first(
  dataset: Dataset,
  part: Split,
  rows: Int64[np.ndarray, ' P'],
  noise_config: NoiseConfig,
) -> noise.Noise:
  """A row of NOISE, labels given as such, or what they or a network say."""
  name, path, own = noise_config.name, noise_config.path, part.example_id
  if name in dataset.label_sets:
    return noise.from_labels(own, dataset.label_sets[name][rows])
  if name in noise.NOISE:
    return noise.NOISE[name].apply
  if name in noise.FROM_PROBABILITIES:
    spec = noise.FROM_PROBABILITIES[name]
    assert path is not None
    found = probability_files.read(path, spec.array, own, part.label)
    return _told(spec.make(*found), path)
  matched = name.removeprefix(MATCHED)
  if matched in dataset.label_sets:
    return noise.matched_to(own, dataset.label_sets[matched][rows])
  assert path is not None
  ids, labels = label_files.read(path, dataset.info.class_titles)
  if len(rows) < len(dataset.train):
    # A file of all examples serves a part of them.
    among = np.isin(ids, own)
    ids, labels = ids[among], labels[among]
  names = dataset.train_names
  missing = np.flatnonzero(~np.isin(own, ids))
  # Of examples without names the noise itself tells the ids.
  if names is not None and missing.size:
    raise UserError(
      f'{path}: there is no label for example {str(names[rows[missing[0]]])!r}:'
      ' give each training example one, by its file name'
    )
  if name == FROM_FILE:
    return noise.from_labels(ids, labels, source=path)
  return _told(noise.matched_to(ids, labels), path)


def _told(made: noise.Noise, path: str) -> noise.Noise:
  """A noise whose errors name the file that it is made of."""

  def apply(*args: Any) -> NoisyLabels:
    try:
      return made(*args)
    except ValueError as error:
      raise ValueError(f'{path}: {error}') from None

  return apply


def with_labels(split: Split, labels: Int32[np.ndarray, ' N']) -> Split:
  """A split with other labels."""
  return dataclasses.replace(split, label=labels)
