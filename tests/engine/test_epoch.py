"""Plans of an epoch, and what the steps of one see."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax import methods
from sce_jax.engine import metrics, plan
from sce_jax.parallel import runners
from tests import synthetic


def make_plan(size=44, **changes):
  values = {
    'epochs': 1,
    'batch_size': 16,
    'drop_remainder': False,
    'balanced_batches': None,
    'steps_per_dispatch': None,
    'runner': 'pmap',
    'record_averages': False,
    'record_margins': False,
  }
  return plan.make_plan(plan.TrainConfig(**(values | changes)), size)


@pytest.mark.parametrize(
  ('changes', 'dispatches', 'remainder'),
  [
    ({}, (2, 1), 12),
    ({'drop_remainder': True}, (2,), 0),
    ({'steps_per_dispatch': 1}, (1, 1, 1), 12),
    ({'size': 48}, (3,), 0),
    ({'size': 80, 'steps_per_dispatch': 2}, (2, 2, 1), 0),
  ],
)
def test_plans_by_hand(changes, dispatches, remainder):
  p = make_plan(**changes)
  assert (p.dispatches, p.remainder_size) == (dispatches, remainder)
  assert p.images == 16 * p.full_steps + remainder


def test_where_dispatches_end():
  p = make_plan()
  assert [p.next_boundary(step) for step in range(6)] == [2, 2, 3, 5, 5, 6]
  made = [p.dispatch(step) for step in (0, 2, 3)]
  assert [d.num_steps for d in made] == [2, 1, 2]
  assert [d.is_partial for d in made] == [False, True, False]
  assert [d.ends_epoch for d in made] == [False, True, False]


class Recorder:
  """Runs epochs and keeps what they give."""

  def __init__(self, **changes):
    config = synthetic.config()
    config.model.name = 'digits_cnn'
    config.model.layout = 'nhwc'
    config.train.update(changes)
    self.trainer, self.inputs, _ = synthetic.program(
      [config], runner=runners.make_runner('pmap', jax.devices()[:1])
    )

  def run(self, num_epochs, state=None, step=0):
    state, (sums, _) = synthetic.run_epochs(
      self.trainer, self.inputs, num_epochs, state, step
    )
    return jax.device_get((state, sums))


@pytest.fixture(scope='module')
def whole():
  return Recorder().run(2)


def test_every_example_is_trained_on_once(whole):
  _, sums = whole
  np.testing.assert_array_equal(
    sums.clean.class_count, np.bincount(synthetic.data().train.clean_label)
  )


def test_the_remainder_is_dropped_only_if_asked_for():
  _, sums = Recorder(drop_remainder=True).run(1)
  assert metrics.summarise(sums)['examples'] == 32


def test_dispatches_of_any_length_give_the_same_bits(whole):
  state, sums = Recorder(steps_per_dispatch=1).run(2)
  jax.tree.map(np.testing.assert_array_equal, (state, sums), whole)


def test_an_epoch_can_be_resumed_in_its_middle(whole):
  recorder = Recorder(steps_per_dispatch=1)
  state = recorder.trainer.init(recorder.inputs)
  for step in range(4):  # The first epoch has three steps.
    state, _ = recorder.trainer.train(state, recorder.inputs, step)
  saved = jax.device_get(state)
  resumed = recorder.run(2, recorder.trainer.device_put(saved), step=4)
  jax.tree.map(np.testing.assert_array_equal, resumed, whole)


def test_seeds_differ():
  recorder = Recorder()
  losses = []
  for seed in (0, 1):
    inputs = recorder.inputs.replace(key=jax.random.key(seed))
    # The same start: only order and augmentation differ.
    state = recorder.trainer.init(recorder.inputs)
    sums, _ = recorder.trainer.train(state, inputs, 0)[1]
    losses.append(float(sums.loss))
  assert losses[0] != losses[1]


def test_a_run_sees_only_its_positions():
  # Every third example; the same as a data set of only these.
  rows = np.arange(0, 44, 3, dtype=np.int32)
  config = synthetic.config()
  config.model.name = 'digits_cnn'
  config.train.batch_size = 8
  dataset = synthetic.data()
  runner = runners.make_runner('pmap', jax.devices()[:1])
  trainer, inputs, (noisy,) = synthetic.program(
    [config], dataset, num_examples=len(rows), runner=runner
  )
  chosen = trainer.make_inputs([0], [noisy[rows]], [inputs.hparams], [rows])
  state, (sums, _) = synthetic.run_epochs(trainer, chosen, 2)
  clean = dataset.train.clean_label[rows]
  np.testing.assert_array_equal(
    sums.clean.class_count, np.bincount(clean, minlength=10)
  )
  assert int(sums.clean.wrong) == (noisy[rows] != clean).sum()
  evaluated = trainer.evaluate(state, chosen, 'train')
  np.testing.assert_array_equal(
    evaluated.clean.class_count, sums.clean.class_count
  )
  # What is left out may be anything.
  dataset.train.image[np.setdiff1d(np.arange(44), rows)] = 0
  trainer.load(dataset)
  again, _ = synthetic.run_epochs(trainer, chosen, 2)
  jax.tree.map(np.testing.assert_array_equal, again.params, state.params)


@pytest.mark.usefixtures('small_network')
def test_each_step_has_its_epoch_its_key_and_augmentations_of_its_own(
  monkeypatch,
):
  """A method that records what it is told in the six steps of two epochs."""
  base = methods.build('ce', {})

  def init(key, num_examples, num_classes):
    return {
      'epoch': jnp.full(6, -1, jnp.int32),
      'key': jnp.zeros((6, 2), jnp.uint32),
      'views': jnp.zeros((6, 2, 16), jnp.int32),
    }

  def loss(apply, params, batch, state, hparams, context):
    losses, aux = base.loss(apply, params, batch, (), hparams, context)
    if context.training:
      views = jnp.stack([batch.image, batch.second_image])
      told = {
        'epoch': context.epoch,
        'key': jax.random.key_data(context.key),
        # Where the bright pixel is.
        'views': jnp.argmax(views.reshape(2, len(batch.label), -1), -1),
      }
      state = {
        name: rows.at[context.step].set(told[name].astype(rows.dtype))
        for name, rows in state.items()
      }
    return losses, aux.replace(state=state)

  probe = base._replace(init=init, loss=loss, two_views=True)
  spec = methods.Spec(lambda: probe, 'a probe', 'probe', {})
  monkeypatch.setitem(methods.SPECS, 'probe', spec)
  config = synthetic.config('probe')
  config.model.name = 'digits_cnn'
  config.data.augment.pad_crop = 2
  # All images are the same, so that views differ by their crops alone.
  dataset = synthetic.data(train=48)
  dataset.train.image[:] = 0
  dataset.train.image[:, 4, 4] = 9
  trainer, inputs, _ = synthetic.program(
    [config],
    dataset,
    runner=runners.make_runner('pmap', jax.devices()[:1]),
  )
  told = jax.device_get(synthetic.run_epochs(trainer, inputs, 2)[0].method)
  np.testing.assert_array_equal(told['epoch'], [0, 0, 0, 1, 1, 1])
  assert len(np.unique(told['key'], axis=0)) == 6
  # Of 25 crops 16 each: that two views of six steps are equal is no chance.
  assert len(np.unique(told['views'].reshape(12, 16), axis=0)) == 12
