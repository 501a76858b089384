"""What the table says of each loss: formula, bounds, when it is tolerant."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax.methods import loss_rows
from tests.losses import cases, formulas, program, reference

every_loss = pytest.mark.parametrize('name', cases.NAMES)


@every_loss
def test_the_formula_is_the_loss(name):
  for hyper in cases.of(name):
    got = program.results(name, hyper, jnp.float64).by_class.value
    for i in np.flatnonzero(cases.IS_RANDOM):
      want = formulas.evaluate(
        cases.SPECS[name].formula,
        hyper,
        cases.K,
        cases.LOGITS[i],
        cases.CLASSES[i],
      )
      # The formulas lose digits as the losses do not, most at an exponent of
      # 1e-9: the rounding of 1 over it.
      np.testing.assert_allclose(got[i], want, rtol=1e-10, atol=1e-6)


@every_loss
def test_the_bounds_hold(name):
  for hyper in cases.of(name):
    low, high = (
      formulas.evaluate(x, hyper, cases.K) for x in cases.SPECS[name].bound
    )
    value = program.results(name, hyper, jnp.float64).by_class.value
    slack = 1e-12 * (1 + np.abs(value))
    assert (value >= low - slack).all() and (value <= high + slack).all()


# Of the others no prediction comes near.
LOOSE = {('bootstrap_soft', 1), ('nce', 1)}
# A logit that is far from the others, the label among them or not.
FAR = [
  [6e4, -6e4, -6e4, -6e4, -6e4],
  [0, 0, 0, 0, -60.0],
  [60.0, 0, 0, 0, -6e9],
  [0, 0, 0, 0, 0],
]


@every_loss
def test_the_bounds_are_tight(name):
  hyper = cases.plain(name)
  # And one-hot for each class, and as label smoothing at 0.3 has its target.
  smoothed = [0, 0, 0, 0, np.log((1 - 0.3 + 0.3 / 5) / (0.3 / 5))]
  far = np.array([*FAR, *(6e4 * np.eye(cases.K)), smoothed])
  logits, classes = cases.every_label(far)
  values = [
    reference_value(name, z, y, hyper)
    for z, y in zip(logits, classes, strict=True)
  ]
  ends = np.min(values), np.max(values)
  for side, (text, end) in enumerate(
    zip(cases.SPECS[name].bound, ends, strict=True)
  ):
    bound = formulas.evaluate(text, hyper, cases.K)
    if np.isfinite(bound) and (name, side) not in LOOSE:
      # The tails of bi-tempered are long.
      np.testing.assert_allclose(end, bound, rtol=1e-4, atol=1e-4)


def reference_value(name, z, y, hyper):
  return reference.values_and_gradients(name, z[None], [y], hyper)[0][0]


@every_loss
def test_a_loss_that_is_said_to_be_symmetric_sums_to_a_constant(name):
  for hyper in cases.of(name):
    by_class = program.results(name, hyper, jnp.float64).by_class.value
    # Relative to the losses, which differ in size and in sign.
    spread = np.ptp(by_class.reshape(-1, cases.K).sum(axis=1))
    spread /= 1 + np.abs(by_class).max()
    symmetric = cases.SPECS[name].tolerant.startswith('symmetric noise below')
    if symmetric or (name == 'gce' and hyper['q'] == 1):
      assert spread < 1e-14 * cases.K
      assert np.ptp(by_class) > 0.1  # no single class is constant
    elif (name, hyper) in (('ce', {}), ('js', {'weight': 0.1})):
      assert spread > 1e-3


def risk(name, hyper, weights, z):
  """The expected loss under random labels."""
  formula = cases.SPECS[name].formula
  return sum(
    w * formulas.evaluate(formula, hyper, len(z), z, y)
    for y, w in enumerate(weights)
  )


@pytest.mark.parametrize(
  'name, hyper, factor',
  [
    ('agce', {'a': 0.6, 'q': 0.6}, (1 + 1 / 0.6) ** 0.4),
    ('agce', {'a': 2.5, 'q': 3.0}, 1),
    ('aul', {'a': 2.0, 'q': 3.0}, 4),
    ('aul', {'a': 2.0, 'q': 0.5}, 1),
    ('ael', {'a': 0.7}, np.exp(1 / 0.7)),
    ('taylor', {'order': 3}, 3),
    ('phuber', {'tau': 2.5}, 2.5),
  ],
)
def test_the_likelier_label_wins_from_that_factor_on(name, hyper, factor):
  rng = np.random.default_rng(1)
  perfect = np.array([40.0, 0, 0])
  predictions = rng.normal(size=(60, 3)) * rng.choice([1, 4], size=(60, 1))

  def wins(ratio):
    weights = np.array([ratio, 1, 0.9]) / (ratio + 1.9)
    best = risk(name, hyper, weights, perfect)
    others = [risk(name, hyper, weights, z) for z in predictions]
    # Steps away from the perfect prediction, towards the second label.
    others += [risk(name, hyper, weights, [x, 0, -40.0]) for x in range(1, 9)]
    return best <= min(others) + 1e-12

  assert wins(1.001 * factor)
  if factor > 1:
    assert not wins(0.9 * factor)


@pytest.mark.parametrize('a, lead, wins', [(4, 0.26, True), (4, 0.24, False)])
def test_amse_asks_for_a_lead_of_one_over_a(a, lead, wins):
  # Expected loss at p = (1 - e, e, 0), over K: its slope at e = 0 is
  # 2 (a (w_0 - w_1) - 1).
  weights = np.array([0.5 + lead / 2, 0.5 - lead / 2, 0])
  there = risk('amse', {'a': a}, weights, np.array([40.0, 0, -40]))
  near = risk('amse', {'a': a}, weights, np.array([6.0, 0, -40]))
  assert (there < near) == wins


def test_the_names_in_the_formulas_are_explained():
  explained = set()
  for name, text in loss_rows.FORMULA_NAMES.items():
    explained |= set(re.findall(r'[a-zA-Z_]\w*', f'{name} {text}'))
  plain = {'exp', 'log', 'inv', 'mean', 'sum', 'max', 'inf', 'softmax'}
  plain |= {'if', 'else', 'for', 'in', 'range', 'i', 'y'}
  for name, spec in cases.SPECS.items():
    text = ' '.join((spec.formula, *spec.bound))
    words = set(re.findall(r'[a-zA-Z_]\w*', text))
    assert words <= explained | plain | set(spec.hparams), name
