"""A config's fields: flattened, compared and fingerprinted, without jax."""

from collections.abc import Mapping
import hashlib
import json
from typing import Any, TypeAlias

from ml_collections import config_dict

# As configs/ makes them, and as config.json keeps them. What runs is checked
# first, see check.py. (A ConfigDict is no Mapping.)
RawConfig: TypeAlias = Mapping[str, Any] | config_dict.ConfigDict


def plain(config: RawConfig) -> dict[str, Any]:
  """A config as plain nested dicts."""
  if isinstance(config, config_dict.ConfigDict):
    return config.to_dict()
  return {
    name: plain(value) if _is_section(value) else value
    for name, value in config.items()
  }


def flatten(config: RawConfig, prefix: str = '') -> dict[str, Any]:
  """The fields of a config by their paths, such as 'optim.momentum'."""
  fields = {}
  for name, value in config.items():
    if _is_section(value):
      fields.update(flatten(value, f'{prefix}{name}.'))
    else:
      fields[prefix + name] = tuple(value) if _is_list(value) else value
  return fields


def differences(old: RawConfig, new: RawConfig) -> list[str]:
  """Where two configs differ, as 'optim.momentum: 0.9 -> 0.5'."""
  a, b = flatten(old), flatten(new)
  missing = 'absent'
  return [
    f'{path}: {a.get(path, missing)} -> {b.get(path, missing)}'
    for path in sorted(a.keys() | b.keys())
    if a.get(path, missing) != b.get(path, missing)
  ]


def fingerprint(config: RawConfig) -> str:
  """Eight hexadecimal digits that identify a config."""
  text = json.dumps(flatten(config), sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:8]


def _is_section(value: Any) -> bool:
  return isinstance(value, Mapping | config_dict.ConfigDict)


def _is_list(value: Any) -> bool:
  return isinstance(value, list | tuple)
