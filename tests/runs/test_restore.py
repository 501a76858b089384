"""A saved run on a machine whose devices cannot share its batches."""

import jax
import numpy as np
import pytest

from sce_jax import train
from sce_jax.config.check import check_config
from sce_jax.data import dataset as dataset_lib
from sce_jax.engine import metrics
from sce_jax.errors import UserError
from sce_jax.parallel import runners
from sce_jax.runs import restore
from sce_jax.runs.run import TrainingRun
from sce_jax.storage import digests
from tests import synthetic


@pytest.fixture(scope='module')
def saved(small_network, tmp_path_factory):
  """A run of batches of 20 on one device, here are eight; its program."""
  folder = tmp_path_factory.mktemp('run')
  config = synthetic.config()
  config.model.name = 'digits_cnn'
  config.train.batch_size = 20
  trainer, inputs, _ = synthetic.program(
    [config], runner=runners.make_runner('pmap', jax.devices()[:1])
  )
  state = trainer.init(inputs)
  run = TrainingRun.open(check_config(config), folder, synthetic.data())
  run.save(state, 0.0)
  run.close()
  return folder, config, (trainer, state, inputs)


@pytest.fixture(autouse=True)
def loaded(monkeypatch):
  monkeypatch.setattr(
    dataset_lib, 'load_on_all_processes', lambda *_: synthetic.data()
  )


@pytest.mark.faults
def test_it_is_evaluated_and_used(saved):
  folder, _, (trainer, state, inputs) = saved
  images = synthetic.data().test.image
  found, _ = restore.load(folder).predict(images)
  black = np.zeros(images.shape[1:], np.float32)
  logits = trainer.predict(state, images, black).logits
  np.testing.assert_allclose(found, jax.nn.softmax(logits), rtol=1e-5)
  figures = restore.evaluate_run(folder)
  for name, split in (('train_eval', 'train'), ('test', 'test')):
    expected = metrics.summarise(trainer.evaluate(state, inputs, split))
    assert figures[name]['accuracy'] == expected['accuracy']
    # Means of float32 losses, in another order.
    assert figures[name]['loss'] == pytest.approx(expected['loss'], rel=1e-5)


@pytest.mark.faults
def test_it_is_not_trained_further_but_its_result_is_given(saved):
  folder, config, _ = saved
  with pytest.raises(UserError, match='which 8 devices cannot share'):
    train.train_and_evaluate(config, folder)
  result = {'test_accuracy': 0.5, 'test': {}}
  (folder / 'result.json').write_text(digests.dumps(result))
  assert train.train_and_evaluate(config, folder) == result


def test_an_unknown_split_is_refused_before_anything_is_read(tmp_path):
  with pytest.raises(UserError, match="split 'info': give one of train, test"):
    restore.predict_splits(tmp_path, ['train', 'info'])
