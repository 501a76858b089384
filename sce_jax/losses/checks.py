"""Which hyper-parameters a loss has, and whether given values make sense.

The losses are traced and cannot look at their hyper-parameters' values; these
checks are for the values of a config, before anything is compiled.
"""

from collections.abc import Mapping
import inspect
from typing import Any

from sce_jax.losses.rules import FINITE, RULES
from sce_jax.losses.table import LOSSES


def hyper_parameters(name: str) -> dict[str, Any]:
  """Lists a loss's hyper-parameters with their defaults.

  Args:
    name: A name in `LOSSES`.

  Returns:
    The defaults by hyper-parameter, in the order of the signature; None for
    one that has no default and must be given.

  Raises:
    ValueError: There is no such loss.

  Examples:
    >>> hyper_parameters('sl')
    {'alpha': None, 'beta': None, 'log_zero': -4.0}
  """
  if name not in LOSSES:
    raise ValueError(f'unknown loss {name!r}; choose from {", ".join(LOSSES)}')
  return {
    key: None if parameter.default is parameter.empty else parameter.default
    for key, parameter in inspect.signature(LOSSES[name]).parameters.items()
    if parameter.kind is parameter.KEYWORD_ONLY
  }


def check_hyper_parameters(name: str, values: Mapping[str, Any]) -> None:
  """Checks the name of a loss and the values of its hyper-parameters.

  Args:
    name: A name in `LOSSES`.
    values: Concrete values by hyper-parameter; those with a default
      may be left out. None counts as left out.

  Raises:
    ValueError: One line that names what is wrong and what to do about it.

  Examples:
    >>> check_hyper_parameters('sl', {'alpha': 0.1, 'beta': 1.0})
    >>> check_hyper_parameters('gce', {'q': 0})
    Traceback (most recent call last):
    ValueError: loss 'gce': q is 0; give a number above 0 and at most 1
  """
  defaults = hyper_parameters(name)
  own = ', '.join(defaults) or 'none'
  given = {key: value for key, value in values.items() if value is not None}
  for key in given:
    if key not in defaults:
      raise ValueError(
        f'loss {name!r} has no hyper-parameter {key!r}; remove it (it has: '
        f'{own})'
      )
  for key, default in defaults.items():
    if default is None and key not in given:
      raise ValueError(f'loss {name!r} needs {key!r}; give it (it has: {own})')
  for key, value in given.items():
    complaint = RULES.get(key, FINITE)(name, value)
    if complaint:
      raise ValueError(f'loss {name!r}: {key} {complaint}')
  if {'alpha', 'beta'} <= given.keys() and not any(
    float(given[key]) for key in ('alpha', 'beta')
  ):
    raise ValueError(
      f'loss {name!r}: alpha and beta are both 0 and leave no loss; give one '
      'of them a number above 0'
    )
