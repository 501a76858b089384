"""The folder of a run, its record: what is in it, and how it is read.

Needs no jax.

config.json    config, versions, devices, git commit, command
dataset.json   the data set's description and mean image: with the checkpoints
               all that the network needs, see dataset_record.py, restore.py
data.json      what was found in data of the user's own: counts by class, what
               was done, warnings, files that could not be read
noise.npz      ids and noisy labels of the examples that are trained on, their
               clean labels where they are known, and which images were
               replaced; once it exists it is read back, never drawn again
noise.json     digests of the labels and of the description of the data; where
               clean labels are known the actual noise: rate and matrix
validation.npz ids and noisy labels of the training examples that settings are
               chosen by, with config.data.validation
initial.json   what the parameters began from, if config.model.init_from says
               it: the file and its sha256, or random
prepared.json  hyper-parameters that the method has computed before training;
               runs that it trained for that are in prepare/
metrics.jsonl  one object a line, one line an epoch
checkpoints/   see checkpointing.py; damaged-STEP-...: one that was not whole
saved.json     the step of the first checkpoint that was whole: without any the
               run is refused, as one that has lost them
events.out...  the same figures for TensorBoard
result.json    the finished run's figures; failed.json: why it cannot continue
results.csv    the same as a line of a table, see results_table.py

Each JSON object has a digest of the rest of it, and so has noise.npz; what has
another one is damaged, and is never believed.

It may be in a cloud, see storage/paths.py: there metrics.jsonl is rewritten,
and the events are copied up, every few seconds and before each checkpoint.
"""

from collections.abc import Mapping
import json
import os
from typing import Any

from jaxtyping import Float64, Int32, Int64
import numpy as np

from sce_jax import noise
from sce_jax.data import label_files
from sce_jax.errors import UserError, is_of_machine
from sce_jax.runs import dataset_record, kinds, records
from sce_jax.runs.records import DamagedError, read_metrics, read_record
from sce_jax.storage import digests, paths, typed

# Of the layout of the folder. A folder of another version is refused; those of
# version 2 have no digests, and are read all the same.
FORMAT = records.FORMAT
_FORMATS = (2, FORMAT)
PREPARE = 'prepare'
# As config.model.init_from: parameters that are drawn, where others are usual.
RANDOM = 'random'
# As config.loss.transition, in a result: counted on examples with both labels.
MEASURED = 'measured'
# Folders of the folds of an audit begin so, see audit.py.
FOLD = 'fold-'
# The folder of an exported network, see inference.py: its description, its
# parameters, and the tensor beside those of the network.
DESCRIPTION = 'model.json'
PARAMETERS = 'model.safetensors'
PIXEL_MEAN = 'pixel_mean'
# What a run writes after its config.json.
_LABELS = 'noise.npz'
VALIDATION = 'validation.npz'
SAVED = 'saved.json'
_NAMES = (
  'dataset.json',
  'data.json',
  _LABELS,
  'noise.json',
  VALIDATION,
  'initial.json',
  'prepared.json',
  'metrics.jsonl',
  'checkpoints',
  SAVED,
  'result.json',
  'failed.json',
  'results.csv',
)


def checkpoints(path: str | os.PathLike) -> paths.Path:
  """Where a run's checkpoints are."""
  return paths.path(path) / 'checkpoints'


class NotARunError(UserError):
  """A folder whose config.json is not that of a run.

  Attributes:
    reason: why, without what to do.
  """

  def __init__(self, reason: str):
    super().__init__(f'{reason}: name another folder with --workdir')
    self.reason = reason


def read_config(path: str | os.PathLike) -> dict[str, Any]:
  """The config of the run in a folder.

  Raises:
    NotARunError, UserError: as in read_description.
  """
  return read_description(path)['config']


