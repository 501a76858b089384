"""Hyper-parameters of a config: what is accepted, and what is said if not."""

import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax import losses
from sce_jax.losses import rules
from tests.losses import cases

SL = {'alpha': 0.1, 'beta': 1.0}
NAMES = ', '.join(losses.LOSSES)

BAD = [
  ('sce', {}, f"unknown loss 'sce'; choose from {NAMES}"),
  (
    'ce',
    {'alpha': 1.0},
    "loss 'ce' has no hyper-parameter 'alpha'; remove it (it has: none)",
  ),
  (
    'sl',
    {**SL, 'A': -4.0},
    "loss 'sl' has no hyper-parameter 'A'; remove it "
    '(it has: alpha, beta, log_zero)',
  ),
  (
    'sl',
    {'alpha': 0.1},
    "loss 'sl' needs 'beta'; give it (it has: alpha, beta, log_zero)",
  ),
  (
    'forward',
    {'transition_matrix': None},
    "loss 'forward' needs 'transition_matrix'; give it "
    '(it has: transition_matrix)',
  ),
  ('sl', {**SL, 'alpha': -1}, 'alpha is -1; give a number of at least 0'),
  ('sl', {**SL, 'beta': -0.5}, 'beta is -0.5; give a number of at least 0'),
  ('sl', {**SL, 'alpha': True}, 'alpha is True; give a number of at least 0'),
  ('sl', {**SL, 'alpha': '1'}, "alpha is '1'; give a number of at least 0"),
  ('sl', {**SL, 'alpha': 1j}, 'alpha is 1j; give a number of at least 0'),
  (
    'sl',
    {**SL, 'alpha': [1.0]},
    'alpha is [1.0]; give a number of at least 0',
  ),
  (
    'sl',
    {**SL, 'alpha': float('nan')},
    'alpha is nan; give a number of at least 0',
  ),
  (
    'sl',
    {**SL, 'beta': float('inf')},
    'beta is inf; give a number of at least 0',
  ),
  (
    'sl',
    {'alpha': 0, 'beta': 0.0},
    'alpha and beta are both 0 and leave no loss; give one of them a number '
    'above 0',
  ),
  (
    'rce',
    {'log_zero': 0.0},
    'log_zero is 0.0; give a number below 0 (it stands for log 0)',
  ),
  ('gce', {'q': 0}, 'q is 0; give a number above 0 and at most 1'),
  ('gce', {'q': 1.5}, 'q is 1.5; give a number above 0 and at most 1'),
  (
    'lsr',
    {'smoothing': 1.0},
    'smoothing is 1.0; give a number below 1 (negative: NLS)',
  ),
  (
    'bootstrap_soft',
    {'weight': 1.1},
    'weight is 1.1; give a number from 0 to 1',
  ),
  ('bootstrap_hard', {'weight': -1}, 'weight is -1; give a number from 0 to 1'),
  ('focal', {'gamma': -1.0}, 'gamma is -1.0; give a number of at least 0'),
]


@pytest.mark.parametrize('name, values, message', BAD)
def test_bad_hyper_parameters(name, values, message):
  with pytest.raises(ValueError) as caught:
    losses.check_hyper_parameters(name, values)
  if not message.startswith(('loss', 'unknown')):
    message = f'loss {name!r}: {message}'
  assert str(caught.value) == message


def test_a_long_wrong_value_still_makes_one_line():
  with pytest.raises(ValueError) as caught:
    losses.check_hyper_parameters('gce', {'q': np.ones((40, 40))})
  assert '\n' not in str(caught.value)
  assert len(str(caught.value)) < 150


@pytest.mark.parametrize('name, values', cases.CASES, ids=cases.case_id)
def test_the_values_of_the_tests_are_accepted(name, values):
  losses.check_hyper_parameters(name, values)


@pytest.mark.parametrize(
  'name, values',
  [
    ('sl', {'alpha': 0, 'beta': np.float32(1)}),
    ('sl', {'alpha': jnp.array(0.1), 'beta': jnp.array(2), 'log_zero': None}),
    ('gce', {'q': jnp.bfloat16(0.5)}),
    ('gce', {}),
    ('lsr', {'smoothing': -6}),
  ],
)
def test_other_ways_to_say_a_number_are_accepted(name, values):
  losses.check_hyper_parameters(name, values)


def test_hyper_parameters_lists_defaults_and_what_is_required():
  assert losses.hyper_parameters('ce') == {}
  assert losses.hyper_parameters('gce') == {'q': 0.7}
  assert losses.hyper_parameters('sl') == {
    'alpha': None,
    'beta': None,
    'log_zero': -4.0,
  }
  with pytest.raises(ValueError, match="unknown loss 'sce'"):
    losses.hyper_parameters('sce')


def test_no_rule_is_left_without_a_hyper_parameter():
  used = {
    key for name in losses.LOSSES for key in losses.hyper_parameters(name)
  }
  assert set(rules.RULES) <= used
