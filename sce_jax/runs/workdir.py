"""The folder of a run while it is trained; files.py says what is in it."""

from collections.abc import Mapping
import json
import os
import time
from typing import Any

from jaxtyping import Int32, Integer
import numpy as np

from sce_jax.config import fields
from sce_jax.config.check import Config
from sce_jax.data import label_files
from sce_jax.data.dataset import Dataset, digest
from sce_jax.errors import UserError
from sce_jax.noise import Replaced
from sce_jax.parallel import processes
from sce_jax.runs import files, metadata, progress, trackers
from sce_jax.storage import lock, paths

# In a cloud figures are written no more often: of one object an object store
# takes one write a second.
_FLUSH_SECONDS = 5.0
# Characters of a difference between data sets beyond which it is not shown.
_LONG = 200


class Workdir:
  """A run's folder, locked by one process at a time.

  Of several processes that train together process 0 alone locks, reads and
  writes it, and broadcasts what it reads; the others need not see it.

  Raises:
    UserError: the folder cannot be written, another process holds it, or it
      holds a run of another config; nothing in it has been changed.
  """

  def __init__(self, path: str | os.PathLike, config: Config):
    assert not config.left, f'{config.left}: choose.complete was not called'
    self.path = paths.path(path)
    self._config = json.loads(json.dumps(config.to_dict()))
    self._trackers: list[trackers.Tracker] = []
    self._pending, self._flushed = '', time.monotonic()
    self._lock: lock.Lock | None = None
    self._writes = processes.is_primary()
    processes.on_primary(self._open)

  def _open(self) -> None:
    files.check_usable(self.path)
    try:
      paths.make_folder(self.path)
      self._lock = lock.acquire(self.path, progress.log)
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
      self._lock.close()
      raise

  def _check_config(self) -> None:
    path = self.path / 'config.json'
    if not path.exists():
      paths.write(
        path,
        json.dumps(
          {'format': files.FORMAT, **metadata.describe(self._config)}, indent=2
        )
        + '\n',
      )
      return
    changes = fields.differences(files.read_config(self.path), self._config)
    if changes:
      raise UserError(
        f'workdir {self.path} holds a run of another config'
        f' ({"; ".join(changes)}): name another with --workdir'
      )

  def close(self) -> None:
    """Releases the folder."""
    for tracker in self._trackers:
      tracker.close()
    if self._lock is not None:
      self._lock.close()

  @property
  def result(self) -> dict[str, Any] | None:
    """What `finish` or `fail` has recorded, None before."""
    return processes.on_primary(lambda: files.read_result(self.path))

  def metrics_at(self, step: int) -> dict[str, Any]:
    """The figures of the epoch that ended with a step.

    Raises:
      UserError: they are missing.
    """
    self.flush()
    return processes.on_primary(lambda: self._metrics_at(step))

  def _metrics_at(self, step: int) -> dict[str, Any]:
    for record in files.read_metrics(self.path):
      if record['step'] == step:
        return record
    raise UserError(
      f'{self.path / "metrics.jsonl"} lacks the figures of step {step}: remove'
      f' {files.checkpoints(self.path) / str(step)}, so that they are made'
      ' again with the same command'
    )

  def record_dataset(self, dataset: Dataset) -> None:
    """Saves what the network needs to know of its data.

    Raises:
      UserError: the folder holds a run on other data.
    """
    needs_mean = self._config['data']['normalization'] == 'pixel_mean'
    text = files.describe_dataset(
      dataset.info,
      dataset.pixel_mean if needs_mean else None,
      digest(dataset.train.image),
    )
    processes.on_primary(lambda: self._record_dataset(text, dataset.summary))

  def _record_dataset(self, text: str, summary: Mapping[str, Any]) -> None:
    before = files.read_record(self.path, 'dataset.json', ('info',))
    now = json.loads(text)
    if before is None:
      if summary:
        self._write('data.json', json.dumps(summary, indent=2) + '\n')
      self._write('dataset.json', text)
    elif before != now:
      changes = fields.differences(before['info'], now['info'])
      # Statistics of hundreds of features tell nobody anything.
      short = [x for x in changes if len(x) < _LONG]
      what = '; '.join(short) or 'other examples'
      raise UserError(
        f'workdir {self.path} holds a run on other data ({what}): give it the'
        ' data that it was trained on, or name another with --workdir'
      )

  def saved_labels(
    self, ids: Integer[np.ndarray, ' N']
  ) -> Int32[np.ndarray, ' N']:
    """The labels that the run was begun with.

    Args:
      ids: the examples that it trains on.

    Raises:
      UserError: it was begun with other examples.
    """
    saved = processes.on_primary(lambda: files.read_labels(self.path))
    assert saved is not None, 'the folder was emptied meanwhile'
    if not np.array_equal(saved[0], ids):
      raise UserError(
        f'workdir {self.path} holds a run on other training examples'
        f' ({len(saved[0])}, now {len(ids)}): name another with --workdir'
      )
    return saved[1]

  def record_labels(
    self,
    ids: Integer[np.ndarray, ' N'],
    labels: Int32[np.ndarray, ' N'],
    clean_labels: Int32[np.ndarray, ' N'] | None,
    num_classes: int,
    replaced: Replaced | None = None,
  ) -> None:
    """Saves the labels, and where clean ones are known the actual noise."""
    if not self._writes:
      return
    label_files.save_npz(
      self.path / 'noise.npz', ids, labels, clean_labels, replaced
    )
    if clean_labels is not None:
      matrix, rate = files.actual_noise(labels, clean_labels, num_classes)
      record = {'rate': rate, 'matrix': np.round(matrix, 6).tolist()}
      self._write('noise.json', json.dumps(record) + '\n')

  @property
  def initial(self) -> dict[str, Any] | None:
    """What `record_initial` has recorded, None before."""
    return processes.on_primary(lambda: files.read_initial(self.path))

  def record_initial(self, record: Mapping[str, Any]) -> None:
    """Saves what the parameters came from.

    Raises:
      UserError: the run was begun from another file.
    """
    before = self.initial
    if before is None:
      self._write('initial.json', json.dumps(record, indent=2) + '\n')
    elif before.get('sha256') != record.get('sha256'):
      raise UserError(
        f'{record["init_from"]} has changed since the run in {self.path} was'
        f' begun (sha256 {before.get("sha256")}, now {record.get("sha256")}):'
        ' give it the file of then, or name another --workdir'
      )

  @property
  def prepared(self) -> dict[str, Any] | None:
    """What `record_prepared` has recorded, None before."""
    return processes.on_primary(lambda: files.read_prepared(self.path))

  def record_prepared(self, hparams: Mapping[str, Any]) -> None:
    """Saves hyper-parameters that the method has computed."""
    record = {name: np.asarray(v).tolist() for name, v in hparams.items()}
    self._write('prepared.json', json.dumps(record) + '\n')

  def truncate_metrics_after(self, step: int) -> list[dict[str, Any]]:
    """Drops the metrics of later steps, which will be trained again.

    Returns:
      The metrics that are kept.
    """
    return processes.on_primary(lambda: self._truncate_metrics_after(step))

  def _truncate_metrics_after(self, step: int) -> list[dict[str, Any]]:
    kept = [m for m in files.read_metrics(self.path) if m['step'] <= step]
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

    To be called before a checkpoint is saved: a run that is resumed from it
    then has the figures of all epochs before.
    """
    if not self._pending:
      return
    self.check_lock()
    paths.append(self.path / 'metrics.jsonl', self._pending)
    for tracker in self._trackers:
      tracker.flush()
    self._pending, self._flushed = '', time.monotonic()

  def finish(self, result: dict[str, Any]) -> None:
    """Records the figures of the finished run."""
    self._write('result.json', json.dumps(result, indent=2) + '\n')
    if self._writes:
      files.write_results(self.path, [result])

  def fail(self, result: dict[str, Any]) -> None:
    """Records why the run cannot continue."""
    self._write('failed.json', json.dumps(result, indent=2) + '\n')

  def _write(self, name: str, text: str) -> None:
    if self._writes:
      self.flush()
      self.check_lock()
      paths.write(self.path / name, text)

  def check_lock(self) -> None:
    """Checks that this process still has the folder's lock; a lease may expire.

    Raises:
      UserError: another process has taken it over.
    """
    try:
      if self._lock is not None:
        self._lock.check()
    except lock.LockLostError:
      raise UserError(
        f'workdir {self.path} has been taken over by another process, to which'
        ' this one seemed dead: leave the run to that one'
      ) from None
