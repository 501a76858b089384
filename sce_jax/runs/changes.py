"""Runs that are continued with another config, code, jax or company."""

import collections
from collections.abc import Collection, Mapping, Sequence
import os
from typing import Any

from sce_jax.config import fields
from sce_jax.errors import UserError
from sce_jax.runs import files, progress
from sce_jax.storage import digests, paths

# What may change beside fields of the config.
CODE = 'code'
# The labels, the order of the examples and the method's state follow from
# these: they are fixed when a run begins.
_FIXED = ('seed', 'data.', 'noise.', 'loss.name', 'train.batch_size')
_FIXED_TOO = ('train.drop_remainder', 'train.balanced_batches', 'model.')
_NAMED = 4
# Packages with another version of which figures may be rounded otherwise.
_ROUNDING = ('jax', 'jaxlib', 'flax', 'optax', 'numpy')


def check(
  path: str | os.PathLike,
  found: Mapping[str, Any],
  config: Mapping[str, Any],
  code: Mapping[str, str],
  allowed: Collection[str],
) -> list[str]:
  """Checks that a run may be continued.

  Args:
    path: the run's folder, for the message.
    found: its config.json.
    config: the config now.
    code: the digests of the code now, see metadata.py.
    allowed: the fields that may change, such as 'train.epochs'; CODE: the code.

  Returns:
    What has changed, as 'train.epochs: 5 -> 9'.

  Raises:
    UserError: something has changed that may not; the message shows it.
  """
  changes = fields.differences(found['config'], config)
  before = found.get(CODE, code)
  files = sorted(
    name
    for name in before.keys() | code.keys()
    if before.get(name) != code.get(name)
  )
  if files:
    more = f' and {len(files) - _NAMED} more' if len(files) > _NAMED else ''
    commit = (found.get('git_commit') or 'unknown')[:8]
    changes.append(
      f'{CODE}: {", ".join(files[:_NAMED])}{more} differ from commit {commit}'
    )
  names = [change.partition(':')[0] for change in changes]
  if not set(names) <= set(allowed):
    raise UserError(
      f'workdir {os.fspath(path)} holds a run of another config'
      f' ({"; ".join(changes)}): name another with --workdir, or continue the'
      f' run with what has changed: --allow_config_change={",".join(names)}'
    )
  fixed = [x for x in names if x.startswith((*_FIXED, *_FIXED_TOO))]
  if fixed:
    raise UserError(
      f'workdir {os.fspath(path)}: {", ".join(fixed)} cannot change in a run,'
      ' whose labels, steps and network follow from that: name another with'
      ' --workdir'
    )
  return changes


def check_epochs(
  path: str | os.PathLike,
  changes: Collection[str],
  epochs: int,
  done: int,
  has_ended: bool,
) -> None:
  """Checks that what has changed leaves something to train.

  Args:
    path: the run's folder, for the message.
    changes: what `check` returned.
    epochs: of the config now.
    done: so many epochs have figures.
    has_ended: whether the run has a result.

  Raises:
    UserError: it does not.
  """
  if changes and (epochs < done or (has_ended and epochs == done)):
    raise UserError(
      f'workdir {os.fspath(path)}: {done} epochs are done'
      f'{" and the run has ended" if has_ended else ""}, so nothing would be'
      f' trained with what has changed ({"; ".join(changes)}): give more'
      ' --config.train.epochs, or name another with --workdir'
    )


def note_environment(path: paths.Path, now: Mapping[str, Any]) -> None:
  """Says and records that a run continues with what rounds otherwise.

  Nothing is refused for that: other versions, other devices, another number of
  runs in its program.

  Args:
    path: the run's folder.
    now: versions and devices, see metadata.environment; 'together': the number
      of runs.
  """
  found = files.read_description(path)
  recorded = found.get('together')
  if not (path / files.SAVED).exists() and recorded != now['together']:
    found = {**found, 'together': now['together']}
    paths.write(path / 'config.json', digests.dumps(found, indent=2))
  different = fields.differences(_rounds_by(found), _rounds_by(now))
  if not different:
    return
  progress.log(
    f'{path}: continues with {"; ".join(different)}: its figures may differ in'
    ' the last bits from those of a run that ends as it was begun'
  )
  before = found.get('changes', [])
  if different not in before:
    record = {**found, 'changes': [*before, different]}
    paths.write(path / 'config.json', digests.dumps(record, indent=2))


def together(record: Mapping[str, Any]) -> int:
  """How many runs are trained in one program; earlier versions did not say."""
  return record.get('together', 1)


def _rounds_by(record: Mapping[str, Any]) -> dict[str, Any]:
  """What decides, beside config and code, how a run's figures are rounded."""
  counted = collections.Counter(record.get('devices', ()))
  rounds = {name: record.get('versions', {}).get(name) for name in _ROUNDING}
  rounds['devices'] = ', '.join(f'{n} {x}' for x, n in counted.items())
  if 'cpu cpu' in counted:  # The number of its cores may change all the time.
    rounds['processor'] = record.get('processor', '').rpartition(',')[0]
  rounds['runs trained together'] = together(record)
  return rounds


def carry_out(
  path: paths.Path,
  config: Mapping[str, Any],
  code: Mapping[str, str],
  changed: Sequence[str],
) -> None:
  """Lets a run continue with another config or code; says and records it.

  Args:
    path: the run's folder.
    config: the config now.
    code: the digests of the code now.
    changed: what `check` returned, and `check_epochs` has not refused.
  """
  found = files.read_description(path)
  epochs = config['train']['epochs']
  before = found['config'].get('train', {}).get('epochs')
  result = files.read_record(path, 'result.json')
  for change in changed:
    progress.log(f'{path}: continues with {change}')
  if epochs != before:
    follows = 'learning rate, and in what else of the method depends on that'
    if config['optim']['schedule'] != 'cosine':
      follows = 'method, if it depends on that; the learning rate does not'
    progress.log(
      f'{path}: from here on the run is one of {epochs} epochs, no longer of'
      f' {before}, in its {follows}'
    )
  if result is not None:
    paths.write(path / f'result-{before}-epochs.json', digests.dumps(result))
    (path / 'result.json').unlink()
  before_it = found.get('changes', ())
  failed = path / 'failed.json'
  if failed.exists():
    # What made it fail may be what has changed.
    kept = path / f'failed-before-change-{len(before_it) + 1}.json'
    paths.write(kept, paths.read(failed))
    failed.unlink()
  record = {
    **found,
    'config': config,
    'code': code,
    'changes': [*before_it, changed],
  }
  paths.write(path / 'config.json', digests.dumps(record, indent=2))
