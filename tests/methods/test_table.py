"""The table of methods, and what is said of a config's hyper-parameters."""

import inspect
import re
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax import losses
from sce_jax.config import published
from sce_jax.errors import UserError
from sce_jax.methods import loss_rows, presets, table
from tests.losses import cases

SL = {'alpha': 0.1, 'beta': 1.0}
NAMES = ', '.join(table.SPECS)
# What has no default, by method; of published combinations as published.
NEEDED = {
  **published.presets('cifar10', 'symmetric', 0.4),
  'sl': SL,
  'co_teaching': {'forget_rate': 0.2},
  'nls': {'smoothing': -1.0},
}

every_method = pytest.mark.parametrize('name', table.SPECS)


def refusal(name, values):
  """The line that refuses the hyper-parameters of a config."""
  with pytest.raises(UserError) as caught:
    table.complete(name, values)
  assert '\n' not in str(caught.value)
  return str(caught.value)


BAD = [
  (
    'sce',
    {},
    f"config.loss.name is 'sce' (is sgce meant?): it must be one of {NAMES}",
  ),
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
  # A run is told which matrix to take, not the matrix.
  (
    'forward',
    {'transition_matrix': np.eye(3)},
    "loss 'forward' has no hyper-parameter 'transition_matrix'; remove it "
    '(it has: transition, percentile, fit_share)',
  ),
  (
    'sl',
    {'alpha': 0.1},
    "loss 'sl' needs 'beta'; give it (it has: alpha, beta, log_zero)",
  ),
  (
    'co_teaching',
    {'forget_rate': None},
    "loss 'co_teaching' needs 'forget_rate', the share of wrong labels; give it"
    ' (it has: forget_rate, warm_up)',
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
    'alpha is nan; give a number that is finite and of at least 0',
  ),
  (
    'sl',
    {**SL, 'beta': float('inf')},
    'beta is inf; give a number that is finite and of at least 0',
  ),
  (
    'sl',
    {'alpha': 0, 'beta': 0.0},
    'alpha and beta are 0 and leave no loss; give one of them a number above 0',
  ),
  (
    'sl_annealed',
    {'alpha': 0, 'beta': 0, 'alpha_end': 0},
    'alpha and beta and alpha_end are 0 and leave no loss; give one of them a'
    ' number above 0',
  ),
  # The program takes it for 0.
  (
    'sl',
    {'alpha': 1e-45, 'beta': 0},
    'alpha and beta are 0 and leave no loss; give one of them a number above 0',
  ),
  (
    'sl',
    {**SL, 'log_zero': 4},
    'log_zero is 4; give a number below 0 (it stands for log 0)',
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
  ('d2l', {'weight': 1.5}, 'weight is 1.5; give a number from 0 to 1'),
  (
    'd2l',
    {'neighbours': 0},
    'neighbours is 0; give a whole number of at least 1',
  ),
  ('d2l', {'window': 0}, 'window is 0; give a whole number of at least 1'),
  ('d2l', {'warm_up': -1}, 'warm_up is -1; give a whole number of at least 0'),
  (
    'forward',
    {'transition': 'anchor'},
    "transition is 'anchor'; give one of true, anchors, dual_t, confident, hoc",
  ),
  (
    'forward',
    {'fit_share': 0},
    'fit_share is 0; give a number above 0 and at most 1',
  ),
  (
    'backward',
    {'percentile': 100.5},
    'percentile is 100.5; give a number from 0 to 100',
  ),
  ('focal', {'gamma': -1.0}, 'gamma is -1.0; give a number of at least 0'),
  (
    'nnce',
    {'p_min': 0.1},
    'p_min is 0.1; give a number above 0 and at most 1e-4',
  ),
  ('agce', {'a': 0}, 'a is 0; give a number above 0'),
  ('aul', {'a': 1}, 'a is 1; give a number above 1'),
  ('amse', {'a': 0.5}, 'a is 0.5; give a number of at least 1'),
  ('phuber', {'tau': 0.5}, 'tau is 0.5; give a number of at least 1'),
  ('bi_tempered', {'t1': 1.1}, 't1 is 1.1; give a number from 0 to 1'),
  ('bi_tempered', {'t2': 0.9}, 't2 is 0.9; give a number from 1 to 2'),
  ('js', {'weight': 1.0}, 'weight is 1.0; give a number above 0 and below 1'),
  ('ldr_kl', {'temperature': 0}, 'temperature is 0; give a number above 0'),
  ('dal', {'q_end': 1}, 'q_end is 1; give a number above 1'),
  ('elr', {'strength': -3}, 'strength is -3; give a number of at least 0'),
  ('elr', {'decay': 1.0}, 'decay is 1.0; give a number in [0, 1)'),
  (
    'co_teaching',
    {'forget_rate': 1},
    'forget_rate is 1; give a number in [0, 1)',
  ),
  (
    'co_teaching',
    {'forget_rate': 0.4, 'warm_up': 0},
    'warm_up is 0; give a whole number of at least 1',
  ),
  (
    'jocor',
    {'forget_rate': 0.4, 'weight': 2},
    'weight is 2; give a number from 0 to 1',
  ),
  ('sat', {'decay': 1.0}, 'decay is 1.0; give a number in [0, 1)'),
  ('sat', {'start': 1.5}, 'start is 1.5; give a number from 0 to 1'),
  ('cores2', {'strength': -1}, 'strength is -1; give a number of at least 0'),
  ('cores2', {'sieve': 31}, 'sieve is 31; give a number from 0 to 1'),
  (
    'peer',
    {'schedule': 'uniform'},
    "schedule is 'uniform'; give one of cifar10_uniform, cifar10_sparse, "
    'cifar100_uniform, cifar100_sparse',
  ),
  (
    'gmm_selection',
    {'threshold': 1},
    'threshold is 1; give a number above 0 and below 1',
  ),
  ('sop', {'rate_v': -1}, 'rate_v is -1; give a number of at least 0'),
  (
    'vol_min_net',
    {'optimizer': 'lbfgs'},
    "optimizer is 'lbfgs'; give one of sgd, adam",
  ),
  (
    'vol_min_net',
    {'factor': 2},
    'factor is 2; give a number from 0 to 1',
  ),
  ('t_revision', {'rate': -1}, 'rate is -1; give a number of at least 0'),
  ('t_revision', {'start': 5}, 'start is 5; give a number from 0 to 1'),
  (
    't_revision',
    {'start': 0.9, 'revision': 0.1},
    'revision is 0.1 and start 0.9; give a revision of at least that',
  ),
  ('vol_min_net', {'init': -20}, 'init is -20; give a number from -10 to 30'),
]


@pytest.mark.parametrize('name, values, message', BAD)
def test_bad_hyper_parameters(name, values, message):
  if not message.startswith(('loss', 'config')):
    message = f'loss {name!r}: {message}'
  assert refusal(name, values) == message


@every_method
def test_an_unknown_hyper_parameter_is_refused(name):
  said = refusal(name, NEEDED.get(name, {}) | {'gama': 1.0})
  assert said.startswith(f"loss {name!r} has no hyper-parameter 'gama'")


# Any of them once could be given to a method that never looked at it.
OWN = {
  'window': ({'d2l'}, 7),
  'warm_up': ({'d2l', 'co_teaching'}, 3),
  'neighbours': ({'d2l'}, 9),
  'percentile': ({'forward', 'backward', 't_revision'}, 50.0),
  'transition': ({'forward', 'backward', 't_revision'}, 'anchors'),
}


@pytest.mark.parametrize('key', OWN)
@every_method
def test_no_hyper_parameter_is_silently_dropped(name, key):
  owners, value = OWN[key]
  given = NEEDED.get(name, {}) | {key: value}
  if key in table.SPECS[name].hparams:
    assert table.complete(name, given)[key] == value
  else:
    assert name not in owners
    said = refusal(name, given)
    assert said.startswith(f'loss {name!r} has no hyper-parameter {key!r};')


@pytest.mark.parametrize('value', [2.5, 3.0, '3', True])
@pytest.mark.parametrize(
  'name, key',
  [
    ('d2l', 'window'),
    ('d2l', 'neighbours'),
    ('d2l', 'warm_up'),
    ('co_teaching', 'warm_up'),
  ],
)
def test_a_whole_number_is_nothing_like_a_number(name, key, value):
  said = refusal(name, NEEDED.get(name, {}) | {key: value})
  assert said.startswith(f'loss {name!r}: {key} is {value!r}; give a whole')


def test_a_long_wrong_value_still_makes_one_line():
  assert len(refusal('gce', {'q': np.ones((40, 40))})) < 150


@pytest.mark.parametrize('name, values', cases.CASES, ids=cases.case_id)
def test_the_values_of_the_losses_tests_are_accepted(name, values):
  table.check(name, values)


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
  completed = table.complete(name, values)
  assert {k: v for k, v in values.items() if v is not None}.items() <= (
    completed.items()
  )


def test_what_a_config_leaves_out_is_added():
  assert table.complete('ce', {}) == {}
  assert table.complete('gce', {}) == {'q': 0.7}
  assert table.complete('sl', SL) == {**SL, 'log_zero': -4.0}
  assert table.complete('d2l', {'window': 7}) == {
    'weight': 1.0,
    'neighbours': 20,
    'window': 7,
    'warm_up': 5,
  }
  # The matrix is not among them: a run computes it.
  assert table.complete('forward', {}) == {
    'transition': 'true',
    'percentile': 97.0,
    'fit_share': 1.0,
  }


def test_none_counts_as_left_out():
  assert table.complete('gce', {'q': None}) == {'q': 0.7}
  assert table.complete('ce', {'window': None}) == {}
  assert "needs 'alpha'" in refusal('sl', {**SL, 'alpha': None})


def test_what_is_given_is_not_changed():
  given = {**SL, 'log_zero': None}
  table.complete('sl', given)
  assert given == {**SL, 'log_zero': None}


@every_method
def test_defaults_follow_their_own_rules(name):
  for key, hparam in table.SPECS[name].hparams.items():
    if hparam.default is not None:
      assert hparam.rule(hparam.default) is None, key
  completed = table.complete(name, NEEDED.get(name, {}))
  assert None not in completed.values()
  own = table.SPECS[name].hparams.items()
  assert list(completed) == [k for k, h in own if h.kind != 'computed']


def test_the_rows_of_losses_are_where_their_package_says():
  found = {getattr(losses, name) for name in losses.__all__}
  there = {spec.loss for spec in loss_rows.ROWS.values()}
  assert {x for x in found if inspect.isfunction(x)} - there == {
    losses.forward_correction,
    losses.backward_correction,
  }


def test_an_alpha_that_starts_at_0_makes_a_loss_where_it_ends():
  values = {'alpha': 0, 'beta': 0, 'alpha_end': 0.1}
  assert table.complete('sl_annealed', values).items() >= values.items()


@every_method
def test_every_method_has_what_tables_and_texts_say_of_it(name):
  spec = table.SPECS[name]
  assert spec.title and spec.short
  assert '\n' not in spec.title + spec.short + spec.tolerant
  # A loss has a formula; a method is more than that.
  assert bool(spec.loss) == bool(spec.formula) == bool(spec.bound)
  # Cross entropy is what the others are compared with, and is older than arXiv.
  assert bool(spec.paper) == (name != 'ce')
  assert set(spec.positive) <= set(spec.hparams)


@every_method
def test_the_paper_is_the_one_that_the_code_cites(name):
  spec = table.SPECS[name]
  if re.fullmatch(r'\d{4}\.\d{4,5}', spec.paper):
    source = spec.loss or inspect.getmodule(spec.make)
    assert spec.paper in source.__doc__ + presets.__doc__


def test_no_two_methods_have_one_name():
  specs = table.SPECS.values()
  assert len({spec.short for spec in specs}) == len(specs)
  assert len({spec.title for spec in specs}) == len(specs)


def test_names_of_methods():
  assert set(table.SPECS) >= {
    'ce',
    'rce',
    'sl',
    'mae',
    'lsr',
    'gce',
    'bootstrap_soft',
    'bootstrap_hard',
    'd2l',
    'forward',
    'backward',
    'focal',
    'elr',
    'co_teaching',
  }
  assert table.find('gce') is table.SPECS['gce']


def test_a_method_that_is_told_the_noise_rate_has_no_default_for_it():
  told = [spec for spec in table.SPECS.values() if spec.told_rate]
  assert table.SPECS['co_teaching'] in told
  assert table.SPECS['ce'] not in told
  for spec in told:
    assert any(h.default is None for h in spec.hparams.values()), spec.title


def test_hyper_parameters_are_told_apart_by_when_they_are_needed():
  d2l = table.complete('d2l', {})
  static = {'neighbours': 20, 'window': 5}
  traced = {'weight': 1.0, 'warm_up': 5}
  assert table.of_kind('d2l', d2l, 'static') == static
  assert table.of_kind('d2l', d2l, 'traced') == traced
  assert table.of_kind('d2l', d2l, 'static', 'traced') == d2l
  forward = table.complete('forward', {})
  assert table.of_kind('forward', forward, 'host') == forward
  computed = {'transition_matrix': cases.MATRIX}
  assert table.of_kind('forward', forward | computed, 'computed') == computed


@every_method
def test_every_method_can_be_built(name):
  method = table.build(name, table.complete(name, NEEDED.get(name, {})))
  state = method.init(jax.random.key(0), 6, 3)
  # Runs' states are stacked, so there must be nothing else in them.
  assert all(isinstance(x, jax.Array) for x in jax.tree.leaves(state))
  computes = any(
    hparam.kind == 'computed' for hparam in table.SPECS[name].hparams.values()
  )
  assert (method.prepare is not None) == computes


def losses_of(method, logits, labels, values):
  """What a built method makes of a network's logits."""
  batch = types.SimpleNamespace(image=logits, label=labels)
  losses, aux = method.loss(lambda _, x: (x, 'new'), 0, batch, (), values, 0)
  assert aux.batch_stats == 'new'
  assert aux.state == ()
  assert aux.logits is logits
  return losses


@pytest.mark.parametrize('name', cases.NAMES)
def test_the_method_of_a_loss_is_that_loss_of_every_example(name):
  logits, classes, _ = cases.arrays(jnp.float32, *cases.batch(seed=6, size=4))
  plain = cases.plain(name)
  got = losses_of(table.build(name, plain), logits, classes, cases.traced(name))
  want = jax.vmap(cases.bind(name, plain))(logits, classes)
  # Some thirty roundings of float32, on losses of size up to about 20.
  np.testing.assert_allclose(got, want, rtol=4e-6, atol=4e-6)


# p = (3/4, 1/4): x + x^2 / 2 + x^3 / 3 at x = 1/4 and at x = 3/4.
BY_HAND = [
  (1, [0.25, 0.75]),
  (2, [0.28125, 1.03125]),
  (3, [0.28645833333333333, 1.171875]),
]


@pytest.mark.parametrize('order, want', BY_HAND)
def test_a_static_hyper_parameter_is_compiled_in(order, want):
  values = table.complete('taylor', {'order': order})
  assert table.of_kind('taylor', values, 'static') == {'order': order}
  assert table.of_kind('taylor', values, 'traced') == {}
  logits = jnp.log(jnp.array([[3.0, 1.0], [3.0, 1.0]]))
  got = losses_of(table.build('taylor', values), logits, jnp.array([0, 1]), {})
  # A handful of roundings of float32.
  np.testing.assert_allclose(got, want, rtol=1e-6)


@pytest.mark.parametrize('value', [2.5, '3', True, 0])
def test_the_order_of_a_series_is_checked(value):
  assert refusal('taylor', {'order': value}) == (
    f"loss 'taylor': order is {value!r}; give a whole number of at least 1"
  )
