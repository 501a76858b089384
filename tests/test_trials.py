"""Runs trained together are the runs trained alone."""

import copy

import jax
import numpy as np
import pytest

from sce_jax import config as config_lib
from sce_jax import errors, parallel, program, trials
from sce_jax.data import load
from tests import synthetic


def configs():
  first = synthetic.config('sl,symmetric,0.4')
  second = copy.deepcopy(first)
  second.seed = 1
  second.noise.rate = 0.6
  second.loss.alpha = 0.5
  return [config_lib.check(c) for c in (first, second)]


def run_epoch(configs, method, monkeypatch):
  monkeypatch.setattr(trials, 'choose_method', lambda _: method)
  data = synthetic.data()
  runner = parallel.make_runner('pmap', jax.devices()[:1])
  p = program.Program(configs[0], data, len(configs), runner)
  own = p.own(
    [c['seed'] for c in configs],
    [load.with_noise(data, c['noise'], c['seed']) for c in configs],
    [config_lib.loss_parameters(c) for c in configs],
  )
  state, step = p.init(own), 0
  while step < p.plan.steps:
    state, _ = p.train(state, own, step)
    step = p.plan.after(step)
  test = p.evaluate(state, own, 'test')
  return jax.device_get(
    [trials.unstack(tree, len(configs)) for tree in (state, test)]
  )


@pytest.fixture(scope='module')
def alone():
  with pytest.MonkeyPatch.context() as patch:
    return [run_epoch([c], 'vmap', patch) for c in configs()]


@pytest.mark.parametrize('method', trials.METHODS)
def test_together_as_alone(method, alone, monkeypatch):
  states, tests = run_epoch(configs(), method, monkeypatch)
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


def test_runs_differ(alone):
  (first,), (second,) = alone[0][0], alone[1][0]
  assert np.any(first.params['fc1']['kernel'] != second.params['fc1']['kernel'])


def test_what_cannot_train_together_is_named():
  first, second = configs()
  second['optim']['momentum'] = 0.5
  with pytest.raises(errors.UserError, match=r'optim.momentum: 0.9 -> 0.5'):
    trials.check_equal_shape([first, second])


def test_another_loss_cannot_train_together():
  first, second = configs()
  second['loss'] = {'name': 'ce'}
  with pytest.raises(errors.UserError, match=r'loss.name: sl -> ce'):
    trials.check_equal_shape([first, second])


def test_a_single_run_has_no_run_axis():
  tree = {'a': np.ones(3)}
  assert trials.stack([tree]) is tree
  assert trials.unstack(tree, 1) == [tree]
