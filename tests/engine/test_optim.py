"""Schedules against published figures, the chain against hand-worked steps."""

import jax.numpy as jnp
import numpy as np
import pytest

from configs import cifar10, cifar100, mnist, webvision_mini
from sce_jax.config.check import check_config
from sce_jax.engine import optim
from sce_jax.errors import UserError
from sce_jax.train import train_and_evaluate
from tests import synthetic


def rates(config, steps_per_epoch, epochs):
  schedule = optim.make_schedule(
    check_config(config).optim, config.train.epochs, steps_per_epoch
  )
  return [float(schedule(epoch * steps_per_epoch)) for epoch in epochs]


def test_the_authors_rate_on_cifar10():
  # 391 steps an epoch; worked out from their code: a tenth from epochs 41 and
  # 81 (counted from 0), all of it over 1 + 1e-4 * step.
  values = rates(cifar10.get_config('sl'), 391, [0, 40, 41, 80, 81, 119])
  expected = [0.01, 0.0039, 0.00038, 0.00024, 2.4e-5, 1.8e-5]
  np.testing.assert_allclose(values, expected, rtol=0.02)  # Two digits given.


def test_the_authors_rate_on_cifar100():
  values = rates(cifar100.get_config('sl'), 391, [0, 1, 10, 80, 149])
  expected = [0.1, 0.034, 0.0049, 0.00064, 3.4e-6]
  np.testing.assert_allclose(values, expected, rtol=0.02)


def test_time_decay_counts_steps_also_within_an_epoch():
  config = check_config(cifar100.get_config('sl'))
  schedule = optim.make_schedule(config.optim, config.train.epochs, 391)
  # The rate is otherwise held: Keras divides by 1 + 5e-3 * step.
  for step, expected in ((0, 0.1), (1, 0.1 / 1.005), (390, 0.1 / 2.95)):
    assert float(schedule(step)) == pytest.approx(expected, rel=1e-5)


def test_the_authors_rate_on_mnist_is_held_up_to_epoch_10():
  config = mnist.get_config('sl')
  config.optim.time_decay = 0.0
  values = rates(config, 469, [0, 10, 11, 30, 31, 49])
  np.testing.assert_allclose(values, [0.1, 0.1, 0.01, 0.01, 1e-3, 1e-3], 1e-6)


def test_cosine_ends_at_its_final_rate():
  config = mnist.get_config('sl,recipe=apl')
  values = rates(config, 469, [0, 25, 50])
  np.testing.assert_allclose(values, [0.01, 0.0055, 0.001], rtol=1e-5)


def test_webvision_s_rate_falls_after_each_epoch():
  values = rates(webvision_mini.get_config('sl'), 10, [0, 1, 2, 249])
  wanted = [0.4, 0.388, 0.37636, 0.4 * 0.97**249]
  np.testing.assert_allclose(values, wanted, rtol=1e-4)


@pytest.mark.parametrize(
  ('update', 'changes'), [('epoch', False), ('step', True)]
)
def test_the_rate_changes_by_epoch_or_by_step(update, changes):
  config = mnist.get_config('sl,recipe=apl')
  config.optim.update = update
  schedule = optim.make_schedule(check_config(config).optim, 50, 10)
  assert (float(schedule(11)) != float(schedule(10))) == changes
  assert float(schedule(20)) != float(schedule(10))


PARAMS = {
  'fc1': {'kernel': jnp.array([3.0])},
  'head': {'kernel': jnp.array([4.0])},
}
GRADS = {
  'fc1': {'kernel': jnp.array([30.0])},
  'head': {'kernel': jnp.array([40.0])},
}


def updates(steps=1, **changes):
  config = mnist.get_config('sl').optim.to_dict()
  config |= {'learning_rate': 0.1, 'schedule': 'constant', 'momentum': 0.0}
  config |= {'time_decay': 0.0} | changes
  tx = optim.make_optimizer(optim.OptimConfig(**config), 1, 10)
  state = tx.init(PARAMS)
  for _ in range(steps):
    update, state = tx.update(GRADS, state, PARAMS)
  return [float(update[name]['kernel'][0]) for name in ('fc1', 'head')]


@pytest.mark.parametrize(
  ('changes', 'expected'),
  [
    # Plain SGD: minus rate times gradient.
    ({}, [-3.0, -4.0]),
    # Keras's penalty l2 * w^2 has the gradient 2 * l2 * w, on fc1 only.
    ({'l2': 0.5, 'l2_names': '^fc1/'}, [-(30 + 3) / 10, -4.0]),
    # torch's decay adds wd * w.
    ({'weight_decay': 0.5}, [-(30 + 1.5) / 10, -(40 + 2) / 10]),
    # on those that are named.
    (
      {'weight_decay': 0.5, 'weight_decay_names': '^fc1/'},
      [-(30 + 1.5) / 10, -4.0],
    ),
    # (30, 40) has norm 50, clipped to 5: (3, 4). Decay is added after that,
    ({'clip_norm': 5.0, 'weight_decay': 0.5}, [-(3 + 1.5) / 10, -(4 + 2) / 10]),
    # the penalty before: (30 + 90, 40 + 120) has norm 200.
    ({'clip_norm': 5.0, 'l2': 15.0}, [-0.3, -0.4]),
    # Two steps with momentum: v = 0.9 g + g; Nesterov: 0.9 v + g.
    ({'momentum': 0.9, 'steps': 2}, [-3.0 * 1.9, -4.0 * 1.9]),
    (
      {'momentum': 0.9, 'nesterov': True, 'steps': 2},
      [-3.0 * (0.9 * 1.9 + 1), -4.0 * (0.9 * 1.9 + 1)],
    ),
  ],
)
def test_a_step_by_hand(changes, expected):
  np.testing.assert_allclose(updates(**changes), expected, rtol=1e-6)


@pytest.mark.parametrize(
  ('changes', 'complaint'),
  [
    ({'l2': 0.5, 'l2_names': '^fc1/'}, None),
    ({'l2': 0.5, 'l2_names': ''}, None),
    ({'l2': 0.0, 'l2_names': 'nothing'}, None),
    (
      {'l2': 0.5, 'l2_names': 'fc1/bias'},
      "config.optim.l2 is 0.5, but config.optim.l2_names is 'fc1/bias', which"
      ' is found in none of the 2 parameters of the network, such as'
      ' fc1/kernel and head/kernel: give a regular expression that is,'
      " '' for all of them, or l2=0",
    ),
    (
      {'weight_decay': 1e-4, 'weight_decay_names': '^kernel'},
      'config.optim.weight_decay is 0.0001, but'
      " config.optim.weight_decay_names is '^kernel', which is found in none"
      ' of the 2 parameters of the network, such as fc1/kernel and'
      ' head/kernel: give a regular expression that is,'
      " '' for all of them, or weight_decay=0",
    ),
  ],
)
def test_a_penalty_of_no_parameter_is_refused(changes, complaint):
  config = mnist.get_config('sl').optim.to_dict() | changes
  try:
    optim.check_names(optim.OptimConfig(**config), lambda: PARAMS)
  except UserError as error:
    assert str(error) == complaint
  else:
    assert complaint is None


def test_a_run_whose_penalty_applies_to_nothing_is_not_begun(tmp_path):
  config = synthetic.config()
  config.optim.l2, config.optim.l2_names = 0.01, '^dense_7/'
  with pytest.raises(UserError, match=r'config\.optim\.l2 is 0\.01, but'):
    train_and_evaluate(config, tmp_path / 'run', dataset=synthetic.data())
  assert not (tmp_path / 'run').exists()
