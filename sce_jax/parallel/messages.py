"""What processes send to each other, as bytes: JSON, and arrays behind it.

Nothing that is received can name a type or a function, as a pickle can.
"""

import json
import math
from typing import Any

import numpy as np

# Of the object that stands for an array: its type, its shape, where it begins.
_ARRAY = 'array of a message'
# Bytes that say how long the JSON is.
_HEAD = 8


def dumps(value: Any) -> bytes:
  """A message: what JSON can hold, with NumPy arrays and scalars in it.

  Tuples arrive as lists, and scalars of NumPy as arrays of no dimension.

  Raises:
    TypeError: it holds something else.
  """
  parts: list[bytes] = []
  size = 0

  def put(array: Any) -> dict[str, Any]:
    nonlocal size
    if not isinstance(array, np.ndarray | np.generic) or array.dtype.hasobject:
      raise TypeError(f'{type(array).__name__} cannot be sent to a process')
    parts.append(array.tobytes())
    place, size = size, size + len(parts[-1])
    # The types of ml_dtypes, such as bfloat16, are known by name alone.
    dtype = array.dtype
    name = dtype.name if dtype.kind == 'V' else dtype.str
    return {_ARRAY: [name, array.shape, place]}

  text = json.dumps(value, default=put).encode()
  return b''.join([len(text).to_bytes(_HEAD), text, *parts])


def loads(message: bytes) -> Any:
  """What another process has sent.

  Raises:
    ValueError: it is not a message.
  """
  end = _HEAD + int.from_bytes(message[:_HEAD])

  def take(found: dict[str, Any]) -> Any:
    if _ARRAY not in found:
      return found
    try:
      name, shape, place = found[_ARRAY]
      size = math.prod(shape)
      array = np.frombuffer(message, np.dtype(name), size, end + place)
      return array.reshape(shape).copy()
    except TypeError as error:
      raise ValueError(f'no array ({error})') from None

  return json.loads(message[_HEAD:end], object_hook=take)
