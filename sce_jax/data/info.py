"""The description of a data set. Needs no jax."""

from collections.abc import Sequence
import dataclasses
import re

import numpy as np

from sce_jax.data import features
from sce_jax.errors import UserError
from sce_jax.storage.typed import Number, Text, Whole

_NUMBER = re.compile(r'-?[0-9]+(\.[0-9]+)?')


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
  """What is known of a data set.

  Attributes:
    name: its name.
    num_classes: K.
    image_shape: (height, width, channels), or (D,) of feature vectors.
    class_names: of each class; empty where the data set names none.
    pixel_max: the stored pixel value that becomes 1; 1 of feature vectors.
    mean: of each channel over the training images, of pixels scaled to [0, 1];
      or of each feature.
    std: of each channel, likewise.
    num_train: number of training examples.
    num_test: number of test examples; 0 if there is no test split.
    clean_labels: whether the true labels of the training examples are known,
      of all or of some.
    label_sets: noisy label sets that come with it.
    noisy_test: whether the test split was held out of training examples whose
      true labels nobody knows, so that part of its labels may be wrong.
  """

  name: Text
  num_classes: Whole
  image_shape: tuple[Whole, ...]
  class_names: tuple[Text, ...]
  pixel_max: Number
  mean: tuple[Number, ...]
  std: tuple[Number, ...]
  num_train: Whole
  num_test: Whole
  clean_labels: bool = True
  label_sets: tuple[str, ...] = ()
  noisy_test: bool = False

  @property
  def class_titles(self) -> tuple[str, ...]:
    """A title for each class: its name, or its number."""
    return self.class_names or tuple(map(str, range(self.num_classes)))

  @property
  def written_labels(self) -> tuple[str, ...]:
    """How files of labels have each class: as its number, from 0 on.

    As its title, where `numbers_are_titles`.
    """
    if numbers_are_titles(self.class_titles):
      return self.class_titles
    return tuple(map(str, range(self.num_classes)))

  @property
  def has_features(self) -> bool:
    """Whether the examples are feature vectors, not images."""
    return len(self.image_shape) == 1


def numbers_are_titles(titles: Sequence[str]) -> bool:
  """Whether a number in a file of labels is a class's title, not its place.

  So it is where the title of any class is a number other than its place, as
  with the classes 1, 2, 3, whose places are 0, 1, 2.
  """
  return any(
    _NUMBER.fullmatch(title) and title != str(place)
    for place, title in enumerate(titles)
  )


def check(info: DatasetInfo) -> None:
  """Checks that a description that was read fits together.

  Raises:
    ValueError: it does not; one line.
  """
  shape, names = info.image_shape, info.class_names
  if len(shape) not in (1, 3) or min(shape) < 1:
    raise ValueError(f'its image_shape is {list(shape)}')
  if info.num_classes < 2 or len(names) not in (0, info.num_classes):
    raise ValueError(f'{len(names)} names of {info.num_classes} classes')
  if not len(info.mean) == len(info.std) == shape[-1]:
    raise ValueError(f'its mean and std are not of {shape[-1]} channels')


def check_input(
  values: np.ndarray, shape: Sequence[int], where: str = 'the array'
) -> np.ndarray:
  """What a network is given, as it takes it.

  Args:
    values: uint8 images [N, H, W, C], or features [N, D] of any type.
    shape: (height, width, channels) or (D,) that it was trained on.
    where: what holds them, for the message.

  Returns:
    The images, or the features as float32.

  Raises:
    UserError: they are of another size or type, or not finite.
  """
  is_image = len(shape) > 1
  fits = values.shape[1:] == tuple(shape) and values.ndim > 1
  if not fits or (is_image and values.dtype != np.uint8):
    wanted = 'uint8 images' if is_image else 'feature vectors'
    raise UserError(
      f'{where} holds {values.dtype} of shape {list(values.shape)}, but the'
      f' network takes {wanted} [N, {", ".join(map(str, shape))}]'
    )
  return values if is_image else features.check(where, values)
