"""Encoded images in array_record files, read when they are wanted.

They take the place of an array of pixels where data are streamed. Needs no jax.
"""

from collections.abc import Sequence
import dataclasses
import functools
from typing import Any

from array_record.python import array_record_module
from jaxtyping import Int, Int64
import numpy as np

# The side of the square that a network is shown of them, where no config says.
SIDE = 224
# A record is read alone, and what is in it hardly shrinks.
OPTIONS = 'group_size:1,uncompressed'


@dataclasses.dataclass(frozen=True)
class Records:
  """One image file's content for each example.

  It can be pickled, for no file is kept open in it.

  Attributes:
    files: local array_record files.
    sizes: how many records each of them has.
    record: each example's number among all their records.
  """

  files: tuple[str, ...]
  sizes: tuple[int, ...]
  record: Int64[np.ndarray, ' N']

  def __len__(self) -> int:
    return len(self.record)

  def rows(self, rows: Int[np.ndarray, ' M']) -> 'Records':
    """Some of the examples."""
    return dataclasses.replace(self, record=self.record[rows])

  def read(self, rows: Sequence[int] | Int[np.ndarray, ' M']) -> list[bytes]:
    """The contents of some examples, in the order that is asked for.

    Raises:
      OSError: a file cannot be read, or is damaged.
    """
    ends = np.cumsum(self.sizes)
    wanted = self.record[np.asarray(rows, np.int64)]
    of_file = np.searchsorted(ends, wanted, side='right')
    found: list[bytes] = [b''] * len(wanted)
    for k in np.unique(of_file).tolist():
      places = np.flatnonzero(of_file == k)
      inside = (wanted[places] - (ends[k] - self.sizes[k])).tolist()
      try:
        contents = _reader(self.files[k]).read(inside)
      except Exception as error:  # noqa: BLE001  Of several types.
        raise OSError(f'{self.files[k]} cannot be read ({error})') from None
      for place, content in zip(places.tolist(), contents, strict=True):
        found[place] = content
    return found


def close() -> None:
  """Closes all files: what lies there may be written anew."""
  _reader.cache_clear()


# All stay open: opening one takes as long as decoding an image.
@functools.cache
def _reader(file: str) -> Any:
  return array_record_module.ArrayRecordReader(file)
