"""pmap == jit == one device, for training, gradients and evaluation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax.engine import metrics
from sce_jax.parallel import runners
from tests import synthetic

RUNNERS = [('pmap', 1), ('jit', 1), ('pmap', 8), ('jit', 8)]


def make_program(name, num_devices, config=None):
  runner = runners.make_runner(name, jax.devices()[:num_devices])
  p, inputs, _ = synthetic.program(
    [config or synthetic.config()], runner=runner
  )
  return p, inputs


def run_epoch(name, num_devices, config=None):
  p, inputs = make_program(name, num_devices, config)
  state, (sums, _) = synthetic.run_epochs(p, inputs)
  test = p.evaluate(state, inputs, 'test')
  return jax.device_get((state, sums, test))


@pytest.fixture(scope='module')
def augmented():
  config = synthetic.config()
  config.data.augment.flip = True
  config.data.augment.pad_crop = 1
  return config


@pytest.fixture(scope='module')
def reference(augmented):
  """An epoch on one device by pmap: 44 examples, two batches and a 12."""
  return run_epoch(*RUNNERS[0], augmented)


@pytest.mark.parametrize(
  ('name', 'num_devices'),
  [*RUNNERS[1:3], pytest.param(*RUNNERS[3], marks=pytest.mark.landing)],
)
def test_an_epoch_is_the_same(name, num_devices, augmented, reference):
  state, sums, test = run_epoch(name, num_devices, augmented)
  expected_state, expected_sums, expected_test = reference
  # Summed in another order: float32's rounding, grown over three steps.
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5),
    (state.params, state.batch_stats),
    (expected_state.params, expected_state.batch_stats),
  )
  assert state.step == expected_state.step == 3
  assert metrics.summarise(sums)['loss'] == pytest.approx(
    metrics.summarise(expected_sums)['loss'], rel=1e-4
  )
  np.testing.assert_array_equal(
    sums.clean.class_count, expected_sums.clean.class_count
  )
  np.testing.assert_array_equal(
    test.clean.class_count, expected_test.clean.class_count
  )


def gradients(name, num_devices):
  """The gradient of the first batch: one step of SGD with learning rate 1."""
  config = synthetic.config()
  config.optim.learning_rate = 1.0
  config.optim.momentum = 0.0
  config.train.steps_per_dispatch = 1
  p, inputs = make_program(name, num_devices, config)
  before = jax.device_get(p.init(inputs).params)
  after = jax.device_get(p.train(p.init(inputs), inputs, 0)[0].params)
  return jax.tree.map(lambda a, b: a - b, before, after)


@pytest.fixture(scope='module')
def reference_gradients():
  return gradients(*RUNNERS[0])


@pytest.mark.parametrize(('name', 'num_devices'), RUNNERS[1:])
def test_gradients_are_the_same(name, num_devices, reference_gradients):
  def check(gradient, expected):
    # float32 has 7 digits, of which the sums over 16 examples may lose two; a
    # bias before batch norm has gradient 0, up to the rounding of its terms.
    np.testing.assert_allclose(
      gradient, expected, rtol=0, atol=1e-5 * np.abs(expected).max() + 1e-6
    )

  jax.tree.map(check, gradients(name, num_devices), reference_gradients)


def test_results_are_whole_on_every_device():
  p, inputs = make_program('pmap', 8)
  state, _ = p.train(p.init(inputs), inputs, 0)
  leaves = jax.tree.leaves(state)
  assert all(leaf.is_fully_replicated for leaf in leaves)
  assert {len(leaf.sharding.device_set) for leaf in leaves} == {8}
  assert all(leaf.shape == () for leaf in [state.step, state.sums.loss])


@pytest.mark.parametrize('name', list(runners.RUNNERS))
def test_the_state_is_donated(name):
  p, inputs = make_program(name, 8)
  state = p.init(inputs)
  kernel = state.params['conv1']['kernel']
  p.train(state, inputs, 0)
  assert kernel.is_deleted()


@pytest.mark.parametrize('name', list(runners.RUNNERS))
def test_shards_cover_the_batch(name):
  runner = runners.make_runner(name)
  x = np.arange(16, dtype=np.int32)

  def squares(state, inputs, x):
    del state, inputs
    return runner.psum((runner.shard(x) ** 2).sum())

  compiled = runner.compile(squares)
  assert compiled((), (), runner.place(x)) == (x**2).sum()


@pytest.mark.parametrize('name', list(runners.RUNNERS))
def test_a_gathered_batch_is_whole_and_in_order(name):
  runner = runners.make_runner(name)
  x = np.arange(48, dtype=np.int32).reshape(16, 3)

  def doubled(state, inputs, x):
    del state, inputs
    return runner.gather(2 * runner.shard(jnp.asarray(x)))

  whole = runner.compile(doubled)((), (), runner.place(x))
  np.testing.assert_array_equal(whole, 2 * x)


@pytest.mark.parametrize('name', list(runners.RUNNERS))
def test_no_transfers_after_placing(name):
  p, inputs = make_program(name, 8)
  state, _ = p.train(p.init(inputs), inputs, 0)
  state, _ = p.train(state, inputs, 2)
  sums = p.evaluate(state, inputs, 'train')
  with jax.transfer_guard('disallow'):
    state, _ = p.train(state, inputs, 0)
    state, _ = p.train(state, inputs, 2)
    sums = p.evaluate(state, inputs, 'train')
  assert int(sums.clean.class_count.sum()) == 44
