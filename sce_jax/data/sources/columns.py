"""What every source of data hands on."""

from collections.abc import Mapping
import dataclasses

from jaxtyping import Int32, Shaped, UInt8
import numpy as np


@dataclasses.dataclass(frozen=True)
class Part:
  """The examples of a split: images, labels and ids of equal length.

  An id is any number, text or bytes, see ids.py.
  """

  image: UInt8[np.ndarray, 'N H W C']
  label: Int32[np.ndarray, ' N']
  ids: Shaped[np.ndarray, ' N']


@dataclasses.dataclass(frozen=True)
class Columns:
  """A data set as a source found it.

  Attributes:
    train: the training split.
    test: the test split, if there is one.
    num_classes: number of classes.
    class_names: their names; empty where they have none.
    label_sets: other labels of the training examples, by name.
    id_feature: what the data set calls its ids, for messages; '' if it has
      none, and they are the places in the order of reading.
  """

  train: Part
  test: Part | None
  num_classes: int
  class_names: tuple[str, ...] = ()
  label_sets: Mapping[str, Int32[np.ndarray, ' N']] = dataclasses.field(
    default_factory=dict
  )
  id_feature: str = ''
