"""A config that was recorded: --config_file=FILE, such as a run's config.json.

The flag is read as the config file that this module is, so that any field can
be changed after it as after --config.
"""

import json
import os
from typing import Any

from ml_collections import config_dict

from sce_jax.config import base, fields


def get_config(path: str | None = None) -> config_dict.ConfigDict:
  """The config in a file.

  Args:
    path: a JSON file, as a run keeps it or --print_config prints it, or the
      folder of a run.

  Raises:
    ValueError: it is not there, or holds no config.
  """
  if not path:
    raise ValueError(
      '--config_file needs a file: --config_file=RUN/config.json'
    )
  if os.path.isdir(path):
    path = os.path.join(path, 'config.json')
  try:
    with open(path, encoding='utf-8') as file:
      values = json.load(file)
    values = values.get('config', values)  # A run keeps more beside it.
    loss, noise = values['loss'], values['noise']
    config = base.base_config(
      values['data']['name'],
      loss['name'],
      noise['name'],
      noise['rate'],
      values['seed'],
    )
  except OSError as error:
    raise ValueError(
      f'--config_file={path} cannot be read: {error.strerror}'
    ) from None
  except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
    raise ValueError(
      f"--config_file={path} holds no config: name a run's config.json, or what"
      ' --print_config has printed'
    ) from None
  # Of which type a field must be, is checked where all configs are.
  with config.unlocked(), config.ignore_type():
    for name, section in values.items():
      if isinstance(section, dict) and _is_section(config.get(name)):
        _fill(config[name], section, f'{name}.')
      else:
        config[name] = section
  return config


def _is_section(value: Any) -> bool:
  return isinstance(value, config_dict.ConfigDict)


def _fill(section: config_dict.ConfigDict, values: dict, prefix: str) -> None:
  for name in [x for x in section if prefix == 'loss.' and x not in values]:
    del section[name]
  for name, value in values.items():
    if isinstance(value, dict) and _is_section(section.get(name)):
      _fill(section[name], value, f'{prefix}{name}.')
      continue
    if prefix + name == 'optim.weight_decay' and name in section:
      del section[name]  # Which depends on the loss.
    section[name] = tuple(value) if isinstance(value, list) else value


def text(config: fields.RawConfig) -> str:
  """A config as --config_file reads it."""
  return json.dumps(fields.plain(config), indent=2)
