"""Of which types the values of a record are: JSON may say anything.

A record is described by a TypedDict or a dataclass.
"""

import re
import sys
from typing import Annotated, Any, TypeAlias

import msgspec

_TEXT = r'^[^\ud800-\udfff]*$'
_GREATEST = sys.float_info.max
# Of a data set: beyond what float64 holds without a loss, a count is damaged.
MOST = 2**53

# Of 64 bits.
Whole: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, lt=MOST)]
# Pixels of a side, or features.
Size: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=10**6)]
# Neither nan nor infinite; float alone may be both.
Number: TypeAlias = Annotated[float, msgspec.Meta(ge=-_GREATEST, le=_GREATEST)]
Share: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1)]
# A text that can be written: JSON has others, such as "\\ud800".
Text: TypeAlias = Annotated[str, msgspec.Meta(pattern=_TEXT)]
Classes: TypeAlias = Annotated[list[Text], msgspec.Meta(min_length=2)]


def check(record: Any, kind: Any) -> None:
  """Checks a record's values; they stay what they are, so 1 is a float, too.

  Args:
    record: what was read.
    kind: its type: a TypedDict, a dataclass, or another that msgspec knows.
      What else is in the record is not looked at.

  Raises:
    ValueError: the first value of another type; one line.
  """
  msgspec.convert(record, kind)


def is_text(text: str) -> bool:
  """Whether it can be written: a file's name may have bytes of no text."""
  return re.search(_TEXT, text) is not None
