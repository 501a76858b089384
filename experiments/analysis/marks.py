"""Marks of the methods that know more of the noise than a user does.

A comparison of methods is fair to a reader only if it says which of them had
settings of their own for each noise rate or kind of noise, and which were told
the rate or the transition matrix.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sce_jax import methods
from sce_jax.runs import files

# Stars mark the best.
_TUNED, _KIND, _TOLD, _MATRIX, _MEASURED = '‡', '◊', '†', '§', '¶'
_MEANINGS = {
  _TUNED: 'has settings that were tuned for each noise rate',
  _KIND: 'has settings that were tuned for each kind of noise',
  _TOLD: 'is told the noise rate',
  _MATRIX: "is told the noise's transition matrix, unless it is estimated",
}
_NOBODY = 'of real data nobody knows them'
_COUNTED = (
  f'{_MEASURED}: its transition matrix was measured on examples that have a'
  ' true label, too'
)


def mark(name: str, result: Mapping[str, Any] | None = None) -> str:
  """What is put behind a method's name; '' for most, and for other names.

  Args:
    name: the method's, in configs.
    result: of a run with it, which says where its transition matrix is from;
      None: from where it is unless the config says otherwise.
  """
  spec = methods.SPECS.get(name)
  if spec is None:
    return ''
  default = spec.hparams.get('transition')
  source = (result or {}).get('transition', default and default.default)
  return (
    _TUNED * bool(spec.tuned_per_rate)
    + _KIND * spec.tuned_per_kind
    + _TOLD * bool(spec.told_rate)
    + _MATRIX * (source == 'true')
    + _MEASURED * (source == files.MEASURED)
  )


def note(names: Iterable[str]) -> str:
  """What the marks of some methods mean, below a table; '' if there are none.

  Args:
    names: the methods' names with their marks, or only these.
  """
  marks = ''.join(names)
  said = [f'{key}: {text}' for key, text in _MEANINGS.items() if key in marks]
  said += [_NOBODY] * bool(said) + [_COUNTED] * (_MEASURED in marks)
  return f'{"; ".join(said)}.' if said else ''
