"""Estimating the transition matrix: by hand, and before a run trains."""

import json

import numpy as np
import pytest

from configs import digits
from sce_jax import noise, train
from sce_jax.methods import transition_estimation
from sce_jax.runs import files, restore

pytestmark = pytest.mark.usefixtures('small_network')

# Four examples, two classes: the surest of class 0 is the second, of class 1
# the third.
P = np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.5, 0.5]], np.float32)


def test_the_surest_examples_are_the_anchors():
  t = transition_estimation.estimate_transition(P, percentile=100)
  # float32 inputs, normalised in float64.
  np.testing.assert_allclose(t, [[0.9, 0.1], [0.2, 0.8]], rtol=1e-6)


def test_a_percentile_passes_over_the_surest():
  # Three steps of 100/3 from the lowest to the highest of four.
  t = transition_estimation.estimate_transition(P, percentile=70)
  np.testing.assert_allclose(t, [[0.6, 0.4], [0.5, 0.5]], rtol=1e-6)
  t = transition_estimation.estimate_transition(P, percentile=0)
  np.testing.assert_allclose(t, [[0.2, 0.8], [0.9, 0.1]], rtol=1e-6)


def test_a_network_that_predicts_the_noise_gives_it_back():
  true = np.array([[0.7, 0.2, 0.1], [0.0, 0.6, 0.4], [0.3, 0.2, 0.5]])
  clean = np.random.default_rng(0).dirichlet(np.full(3, 0.3), 500)
  clean[:3] = np.eye(3)  # Anchor points.
  np.testing.assert_allclose(
    transition_estimation.estimate_transition(clean @ true, 100),
    true,
    atol=1e-12,
  )


def test_what_is_no_probability_is_refused():
  with pytest.raises(ValueError, match='finite probabilities'):
    transition_estimation.estimate_transition(np.full((3, 2), np.nan))
  with pytest.raises(ValueError, match='finite probabilities'):
    transition_estimation.estimate_transition(np.zeros((0, 2)))


def config(**changes):
  c = digits.get_config('forward,symmetric,0.4,tiny')
  with c.unlocked():
    c.loss.transition = 'anchors'
    c.loss.update(changes)
  return c


def test_a_run_trains_a_network_to_estimate_from_first(data_dir, tmp_path):
  folder = tmp_path / 'run'
  result = train.train_and_evaluate(config(), folder, data_dir)
  assert result['loss'] == 'forward'
  first = files.read_config(folder / 'prepare')
  assert first['loss'] == {'name': 'ce'}
  assert (folder / 'prepare' / 'result.json').exists()
  predictions = restore.predict_run(folder / 'prepare', 'train', data_dir)
  np.testing.assert_allclose(
    files.read_prepared(folder)['transition_matrix'],
    transition_estimation.estimate_transition(predictions.probability, 97.0),
  )
  # Trained with it, not with the true one.
  true = train.train_and_evaluate(
    config(transition='true'), tmp_path / 'true', data_dir
  )
  assert true['test']['loss'] != result['test']['loss']
  # It is evaluated with it too, and a finished run is not trained again.
  again = restore.evaluate_run(folder, data_dir)
  assert again['test']['loss'] == pytest.approx(result['test']['loss'])
  before = (folder / 'prepared.json').stat().st_mtime_ns
  train.train_and_evaluate(config(), folder, data_dir)
  assert (folder / 'prepared.json').stat().st_mtime_ns == before


def test_it_trains_beside_one_with_the_true_matrix(data_dir, tmp_path):
  folders = [tmp_path / 'anchors', tmp_path / 'true']
  first, second = train.train_many(
    [config(), config(transition='true')], folders, data_dir
  )
  assert first['test']['loss'] != second['test']['loss']
  true = files.read_prepared(folders[1])['transition_matrix']
  np.testing.assert_allclose(true, noise.symmetric(10, 0.4))
  assert not (folders[1] / 'prepare').exists()


def test_where_that_network_fails_the_run_fails(data_dir, tmp_path):
  c = config()
  c.optim.learning_rate = 1e30
  (result,) = train.train_many([c], [tmp_path / 'run'], data_dir)
  assert 'not finite' in result['failed']
  recorded = json.loads((tmp_path / 'run' / 'failed.json').read_text())
  assert recorded == result


def test_predictions_are_in_the_splits_order(data_dir, tmp_path):
  folder = tmp_path / 'run'
  result = train.train_and_evaluate(
    digits.get_config('ce,symmetric,0.4,tiny'), folder, data_dir
  )
  for name, split in (('test', 'test'), ('train', 'train_eval')):
    predictions = restore.predict_run(folder, name, data_dir)
    labels = predictions.split
    right = predictions.probability.argmax(1) == labels.clean_label
    assert right.mean() == result[split]['accuracy']
    assert predictions.hidden.shape == (40, 16)
    np.testing.assert_allclose(predictions.probability.sum(1), 1, rtol=1e-6)
  assert (labels.label != labels.clean_label).mean() > 0.3
