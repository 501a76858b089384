"""What becomes of a file that was whole: functions of its content, drawn."""

from collections.abc import Callable, Mapping
import dataclasses
import io
import json
from typing import Any

from hypothesis import strategies as st
import numpy as np

from sce_jax.storage import digests
from tests.data.sources import odd

_PLACES = st.integers(0, 2**20)
_TEXTS = (
  *('', '\n', '\r', '\x00', '"', ',', '\ud800', '\x1b[2J', 'é', '１', '-'),
  *('nan', 'inf', '-1', '1e9', '1_0', '9' * 5000, '<script>', '$(touch x)'),
  *('/etc/passwd', '../..', 'drop', 'x' * 140_000, '0', '1', '99999999999'),
)
TEXTS = st.one_of(st.sampled_from(_TEXTS), st.text(max_size=8))
_ATOMS = st.one_of(
  st.none(),
  st.booleans(),
  st.integers(),
  st.sampled_from([0, 1, -1, 2**31, 2**32, 2**64, 10**400]),
  st.floats(),
  TEXTS,
)
# Whatever JSON can say.
VALUES = st.one_of(
  _ATOMS,
  st.lists(_ATOMS, max_size=3),
  st.lists(st.lists(_ATOMS, max_size=2), max_size=2),
  st.dictionaries(TEXTS, _ATOMS, max_size=2),
)


@dataclasses.dataclass(frozen=True)
class Replaced:
  """Another content altogether."""

  content: bytes

  def __call__(self, content: bytes) -> bytes:
    return self.content


@dataclasses.dataclass(frozen=True)
class Bytes:
  """Bytes that are others, more or fewer: (what, place, bytes)."""

  edits: list[tuple[str, int, bytes]]

  def __call__(self, content: bytes) -> bytes:
    for what, place, some in self.edits:
      at = place % (len(content) + 1)
      end = at if what == 'insert' else at + len(some)
      if what == 'remove':
        some = b''
      content = content[:at] + some + content[end:]
      if what == 'cut':
        content = content[:at]
    return content


BYTES = st.one_of(
  st.builds(
    Bytes,
    st.lists(
      st.tuples(
        st.sampled_from(['write', 'insert', 'remove', 'cut']),
        _PLACES,
        st.binary(min_size=1, max_size=6),
      ),
      min_size=1,
      max_size=3,
    ),
  ),
  st.builds(
    Replaced,
    st.sampled_from(
      (
        *(b'', b'null', b'{}', b'[]', b'[' * 100_000, b'1e999', b'9' * 5000),
        *(b'\xff\xfe', b'PK\x03\x04', b'{"format": 3}', b'\n', b'"\\ud800"'),
      )
    ),
  ),
)


@dataclasses.dataclass(frozen=True)
class Json:
  """A JSON object, or a line of several, in which one value is another.

  Attributes:
    place: of the value, among all.
    what: 'replace', 'remove', 'rename' or 'twice', which gives its name twice.
    value: in its place, or its new name.
    is_sealed: whether the digest is that of the result.
  """

  place: int
  what: str
  value: Any
  is_sealed: bool

  def __call__(self, content: bytes) -> bytes:
    lines = [json.loads(x) for x in _objects(content)]
    at = self.place % len(lines)
    section, name = _pick(lines[at], self.place // len(lines))
    if self.what == 'replace' or isinstance(section, list):
      section[name] = self.value
    elif self.what == 'rename':
      section[str(self.value)] = section.pop(name)
    elif self.what == 'remove':
      del section[name]
    record = lines[at]
    if self.is_sealed and digests.is_sealed(record):
      record = digests.seal(record)
    text = json.dumps(record)
    if self.what == 'twice':
      text = f'{text[:-1]}, {json.dumps(name)}: {json.dumps(self.value)}}}'
    made = [json.dumps(x) for x in lines]
    made[at] = text
    return ('\n'.join(made) + '\n').encode()


def _objects(content: bytes) -> list[bytes]:
  """The lines of a .jsonl, or the whole of a .json."""
  lines = content.splitlines()
  return lines if lines[0].endswith(b'}') else [content]


def _pick(value: Any, place: int) -> tuple[Any, Any]:
  """Something in a JSON value, anywhere: (container, key)."""
  while True:
    names = list(value) if isinstance(value, dict) else range(len(value))
    place, at = divmod(place, len(names))
    inner = value[names[at]]
    place, stops = divmod(place, 4)
    if not stops or not inner or not isinstance(inner, dict | list):
      return value, names[at]
    value = inner


JSON = st.one_of(
  BYTES,
  *[
    st.builds(
      Json,
      st.integers(0, 2**60),
      st.sampled_from(['replace', 'replace', 'remove', 'rename', 'twice']),
      VALUES,
      st.sampled_from([True, True, False]),
    )
  ]
  * 3,
)


@dataclasses.dataclass(frozen=True)
class Table:
  """Lines of text of which one is another, by (what, place, text)."""

  edits: list[tuple[str, int, str]]
  newline: str
  encoding: str

  def __call__(self, content: bytes) -> bytes:
    lines = content.decode().splitlines()
    for what, place, text in self.edits:
      at = place % len(lines)
      cells = lines[at].split(',')
      if what == 'cell':
        cells[place // len(lines) % len(cells)] = text
        lines[at] = ','.join(cells)
      elif what == 'line':
        lines[at] = text
      elif what == 'more':
        lines[at] += text
      else:
        lines[at : at + 1] = [lines[at]] * 2 if what == 'repeat' else ['']
    made = self.newline.join(lines) + self.newline
    return made.encode(self.encoding, errors='surrogatepass')


TABLES = st.one_of(
  BYTES,
  st.builds(
    Table,
    st.lists(
      st.tuples(
        st.sampled_from(['cell', 'cell', 'line', 'more', 'repeat', 'empty']),
        _PLACES,
        TEXTS,
      ),
      max_size=3,
    ),
    st.sampled_from(['\n', '\n', '\r\n', '\r', '\x0b']),
    st.sampled_from(['utf-8', 'utf-8', 'utf-8', 'utf-8-sig', 'utf-16']),
  ),
)


@dataclasses.dataclass(frozen=True)
class Arrays:
  """An .npz in which arrays are others, absent (None) or new."""

  changes: Mapping[str, np.ndarray | None]

  def __call__(self, content: bytes) -> bytes:
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
      arrays = {**dict(file), **self.changes}
    made = io.BytesIO()
    np.savez(made, **{k: v for k, v in arrays.items() if v is not None})
    return made.getvalue()


def arrays(
  *names: str, like: st.SearchStrategy | None = None, without: str = ''
) -> st.SearchStrategy[Callable[[bytes], bytes]]:
  """Damages of an .npz.

  Args:
    names: of its arrays.
    like: likelier arrays than others.
    without: an array that says whether the others are whole, left out.
  """
  values = [st.none(), odd.ARRAYS, st.just(np.array([{}, 1], object))]
  values += [like] * 3 if like is not None else []
  changes = st.dictionaries(
    st.sampled_from(names), st.one_of(values), min_size=1, max_size=2
  )
  if without:
    changes = changes.map(lambda x: {without: None} | x)
  return st.one_of(BYTES, st.builds(Arrays, changes))
