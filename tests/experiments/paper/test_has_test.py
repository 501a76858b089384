"""Experiments show test accuracy: data without a test split are refused."""

import json

from experiments.paper import run as paper_run
from sce_jax import train
from tests.data.reading import told


def test_data_without_a_test_split_are_refused(tmp_path, monkeypatch):
  """After the first runs, or where runs are there already; no page is made."""
  ended = {'dataset': 'own', 'test_accuracy': None, 'test': None}

  def train_many(configs, folders, data_dir):
    for folder in folders:
      folder.mkdir(parents=True)
      (folder / 'result.json').write_text(json.dumps(ended))
    return [ended] * len(configs)

  monkeypatch.setattr(train, 'train_many', train_many)
  for train_missing in (True, False):
    message = told(
      paper_run.run,
      'ablation',
      'digits',
      'tiny',
      tmp_path,
      train_missing=train_missing,
    )
    assert message.startswith(
      "experiments show test accuracy, and data set 'own' has no test split: "
    )
  assert not list(tmp_path.rglob('*.html'))
