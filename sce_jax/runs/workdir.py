"""The folder of a run, its record.

config.json    config, versions, devices, git commit, command
noise.npz      ids, given labels, clean labels of the training split
noise.json     the realised noise: rate and matrix
transition.json  the estimated noise matrix, for losses that need one; the run
               that it was estimated from is in anchors/
metrics.jsonl  one object a line, one line an epoch
checkpoints/   see checkpointing.py
events.out...  the same figures for TensorBoard
result.json    the finished run's figures; failed.json: why it cannot go on
results.csv    the same as a line of a table

It may be in a cloud, see files.py: there metrics.jsonl is written anew, and the
events are copied up, every few seconds and before each checkpoint.
"""

import csv
import io
import json
import os
import time
from typing import Any

from jaxtyping import Float64
import numpy as np

from sce_jax import noise
from sce_jax.config import fields
from sce_jax.data import dataset as dataset_lib
from sce_jax.data import label_files
from sce_jax.errors import UserError
from sce_jax.parallel import processes
from sce_jax.runs import metadata, progress, trackers
from sce_jax.storage import lock, paths

RESULT_FIELDS = (
  'run',
  'dataset',
  'loss',
  'noise',
  'noise_rate',
  'realised_rate',
  'seed',
  'epochs',
  'test_accuracy',
  'memorised',
  'train_seconds',
)
# In a cloud figures are written no more often: of one object an object store
# takes one write a second.
_FLUSH_SECONDS = 5.0


class Workdir:
  """A run's folder, held by one process at a time.

  Of several processes that train together process 0 alone holds, reads and
  writes it, and shares what it reads; the others need not see it.

  Raises:
    UserError: the folder cannot be written, another process holds it, or it
      holds a run of another config; nothing in it has been changed.
  """

  def __init__(self, path: str | os.PathLike, config: fields.Config):
    self.path = paths.path(path)
    self._config = json.loads(json.dumps(fields.plain(config)))
    self._trackers: list[trackers.Tracker] = []
    self._pending, self._flushed = '', time.monotonic()
    self._hold: lock.Lock | None = None
    self._writes = processes.is_primary()
    processes.on_primary(self._open)

  def _open(self) -> None:
    try:
      paths.make_folder(self.path)
      self._hold = lock.acquire(self.path, progress.log)
    except OSError as error:
      raise UserError(
        f'workdir {self.path} cannot be written ({error.strerror or error}):'
        ' name another with --workdir'
      ) from None
    except lock.LockHeldError as holder:
      raise UserError(
        f'workdir {self.path} is in use by {holder}: wait for it or name'
        ' another with --workdir'
      ) from None
    try:
      self._check_config()
    except UserError:
      self._hold.close()
      raise

  def _check_config(self) -> None:
    path = self.path / 'config.json'
    if not path.exists():
      paths.write(
        path, json.dumps(metadata.describe(self._config), indent=2) + '\n'
      )
      return
    changes = fields.differences(read_config(self.path), self._config)
    if changes:
      raise UserError(
        f'workdir {self.path} holds a run of another config'
        f' ({"; ".join(changes)}): name another with --workdir'
      )

  def close(self) -> None:
    """Lets go of the folder."""
    for tracker in self._trackers:
      tracker.close()
    if self._hold is not None:
      self._hold.close()

  @property
  def result(self) -> dict[str, Any] | None:
    """What `finish` or `fail` has recorded, None before."""
    return processes.on_primary(lambda: read_result(self.path))

  @property
  def transition(self) -> Float64[np.ndarray, 'K K'] | None:
    """What `record_transition` has recorded, None before."""
    return processes.on_primary(lambda: read_transition(self.path))

  @property
  def last_metrics(self) -> dict[str, Any]:
    """The last epoch's figures."""
    self.flush()
    return processes.on_primary(lambda: read_metrics(self.path)[-1])

  def record_noise(
    self, train: dataset_lib.Split, num_classes: int
  ) -> tuple[Float64[np.ndarray, 'K K'], float]:
    """Saves the realised labels, matrix and rate; returns the latter two."""
    matrix, rate = noise.empirical_transition_matrix(
      train.clean_label, train.label, num_classes
    )
    if self._writes:
      label_files.save_npz(
        self.path / 'noise.npz', train.index, train.label, train.clean_label
      )
    record = {'rate': rate, 'matrix': np.round(matrix, 6).tolist()}
    self._write('noise.json', json.dumps(record) + '\n')
    return matrix, rate

  def record_transition(
    self, matrix: Float64[np.ndarray, 'K K']
  ) -> Float64[np.ndarray, 'K K']:
    """Saves an estimated transition matrix; returns it."""
    record = {'matrix': matrix.tolist()}
    self._write('transition.json', json.dumps(record) + '\n')
    return matrix

  def truncate_metrics_after(self, step: int) -> list[dict[str, Any]]:
    """Drops the metrics of later steps, which will be trained again.

    Returns:
      The metrics that are kept.
    """
    return processes.on_primary(lambda: self._truncate_metrics_after(step))

  def _truncate_metrics_after(self, step: int) -> list[dict[str, Any]]:
    kept = [m for m in read_metrics(self.path) if m['step'] <= step]
    self._write('metrics.jsonl', ''.join(json.dumps(m) + '\n' for m in kept))
    self._trackers = trackers.start(self.path, self._config, step)
    return kept

  def write_metrics(self, record: dict[str, Any]) -> None:
    """Adds an epoch's figures."""
    if not self._writes:
      return
    self._pending += json.dumps(record) + '\n'
    for tracker in self._trackers:
      tracker.write(record)
    every = _FLUSH_SECONDS if paths.is_cloud(self.path) else 0.0
    if time.monotonic() - self._flushed >= every:
      self.flush()

  def flush(self) -> None:
    """Writes what is still to be written of the epochs' figures.

    Whoever saves a checkpoint calls this first: a run that goes on from it has
    the figures of all epochs before.
    """
    if not self._pending:
      return
    self.check_hold()
    paths.append(self.path / 'metrics.jsonl', self._pending)
    for tracker in self._trackers:
      tracker.flush()
    self._pending, self._flushed = '', time.monotonic()

  def finish(self, result: dict[str, Any]) -> None:
    """Records the figures of the finished run."""
    self._write('result.json', json.dumps(result, indent=2) + '\n')
    if self._writes:
      write_results(self.path, [result])

  def fail(self, result: dict[str, Any]) -> None:
    """Records why the run cannot go on."""
    self._write('failed.json', json.dumps(result, indent=2) + '\n')

  def _write(self, name: str, text: str) -> None:
    if self._writes:
      self.flush()
      self.check_hold()
      paths.write(self.path / name, text)

  def check_hold(self) -> None:
    """Sees whether the folder is still this process's; a cloud's may not be.

    Raises:
      UserError: another process has taken it over.
    """
    try:
      if self._hold is not None:
        self._hold.check()
    except lock.LockLostError:
      raise UserError(
        f'workdir {self.path} has been taken over by another process, to which'
        ' this one seemed dead: leave the run to that one'
      ) from None


