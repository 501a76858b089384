"""What tests of exported networks share."""

import csv
import json
import pathlib
import shutil
from typing import NamedTuple

import numpy as np
from sklearn import datasets

from experiments.cli import runtime
from sce_jax.storage import digests

IMAGES = datasets.load_digits().images[:7, ..., None].astype(np.uint8)
# The export convolves and sums in another order than the layout for CPUs, and
# Winograd's transforms add and subtract before they multiply: of float32's 7
# digits five layers lose one or two. A change of the logits, which are of order
# 1 to 10, is a relative change of the probabilities: 5e-6 was seen.
RTOL = 2e-5


class Exported(NamedTuple):
  """A run, its export, and its probabilities of IMAGES."""

  run: pathlib.Path
  folder: pathlib.Path
  expected: np.ndarray

  def copy(self, tmp_path):
    """A copy of the export, to be spoilt."""
    return shutil.copytree(self.folder, tmp_path / 'copy')


def change(folder, **values):
  """Changes fields of model.json."""
  file = folder / 'model.json'
  file.write_text(digests.dumps(json.loads(file.read_text()) | values))


def check(model, expected):
  """Checks probabilities, at several batch sizes."""
  # A network that gives one class to all images would hide a wrong input.
  assert np.ptp(np.log(expected), axis=0).max() > 0.5
  for size in (1, 3, 7):
    found = model.predict_proba(IMAGES[:size])
    assert (found.shape, found.dtype) == ((size, 10), np.float32)
    np.testing.assert_allclose(found, expected[:size], rtol=RTOL)


def content_of(folder):
  """All files below a folder."""
  return {x: x.read_bytes() for x in folder.rglob('*') if x.is_file()}


def launch(*arguments):
  """Runs launch.py in this process; returns its exit code."""
  return runtime.run(['launch.py', *map(str, arguments)])


def table(file):
  """The rows of a CSV file."""
  with open(file, encoding='utf-8') as opened:
    return list(csv.DictReader(opened))
