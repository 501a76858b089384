"""Values and gradients against the NumPy reference, and by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from tests.losses import cases, reference

# The reference knows the losses it knows; a new one may come without.
KNOWN = [case for case in cases.CASES if case[0] in reference.REFERENCE]


def test_reference_gradients_are_its_values_differences():
  # Central differences of step h err by h^2 times a third derivative of at
  # most about 10, and by the values' rounding (1e-15 * 10) over h.
  h = 1e-5
  logits, classes, targets = cases.batch(seed=1, size=6)
  for name, hyper in KNOWN:
    for labels in (classes, targets):
      _, gradients = reference.values_and_gradients(name, logits, labels, hyper)
      for k in range(cases.K):
        step = h * np.eye(cases.K)[k]
        up, down = (
          reference.values_and_gradients(name, logits + d, labels, hyper)[0]
          for d in (step, -step)
        )
        np.testing.assert_allclose(
          (up - down) / (2 * h), gradients[:, k], atol=1e-8, err_msg=name
        )


@pytest.mark.parametrize('name, hyper', KNOWN, ids=cases.case_id)
def test_float64_agrees_with_the_reference(x64, name, hyper):
  logits, classes, targets = cases.batch(seed=0)
  loss = cases.batched(name, hyper)
  for labels in (classes, targets, np.eye(cases.K)[classes]):
    got = loss(*cases.arrays(jnp.float64, logits, labels))
    want = reference.values_and_gradients(name, logits, labels, hyper)
    for g, w in zip(got, want, strict=True):
      # A few dozen roundings of 1.1e-16, on numbers of size up to about 20.
      np.testing.assert_allclose(g, w, rtol=1e-13, atol=1e-13)


# The computation rounds in float32; narrower logits are exact there, but their
# gradient is rounded once more on its way out, to 8 bits in bfloat16.
OUTPUT = {jnp.float32: 0.0, jnp.bfloat16: 2.0**-8}


@pytest.mark.parametrize('dtype', OUTPUT, ids=lambda d: d.__name__)
@pytest.mark.parametrize('name, hyper', KNOWN, ids=cases.case_id)
def test_narrow_floats_are_right_at_extreme_logits(name, hyper, dtype):
  logits, classes = cases.extremes()
  one_hot = np.eye(cases.K)[classes]
  # No entry is a p of these logits: there the error |p - q| has its kink.
  targets = 0.72 * one_hot + 0.28 * one_hot[1]
  logits, classes, targets = cases.arrays(dtype, logits, classes, targets)
  loss = cases.batched(name, hyper)
  for labels in (classes, targets):
    values, gradients = loss(logits, labels)
    want_values, want_gradients = reference.values_and_gradients(
      name, np.asarray(logits, np.float64), labels, hyper
    )
    assert values.dtype == jnp.float32
    assert gradients.dtype == dtype
    # Some thirty roundings: sums over K = 5, the solve, the constants. They
    # are relative to log p, up to 2e4, and absolute in probabilities; a value
    # is a sum of such terms of one sign but for T^-1, whose entries are < 2.
    few = 32 * jnp.finfo(jnp.float32).eps
    np.testing.assert_allclose(values, want_values, rtol=few, atol=few)
    np.testing.assert_allclose(
      np.asarray(gradients, np.float64),
      want_gradients,
      rtol=few + OUTPUT[dtype],
      atol=few,
    )


# By hand, at p = (3/4, 1/4). T and T^-1 = ((1.5, -0.5), (-1, 2)) give
# T' p = (0.7, 0.3) and T^-1 l = (1.5 l_0 - 0.5 l_1, 2 l_1 - l_0).
TWO = np.array([[0.8, 0.2], [0.4, 0.6]])
LOG_4, LOG_4_3 = 1.3862943611198906, 0.2876820724517809
BY_HAND = [
  ('ce', {}, LOG_4_3, LOG_4),
  ('rce', {'log_zero': -4.0}, 1.0, 3.0),
  ('rce', {'log_zero': -2.0}, 0.5, 1.5),
  ('sl', {'alpha': 0.1, 'beta': 1.0}, 1.02876820724517809, 3.1386294361119891),
  ('mae', {}, 0.5, 1.5),
  # 0.2 (l_0 + l_1) / 2 = 0.16739764335716715 added to 0.8 l.
  ('lsr', {'smoothing': 0.2}, 0.3975433013185919, 1.2764331322530797),
  # 2 (1 - sqrt(3/4)) = 2 - sqrt(3), and 2 (1 - 1/2).
  ('gce', {'q': 0.5}, 0.2679491924311227, 1.0),
  # The entropy is 0.75 l_0 + 0.25 l_1 = 0.5623351446188083.
  ('bootstrap_soft', {'weight': 0.5}, 0.4250086085352946, 0.9743147528693495),
  ('bootstrap_hard', {'weight': 0.5}, 0.2876820724517809, 0.8369882167858358),
  # -log 0.7 and -log 0.3.
  ('forward', {'transition_matrix': TWO}, 0.35667494393873, 1.2039728043259361),
  # log 12 for class 1.
  (
    'backward',
    {'transition_matrix': TWO},
    -0.26162407188227396,
    2.4849066497880004,
  ),
  # l / 16 and 9 l / 16.
  ('focal', {'gamma': 2.0}, 0.017980129528236304, 0.7797905781299385),
]


@pytest.mark.parametrize('name, hyper, right, wrong', BY_HAND)
def test_numbers_worked_out_by_hand(x64, name, hyper, right, wrong):
  logits = jnp.array([jnp.log(3.0), 0.0])
  got = [cases.bind(name, hyper)(logits, jnp.array(y)) for y in (0, 1)]
  # The literals have 16 digits.
  np.testing.assert_allclose(got, [right, wrong], rtol=1e-14)


def test_rce_of_a_soft_target_by_hand(x64):
  logits = jnp.log(jnp.array([0.5, 0.3, 0.2]))
  target = jnp.array([0.25, 0.75, 0.0])
  got = cases.bind('rce', {'log_zero': -3.0})(logits, target)
  # 0.5 log 4 + 0.3 log (4/3) + 0.2 * 3.
  want = 0.5 * LOG_4 + 0.3 * LOG_4_3 + 0.6
  np.testing.assert_allclose(got, want, rtol=1e-14)


def test_rce_takes_log_zero_only_at_an_exact_zero(x64):
  logits = jnp.log(jnp.array([0.5, 0.3, 0.2]))
  target = jnp.array([0.25, 0.75 - 1e-12, 1e-12])
  got = cases.bind('rce', {'log_zero': -3.0})(logits, target)
  # log 1e-12 = -27.6 in the place of -3; the 0.75 moves the sum by 1e-12.
  want = 0.5 * LOG_4 + 0.3 * LOG_4_3 + 0.2 * 12 * np.log(10)
  np.testing.assert_allclose(got, want, rtol=1e-12)
