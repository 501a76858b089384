"""The figures of finished runs as a table: results.csv. Needs no jax."""

import csv
import io
import os
from typing import Any

from sce_jax.storage import paths

_FIELDS = (
  'run',
  'dataset',
  'loss',
  'noise',
  'noise_rate',
  'realised_rate',
  'seed',
  'epochs',
  'test_accuracy',
  'noisy_test',
  'memorised',
  'train_seconds',
  'init_from',
  'init_sha256',
)


def write(
  folder: str | os.PathLike, results: list[dict[str, Any]]
) -> paths.Path:
  """Writes results.csv, a line a finished run.

  Its column noisy_test says whether part of the test labels may be wrong.
  """
  text = io.StringIO()
  table = csv.DictWriter(
    text, _FIELDS, extrasaction='ignore', lineterminator='\n'
  )
  table.writeheader()
  table.writerows({'noisy_test': False} | result for result in results)
  path = paths.path(folder) / 'results.csv'
  paths.write(path, text.getvalue())
  return path
