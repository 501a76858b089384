"""What a run was begun with: its data, labels, initial weights, preparation."""

from collections.abc import Callable, Mapping
import json
from typing import Any

from jaxtyping import Int32, Integer
import numpy as np

from sce_jax.config import fields
from sce_jax.data import label_files
from sce_jax.data.dataset import Dataset, digest, other_digests
from sce_jax.errors import UserError
from sce_jax.noise import Replaced
from sce_jax.parallel import processes
from sce_jax.runs import dataset_record, files, progress, records
from sce_jax.storage import digests, paths

# Characters of a difference between data sets beyond which it is not shown.
_LONG = 200


class Begun:
  """Records in a run's folder of what it was begun with.

  What is there is kept, and compared with what the run is continued with. What
  is damaged is made again, if it is known to be the same, else refused.

  Args:
    path: the folder.
    config: the run's.
    write: writes a file of the folder, by name and content, in process 0.
  """

  def __init__(
    self,
    path: paths.Path,
    config: Mapping[str, Any],
    write: Callable[[str, str], None],
  ):
    self.path = path
    self._config = config
    self._write = write
    # Digests of data and labels, and what is wrong with the labels on file.
    self._origins: dict[str, str] = {}
    self._earlier_data = ''
    self._damaged_labels: files.DamagedError | None = None

  def record_dataset(self, dataset: Dataset) -> None:
    """Saves what the network needs to know of its data.

    Raises:
      UserError: the folder holds a run on other data.
    """
    needs_mean = self._config['data']['normalization'] == 'pixel_mean'
    # As it is read back.
    record = json.loads(
      json.dumps(
        dataset_record.describe(
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
    known = records.or_made_again(lambda: files.read_summary(self.path))
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
    origins = records.or_made_again(lambda: files.read_origins(self.path)) or {}
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
    self._check_examples('training', saved[0], ids)
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
      self._check_examples('validation', saved[0], ids)
      return saved[1]

    return processes.on_primary(get)

  def _check_examples(
    self,
    kind: str,
    saved: Integer[np.ndarray, ' M'],
    ids: Integer[np.ndarray, ' N'],
  ) -> None:
    """Checks that a run has the examples it was begun with."""
    if not np.array_equal(saved, ids):
      raise UserError(
        f'workdir {self.path} holds a run with other {kind} examples'
        f' ({len(saved)}, now {len(ids)}): name another with --workdir'
      )

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
    noise = records.or_made_again(
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
      lambda: records.or_made_again(lambda: files.read_prepared(self.path))
    )

  def record_prepared(self, hparams: Mapping[str, Any]) -> None:
    """Saves hyper-parameters that the method has computed."""
    record = {name: np.asarray(v).tolist() for name, v in hparams.items()}
    name = 'prepared.json'
    if (self.path / files.SAVED).exists() and not (self.path / name).exists():
      progress.log(f'{self.path / name}: it is made again')
    self._write(name, digests.dumps(record))


def _earlier(record: Mapping[str, Any]) -> dict[str, Any]:
  """The content of dataset.json as earlier versions wrote it."""
  return {
    name: value
    for name, value in record.items()
    if name != dataset_record.OTHERS
  }


def _other_splits(
  before: Mapping[str, Any], now: Mapping[str, Any]
) -> list[str]:
  """What of labels and splits is another than when the run was begun."""
  if dataset_record.OTHERS not in before:
    return []
  old, new = before[dataset_record.OTHERS], now[dataset_record.OTHERS]
  return [f'other {x}' for x in sorted(old | new) if old.get(x) != new.get(x)]
