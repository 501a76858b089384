"""All that reads a run's records, on one that is damaged in drawn ways."""

import json
import pathlib
import shutil

import numpy as np

from experiments.analysis import label_card
from experiments.report import each_run, runs_page
from sce_jax.config import check as config_check
from sce_jax.errors import UserError
from sce_jax.runs import dataset_record, files, read
from sce_jax.storage import digests
from tests.data.sources import damaged, odd


def copy(run: pathlib.Path, root: pathlib.Path) -> pathlib.Path:
  """A copy of a run's records, twice, so that one is compared with another."""
  for name in ('one', 'other'):
    shutil.copytree(
      run, root / name, ignore=shutil.ignore_patterns('checkpoints', 'prepare')
    )
  return root / 'one'


def _config(folder):
  config_check.check_config(files.read_config(folder))


def _dataset(folder):
  info, mean = dataset_record.read(folder)
  assert mean.shape == info.image_shape and mean.dtype == np.float32
  assert info.num_classes == len(info.class_titles) >= 2
  assert all(isinstance(x, str) for x in info.class_titles)
  '\n'.join((*info.class_titles, info.name)).encode()
  assert len(info.mean) == len(info.std) == info.image_shape[-1]


def _labels(folder):
  for ids, labels in filter(
    None, [files.read_labels(folder), files.read_validation(folder)]
  ):
    assert ids.shape == labels.shape == (len({*ids.tolist()}),)


def _noise(folder):
  origins = files.read_origins(folder)
  assert all(isinstance(x, str) for x in (*origins, *origins.values()))
  found = files.read_noise(folder)
  if found is not None:
    assert 0 <= found['rate'] <= 1
    matrix = np.array(found['matrix'], float)
    assert matrix.shape == (len(matrix), len(matrix))


def _prepared(folder):
  for name, value in (files.read_prepared(folder) or {}).items():
    assert isinstance(name, str) and value.dtype == np.float64


def _initial(folder):
  record = files.read_initial(folder)
  if record is not None:
    files.initial_title(record).encode()


def _metrics(folder):
  for number, record in enumerate(files.read_metrics(folder), 1):
    assert record['epoch'] == number and isinstance(record['step'], int)


def _result(folder):
  found = files.read_result(folder)
  if found is not None and 'failed' in found:
    assert isinstance(found['failed'], str)


def _summary(folder):
  json.dumps(files.read_summary(folder)).encode()


def _report(folder):
  """The part of a page on all runs that draws nothing."""
  runs = read.find(folder.parent, mixed=True)
  read.frame(folder.parent)
  for name, value in runs_page.facts(runs):
    f'{name} {value}'.encode()
  table = each_run.table(runs, folder.parent / 'report', '')
  assert len(table.rows) == len(runs)
  each_run.comparison(runs, '')


def _card(folder):
  label_card.card(label_card.read(str(folder))).encode()


_ARRAYS = damaged.arrays(
  *('ids', 'labels', 'clean_labels', 'digest'), without='digest'
)
# Of each file: what becomes of it, and who reads it.
READERS = {
  'config.json': (damaged.JSON, [_config, _card, _report]),
  'dataset.json': (damaged.JSON, [_dataset, _card, _report]),
  'data.json': (damaged.JSON, [_summary]),
  'noise.json': (damaged.JSON, [_noise, _report]),
  'noise.npz': (_ARRAYS, [_labels, _card]),
  'validation.npz': (_ARRAYS, [_labels]),
  'initial.json': (damaged.JSON, [_initial, _report]),
  'prepared.json': (damaged.JSON, [_prepared]),
  'metrics.jsonl': (damaged.JSON, [_metrics, _report]),
  'result.json': (damaged.JSON, [_result, _report]),
  'failed.json': (damaged.JSON, [_result, _report]),
  # saved.json is read by nobody: only that it is there counts.
}


def check(folder: pathlib.Path, name: str, examples: int) -> None:
  """Damages a record; whatever reads it uses it, or refuses it in a line."""
  if name == 'failed.json':
    (folder / 'result.json').unlink()
    record = {'run': 'one', 'failed': 'the loss is nan'}
    (folder / name).write_text(digests.dumps(record))
  damages, readers = READERS[name]

  def read():
    refusals = []
    for reader in readers:
      try:
        reader(folder)
      except UserError as error:
        refusals.append(error)
        assert 'config.' in str(error) or str(folder.parent) in str(error)
    if refusals:
      raise refusals[0]

  read()  # Whole, it is used.
  # Fields of a config are named as such.
  names = '' if name == 'config.json' else name
  odd.check_file(folder / name, damages, read, examples, names=names)
