"""Runs trained together are the runs trained alone."""

import copy
import shutil

import jax
import numpy as np
import pytest

from sce_jax import train
from sce_jax.parallel import multirun, runners
from sce_jax.runs import files
from tests import synthetic


def configs():
  first = synthetic.config('sl,symmetric,0.4')
  second = copy.deepcopy(first)
  second.seed = 1
  second.noise.rate = 0.6
  second.loss.alpha = 0.5
  return [first, second]


ONE_DEVICE = runners.make_runner('pmap', jax.devices()[:1])


def run_epoch(configs, strategy=None, runner=ONE_DEVICE):
  p, inputs, _ = synthetic.program(configs, runner=runner, strategy=strategy)
  state, _ = synthetic.run_epochs(p, inputs)
  test = p.evaluate(state, inputs, 'test')
  return jax.device_get(
    [multirun.unstack(tree, len(configs)) for tree in (state, test)]
  )


@pytest.fixture(scope='module')
def alone():
  return [run_epoch([c]) for c in configs()]


def check_as_alone(states, tests, alone):
  for i, ((expected,), (expected_test,)) in enumerate(alone):
    # Batched products add up in another order: float32's rounding, grown over
    # three steps.
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5),
      states[i].params,
      expected.params,
    )
    assert float(tests[i].loss) == pytest.approx(
      float(expected_test.loss), rel=1e-4
    )


@pytest.mark.parametrize(
  'strategy',
  [
    pytest.param(x, marks=[pytest.mark.slow] * (x == 'unrolled'))
    for x in multirun.STRATEGIES
  ],
)
def test_together_as_alone(strategy, alone):
  check_as_alone(*run_epoch(configs(), strategy), alone)


# A run a device, and two.
@pytest.mark.parametrize(
  'repeats',
  [
    pytest.param(1, marks=pytest.mark.landing),
    pytest.param(2, marks=pytest.mark.slow),
  ],
)
def test_spread_over_devices_as_alone(repeats, alone):
  runner = runners.RunParallelRunner(jax.devices()[:2])
  states, tests = run_epoch(configs() * repeats, runner=runner)
  check_as_alone(states, tests, alone * repeats)


@pytest.mark.parametrize(
  ('shape', 'platform', 'faster'),
  [
    # As measured, see experiments/benchmarks/NOTES.md: digits, MNIST and
    # CIFAR-10.
    ((8, 8, 1), 'cpu', 'vmap'),
    ((28, 28, 1), 'cpu', 'map'),
    ((28, 28, 1), 'gpu', 'vmap'),
    ((32, 32, 3), 'gpu', 'map'),
  ],
)
def test_the_faster_way_is_chosen(shape, platform, faster):
  assert multirun.choose_strategy(shape, platform) == faster


def test_run_parallel_exchanges_nothing():
  runner = runners.RunParallelRunner(jax.devices()[:2])
  p, inputs, _ = synthetic.program(configs(), runner=runner)
  text = p.lower(p.init(inputs), inputs, 0).compile().as_text()
  for collective in ('all-reduce', 'all-gather', 'all-to-all', 'permute'):
    assert collective not in text


@pytest.mark.parametrize(
  ('runs', 'devices', 'spread'),
  [(1, 1, False), (4, 1, False), (1, 2, False), (3, 2, False), (4, 2, True)],
)
def test_when_runs_are_spread(runs, devices, spread):
  assert multirun.use_run_parallel(runs, devices) == spread


@pytest.mark.landing
def test_runs_that_are_spread_need_no_batch_that_devices_share(
  small_network, tmp_path
):
  """Also where one is left of those that began together."""
  spread = [synthetic.config() for _ in jax.devices()]
  folders = [tmp_path / str(seed) for seed in range(len(spread))]
  for seed, made in enumerate(spread):
    made.seed, made.model.name, made.train.batch_size = seed, 'digits_cnn', 20
  results = train.train_many(spread, folders, dataset=synthetic.data())
  (folders[2] / 'result.json').unlink()
  shutil.rmtree(files.checkpoints(folders[2]) / '6')
  again = train.train_many(spread, folders, dataset=synthetic.data())
  for result in (results, again):
    del result[2]['train_seconds']
  assert again == results


def test_runs_differ(alone):
  (first,), (second,) = alone[0][0], alone[1][0]
  assert np.any(first.params['fc1']['kernel'] != second.params['fc1']['kernel'])


def test_a_single_run_has_no_run_axis():
  tree = {'a': np.ones(3)}
  assert multirun.stack([tree]) is tree
  assert multirun.unstack(tree, 1) == [tree]
