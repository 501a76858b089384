"""The input benchmark: what its paths make, its table, its bad input."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import cifar10
from experiments.benchmarks import input as input_benchmark
from experiments.benchmarks import workload
from sce_jax import models
from sce_jax.config import check as config_lib
from sce_jax.data import batches
from sce_jax.data.sources import prepare
from sce_jax.errors import UserError
from tests.experiments.refusals import refusal

IMAGES = 300


def test_rows_agree_with_themselves(data_dir, monkeypatch):
  # Digits' network without its convolutions, which take long to compile.
  network = functools.partial(
    models.cnn.CNN, stages=(), pooled=(), hidden=8, batch_norm=False
  )
  monkeypatch.setitem(models.MODELS, 'digits_cnn', network)
  rows = input_benchmark.measure(
    rounds=1, steps=2, network='digits_cnn', images=IMAGES, data_dir=data_dir
  )
  assert [row['path'] for row in rows] == [
    'record file, tfds random access',
    'on device: gather',
    'on device: gather, crop and flip',
    'on device: gather, shift bilinear and flip',
    'the training step (float32)',
  ]
  share = "share of the step's time"
  for row in rows:
    assert list(row) == ['path', 'examples/s', share]
    assert row['examples/s'] > 0
  # Reading is no part of a step.
  assert rows[0][share] is None
  for row in rows[1:]:
    assert row[share] == pytest.approx(
      rows[-1]['examples/s'] / row['examples/s']
    )


@pytest.mark.parametrize(
  ('path', 'differs'),
  [
    ('on device: gather', False),
    ('on device: gather, crop and flip', True),
    ('on device: gather, shift bilinear and flip', True),
  ],
)
def test_batches_are_those_of_a_shuffled_split(path, differs):
  recipe, augmented = input_benchmark.ON_DEVICE[path]
  config = config_lib.check_config(cifar10.get_config(f'recipe={recipe}'))
  dataset = workload.random_dataset('cifar_cnn', config, IMAGES, 1)
  on_device = batches.to_device_split(dataset.train, dataset.pixel_mean)
  labels = jnp.asarray(dataset.train.label)
  run = input_benchmark.make_batches(config, dataset.info, 3, augmented)
  made = run(on_device, labels, jax.random.key(0))
  assert made.image.shape == (3, input_benchmark.BATCH, 32, 32, 3)
  # 384 examples of 300: each once, then the first again.
  rows = np.asarray(made.position).reshape(-1)
  assert sorted(rows[:IMAGES]) == list(range(IMAGES))
  np.testing.assert_array_equal(rows[IMAGES:], rows[: len(rows) - IMAGES])
  np.testing.assert_array_equal(
    made.label.reshape(-1), dataset.train.label[rows % IMAGES]
  )
  # Without augmentation they are what `take` gives.
  plain = batches.take(
    on_device,
    labels,
    jnp.arange(IMAGES, dtype=jnp.int32),
    made.position[0],
    None,
    batches.Normalization.of(config.data, dataset.info),
  ).image
  assert np.allclose(made.image[0], plain, atol=1e-5) != differs
  # Each batch is sampled again: the same image looks different.
  again = np.asarray(made.image).reshape(-1, 32, 32, 3)
  same = np.allclose(again[IMAGES:], again[: len(rows) - IMAGES], atol=1e-5)
  assert same != differs


def test_digits_that_cannot_be_prepared_are_told_in_a_line(monkeypatch, capsys):
  def fail(name, data_dir):
    raise UserError(f'{name} could not be prepared')

  monkeypatch.setattr(prepare, 'download_and_prepare', fail)
  line = refusal(capsys, input_benchmark.main, '--rounds=1')
  assert line == 'error: digits could not be prepared'


@pytest.mark.parametrize(
  ('flag', 'message'),
  [
    ('--rounds=0', "--rounds: '0' is not a whole number of at least 1"),
    ('--steps=x', "--steps: 'x' is not a whole number of at least 1"),
    ('--step=1', 'unrecognized arguments: --step=1'),
    ('--json=/', '--json=/ cannot be written'),
  ],
)
def test_bad_flags_are_refused(flag, message, capsys):
  assert message in refusal(capsys, input_benchmark.main, flag)
