"""What is streamed trains and evaluates as what lies on the device."""

import itertools

import jax
import numpy as np
import pytest

from configs import digits
from sce_jax.config import check
from sce_jax.data import dataset as dataset_lib
from sce_jax.data.sources.columns import Columns, Part
from sce_jax.engine import compilation_cache, feed
from sce_jax.errors import UserError
from sce_jax.parallel import runners
from tests import synthetic
from tests.data import jpegs

pytestmark = pytest.mark.usefixtures('small_network')


def make_config(**data):
  config = synthetic.config()
  config.model.name = 'digits_cnn'
  config.model.layout = 'nhwc'
  config.data.augment.flip = True
  config.data.augment.pad_crop = 1
  config.data.update(data)
  return config


def make_program(config, runner='pmap', devices=8, dataset=None):
  runner = runners.make_runner(runner, jax.devices()[:devices])
  trainer, inputs, _ = synthetic.program([config], dataset, runner=runner)
  return trainer, inputs


def figures(trainer, inputs, state=None, step=0):
  """After two epochs: the state, and all that is counted."""
  state, (sums, _) = synthetic.run_epochs(trainer, inputs, 2, state, step)
  # Twice: the second evaluation is not begun anew.
  evaluated = [
    trainer.evaluate(state, inputs, split)
    for split in ('test', 'train', 'test')
  ]
  found = jax.device_get((state, sums, evaluated))
  trainer.close()
  return found


def check_same(found, expected):
  jax.tree.map(np.testing.assert_array_equal, found, expected)


@pytest.mark.parametrize(
  'runner',
  [
    pytest.param('pmap', marks=pytest.mark.landing),
    pytest.param('jit', marks=pytest.mark.slow),
  ],
)
def test_the_same_as_resident_on_eight_devices(runner):
  """44 examples: two batches of 16, and 12 that eight devices share.

  The same order, and the same augmentation. The programs differ, and so may
  float32's rounding; on most networks the bits are the same.
  """
  resident = figures(*make_program(make_config(), runner))
  streamed = figures(*make_program(make_config(feed='stream'), runner))
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
    streamed,
    resident,
  )


@pytest.fixture(scope='module')
def whole():
  return figures(*make_program(make_config(feed='stream'), devices=1))


def test_it_is_resumed_inside_an_epoch(whole):
  config = make_config(feed='stream')
  config.train.steps_per_dispatch = 1
  trainer, inputs = make_program(config, devices=1)
  state = trainer.init(inputs)
  for step in range(4):  # The first epoch has three steps.
    state, _ = trainer.train(state, inputs, step)
  saved = jax.device_get(state)
  trainer.close()
  # Another process, which knows the checkpoint only.
  trainer, inputs = make_program(config, devices=1)
  check_same(figures(trainer, inputs, trainer.device_put(saved), 4), whole)


def test_another_pace_is_the_same_to_the_bit_and_compiles_nothing(whole):
  trainer, inputs = make_program(make_config(feed='stream'), devices=1)
  state, step, compiled = trainer.init(inputs), 0, []
  # Two epochs of two full batches and a partial one.
  for most, then in itertools.pairwise((2, 1, 1, 1, None)):
    state, _ = trainer.train(state, inputs, step, most, then)
    step = trainer.plan.next_boundary(step, most)
    compiled.append(compilation_cache.num_compiled())
  assert step == 5
  # The program of full batches by the first dispatch, the other by the second.
  assert compiled[2:] == compiled[1:2] * 2
  check_same(figures(trainer, inputs, state, step), whole)


def test_many_dispatches_evaluate_every_example_once(whole, monkeypatch):
  # Of one batch of 16 images of 8 x 8 pixels each.
  monkeypatch.setattr(feed, 'DISPATCH_BYTES', 16 * 64)
  trainer, inputs = make_program(make_config(feed='stream'), devices=1)
  assert trainer.plan.dispatches == (1, 1, 1)
  state, sums, evaluated = figures(trainer, inputs)
  expected_state, expected_sums, expected = whole
  check_same((state, sums), (expected_state, expected_sums))
  data = synthetic.data()
  for found, other, split in zip(
    evaluated, expected, (data.test, data.train, data.test), strict=True
  ):
    np.testing.assert_array_equal(
      found.clean.class_count, np.bincount(split.clean_label)
    )
    # Summed in another order: float32's rounding.
    np.testing.assert_allclose(found.loss, other.loss, rtol=1e-6)


def test_several_runs_cannot_share_what_is_streamed():
  with pytest.raises(UserError, match='one run at a time, but 2'):
    synthetic.program([make_config(feed='stream')] * 2)


def test_a_method_that_looks_at_images_on_the_device_is_refused():
  config = make_config(feed='stream')
  config.loss.name = 'd2l'
  with pytest.raises(UserError, match=r'd2l.*use resident'):
    check.check_config(config)


def from_files(folder, **data):
  """Twelve JPEGs of several sizes, whose class is their brightness."""
  rng = np.random.default_rng(0)
  labels = np.arange(12, dtype=np.int32) % 3
  images = [
    np.full((*rng.integers(12, 20, 2), 3), 100 * label, np.uint8)
    for label in labels
  ]
  part = Part(jpegs.write(folder, images), labels, np.arange(12))
  # It wants two crops of each image.
  config = digits.get_config('gjs,clean,0')
  config.data.augment.crop = 'resized'
  config.data.update(
    {
      'source': 'folder',
      'feed': 'stream',
      'image_size': 8,
      'normalization': 'mean_std',
    }
  )
  config.data.mean, config.data.std = (0.4,) * 3, (0.3,) * 3
  config.data.pixel_max = 255.0
  config.train.batch_size = 4
  config.eval.batch_size = 8
  config.data.update(data)
  columns = Columns(part, part, 3)
  checked = check.check_config(config)
  return config, dataset_lib.from_columns(columns, checked.data)


def test_files_are_decoded_cropped_and_learnt(tmp_path):
  config, dataset = from_files(tmp_path)
  assert dataset.info.image_shape == (8, 8, 3)
  config.train.epochs = 20
  trainer, inputs = make_program(config, devices=1, dataset=dataset)
  state, _ = synthetic.run_epochs(trainer, inputs, 20)
  sums = trainer.evaluate(state, inputs, 'test')
  trainer.close()
  assert sums.clean.class_count.tolist() == [4, 4, 4]
  assert int(sums.clean.class_correct.sum()) == 12


@pytest.mark.parametrize(
  ('data', 'message'),
  [
    ({'feed': 'resident'}, 'decoded as they are read: set config.data.feed'),
    ({'normalization': 'pixel_mean'}, 'mean image .* is not known'),
    ({'mean': None}, 'set config.data.mean and config.data.std'),
  ],
)
def test_what_files_cannot_be_used_for(data, message, tmp_path):
  with pytest.raises(UserError, match=message):
    from_files(tmp_path, **data)


def test_what_lies_in_memory_is_not_cropped_on_the_host():
  config = make_config()
  config.data.augment.crop = 'resized'
  with pytest.raises(UserError, match='lies in memory'):
    dataset_lib.from_arrays(
      check.check_config(config).data,
      np.zeros((4, 8, 8, 1), np.uint8),
      [0, 1] * 2,
    )
