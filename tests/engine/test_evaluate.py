"""Evaluation counts every example once, whatever batches and devices."""

import jax
import numpy as np
import pytest

from sce_jax import losses, models
from sce_jax.config.check import check_config
from sce_jax.engine import metrics
from sce_jax.parallel import runners
from tests import synthetic


def evaluate(batch_size, num_devices, name='pmap'):
  config = synthetic.config()
  config.eval.batch_size = batch_size
  p, inputs, (noisy,) = synthetic.program(
    [config], runner=runners.make_runner(name, jax.devices()[:num_devices])
  )
  state = p.init(inputs)
  sums = jax.device_get(p.evaluate(state, inputs, 'train'))
  config = check_config(config)
  return metrics.summarise(sums), jax.device_get(state), noisy, config


@pytest.fixture(scope='module')
def expected():
  """Figures counted in NumPy from the logits of all examples at once."""
  _, state, given, config = evaluate(44, 1)
  train = synthetic.data().train
  state = jax.tree.map(jax.numpy.asarray, state)
  model = models.build(config.model, 10, platform='cpu')
  images = jax.numpy.asarray(train.image, jax.numpy.float32) / 16
  logits = np.asarray(
    model.apply(
      {'params': state.params, 'batch_stats': state.batch_stats}, images
    )
  )
  values = [
    float(losses.symmetric_cross_entropy(z, y, **config.loss.hparams))
    for z, y in zip(
      jax.numpy.asarray(logits), jax.numpy.asarray(given), strict=True
    )
  ]
  predicted = logits.argmax(-1)
  clean = train.clean_label
  wrong = given != clean
  p = np.exp(logits - logits.max(-1, keepdims=True), dtype=np.float64)
  p /= p.sum(-1, keepdims=True)

  def means(label, which):
    own = p[np.arange(44), label]
    groups = [own[which & (clean == k)] for k in range(10)]
    return [x.mean() if len(x) else np.nan for x in groups]

  return {
    'loss': np.mean(values),
    'accuracy': np.mean(predicted == clean),
    'accuracy_noisy': np.mean(predicted == given),
    'memorised': np.mean((predicted == given)[wrong]),
    'class_accuracy': [
      np.mean((predicted == clean)[clean == k]) for k in range(10)
    ],
    'examples': 44,
    'class_confidence': {
      'right': means(clean, ~wrong),
      'wrong_clean': means(clean, wrong),
      'wrong_given': means(given, wrong),
    },
  }


@pytest.mark.parametrize(
  ('batch_size', 'num_devices', 'name'),
  [
    (44, 1, 'pmap'),
    (7, 1, 'pmap'),
    (500, 1, 'jit'),
    (16, 8, 'pmap'),
    (3, 8, 'jit'),
  ],
)
def test_figures_do_not_depend_on_batches(
  batch_size, num_devices, name, expected
):
  figures, *_ = evaluate(batch_size, num_devices, name)
  # The mean of 44 float32 losses; the counts are exact.
  assert figures.pop('loss') == pytest.approx(expected['loss'], rel=1e-5)
  confidence = figures.pop('class_confidence')
  assert figures == {
    k: v for k, v in expected.items() if k not in ('loss', 'class_confidence')
  }
  for name, values in expected['class_confidence'].items():
    # Means of a few float32 softmax outputs; None where a class has none.
    np.testing.assert_allclose(
      np.array(confidence[name], float), values, rtol=1e-5
    )


def test_without_clean_labels_nothing_is_counted_against_them():
  dataset = synthetic.data(clean_labels=False, test=0)
  config = synthetic.config('ce,clean,0')
  p, inputs, _ = synthetic.program([config], dataset)
  state, (sums, _) = synthetic.run_epochs(p, inputs)
  for counted in (sums, p.evaluate(state, inputs, 'train')):
    figures = metrics.summarise(counted)
    assert set(figures) == {'loss', 'accuracy_noisy', 'examples'}
    assert figures['examples'] == 44
  assert p.evaluated == ()
