"""Runs trained together are the runs trained alone."""

import copy

import jax
import numpy as np
import pytest

from sce_jax import errors
from sce_jax.config import check as config_lib
from sce_jax.data import dataset as dataset_lib
from sce_jax.engine import trainer
from sce_jax.parallel import multirun, runners
from tests import synthetic


def configs():
  first = synthetic.config('sl,symmetric,0.4')
  second = copy.deepcopy(first)
  second.seed = 1
  second.noise.rate = 0.6
  second.loss.alpha = 0.5
  return [config_lib.check_config(c) for c in (first, second)]


ONE_DEVICE = runners.make_runner('pmap', jax.devices()[:1])


def run_epoch(configs, method=None, runner=ONE_DEVICE):
  data = synthetic.data()
  p = trainer.Trainer(configs[0], data, len(configs), runner, method)
  own = p.own(
    [c['seed'] for c in configs],
    [
      dataset_lib.apply_label_noise(data, c['noise'], c['seed'])
      for c in configs
    ],
    [config_lib.loss_parameters(c) for c in configs],
  )
  state, step = p.init(own), 0
  while step < p.plan.steps:
    state, _ = p.train(state, own, step)
    step = p.plan.next_boundary(step)
  test = p.evaluate(state, own, 'test')
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


@pytest.mark.parametrize('method', multirun.STRATEGIES)
def test_together_as_alone(method, alone):
  check_as_alone(*run_epoch(configs(), method), alone)


# A run a device, and two.
@pytest.mark.parametrize(
  'repeats', [1, pytest.param(2, marks=pytest.mark.slow)]
)
def test_spread_over_devices_as_alone(repeats, alone):
  runner = runners.RunParallelRunner(jax.devices()[:2])
  states, tests = run_epoch(configs() * repeats, runner=runner)
  check_as_alone(states, tests, alone * repeats)


def test_spread_runs_exchange_nothing():
  runner = runners.RunParallelRunner(jax.devices()[:2])
  data, (first, second) = synthetic.data(), configs()
  p = trainer.Trainer(first, data, 2, runner)
  own = p.own(
    [0, 1],
    [data.train] * 2,
    [config_lib.loss_parameters(c) for c in (first, second)],
  )
  text = p.lower(p.init(own), own, 0).compile().as_text()
  for collective in ('all-reduce', 'all-gather', 'all-to-all', 'permute'):
    assert collective not in text


@pytest.mark.parametrize(
  ('runs', 'devices', 'spread'),
  [(1, 1, False), (4, 1, False), (1, 2, False), (3, 2, False), (4, 2, True)],
)
def test_when_runs_are_spread(runs, devices, spread):
  assert multirun.use_run_parallel(runs, devices) == spread


def test_runs_differ(alone):
  (first,), (second,) = alone[0][0], alone[1][0]
  assert np.any(first.params['fc1']['kernel'] != second.params['fc1']['kernel'])


def test_what_cannot_train_together_is_named():
  first, second = configs()
  second['optim']['momentum'] = 0.5
  with pytest.raises(errors.UserError, match=r'optim.momentum: 0.9 -> 0.5'):
    config_lib.check_same_program([first, second])


def test_another_loss_cannot_train_together():
  first, second = configs()
  second['loss'] = {'name': 'ce'}
  with pytest.raises(errors.UserError, match=r'loss.name: sl -> ce'):
    config_lib.check_same_program([first, second])


def test_a_single_run_has_no_run_axis():
  tree = {'a': np.ones(3)}
  assert multirun.stack([tree]) is tree
  assert multirun.unstack(tree, 1) == [tree]
