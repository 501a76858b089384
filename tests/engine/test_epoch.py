"""Plans of an epoch, and what the steps of one see."""

import jax
import numpy as np
import pytest

from sce_jax.config import check as config_lib
from sce_jax.data import dataset as dataset_lib
from sce_jax.engine import epoch, metrics, trainer
from tests import synthetic


def plan(size=44, **changes):
  config = {'batch_size': 16, 'last_batch': 'train', 'steps_per_dispatch': None}
  return epoch.make_plan(config | changes, size)


@pytest.mark.parametrize(
  ('changes', 'dispatches', 'remainder'),
  [
    ({}, (2, 1), 12),
    ({'last_batch': 'drop'}, (2,), 0),
    ({'steps_per_dispatch': 1}, (1, 1, 1), 12),
    ({'size': 48}, (3,), 0),
    ({'size': 80, 'steps_per_dispatch': 2}, (2, 2, 1), 0),
  ],
)
def test_plans_by_hand(changes, dispatches, remainder):
  p = plan(**changes)
  assert (p.dispatches, p.remainder_size) == (dispatches, remainder)


def test_where_dispatches_end():
  p = plan()
  assert [p.next_boundary(step) for step in range(6)] == [2, 2, 3, 5, 5, 6]
  assert [p.is_partial(s) for s in range(6)] == [False, False, True] * 2


class Recorder:
  """Runs epochs and keeps what they give."""

  def __init__(self, **changes):
    config = synthetic.config()
    config.model.name = 'digits_cnn'
    config.model.layout = 'nhwc'
    config.train.update(changes)
    self.config = config_lib.check_config(config)
    self.data = synthetic.data()
    runner = trainer.parallel.make_runner('pmap', jax.devices()[:1])
    self.program = trainer.Trainer(self.config, self.data, runner=runner)
    noisy = dataset_lib.apply_label_noise(self.data, self.config['noise'], 0)
    self.own = self.program.own(
      [0], [noisy], [config_lib.loss_parameters(self.config)]
    )

  def run(self, num_epochs, state=None, step=0):
    sums = None
    state = self.program.init(self.own) if state is None else state
    while step < num_epochs * self.program.plan.steps:
      state, sums = self.program.train(state, self.own, step)
      step = self.program.plan.next_boundary(step)
    return jax.device_get((state, sums))


@pytest.fixture(scope='module')
def whole():
  return Recorder().run(2)


def test_every_example_is_trained_on_once(whole):
  _, sums = whole
  np.testing.assert_array_equal(
    sums.class_count, np.bincount(synthetic.data().train.clean_label)
  )


def test_the_last_batch_is_dropped_only_if_asked_for():
  _, sums = Recorder(last_batch='drop').run(1)
  assert metrics.summarise(sums)['examples'] == 32


def test_dispatches_of_any_length_give_the_same_bits(whole):
  state, sums = Recorder(steps_per_dispatch=1).run(2)
  jax.tree.map(np.testing.assert_array_equal, (state, sums), whole)


def test_an_epoch_can_be_taken_up_in_its_middle(whole):
  recorder = Recorder(steps_per_dispatch=1)
  state = recorder.program.init(recorder.own)
  for step in range(4):  # The first epoch has three steps.
    state, _ = recorder.program.train(state, recorder.own, step)
  saved = jax.device_get(state)
  resumed = recorder.run(2, recorder.program.place(saved), step=4)
  jax.tree.map(np.testing.assert_array_equal, resumed, whole)


def test_seeds_differ():
  recorder = Recorder()
  noisy = dataset_lib.apply_label_noise(
    recorder.data, recorder.config['noise'], 0
  )
  parameters = config_lib.loss_parameters(recorder.config)
  losses = []
  for seed in (0, 1):
    own = recorder.program.own([seed], [noisy], [parameters])
    # The same start: only order and augmentation differ.
    state = recorder.program.init(recorder.own)
    losses.append(float(recorder.program.train(state, own, 0)[1].loss))
  assert losses[0] != losses[1]