def read_description(path: str | os.PathLike) -> dict[str, Any]:
  """The config of a run, and where, when and with what it was begun.

  Raises:
    NotARunError: its config.json is another program's, or cannot be read.
    UserError: there is no run in the folder, or one of another version.
  """
  path = paths.path(path)
  file = path / 'config.json'
  try:
    found = json.loads(paths.read(file))
  except FileNotFoundError:
    raise UserError(
      f'{path} holds no run (no config.json): name the folder of one with'
      ' --workdir'
    ) from None
  except OSError as error:
    raise NotARunError(
      f'{file} cannot be read ({error.strerror or error})'
    ) from None
  # It is written atomically, so an empty or cut one is not one of ours that was
  # being written when its process was killed.
  except (ValueError, RecursionError) as error:
    raise NotARunError(f'{file} is not of a run ({error})') from None
  if not _is_description(found):
    raise NotARunError(f'{file} is not of a run, but of another program')
  if digests.is_sealed(found) or found.get('format') == FORMAT:
    try:
      found = digests.unseal(found)
    except ValueError as error:
      raise NotARunError(f'{file} is damaged ({error})') from None
  if found.get('format', 1) not in _FORMATS:
    commit = str(found.get('git_commit') or 'unknown')[:8]
    raise UserError(
      f'{path} was written by another version of sce_jax (folder format'
      f' {found.get("format", 1)}, this one writes {FORMAT}): use the commit'
      f' that it was trained with, {commit}, or train again elsewhere'
    )
  try:
    typed.check(found, kinds.Description)
  except ValueError as error:
    raise NotARunError(f'{file} is not of a run ({error})') from None
  return found


def _is_description(found: Any) -> bool:
  """Whether the content of a config.json is that of a run, of any version."""
  config = found.get('config') if isinstance(found, dict) else None
  if not isinstance(config, dict) or 'seed' not in config:
    return False
  return all(
    isinstance(config.get(section), dict)
    and isinstance(config[section].get('name'), str)
    for section in ('data', 'noise', 'loss')
  )


def check_usable(path: str | os.PathLike) -> None:
  """Checks that a run may be begun or resumed in a folder; changes nothing.

  Raises:
    UserError: the folder holds something else, which would be overwritten.
  """
  path = paths.path(path)
  names = paths.names(path)
  if 'config.json' in names:
    read_config(path)
    return
  # A run writes its config.json first.
  ours = [name for name in _NAMES if name in names]
  if ours:
    raise NotARunError(
      f'{path} has no config.json, but {ours[0]}, which a run would overwrite'
    )


def read_summary(path: str | os.PathLike) -> dict[str, Any] | None:
  """What was found in a run's data, see data/sources/summary.py.

  None: its data are what their name says.

  Raises:
    UserError: the record is damaged.
  """
  record = read_record(path, 'data.json', ('source', 'classes'))
  if record and 'transition' in record:
    with records.damaged(path, 'data.json'):
      records.check_square('transition', record['transition'])
  return record


def has_labels(path: str | os.PathLike) -> bool:
  """Whether a run has saved its labels."""
  return (paths.path(path) / _LABELS).exists()


def read_labels(
  path: str | os.PathLike,
) -> tuple[Int64[np.ndarray, ' N'], Int32[np.ndarray, ' N']] | None:
  """The ids and labels of the examples a run trains on; None: not begun.

  Raises:
    DamagedError: the file is damaged.
  """
  return _read_arrays(path, _LABELS)


def read_validation(
  path: str | os.PathLike,
) -> tuple[Int64[np.ndarray, ' N'], Int32[np.ndarray, ' N']] | None:
  """The ids and noisy labels that settings are chosen by; None: there are none.

  Raises:
    DamagedError: the file is damaged.
  """
  return _read_arrays(path, VALIDATION)


def _read_arrays(
  path: str | os.PathLike, name: str
) -> tuple[Int64[np.ndarray, ' N'], Int32[np.ndarray, ' N']] | None:
  """The ids and labels of an .npz; None: it is not there."""
  file = paths.path(path) / name
  if not file.exists():
    return None
  try:
    return label_files.read(file)
  except UserError as error:
    if is_of_machine(error):
      raise
    raise DamagedError(str(error), records.TRAIN_AGAIN) from None


