"""A share of the noisy examples is chosen by, and not trained on."""

import numpy as np
import pytest

from sce_jax import audit, train
from sce_jax.config.check import check_config
from sce_jax.data import held_out, labels
from sce_jax.runs import files, restore
from tests import synthetic
from tests.data.reading import told


def test_which_examples_depends_on_their_ids_alone():
  ids = np.arange(1000, 1200)
  rows = held_out.validation_rows(ids, 0.25)
  assert len(rows) == 50 and (np.diff(rows) > 0).all()
  order = np.random.default_rng(0).permutation(200)
  moved = held_out.validation_rows(ids[order], 0.25)
  assert set(ids[order][moved]) == set(ids[rows])
  # More are those and others.
  assert set(rows) < set(held_out.validation_rows(ids, 0.5))
  assert len(held_out.validation_rows(ids, 0.0)) == 0
  assert 'are 0: leave some' in told(held_out.validation_rows, ids, 0.001)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  """Two runs that share a program, and their data."""
  configs = []
  for seed in (0, 1):
    config = synthetic.config()
    config.data.validation = 0.25
    config.seed = seed
    configs.append(config)
  folder = tmp_path_factory.mktemp('validation')
  folders = [folder / 'a', folder / 'b']
  data = synthetic.data()
  results = train.train_many(configs, folders, dataset=data)
  return data, configs, folders, results


@pytest.mark.landing
def test_they_are_not_trained_on_and_as_noisy(trained):
  data, configs, folders, _ = trained
  chosen = []
  for config, folder in zip(configs, folders, strict=True):
    own, _ = files.read_labels(folder)
    ids, noisy = files.read_validation(folder)
    assert len(ids) == 11
    assert sorted([*own, *ids]) == sorted(data.train.example_id)
    checked = check_config(config)
    drawn = labels.apply_label_noise(data, checked.noise, checked.seed).labels
    rows = np.searchsorted(data.train.example_id, ids)
    np.testing.assert_array_equal(noisy, drawn[rows])
    assert (noisy != data.train.label[rows]).any()
    chosen.append(ids)
  np.testing.assert_array_equal(*chosen)


@pytest.mark.landing
def test_figures_are_of_noisy_labels_alone(trained, monkeypatch):
  data, _, folders, results = trained
  monkeypatch.setattr(restore, '_data', lambda *_: data)
  for folder, result in zip(folders, results, strict=True):
    found = result['validation']
    assert set(found) == {'loss', 'accuracy_noisy', 'examples'}
    assert found['examples'] == 11
    # The test split stays as it is.
    assert result['test']['examples'] == 30
    made = restore.predict_run(folder, 'validation')
    ids, noisy = files.read_validation(folder)
    np.testing.assert_array_equal(made.split.example_id, ids)
    np.testing.assert_array_equal(made.split.label, noisy)
    right = made.probability.argmax(1) == noisy
    assert found['accuracy_noisy'] == pytest.approx(right.mean())
    again = restore.evaluate_run(folder)['validation']
    assert again == pytest.approx(found)
    assert files.read_metrics(folder)[-1]['validation'] == found


@pytest.mark.landing
def test_other_examples_are_refused(trained):
  data, configs, folders, _ = trained
  config = configs[0].copy_and_resolve_references()
  config.data.validation = 0.5
  message = told(train.train_many, [config], [folders[0]], dataset=data)
  assert 'data.validation' in message


def test_no_examples_are_set_apart_of_given_ones(tmp_path):
  """As of an audit's folds, which would leave the field without effect."""
  config = synthetic.config()
  config.data.validation = 0.25
  rows, folder = np.arange(20), tmp_path / 'run'
  message = told(
    train.train_many, [config], [folder], None, [rows], synthetic.data()
  )
  assert message.startswith('config.data.validation=0.25 sets examples apart')
  message = told(audit.audit, config, folder, None, 2, synthetic.data())
  assert message.startswith('config.data.validation=0.25 sets examples apart')
  assert not folder.exists()
