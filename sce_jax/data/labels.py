"""The labels that a run trains on: the data set's own, with label noise."""

from collections.abc import Mapping
import dataclasses

from jaxtyping import Float64, Int32
import numpy as np

from sce_jax import noise
from sce_jax.data import label_files
from sce_jax.data.dataset import Dataset, Split
from sce_jax.data.info import DatasetInfo
from sce_jax.errors import UserError
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


def check_name(
  noise_config: NoiseConfig, label_sets: Mapping[str, object]
) -> None:
  """Checks that there is such a noise, as far as a config tells.

  Raises:
    UserError: there is not, or it lacks its file.
  """
  name = noise_config.name
  matched = [MATCHED + label_set for label_set in label_sets]
  known = [*noise.NOISE, FROM_FILE, *label_sets, *matched]
  if name not in known:
    raise UserError(
      f'noise {name!r} is not known: use one of {", ".join(known)}'
    )
  if (name == FROM_FILE) != (noise_config.path is not None):
    raise UserError(
      'config.noise.path is the file of labels of config.noise.name=file: give'
      ' both or neither'
    )


def check_fits(noise_config: NoiseConfig, info: DatasetInfo) -> None:
  """Checks that a noise can be applied to a data set.

  Raises:
    UserError: it needs other classes, or clean labels that are not known.
  """
  name = noise_config.name
  if name == FROM_FILE or name in info.label_sets:
    return
  if not info.clean_labels and name != 'clean':
    raise UserError(
      f'noise {name!r} corrupts clean labels, which are not known of data set'
      f' {info.name!r}: use config.noise.name=clean to train on its labels as'
      ' they are, or file'
    )
  if name.removeprefix(MATCHED) in info.label_sets:
    return
  try:
    noise.check_fits(name, info.num_classes, info.class_names, info.name)
    spec = noise.NOISE[name]
    if spec.check is not None:
      spec.check(info.num_classes, noise_config.rate)
    if spec.transition is not None:
      noise.transition_matrix(name, info.num_classes, noise_config.rate)
  except ValueError as error:
    raise UserError(str(error)) from None


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
  if noise_config.name == 'clean' and not info.clean_labels:
    return NoisyLabels(train.label, None)  # As they are, however wrong.
  try:
    return _find(dataset, noise_config)(
      train.label,
      train.example_id,
      info.num_classes,
      noise_config.rate,
      seed if noise_config.seed is None else noise_config.seed,
      noise_config.mode,
      noise.Images(train.image, info.mean, info.std, info.pixel_max),
    )
  except ValueError as error:
    raise UserError(str(error)) from None


def transition_matrix(
  noise_config: NoiseConfig, info: DatasetInfo
) -> Float64[np.ndarray, 'K K'] | None:
  """The matrix that a config's noise draws labels from.

  None if it has none, or if it is that of given labels: it is then counted
  when the labels are drawn.
  """
  spec = noise.NOISE.get(noise_config.name)
  is_given = noise_config.name in info.label_sets
  if is_given or spec is None or spec.transition is None:
    return None
  if not info.clean_labels or noise_config.name == 'clean':
    return None  # Of what it would have been drawn from, nothing is known.
  return spec.transition(info.num_classes, noise_config.rate)


def _find(dataset: Dataset, noise_config: NoiseConfig) -> noise.Noise:
  """The noise that a config names: a row of NOISE, or labels given as such."""
  name, own = noise_config.name, dataset.train.example_id
  if name in dataset.label_sets:
    return noise.from_labels(own, dataset.label_sets[name])
  matched = name.removeprefix(MATCHED)
  if name not in noise.NOISE and matched in dataset.label_sets:
    return noise.matched_to(own, dataset.label_sets[matched])
  if name == FROM_FILE and noise_config.path is not None:
    ids, labels = label_files.read(noise_config.path)
    return noise.from_labels(ids, labels, source=noise_config.path)
  return noise.NOISE[name].apply


def with_labels(split: Split, labels: Int32[np.ndarray, ' N']) -> Split:
  """A split with other labels."""
  return dataclasses.replace(split, label=labels)
