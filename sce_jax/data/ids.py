"""The ids of examples: any text or number becomes a number of 64 bits.

Label noise and files of labels know an example by this number, so it does not
depend on where the example stands. It depends on the id alone, unless two ids
that are read together would have the same number: see `to_numbers`.
"""

from collections.abc import Sequence
import hashlib
import re
from typing import Any

from jaxtyping import Int64
import numpy as np

# A whole number, or one in a split as CIFAR's train_16399.
_NUMBER = re.compile(rb'(?:-|(?:train|test|validation)_)?[0-9]+')


def to_numbers(ids: Sequence[Any] | np.ndarray) -> Int64[np.ndarray, ' N']:
  """The numbers of ids: texts, bytes or numbers, all different.

  A whole number, also as text, is itself, and b'train_16399' is 16399. Anything
  else becomes a hash of its text: the first 63 bits of BLAKE2b with a digest of
  8 bytes. So do all ids if two different ones give the same number, such as '1'
  and 'train_1', or '1' and '01': then the numbers are others than those of a
  part of the ids without such a pair.

  Raises:
    ValueError: an id stands twice, or two ids have the same hash; one line.

  Examples:
    >>> to_numbers(['train_7', b'12', 5_000_000_000]).tolist()
    [7, 12, 5000000000]
    >>> to_numbers(['0.png']).tolist()
    [5276155199410853889]
  """
  if isinstance(ids, np.ndarray) and ids.ndim != 1:
    raise ValueError(f'ids must be of shape [N], not {list(ids.shape)}')
  if isinstance(ids, np.ndarray) and np.issubdtype(ids.dtype, np.signedinteger):
    numbers = ids.astype(np.int64)
    _check_different(numbers, ids)
    return numbers
  texts = [_text(value) for value in ids]
  _check_different(np.array(texts, object), ids)
  numbers = np.array([_number(text) for text in texts], np.int64)
  if len(np.unique(numbers)) < len(numbers):
    numbers = np.array([_hash(text) for text in texts], np.int64)
    _check_different(numbers, ids)
  return numbers


def _check_different(keys: np.ndarray, ids: Sequence[Any] | np.ndarray) -> None:
  """Checks that there are no two ids of the same key."""
  _, first, counts = np.unique(keys, return_index=True, return_counts=True)
  if not (counts > 1).any():
    return
  i = first[counts > 1].min()
  j = np.flatnonzero(keys == keys[i])[1]
  a, b = _shown(ids[i]), _shown(ids[j])
  if a != b:
    raise ValueError(f'ids {a} and {b} have the same hash: rename one of them')
  raise ValueError(
    f'id {a} stands twice, at places {i} and {j} from 0 on: give each example'
    ' one of its own'
  )


def _text(value: Any) -> bytes:
  if isinstance(value, bytes):
    return value
  if isinstance(value, float | np.floating) and float(value).is_integer():
    value = int(value)
  return str(value).encode(errors='surrogatepass')


def _number(text: bytes) -> int:
  if _NUMBER.fullmatch(text):
    digits = text.rpartition(b'_')[2]
    # Python refuses to read numbers of thousands of digits.
    if len(digits) < 30 and -(2**63) <= int(digits) < 2**63:
      return int(digits)
  return _hash(text)


def _hash(text: bytes) -> int:
  digest = hashlib.blake2b(text, digest_size=8).digest()
  return int.from_bytes(digest, 'big') >> 1


def _shown(value: Any) -> str:
  if isinstance(value, bytes):
    value = value.decode(errors='replace')
  return repr(str(value)) if isinstance(value, str) else str(value)