def actual_noise(
  labels: Int32[np.ndarray, ' N'],
  clean_labels: Int32[np.ndarray, ' N'],
  num_classes: int,
) -> tuple[Float64[np.ndarray, 'K K'], float]:
  """How often each class is labelled as each, and the share of wrong labels.

  Over the examples whose clean label is known.
  """
  known = clean_labels >= 0
  return noise.empirical_transition_matrix(
    clean_labels[known], labels[known], num_classes
  )


def read_result(path: str | os.PathLike) -> dict[str, Any] | None:
  """What a run has ended with; None if it has not ended.

  One that failed has only 'run' and 'failed', the message.

  Raises:
    UserError: the record is damaged.
  """
  ended = read_record(path, 'result.json', ('test_accuracy', 'test'))
  return ended or read_record(path, 'failed.json', ('failed',))


def read_origins(path: str | os.PathLike) -> dict[str, str]:
  """Digests of what a run was begun with, of noise.json.

  Returns:
    That of its 'labels' and of the description of its 'data'; empty: it has not
    begun, or an earlier version did not write them.

  Raises:
    DamagedError: the record is damaged.
  """
  return (read_record(path, 'noise.json') or {}).get('origins', {})


def read_noise(path: str | os.PathLike) -> dict[str, Any] | None:
  """The actual noise of a run, 'rate' and 'matrix'; None if it is not known.

  Raises:
    UserError: the record is damaged.
  """
  record = read_record(path, 'noise.json')
  if not record or not {'rate', 'matrix'} <= record.keys():
    return None
  with records.damaged(path, 'noise.json'):
    records.check_square('matrix', record['matrix'])
  return record


def read_prepared(path: str | os.PathLike) -> dict[str, Any] | None:
  """Hyper-parameters that the method has computed, as arrays; None: none.

  Raises:
    UserError: the record is damaged.
  """
  record = read_record(path, 'prepared.json')
  if record is None:
    return None
  with records.damaged(path, 'prepared.json'):
    found = {name: np.array(x, np.float64) for name, x in record.items()}
    for name, array in found.items():
      if not np.isfinite(array).all():
        raise ValueError(f'its {name} is not finite')
  return found


def read_initial(path: str | os.PathLike) -> dict[str, Any] | None:
  """What a run's parameters came from; None: drawn, as without init_from.

  'init_from', as its config has it; of a file also 'sha256', 'title' of known
  weights and others, see initial.py.

  Raises:
    DamagedError: the record is damaged.
  """
  record = read_record(path, 'initial.json', ('init_from',))
  if record and record['init_from'] != RANDOM:
    with records.damaged(path, 'initial.json'):
      if not {'sha256', 'head'} <= record.keys():
        raise ValueError('it lacks what its weights are')
  return record


def initial_title(record: Mapping[str, Any]) -> str:
  """What `read_initial` has given, in a line."""
  if record['init_from'] == RANDOM:
    return 'random: not pretrained'
  known = record.get('title') or 'weights not known by their digest'
  return (
    f'{record["init_from"]} ({known}; sha256 {record["sha256"][:16]}; head'
    f' {record["head"]})'
  )


def check_whole(path: str | os.PathLike) -> None:
  """Checks what reports are made of.

  Raises:
    DamagedError: part of it is damaged, or there are too few epochs.
  """
  read_noise(path)
  dataset_record.has_noisy_test(path)
  read_initial(path)
  epochs = (read_result(path) or {}).get('epochs')
  found = len(read_metrics(path))
  if epochs is not None and found < epochs:
    raise DamagedError(
      f'{paths.path(path) / "metrics.jsonl"} lacks the figures of epoch'
      f' {found + 1}'
    )
