"""Published combinations, against their formulas in NumPy float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.analysis import marks
from sce_jax import methods
from sce_jax.config import published
from sce_jax.methods import presets, table
from tests import synthetic
from tests.methods import calls

NAMES = list(presets.rows(table.SPECS))
CIFAR10 = published.presets('cifar10', 'symmetric', 0.4)


def focal(p, gamma):
  return -((1 - p) ** gamma) * np.log(p)


# Of the probabilities of all classes, [N, K], their label's, [N], and h.
PARTS = {
  'ce': lambda p, y, h: -np.log(y),
  'fl': lambda p, y, h: focal(y, h['gamma']),
  'mae': lambda p, y, h: 2 - 2 * y,
  'rce': lambda p, y, h: -np.log(1e-4) * (1 - y),
  'nce': lambda p, y, h: np.log(y) / np.log(p).sum(1),
  'nfl': lambda p, y, h: focal(y, h['gamma']) / focal(p, h['gamma']).sum(1),
  'agce': lambda p, y, h: (
    ((h['a'] + 1) ** h['q'] - (h['a'] + y) ** h['q']) / h['q']
  ),
  'aul': lambda p, y, h: (
    ((h['a'] - y) ** h['q'] - (h['a'] - 1) ** h['q']) / h['q']
  ),
  'ael': lambda p, y, h: np.exp(-y / h['a']),
  'nnce': lambda p, y, h: 1 - np.log(y / 1e-7) / np.log(p / 1e-7).sum(1),
  'nnfl': lambda p, y, h: (
    1
    - (focal(1e-7, h['gamma']) - focal(y, h['gamma']))
    / (focal(1e-7, h['gamma']) - focal(p, h['gamma'])).sum(1)
  ),
  # The label's entry is (p_y - a)^2, those of the others are p_k^2.
  'amse': lambda p, y, h: (
    ((p**2).sum(1) - y**2 + (y - h['a']) ** 2) / p.shape[1]
  ),
}
PAIRS = {
  'sl_lc': ('ce', 'rce'),
  'sl_annealed': ('ce', 'rce'),
  'nce_rce': ('nce', 'rce'),
  'nce_mae': ('nce', 'mae'),
  'nfl_rce': ('nfl', 'rce'),
  'nfl_mae': ('nfl', 'mae'),
  'nce_agce': ('nce', 'agce'),
  'nce_aul': ('nce', 'aul'),
  'nce_ael': ('nce', 'ael'),
  'anl_ce': ('nce', 'nnce'),
  'anl_fl': ('nfl', 'nnfl'),
  'anl_ce_er': ('nce', 'nnce'),
  'jal_ce': ('nce', 'amse'),
  'jal_fl': ('nfl', 'amse'),
  'eps_ce_mae': ('ce', 'mae'),
  'eps_fl_mae': ('fl', 'mae'),
}


# Those of the losses themselves are tested with them.
OF_EACH_KIND = (
  'nfl_rce',
  'jal_ce',
  'anl_ce_er',
  'eps_fl_mae',
  'ce_lc',
  'ce_sr',
)


def reference(name, h, images, labels, params):
  """The losses of a batch, from its matrix of parameters."""
  z = images.reshape(len(images), -1) @ params

  def at_label(p):
    return np.take_along_axis(p, labels[:, None], 1)[:, 0]

  length = np.linalg.norm(z, axis=1, keepdims=True)
  if 'max_norm' in h:
    z = z * np.minimum(1, h['max_norm'] / length)
  p = calls.softmax(z)
  if name in PAIRS:
    first, second = PAIRS[name]
    q = p
    if name.startswith('eps'):
      q = p + h['m'] * (p == p.max(1, keepdims=True))
      q = np.maximum(q / (1 + h['m']), h['floor'])
    losses = h['alpha'] * PARTS[first](q, at_label(q), h)
    losses = losses + h['beta'] * PARTS[second](p, at_label(p), h)
    losses = losses + h.get('l1', 0) * np.abs(params).sum()
    mean = p.mean(0)
    missing = np.log(mean.size) + mean @ np.log(mean)
    return losses + h.get('entropy', 0) * missing
  if name == 'ce_lc':
    return -np.log(at_label(p))
  if name == 'nls':
    # The label weighs 1 - r, and each class r / K.
    r = h['smoothing']
    return -(1 - r) * np.log(at_label(p)) - r * np.log(p).mean(1)
  p = calls.softmax(z / length / h['temperature'])
  base = -np.log(at_label(p))
  if name == 'gce_sr':
    base = (1 - at_label(p) ** h['q']) / h['q']
  return base + h['strength'] * (p ** h['power']).sum(1)


@pytest.mark.parametrize(
  'name', [name for name in NAMES if name not in ('mixup', 'gjs')]
)
def test_losses_and_gradients_are_those_of_the_formula(name):
  given = {**CIFAR10, 'nls': {'smoothing': -2.0}}
  h = methods.complete(name, given.get(name, CIFAR10['rce']))
  # Larger, so that every term matters.
  h |= {key: 0.3 for key in ('l1',) if key in h}
  h |= {'m': 20.0, 'floor': 1e-3} if 'm' in h else {}
  h |= {'max_norm': 1.0} if 'max_norm' in h else {}
  h |= {'detach': False} if 'detach' in h else {}
  images, labels, params = calls.arrays()
  got, _, gradient = calls.evaluate(
    methods.build(name, h),
    params,
    calls.batch(images, labels),
    methods.of_kind(name, h, 'traced'),
    gradient=name in OF_EACH_KIND,
  )
  wanted = reference(name, h, images, labels, params)
  # A renormalised q differs by a factor of at most 1 + K floor.
  rtol = 5e-3 if 'floor' in h else 2e-5
  np.testing.assert_allclose(got, wanted, rtol=rtol, atol=1e-5)
  if gradient is None:
    return
  differences = calls.differences(
    lambda w: reference(name, h, images, labels, w).mean(), params
  )
  scale = np.abs(differences).max()
  np.testing.assert_allclose(
    gradient, differences, rtol=rtol, atol=rtol * scale
  )


def test_the_focal_factor_is_held_constant_as_published():
  h = methods.complete('nfl_mae', CIFAR10['nfl_mae'])
  images, labels, params = calls.arrays()
  rows = np.arange(calls.N)
  images_2d = images.reshape(calls.N, -1)
  factor = (1 - calls.softmax(images_2d @ params)) ** 0.5
  *_, gradient = calls.evaluate(
    methods.build('nfl_mae', h),
    params,
    calls.batch(images, labels),
    methods.of_kind('nfl_mae', h, 'traced'),
  )

  def mean(w):
    p = calls.softmax(images_2d @ w)
    parts = factor * np.log(p)
    share = parts[rows, labels] / parts.sum(1)
    return (share + 0.5 * (2 - 2 * p[rows, labels])).mean()

  differences = calls.differences(mean, params)
  # As above, of float32.
  atol = 2e-5 * np.abs(differences).max()
  np.testing.assert_allclose(gradient, differences, rtol=2e-5, atol=atol)


@pytest.mark.parametrize('scale', [1e4, -1e4])
@pytest.mark.parametrize('name', [x for x in NAMES if x != 'gjs'])
def test_confident_logits_stay_finite(name, scale):
  given = {**CIFAR10, 'nls': {'smoothing': -2.0}}
  h = methods.complete(name, given.get(name, {}))
  method = methods.build(name, h)
  calls.check_confident(
    method, methods.of_kind(name, h, 'traced'), epoch=5, scale=scale
  )


def test_epsilon_softmax_as_published():
  """With its m and floor in float32, where some labels are at the floor."""
  h = methods.complete('eps_ce_mae', CIFAR10['eps_ce_mae'])
  assert (h['m'], h['floor']) == (1e5, 1e-8)
  h['alpha'] = 1.0
  images, labels, params = calls.arrays()
  params = 3 * params
  got, _, gradient = calls.evaluate(
    methods.build('eps_ce_mae', h),
    params,
    calls.batch(images, labels),
    methods.of_kind('eps_ce_mae', h, 'traced'),
  )
  p = calls.softmax(images.reshape(calls.N, -1) @ params)
  label_p = p[np.arange(calls.N), labels]
  assert 0 < (label_p < 1e-3).sum() < calls.N

  def mean(w):
    return reference('eps_ce_mae', h, images, labels, w).mean()

  np.testing.assert_allclose(
    got, reference('eps_ce_mae', h, images, labels, params), rtol=1e-4
  )
  differences = calls.differences(mean, params)
  scale = np.abs(differences).max()
  np.testing.assert_allclose(
    gradient, differences, rtol=1e-3, atol=1e-3 * scale
  )


def test_mnist_s_logits_are_not_normalised():
  h = methods.complete(
    'ce_sr', published.presets('mnist', 'clean', 0.0)['ce_sr']
  )
  images, labels, params = calls.arrays()
  got, *_ = calls.evaluate(
    methods.build('ce_sr', h),
    params,
    calls.batch(images, labels),
    methods.of_kind('ce_sr', h, 'traced'),
    gradient=False,
  )
  p = calls.softmax(images.reshape(calls.N, -1) @ params / h['temperature'])
  nll = calls.nll(images, labels, params / h['temperature'])
  penalty = (np.maximum(p, 1e-7) ** h['power']).sum(1)
  np.testing.assert_allclose(got, nll + h['strength'] * penalty, rtol=1e-4)


def test_what_they_are_made_of_says_what_they_take():
  hparams = methods.SPECS['anl_fl'].hparams
  assert list(hparams) == ['alpha', 'beta', 'gamma', 'detach', 'p_min', 'l1']
  # The ranges are those of the parts.
  for name, key in (('anl_fl', 'p_min'), ('nce_aul', 'a'), ('gce_sr', 'q')):
    assert methods.SPECS[name].hparams[key].rule(0)
  assert methods.SPECS['gce_sr'].hparams['normalize'].rule(1) == (
    'is 1; give True or False'
  )
  assert methods.SPECS['nce_rce'].positive == ('alpha', 'beta')


# The loss's alpha or whatever else the papers tuned, by data set, noise, rate.
TUNED = [
  ('cifar100', 'symmetric', 0.4, 'eps_ce_mae', {'alpha': 0.03, 'm': 1e4}),
  ('cifar100', 'symmetric', 0.6, 'eps_ce_mae', {'alpha': 0.00125}),
  ('cifar100', 'asymmetric_cifar100', 0.4, 'eps_fl_mae', {'alpha': 0.004}),
  # The nearest rate: 0.45 is nearer to 0.4, and 0.3 as near to it as to 0.2.
  ('cifar100', 'symmetric', 0.45, 'eps_ce_mae', {'alpha': 0.03}),
  ('cifar100', 'symmetric', 0.3, 'eps_ce_mae', {'alpha': 0.05}),
  ('cifar10', 'symmetric', 0.4, 'eps_ce_mae', {'alpha': 0.01, 'm': 1e5}),
  ('cifar10', 'asymmetric_cifar10', 0.4, 'eps_ce_mae', {'alpha': 0.02}),
  ('cifar10', 'symmetric', 0.4, 'ce_lc', {'max_norm': 1.0}),
  ('cifar10', 'symmetric', 0.6, 'ce_lc', {'max_norm': 1.5}),
  ('cifar10', 'pair_flip', 0.4, 'ce_lc', {'max_norm': 2.5}),
  ('cifar10_n', 'worse', 0.0, 'ce_lc', {'max_norm': 2.5}),
  ('cifar100', 'symmetric', 0.6, 'ce_lc', {'max_norm': 0.5}),
  ('cifar10', 'symmetric', 0.4, 'gjs', {'weight': 0.9}),
  ('cifar10', 'asymmetric_cifar10', 0.2, 'gjs', {'weight': 0.3}),
  ('cifar100', 'asymmetric_cifar100', 0.4, 'gjs', {'weight': 0.1}),
  ('cifar10', 'symmetric', 0.2, 'js', {'weight': 0.7}),
  ('cifar100', 'symmetric', 0.2, 'ce_sr', {'strength': 4.0}),
  ('cifar100', 'asymmetric_cifar100', 0.2, 'gce_sr', {'strength': 10.0}),
  ('digits', 'symmetric', 0.4, 'nce_mae', {'alpha': 1.0, 'beta': 0.5}),
  ('digits', 'symmetric', 0.4, 'peer', {'schedule': 'cifar10_uniform'}),
  (
    'cifar100',
    'asymmetric_cifar100',
    0.4,
    'sop',
    {'rate_u': 0.1, 'rate_v': 100.0},
  ),
  (
    'cifar10',
    'asymmetric_cifar10',
    0.4,
    'sop',
    {'rate_u': 10.0, 'rate_v': 100.0},
  ),
  ('cifar100', 'pair_flip', 0.4, 'peer', {'schedule': 'cifar100_sparse'}),
  ('cifar10', 'symmetric', 0.8, 'jocor', {'forget_rate': 0.8, 'weight': 0.65}),
  (
    'cifar100',
    'asymmetric_cifar100',
    0.4,
    'jocor',
    {'forget_rate': 0.4, 'weight': 0.85},
  ),
  # What is told is the share of wrong labels: five classes of ten are clean;
  # three of five; one of ten that are drawn anew is right.
  ('cifar10', 'asymmetric_cifar10', 0.4, 'co_teaching', {'forget_rate': 0.2}),
  ('mnist', 'asymmetric_mnist', 0.3, 'jocor', {'forget_rate': 0.15}),
  (
    'cifar100',
    'asymmetric_cifar100_block_pair',
    0.4,
    'co_teaching',
    {'forget_rate': 0.16},
  ),
  (
    'digits',
    'symmetric_including_self',
    0.4,
    'co_teaching',
    {'forget_rate': 0.36},
  ),
  ('own', 'pair_flip', 0.3, 'co_teaching', {'forget_rate': 0.3}),
  ('mnist', 'part_dependent', 0.4, 'jocor', {'forget_rate': 0.4}),
  # Cut off at 0: the normal distribution's mean is 0.2 + 0.1 pdf(2) / cdf(2).
  ('mnist', 'part_dependent', 0.2, 'jocor', {'forget_rate': 0.2055}),
  # Labels of people, of which 40 % are wrong.
  ('cifar10_n', 'worse', 0.0, 'co_teaching', {'forget_rate': 0.4021}),
  ('cifar10_n', 'matched_aggre', 0.0, 'jocor', {'forget_rate': 0.0903}),
  ('cifar10_n', 'worse', 0.0, 'gjs', {'weight': 0.9}),
  ('cifar10_n', 'worse', 0.0, 'js', {'weight': 0.7}),
  ('cifar100_n', 'noisy', 0.0, 'eps_ce_mae', {'alpha': 0.03}),
  ('cifar100_n', 'noisy', 0.0, 'ce_lc', {'max_norm': 0.5}),
  ('cifar100', 'part_dependent', 0.4, 'ce_lc', {'max_norm': 0.5}),
  ('cifar100', 'pair_flip', 0.4, 'ce_lc', {'max_norm': 2.5}),
  ('cifar100', 'symmetric', 0.4, 'elr', {'decay': 0.9, 'strength': 7.0}),
  ('cifar10', 'pair_flip', 0.4, 'elr', {'decay': 0.9, 'strength': 1.0}),
  ('cifar10', 'symmetric', 0.4, 'ngce', {'q': 0.1}),
  ('cifar100', 'symmetric', 0.4, 'ngce', {'q': 0.7}),
  ('cifar100', 'symmetric', 0.4, 'taylor', {'order': 18}),
  ('cifar100', 'symmetric', 0.4, 'bi_tempered', {'t1': 0.7, 't2': 1.5}),
  ('cifar100', 'symmetric', 0.4, 't_revision', {'percentile': 100.0}),
  ('webvision_mini', 'clean', 0.0, 'sl', {'alpha': 10.0, 'beta': 1.0}),
  ('webvision_mini', 'clean', 0.0, 'nce_mae', {'alpha': 50.0, 'beta': 0.5}),
  ('webvision_mini', 'clean', 0.0, 'eps_fl_mae', {'alpha': 0.015, 'm': 1e3}),
  ('webvision_mini', 'clean', 0.0, 'anl_ce', {'alpha': 20.0, 'l1': 5e-6}),
  ('webvision_mini', 'clean', 0.0, 'ce_lc', {'max_norm': 1.2}),
  ('clothing1m', 'clean', 0.0, 'gce', {'q': 0.6}),
  ('clothing1m', 'clean', 0.0, 'nce_agce', {'alpha': 50.0, 'q': 3.0}),
  ('clothing1m', 'clean', 0.0, 'jal_ce', {'a': 5.0, 'l1': 0.0}),
  ('own', 'clean', 0.0, 'anl_ce', {'alpha': 5.0, 'l1': 5e-5}),
]


@pytest.mark.parametrize(('dataset', 'noise', 'rate', 'name', 'wanted'), TUNED)
def test_published_settings(dataset, noise, rate, name, wanted):
  values = published.presets(dataset, noise, rate)[name]
  assert wanted.items() <= values.items()
  assert methods.SPECS[name].hparams.keys() >= values.keys()


@pytest.mark.parametrize(
  ('dataset', 'noise'),
  [
    ('own', 'clean'),
    ('clothing1m', 'clean'),
    ('mnist', 'file'),
    ('mnist', 'matched_file'),
    # Fewer labels are wrong than its rate says.
    ('mnist', 'instance_dependent_sigmoid'),
    # One in so many of those drawn anew, of classes that nobody has counted.
    ('own', 'symmetric_including_self'),
  ],
)
def test_nobody_is_told_a_rate_that_is_not_known(dataset, noise):
  made = published.presets(dataset, noise, 0.0 if noise == 'clean' else 0.4)
  assert 'forget_rate' not in {**made['co_teaching'], **made['jocor']}


def test_settings_that_differ_by_rate_are_of_methods_that_are_marked():
  rates = [0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8]
  for dataset in ('mnist', 'cifar10', 'cifar100'):
    for noise in ('symmetric', 'asymmetric_cifar10'):
      made = [published.presets(dataset, noise, rate) for rate in rates]
      for name, values in made[0].items():
        if any(other[name] != values for other in made):
          spec = methods.SPECS[name]
          assert spec.tuned_per_rate or spec.told_rate, name


def test_settings_that_differ_by_kind_are_of_methods_that_are_marked():
  for dataset in ('cifar10', 'cifar100'):
    symmetric, other = (
      published.presets(dataset, noise, 0.4)
      for noise in ('symmetric', 'pair_flip')
    )
    for name, values in symmetric.items():
      if other[name] != values:
        spec = methods.SPECS[name]
        assert spec.tuned_per_rate or spec.tuned_per_kind, name
        assert spec.tuned_per_rate or '◊' in marks.mark(name)


@pytest.mark.slow  # Each compiles a program.
@pytest.mark.usefixtures('small_network')
@pytest.mark.parametrize('name', NAMES)
def test_every_one_trains(name):
  config = synthetic.config(f'{name},symmetric,0.4')
  config.model.name = 'digits_cnn'
  config.data.augment.pad_crop = 1
  if name == 'nls':
    config.loss.smoothing = -0.2
  trainer, inputs, _ = synthetic.program([config])
  start = trainer.init(inputs)
  before = jax.device_get(start.params)
  state, (sums, _) = synthetic.run_epochs(trainer, inputs, 2, start)
  assert np.isfinite(float(sums.loss))
  assert int(state.finite_steps) == 2 * trainer.plan.steps
  moved = jax.tree.map(lambda a, b: bool(jnp.any(a != b)), state.params, before)
  assert all(jax.tree.leaves(moved))
