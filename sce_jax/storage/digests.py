"""Digests, by which what was written is checked when it is read.

A record, a JSON object, carries the digest of the rest of it, so that both are
written at once.
"""

from collections.abc import Mapping
import hashlib
import json
from typing import Any

from jaxtyping import Shaped
import numpy as np

_DIGEST = 'record_digest'
# Of 64 hexadecimal digits: no accident changes data and keeps so many.
_LENGTH = 32


def of_bytes(*parts: Any) -> str:
  """The digest of bytes, or of what lies in memory as such."""
  sha = hashlib.sha256()
  for part in parts:
    sha.update(part)
  return sha.hexdigest()[:_LENGTH]


def of_arrays(*arrays: Shaped[np.ndarray, '...']) -> str:
  """The digest of the values of arrays of known types and shapes."""
  return of_bytes(
    *(np.ascontiguousarray(x).reshape(-1).view(np.uint8) for x in arrays)
  )


def seal(record: Mapping[str, Any]) -> dict[str, Any]:
  """A record with its digest, in place of one that it has.

  Args:
    record: what JSON can hold.
  """
  rest = _without(record)
  return {**rest, _DIGEST: of_record(rest)}


def is_sealed(record: Mapping[str, Any]) -> bool:
  """Whether a record has a digest; those of earlier versions have none."""
  return _DIGEST in record


def unseal(record: Mapping[str, Any]) -> dict[str, Any]:
  """A sealed record without its digest.

  Raises:
    ValueError: it is not what was sealed.
  """
  rest = _without(record)
  if record.get(_DIGEST) != of_record(rest):
    raise ValueError('its content has another digest than when it was written')
  return rest


def dumps(record: Mapping[str, Any], indent: int | None = None) -> str:
  """A record with its digest, as the text of a file."""
  return json.dumps(seal(record), indent=indent) + '\n'


def of_record(record: Mapping[str, Any]) -> str:
  """The digest of a record, in any order of its entries."""
  as_read = json.loads(json.dumps(record))  # Then all names are texts.
  return of_bytes(json.dumps(as_read, sort_keys=True).encode())


def _without(record: Mapping[str, Any]) -> dict[str, Any]:
  return {name: value for name, value in record.items() if name != _DIGEST}
