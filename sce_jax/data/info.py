"""The description of a data set. Needs no jax."""

from collections.abc import Sequence
import dataclasses

import numpy as np

from sce_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
  """What is known of a data set.

  Attributes:
    name: its name.
    num_classes: K.
    image_shape: (height, width, channels).
    class_names: of each class; empty where the data set names none.
    pixel_max: the stored pixel value that becomes 1.
    mean: of each channel over the training images, of pixels scaled to [0, 1].
    std: of each channel, likewise.
    num_train: number of training examples.
    num_test: number of test examples; 0 if there is no test split.
    clean_labels: whether the true labels of the training examples are known,
      of all or of some.
    label_sets: noisy label sets that come with it.
    noisy_test: whether the test split was held out of training examples whose
      true labels nobody knows, so that part of its labels may be wrong.
  """

  name: str
  num_classes: int
  image_shape: tuple[int, int, int]
  class_names: tuple[str, ...]
  pixel_max: float
  mean: tuple[float, ...]
  std: tuple[float, ...]
  num_train: int
  num_test: int
  clean_labels: bool = True
  label_sets: tuple[str, ...] = ()
  noisy_test: bool = False

  @property
  def class_titles(self) -> tuple[str, ...]:
    """A title for each class: its name, or its number."""
    return self.class_names or tuple(map(str, range(self.num_classes)))


def check_images(images: np.ndarray, shape: Sequence[int]) -> None:
  """Checks that a network takes some images.

  Args:
    images: what it is given.
    shape: (height, width, channels) that it was trained on.

  Raises:
    UserError: they are of another size or type.
  """
  if images.shape[1:] != tuple(shape) or images.dtype != np.uint8:
    raise UserError(
      f'the network takes uint8 images [N, {", ".join(map(str, shape))}], not'
      f' {images.dtype} of shape {list(images.shape)}'
    )