def checkpoints(path: str | os.PathLike) -> paths.Path:
  """Where a run's checkpoints are."""
  return paths.path(path) / 'checkpoints'


def read_config(path: str | os.PathLike) -> dict[str, Any]:
  """The config of the run in a folder.

  Raises:
    UserError: there is no run in it.
  """
  return read_description(path)['config']


def read_description(path: str | os.PathLike) -> dict[str, Any]:
  """The config of a run, and where, when and with what it was begun.

  Raises:
    UserError: there is no run in the folder.
  """
  path = paths.path(path)
  try:
    return json.loads(paths.read(path / 'config.json'))
  except OSError:
    raise UserError(
      f'{path} holds no run (no config.json): name the folder of one with'
      ' --workdir'
    ) from None


def read_result(path: str | os.PathLike) -> dict[str, Any] | None:
  """What a run has ended with; None if it has not ended.

  One that failed has only 'run' and 'failed', the message.
  """
  for name in ('result.json', 'failed.json'):
    text = _read(path, name)
    if text is not None:
      return json.loads(text)
  return None


def read_noise(path: str | os.PathLike) -> dict[str, Any] | None:
  """The realised noise of a run, 'rate' and 'matrix'; None if not recorded."""
  text = _read(path, 'noise.json')
  return None if text is None else json.loads(text)


def read_transition(
  path: str | os.PathLike,
) -> Float64[np.ndarray, 'K K'] | None:
  """The transition matrix that was estimated for a run, if any was."""
  text = _read(path, 'transition.json')
  if text is None:
    return None
  return np.array(json.loads(text)['matrix'], np.float64)


def read_metrics(path: str | os.PathLike) -> list[dict[str, Any]]:
  """The lines of a run's metrics.jsonl; a torn last line is left out."""
  records = []
  for line in (_read(path, 'metrics.jsonl') or '').splitlines():
    try:
      records.append(json.loads(line))
    except json.JSONDecodeError:  # Killed while it was written.
      break
  return records


def _read(folder: str | os.PathLike, name: str) -> str | None:
  """A file of a run's folder; None if it is not there."""
  try:
    return paths.read(paths.path(folder) / name).decode()
  except FileNotFoundError:
    return None


def write_results(
  folder: str | os.PathLike, results: list[dict[str, Any]]
) -> paths.Path:
  """Writes results.csv, a line a finished run."""
  text = io.StringIO()
  table = csv.DictWriter(
    text, RESULT_FIELDS, extrasaction='ignore', lineterminator='\n'
  )
  table.writeheader()
  table.writerows(results)
  path = paths.path(folder) / 'results.csv'
  paths.write(path, text.getvalue())
  return path
