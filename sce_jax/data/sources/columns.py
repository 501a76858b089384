"""What every source of data hands on."""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

from jaxtyping import Float32, Float64, Int32, Shaped, UInt8
import numpy as np

from sce_jax.data.records import Records

# What a network is shown, as stored: pixels, or feature vectors.
Inputs = UInt8[np.ndarray, 'N H W C'] | Float32[np.ndarray, 'N D']


@dataclasses.dataclass(frozen=True)
class Part:
  """The examples of a split: arrays of equal length.

  Attributes:
    image: pixels; feature vectors where there are no images; files that are
      decoded as they are read.
    label: labels.
    ids: any numbers, texts or bytes, see ids.py.
    clean_label: the true labels, -1 where one is not known; None: the source
      tells nothing of them.
    digests: of each example's content, by which copies are found; None: they
      are not looked for.
  """

  image: Inputs | Records
  label: Int32[np.ndarray, ' N']
  ids: Shaped[np.ndarray, ' N']
  clean_label: Int32[np.ndarray, ' N'] | None = None
  digests: Sequence[bytes] | None = None

  def rows(self, rows: np.ndarray) -> 'Part':
    """Some of the examples."""
    image, clean, digests = self.image, self.clean_label, self.digests
    return Part(
      image.rows(rows) if isinstance(image, Records) else image[rows],
      self.label[rows],
      self.ids[rows],
      None if clean is None else clean[rows],
      None if digests is None else [digests[i] for i in rows],
    )


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
    summary: what was found and done, see summary.py; empty where a data set
      is what its name says.
    validation: a split to choose settings by; None: there is none.
    transition: measured P(noisy j | clean i) of the training labels, where they
      tell nothing of their own true ones; None: it is not known.
  """

  train: Part
  test: Part | None
  num_classes: int
  class_names: tuple[str, ...] = ()
  label_sets: Mapping[str, Int32[np.ndarray, ' N']] = dataclasses.field(
    default_factory=dict
  )
  id_feature: str = ''
  summary: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  validation: Part | None = None
  transition: Float64[np.ndarray, 'K K'] | None = None
