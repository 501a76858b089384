"""A config's fields: flattened, compared and fingerprinted, without jax."""

from collections.abc import Iterable, Mapping
import difflib
import hashlib
import json
from typing import Any, TypeAlias

from ml_collections import config_dict

# As configs/ makes them, and as config.json keeps them. What runs is checked
# first, see check.py. (A ConfigDict is no Mapping.)
RawConfig: TypeAlias = Mapping[str, Any] | config_dict.ConfigDict


# Fields that configs of earlier versions lack, and the value that means the
# same: with it a config has the fingerprint, and so the run's name, of before.
LATER: Mapping[str, Any] = {
  'data.path': None,
  'data.image_size': None,
  'data.held_out': 0.0,
  'data.max_unreadable': 0.01,
  'data.relabel': None,
  'model.init_from': None,
  'noise.second': '',
  'noise.second_rate': 0.0,
  'noise.imbalance': '',
  'noise.imbalance_ratio': 1.0,
  'noise.open_set_from': '',
  'noise.open_set_rate': 0.0,
  'data.validation': 0.0,
  'data.train_split': 'noisy_train',
  'data.per_class': None,
  'data.per_class_seed': 0,
  'data.prepared_side': 256,
  'data.prepared_quality': 90,
  'train.record_averages': False,
  'train.record_margins': False,
  'loss.fit_share': 1.0,
  'loss.detach': False,
  'data.feed': 'resident',
  'data.workers': None,
  'data.augment.crop': 'center',
  'train.balanced_batches': None,
}
# Fields that change nothing that a run computes, only how fast.
FREE = ('data.workers',)

# What people call fields elsewhere.
_SHORT = {
  'lr': 'learning_rate',
  'wd': 'weight_decay',
  'bs': 'batch_size',
  'num_epochs': 'epochs',
  'dataset': 'name',
  'noise_rate': 'rate',
}


def plain(config: RawConfig) -> dict[str, Any]:
  """A config as plain nested dicts."""
  if isinstance(config, config_dict.ConfigDict):
    return config.to_dict()
  return {
    name: plain(value) if _is_section(value) else value
    for name, value in config.items()
  }


def flatten(config: RawConfig) -> dict[str, Any]:
  """The fields of a config by their paths, such as 'optim.momentum'."""
  flat = _flatten(config, '')
  # One of an earlier version is compared as what it means today.
  later = LATER if 'data.source' in flat else {}
  return {**later, **flat}


def own(config: RawConfig) -> dict[str, Any]:
  """The fields that a config itself has, by their paths: not those of LATER."""
  return _flatten(config, '')


def _flatten(config: RawConfig, prefix: str) -> dict[str, Any]:
  fields = {}
  for name, value in config.items():
    if _is_section(value):
      fields.update(_flatten(value, f'{prefix}{name}.'))
    else:
      fields[prefix + name] = tuple(value) if _is_list(value) else value
  return fields


def differences(old: RawConfig, new: RawConfig) -> list[str]:
  """Where two configs differ, as 'optim.momentum: 0.9 -> 0.5'.

  What does not matter (FREE) is no difference.
  """
  a, b = flatten(old), flatten(new)
  missing = 'absent'
  return [
    f'{path}: {a.get(path, missing)} -> {b.get(path, missing)}'
    for path in sorted((a.keys() | b.keys()).difference(FREE))
    if a.get(path, missing) != b.get(path, missing)
  ]


def as_name(text: str) -> str:
  """A name of a loss, noise or data set as typed: SL, pair-flip."""
  return text.strip().lower().replace('-', '_')


def near(path: str, known: Iterable[str]) -> str:
  """The fields that may have been meant instead, for the end of a message.

  Args:
    path: what was given.
    known: the paths of all fields.
  """
  known = list(known)
  section, _, name = path.rpartition('.')
  beside = [x for x in known if x.rpartition('.')[0] == section]
  short = _SHORT.get(name.lower(), name.lower())
  found = [x for x in known if x.rpartition('.')[2] == short]
  found = found or difflib.get_close_matches(path.lower(), known, 3)
  if not found and not section:
    last = [x.rpartition('.')[2] for x in known]
    likely = difflib.get_close_matches(short, last, 1)
    found = [x for x in known if x.rpartition('.')[2] in likely]
  if not found and section:
    sections = {x.rpartition('.')[0] for x in known}
    likely = difflib.get_close_matches(section.lower(), sorted(sections), 1)
    found = [f'{x}.{name}' for x in likely if x != section]
  text = f': is {" or ".join(dict.fromkeys(found))} meant?' if found else ''
  if beside and section:
    names = ', '.join(x.rpartition('.')[2] for x in beside)
    text += f'{"" if text else ":"} {section} has {names}'
  return text


def fingerprint(config: RawConfig) -> str:
  """Eight hexadecimal digits that identify a config."""
  flat = flatten(config)
  kept = {
    path: value
    for path, value in flat.items()
    if path not in FREE and (path not in LATER or value != LATER[path])
  }
  text = json.dumps(kept, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:8]


def _is_section(value: Any) -> bool:
  return isinstance(value, Mapping | config_dict.ConfigDict)


def _is_list(value: Any) -> bool:
  return isinstance(value, list | tuple)
