"""Marks of the methods that know more of the noise than a user does.

A comparison of methods is fair to a reader only if it says which of them had
settings of their own for each noise rate, and which were told the rate or the
transition matrix.
"""

from collections.abc import Iterable

from sce_jax import methods

_TUNED, _TOLD, _MATRIX = '‡', '†', '§'  # Stars mark the best.


def mark(name: str) -> str:
  """What is put behind a method's name; '' for most, and for other names."""
  spec = methods.SPECS.get(name)
  if spec is None:
    return ''
  transition = spec.hparams.get('transition')
  is_told_matrix = transition is not None and transition.default == 'true'
  return (
    _TUNED * bool(spec.tuned_per_rate)
    + _TOLD * spec.told_rate
    + _MATRIX * is_told_matrix
  )


def note(names: Iterable[str]) -> str:
  """What the marks of some methods mean, below a table; '' if there are none.

  Args:
    names: the methods' names in configs.
  """
  marks = ''.join(mark(name) for name in names)
  meanings = {
    _TUNED: 'has settings that were tuned for each noise rate',
    _TOLD: 'is told the noise rate',
    _MATRIX: "is told the noise's transition matrix, unless it is estimated",
  }
  said = [f'{key}: {text}' for key, text in meanings.items() if key in marks]
  return '; '.join([*said, 'of real data nobody knows them.']) if said else ''
