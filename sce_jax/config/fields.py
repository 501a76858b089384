"""A config's fields: flat, compared, told apart; needs no jax."""

from collections.abc import Mapping
import hashlib
import json
from typing import Any, TypeAlias

from ml_collections import config_dict

# A ConfigDict is no Mapping. Inside, all is plain dicts: see `check`.
Config: TypeAlias = Mapping[str, Any] | config_dict.ConfigDict

# Of a loss's section, what is compiled in.
_STATIC = ('loss.name', 'loss.neighbours')


def plain(config: Config) -> dict[str, Any]:
  """A config as plain nested dicts."""
  if isinstance(config, config_dict.ConfigDict):
    return config.to_dict()
  return {
    name: plain(value) if _is_section(value) else value
    for name, value in config.items()
  }


def flatten(config: Config, prefix: str = '') -> dict[str, Any]:
  """The fields of a config by their paths, such as 'optim.momentum'."""
  fields = {}
  for name, value in config.items():
    if _is_section(value):
      fields.update(flatten(value, f'{prefix}{name}.'))
    else:
      fields[prefix + name] = tuple(value) if _is_list(value) else value
  return fields


def differences(old: Config, new: Config) -> list[str]:
  """Where two configs differ, as 'optim.momentum: 0.9 -> 0.5'."""
  a, b = flatten(old), flatten(new)
  missing = 'absent'
  return [
    f'{path}: {a.get(path, missing)} -> {b.get(path, missing)}'
    for path in sorted(a.keys() | b.keys())
    if a.get(path, missing) != b.get(path, missing)
  ]


def fingerprint(config: Config) -> str:
  """Eight hexadecimal digits that tell configs apart."""
  text = json.dumps(flatten(config), sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:8]


def compile_key(config: Config) -> str:
  """Equal for configs whose runs can share a program."""
  return fingerprint(static_fields(config))


def static_fields(config: Config) -> dict[str, Any]:
  """The fields in which runs that share a program must agree."""
  return {
    path: value
    for path, value in flatten(config).items()
    if path != 'seed'
    and not path.startswith('noise.')
    and (not path.startswith('loss.') or path in _STATIC)
  }


def _is_section(value: Any) -> bool:
  return isinstance(value, Mapping | config_dict.ConfigDict)


def _is_list(value: Any) -> bool:
  return isinstance(value, list | tuple)
