"""The folder of a run while it is trained; files.py says what is in it."""

from collections.abc import Callable, Collection, Mapping
import json
import os
from typing import Any, TypeVar

from jaxtyping import Int32, Integer
import numpy as np

from sce_jax.config import fields
from sce_jax.config.check import Config
from sce_jax.data import label_files
from sce_jax.data.dataset import Dataset, digest, other_digests
from sce_jax.errors import UserError
from sce_jax.noise import Replaced
from sce_jax.parallel import processes
from sce_jax.runs import changes, files, metadata, progress
from sce_jax.runs.epoch_log import EpochLog
from sce_jax.storage import digests, lock, paths

T = TypeVar('T')
# Characters of a difference between data sets beyond which it is not shown.
_LONG = 200


class Workdir:
  """A run's folder, locked by one process at a time.

  Of several processes that train together process 0 alone locks, reads and
  writes it, and broadcasts what it reads; the others need not see it.

  Attributes:
    epochs: the figures of each epoch, on file and for trackers.

  Raises:
    UserError: the folder cannot be written, another process holds it, or it
      holds a run of another config; nothing in it has been changed.
  """

  def __init__(
    self,
    path: str | os.PathLike,
    config: Config,
    allow_changes: Collection[str] = (),
  ):
    assert not config.left, f'{config.left}: choose.complete was not called'
    self.path = paths.path(path)
    self._config = json.loads(json.dumps(config.to_dict()))
    self._allowed = allow_changes
    self._lock: lock.Lock | None = None
    # Digests of what the run is begun with, and what is wrong with its labels.
    self._origins: dict[str, str] = {}
    self._earlier_data = ''
    self._damaged_labels: files.DamagedError | None = None
    self._writes = processes.is_primary()
    self._has_saved = False
    self.epochs = EpochLog(self.path, self._config, self.check_lock)
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
        digests.dumps(
          {'format': files.FORMAT, **metadata.describe(self._config)}, indent=2
        ),
      )
      return
    found = files.read_description(self.path)
    code = metadata.code()
    ended = (self.path / 'result.json').exists()
    if ended and found['config'] == self._config:
      code = found.get('code', code)  # Its result is only given again.
    changed = changes.check(self.path, found, self._config, code, self._allowed)
    if changed:
      self._change(found, code, changed)

  def _change(
    self, found: dict[str, Any], code: dict[str, str], changed: list[str]
  ) -> None:
    """Continues the run with another config or code; says and records it."""
    epochs = self._config['train']['epochs']
    before = found['config'].get('train', {}).get('epochs')
    result = files.read_record(self.path, 'result.json')
    done = len(files.read_metrics(self.path))
    changes.check_epochs(self.path, changed, epochs, done, result is not None)
    for change in changed:
      progress.log(f'{self.path}: continues with {change}')
    if epochs != before:
      progress.log(
        f'{self.path}: the schedule of the learning rate is that of {epochs}'
        f' epochs from here on, no longer that of {before}'
      )
    if result is not None and epochs != before:
      paths.write(
        self.path / f'result-{before}-epochs.json', digests.dumps(result)
      )
      (self.path / 'result.json').unlink()
    before_it = found.get('changes', ())
    failed = self.path / 'failed.json'
    if failed.exists():
      # What made it fail may be what has changed.
      kept = self.path / f'failed-before-change-{len(before_it) + 1}.json'
      paths.write(kept, paths.read(failed))
      failed.unlink()
    record = {
      **found,
      'config': self._config,
      'code': code,
      'changes': [*before_it, changed],
    }
    paths.write(self.path / 'config.json', digests.dumps(record, indent=2))

  def close(self) -> None:
    """Releases the folder."""
    self.epochs.close()
    if self._lock is not None:
      self._lock.close()

  @property
  def result(self) -> dict[str, Any] | None:
    """What `finish` or `fail` has recorded, None before."""
    return processes.on_primary(
      lambda: self._or_made_again(lambda: files.read_result(self.path))
    )

  @staticmethod
  def _or_made_again(read: Callable[[], T]) -> T | None:
    """What is read; None if it is damaged, for it can be made again."""
    try:
      return read()
    except files.DamagedError as error:
      progress.log(f'{error.reason}: it is made again')
      return None

  def record_dataset(self, dataset: Dataset) -> None:
    """Saves what the network needs to know of its data.

    Raises:
      UserError: the folder holds a run on other data.
    """
    needs_mean = self._config['data']['normalization'] == 'pixel_mean'
    # As it is read back.
    record = json.loads(
      json.dumps(
        files.describe_dataset(
          dataset.info,
          dataset.pixel_mean if needs_mean else None,
          digest(dataset.train.image),
          other_digests(dataset),
        )
      )
    )
    processes.on_primary(lambda: self._record_dataset(record, dataset.summary))

  def _record_dataset(
    self, now: dict[str, Any], summary: Mapping[str, Any]
  ) -> None:
    self._origins['data'] = digests.of_record(now)
    self._earlier_data = digests.of_record(_earlier(now))
    try:
      before = files.read_record(self.path, 'dataset.json', ('info',))
    except files.DamagedError as error:
      self._check_origin('data', error)
      before = None
    else:
      if before is None and files.has_labels(self.path):
        missing = f'{self.path / "dataset.json"} is missing'
        self._check_origin('data', files.DamagedError(missing))
    if before is None:
      self._write('dataset.json', digests.dumps(now))
    elif before not in (now, _earlier(now)):
      different = fields.differences(before['info'], now['info'])
      different += _other_splits(before, now)
      # Statistics of hundreds of features tell nobody anything.
      short = [x for x in different if len(x) < _LONG]
      what = '; '.join(short) or 'other examples'
      raise UserError(
        f'workdir {self.path} holds a run on other data ({what}): give it the'
        ' data that it was trained on, or name another with --workdir'
      )
    known = self._or_made_again(lambda: files.read_summary(self.path))
    if summary and known is None:
      if before is not None:
        progress.log(f'{self.path / "data.json"}: it is made again')
      self._write('data.json', digests.dumps(summary, indent=2))

  def _check_origin(self, name: str, damage: files.DamagedError) -> None:
    """Checks that what is made again is what the run was begun with.

    Args:
      name: of the digest in noise.json.
      damage: raised if it is not, or if that is not known.
    """
    origins = self._or_made_again(lambda: files.read_origins(self.path)) or {}
    same = [self._origins[name]]
    if name == 'data':
      same.append(self._earlier_data)
    if origins.get(name) not in same:
      raise damage
    progress.log(f'{damage.reason}: the same was made again')

  def saved_labels(
    self, ids: Integer[np.ndarray, ' N']
  ) -> Int32[np.ndarray, ' N'] | None:
    """The labels that the run was begun with; None: not begun, or damaged.

    Args:
      ids: the examples that it trains on.

    Raises:
      UserError: it was begun with other examples.
    """

    def read() -> Any:
      try:
        return files.read_labels(self.path)
      except files.DamagedError as error:
        self._damaged_labels = error
        return None

    saved = processes.on_primary(read)
    if saved is None:
      return None
    if not np.array_equal(saved[0], ids):
      raise UserError(
        f'workdir {self.path} holds a run on other training examples'
        f' ({len(saved[0])}, now {len(ids)}): name another with --workdir'
      )
    return saved[1]

  def validation_labels(
    self,
    ids: Integer[np.ndarray, ' N'],
    draw: Callable[[], Int32[np.ndarray, ' N']],
  ) -> Int32[np.ndarray, ' N']:
    """The noisy labels of the validation examples, drawn and saved once.

    Args:
      ids: the examples.
      draw: makes the labels, where none are saved.

    Raises:
      UserError: the run was begun with other validation examples, or their
        labels are damaged.
    """

    def get() -> np.ndarray:
      saved = files.read_validation(self.path)
      if saved is None:
        labels = draw()
        if (self.path / files.SAVED).exists():
          progress.log(f'{self.path / files.VALIDATION}: it is made again')
        label_files.save_npz(self.path / files.VALIDATION, ids, labels)
        return labels
      if not np.array_equal(saved[0], ids):
        raise UserError(
          f'workdir {self.path} holds a run with other validation examples'
          f' ({len(saved[0])}, now {len(ids)}): name another with --workdir'
        )
      return saved[1]

    return processes.on_primary(get)

  def record_labels(
    self,
    ids: Integer[np.ndarray, ' N'],
    labels: Int32[np.ndarray, ' N'],
    clean_labels: Int32[np.ndarray, ' N'] | None,
    num_classes: int,
    replaced: Replaced | None = None,
  ) -> None:
    """Saves the labels, and where clean ones are known the actual noise.

    What is there is kept. What is damaged is made again, if it is what the run
    was begun with.

    Raises:
      DamagedError: the labels are damaged, and were others.
    """
    processes.on_primary(
      lambda: self._record_labels(
        ids, labels, clean_labels, num_classes, replaced
      )
    )

  def _record_labels(
    self,
    ids: np.ndarray,
    labels: np.ndarray,
    clean_labels: np.ndarray | None,
    num_classes: int,
    replaced: Replaced | None,
  ) -> None:
    file = self.path / 'noise.npz'
    self._origins['labels'] = digests.of_arrays(
      np.asarray(ids, np.int64), np.asarray(labels, np.int32)
    )
    noise = self._or_made_again(
      lambda: files.read_record(self.path, 'noise.json')
    )
    if not file.exists() or self._damaged_labels is not None:
      damage = self._damaged_labels
      if damage is None and (noise or self._has_checkpoints()):
        damage = files.DamagedError(f'{file} is missing')
      if damage is not None:
        self._check_origin('labels', damage)
      label_files.save_npz(file, ids, labels, clean_labels, replaced)
    elif noise is None:
      progress.log(f'{self.path / "noise.json"}: it is made again')
    if noise is not None:
      return
    record: dict[str, Any] = {'origins': self._origins}
    if clean_labels is not None:
      matrix, rate = files.actual_noise(labels, clean_labels, num_classes)
      record |= {'rate': rate, 'matrix': np.round(matrix, 6).tolist()}
    self._write('noise.json', digests.dumps(record))

  def _has_checkpoints(self) -> bool:
    return bool(paths.names(files.checkpoints(self.path)))

  @property
  def initial(self) -> dict[str, Any] | None:
    """What `record_initial` has recorded, None before."""
    return processes.on_primary(lambda: files.read_initial(self.path))

  def check_initial(self) -> None:
    """Checks that it is known what the parameters of a resumed run came from.

    Raises:
      UserError: the record is damaged or missing.
    """
    given = self._config['model'].get('init_from')
    if given is not None and self.initial is None:
      raise files.DamagedError(
        f'{self.path / "initial.json"} is missing',
        'name another --workdir to train anew',
      )

  def record_initial(self, record: Mapping[str, Any]) -> None:
    """Saves what the parameters came from.

    Raises:
      UserError: the run was begun from another file.
    """
    before = self.initial
    if before is None:
      self._write('initial.json', digests.dumps(record))
    elif before.get('sha256') != record.get('sha256'):
      raise UserError(
        f'{record["init_from"]} has changed since the run in {self.path} was'
        f' begun (sha256 {before.get("sha256")}, now {record.get("sha256")}):'
        ' give it the file of then, or name another --workdir'
      )

  @property
  def prepared(self) -> dict[str, Any] | None:
    """What `record_prepared` has recorded, None before."""
    return processes.on_primary(
      lambda: self._or_made_again(lambda: files.read_prepared(self.path))
    )

  def record_prepared(self, hparams: Mapping[str, Any]) -> None:
    """Saves hyper-parameters that the method has computed."""
    record = {name: np.asarray(v).tolist() for name, v in hparams.items()}
    self._write('prepared.json', digests.dumps(record))

  def record_saved(self, step: int) -> None:
    """Records that a checkpoint is whole: that of the first one is kept."""
    if self._writes and not self._has_saved:
      if not (self.path / files.SAVED).exists():
        self._write(files.SAVED, digests.dumps({'step': step}))
      self._has_saved = True

  def check_checkpoints(self, has_any: Callable[[paths.Path], bool]) -> None:
    """Checks that a run that has saved a checkpoint still has one.

    Args:
      has_any: whether a folder has a checkpoint.

    Raises:
      UserError: it has none; it would begin anew.
    """

    def check() -> None:
      folder = files.checkpoints(self.path)
      if (self.path / files.SAVED).exists() and not has_any(folder):
        raise UserError(
          f'{folder} holds no whole checkpoint, but the run had saved some:'
          ' copy one back from elsewhere, or name another --workdir to train'
          f' anew; in this one it is done without {files.SAVED}'
        )

    processes.on_primary(check)

  def finish(self, result: dict[str, Any], record: dict[str, Any]) -> None:
    """Records the figures of the finished run.

    Args:
      result: of the run.
      record: of its last epoch.
    """
    if self._writes:
      # Before result.json, which says that all is there.
      self.check_lock()
      files.write_results(self.path, [result])
    self._write('result.json', digests.dumps(result, indent=2))
    if self._writes:
      self.epochs.finish(record)

  def fail(self, result: dict[str, Any]) -> None:
    """Records why the run cannot continue."""
    self._write('failed.json', digests.dumps(result, indent=2))

  def _write(self, name: str, text: str) -> None:
    if self._writes:
      self.epochs.flush()
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
      if paths.is_cloud(self.path):
        what = (
          'has been taken over by another process, to which this one seemed'
          ' dead: leave the run to that one'
        )
      else:
        what = (
          'was moved, removed or replaced while the run trained: what it had'
          ' saved is where that folder is now; name it with --workdir to resume'
        )
      raise UserError(f'workdir {self.path} {what}') from None


def _earlier(record: Mapping[str, Any]) -> dict[str, Any]:
  """The content of dataset.json as earlier versions wrote it."""
  return {name: value for name, value in record.items() if name != files.OTHERS}


def _other_splits(
  before: Mapping[str, Any], now: Mapping[str, Any]
) -> list[str]:
  """What of labels and splits is another than when the run was begun."""
  if files.OTHERS not in before:
    return []
  old, new = before[files.OTHERS], now[files.OTHERS]
  return [f'other {x}' for x in sorted(old | new) if old.get(x) != new.get(x)]
