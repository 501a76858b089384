"""Estimating the transition matrix before a run trains."""

import numpy as np
import pytest

from configs import digits
from sce_jax import noise, train
from sce_jax.errors import UserError
from sce_jax.methods import PrepareContext, forward
from sce_jax.noise import estimation
from sce_jax.runs import files, restore
from tests.faults import inject

pytestmark = pytest.mark.usefixtures('small_network')


def config(**changes):
  c = digits.get_config('forward,symmetric,0.4,tiny')
  with c.unlocked():
    c.loss.transition = 'anchors'
    c.loss.update(changes)
  return c


@pytest.mark.landing
def test_a_run_trains_a_network_to_estimate_from_first(
  data_dir, tmp_path, capsys
):
  folder = tmp_path / 'run'
  result = train.train_and_evaluate(config(), folder, data_dir)
  assert result['loss'] == 'forward'
  first = files.read_config(folder / 'prepare')
  assert first['loss'] == {'name': 'ce'}
  assert (folder / 'prepare' / 'result.json').exists()
  predictions = restore.predict_run(folder / 'prepare', 'train', data_dir)
  np.testing.assert_allclose(
    files.read_prepared(folder)['transition_matrix'],
    estimation.anchors(predictions.probability, 97.0),
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
  # Damaged, it is made again, from the network that was trained for it.
  content = (folder / 'prepared.json').read_bytes()
  inject.damage(folder / 'prepared.json', 'flipped bit')
  (folder / 'result.json').unlink()
  capsys.readouterr()
  assert (
    train.train_and_evaluate(config(), folder, data_dir)['test']
    == (result['test'])
  )
  assert (folder / 'prepared.json').read_bytes() == content
  said = capsys.readouterr().out
  assert f'{folder / "prepared.json"} is damaged' in said
  assert 'it is made again' in said


@pytest.mark.slow  # Each estimator trains a network first.
def test_every_estimator_trains_beside_the_true_matrix(data_dir, tmp_path):
  kinds = ('true', *estimation.ESTIMATORS)
  folders = [tmp_path / kind for kind in kinds]
  configs = [config(transition=kind, fit_share=0.5) for kind in kinds]
  results = train.train_many(configs, folders, data_dir)
  assert len({result['test']['loss'] for result in results}) == len(kinds)
  true = files.read_prepared(folders[0])['transition_matrix']
  np.testing.assert_allclose(true, noise.symmetric(10, 0.4))
  assert not (folders[0] / 'prepare').exists()
  for kind, folder in list(zip(kinds, folders, strict=True))[1:]:
    # Half of two epochs.
    assert files.read_config(folder / 'prepare')['train']['epochs'] == 1
    found = restore.predict_run(folder / 'prepare', 'train', data_dir)
    evidence = estimation.Evidence(
      found.probability, found.split.label, found.hidden
    )
    np.testing.assert_allclose(
      files.read_prepared(folder)['transition_matrix'],
      estimation.ESTIMATORS[kind](evidence, 97.0),
      atol=1e-6,
    )


def test_an_estimate_without_a_class_is_refused():
  labels = np.array([0, 1, 0])  # None is of class 2, which is predicted.
  probability = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
  evidence = estimation.Evidence(probability, labels, probability)
  hparams = {'transition': 'dual_t', 'percentile': 97.0, 'fit_share': 1.0}
  with pytest.raises(UserError, match=r'no example has the label 2.* anchors'):
    forward.prepare(
      lambda *_: [evidence], [PrepareContext(hparams, transition=None)]
    )


def test_each_run_has_a_percentile_of_its_own():
  # As in noise/test_estimation.py, by hand.
  p = np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
  evidence = estimation.Evidence(p, np.array([0, 0, 1, 1]), p)
  contexts = [
    PrepareContext(
      {'transition': 'anchors', 'percentile': percentile, 'fit_share': 1.0},
      transition=None,
    )
    for percentile in (100.0, 70.0)
  ]
  made = forward.prepare(lambda *_: [evidence] * 2, contexts)
  np.testing.assert_allclose(
    [one['transition_matrix'] for one in made],
    [[[0.9, 0.1], [0.2, 0.8]], [[0.6, 0.4], [0.5, 0.5]]],
  )


def test_where_that_network_fails_the_run_fails(data_dir, tmp_path):
  c = config()
  c.optim.learning_rate = 1e30
  (result,) = train.train_many([c], [tmp_path / 'run'], data_dir)
  assert 'not finite' in result['failed']
  recorded = files.read_result(tmp_path / 'run')
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
