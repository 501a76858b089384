"""Values and gradients against the NumPy reference, and by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax.losses import tempered
from tests.losses import cases, program, reference

# The reference knows the losses it knows; a new one may come without.
NAMES = {*reference.REFERENCE, *reference.IN_LOGITS}
KNOWN = [case for case in cases.CASES if case[0] in NAMES]
# But for the limit q = 0, where SGCE is a difference of numbers up to 2e4.
NARROW = [case for case in KNOWN if case[1].get('q') != 1e-9]


def test_reference_gradients_are_its_values_differences():
  # Central differences of step h err by h^2 times a third derivative of at
  # most about 10, and by the values' rounding (1e-15 * 30) over h.
  h = 1e-5
  logits, classes, targets = cases.batch(seed=1, size=6)
  for name, hyper in KNOWN:
    if hyper.get('detach'):  # Its gradient is that of no value.
      continue
    for labels in (classes, targets):
      _, gradients = reference.values_and_gradients(name, logits, labels, hyper)
      for k in range(cases.K):
        step = h * np.eye(cases.K)[k]
        up, down = (
          reference.values_and_gradients(name, logits + d, labels, hyper)[0]
          for d in (step, -step)
        )
        np.testing.assert_allclose(
          (up - down) / (2 * h), gradients[:, k], atol=1e-7, err_msg=name
        )


def compare(name, hyper, dtype, rows, **tolerance):
  """Compares what a case gave with the reference, in value and gradient."""
  found = program.results(name, hyper, dtype)
  logits, *labels = cases.arrays(
    dtype, cases.LOGITS, cases.CLASSES, cases.TARGETS, cases.ONE_HOT
  )
  logits = np.asarray(logits, np.float64)[rows]
  for label, result in zip(labels, found[:3], strict=True):
    if result is None:
      continue
    value, gradient = reference.values_and_gradients(
      name, logits, np.asarray(label)[rows], hyper
    )
    for got, want, more in (
      (result.value, value, 0.0),
      (result.in_logits, gradient, OUTPUT[dtype]),
    ):
      np.testing.assert_allclose(
        np.asarray(got, np.float64)[rows],
        want,
        rtol=tolerance['rtol'] + more,
        atol=tolerance['atol'],
      )


# The computation rounds in float32; narrower logits are exact there, but their
# gradient is rounded once more on its way out, to 8 bits in bfloat16.
OUTPUT = {jnp.float64: 0.0, jnp.float32: 0.0, jnp.bfloat16: 2.0**-8}


@pytest.mark.parametrize('name, hyper', KNOWN, ids=cases.case_id)
def test_float64_agrees_with_the_reference(x64, name, hyper):
  # A few dozen roundings of 1.1e-16, on numbers of size up to about 30.
  compare(name, hyper, jnp.float64, cases.IS_RANDOM, rtol=1e-13, atol=3e-13)


@pytest.mark.parametrize(
  'dtype', [jnp.float32, jnp.bfloat16], ids=lambda d: d.__name__
)
@pytest.mark.parametrize('name, hyper', NARROW, ids=cases.case_id)
def test_narrow_floats_are_right_at_extreme_logits(name, hyper, dtype):
  # Some thirty roundings: sums over K = 5, the solve, the constants. They are
  # relative to log p, up to 2e4, and absolute in probabilities; a value is a
  # sum of such terms of one sign but for T^-1, whose entries are < 2.
  few = 32 * float(jnp.finfo(jnp.float32).eps)
  # A temperature multiplies the rounding of a logarithm.
  few *= max(1, hyper.get('temperature', 0) / 10)
  compare(name, hyper, dtype, ~cases.IS_RANDOM, rtol=few, atol=few)


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
  # l over l_0 + l_1.
  ('nce', {}, LOG_4_3 / (LOG_4_3 + LOG_4), LOG_4 / (LOG_4_3 + LOG_4)),
  # l_0 / 16 and 9 l_1 / 16, over their sum.
  (
    'nfl',
    {'gamma': 2.0},
    LOG_4_3 / (LOG_4_3 + 9 * LOG_4),
    9 * LOG_4 / (LOG_4_3 + 9 * LOG_4),
  ),
  # 1 - sqrt(3/4) and 1/2, over their sum.
  ('ngce', {'q': 0.5}, 0.2113248654051871, 0.7886751345948129),
  # n = (log 7.5e6, log 2.5e6).
  (
    'nnce',
    {'p_min': 1e-7},
    np.log(2.5e6) / np.log(7.5e6 * 2.5e6),
    np.log(7.5e6) / np.log(7.5e6 * 2.5e6),
  ),
  # 4 - 49/16 and 4 - 25/16, over 2.
  ('agce', {'a': 1.0, 'q': 2.0}, 0.46875, 1.21875),
  # 25/16 - 1 and 49/16 - 1, over 2.
  ('aul', {'a': 2.0, 'q': 2.0}, 0.28125, 1.03125),
  ('ael', {'a': 0.5}, np.exp(-1.5), np.exp(-0.5)),
  # (25/16 + 1/16) / 2 and (9/16 + 49/16) / 2.
  ('amse', {'a': 2.0}, 0.8125, 1.8125),
  ('unhinged', {}, -np.log(3) / 2, np.log(3) / 2),
  # 2 ((sqrt(3)/2 + 1/2) / 2 - sqrt(p_y)) = -+(sqrt(3) - 1) / 2.
  ('sgce', {'q': 0.5}, -0.3660254037844386, 0.3660254037844386),
  # x + x^2 / 2 + x^3 / 3 at x = 1/4 and at x = 3/4.
  ('taylor', {'order': 3}, 0.28645833333333333, 1.171875),
  # The tangent at 1/2: 1 + log 2 - 2 / 4.
  ('phuber', {'tau': 2.0}, 0.2876820724517809, 1.1931471805599454),
  # 2 (1 - sqrt(3/4)), and 2 (1 - 0.6) as 1/4 < 0.36.
  ('truncated_gce', {'q': 0.5, 'threshold': 0.36}, 0.2679491924311227, 0.8),
  # m_y = 7/8 and 5/8; 1/2 (-log m_y + p_y log(p_y / m_y) + (1 - p_y) log 2)
  # over log(2) / 2.
  (
    'js',
    {'weight': 0.5},
    (np.log(8 / 7) + 0.75 * np.log(6 / 7) + 0.25 * np.log(2)) / np.log(2),
    (np.log(8 / 5) + 0.25 * np.log(2 / 5) + 0.75 * np.log(2)) / np.log(2),
  ),
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


def test_bi_tempered_by_hand(x64):
  # At t2 = 2 the softmax is 1 / (1 + c - s); of two equal logits c is 1, of
  # s = (0, -3/2) it is 1/2: 2/3 + 1/3. At t1 = 0, log_t r is r - 1.
  loss = cases.bind('bi_tempered', {'t1': 0.0, 't2': 2.0})
  got = loss(jnp.array([7.0, 7.0]), jnp.array(0))
  np.testing.assert_allclose(got, 1 / 2 - (1 - 1 / 2) / 2, rtol=1e-14)
  got = [loss(jnp.array([1.5, 0.0]), jnp.array(y)) for y in (0, 1)]
  want = [1 / 3 - (1 - 5 / 9) / 2, 2 / 3 - (1 - 5 / 9) / 2]
  np.testing.assert_allclose(got, want, rtol=1e-14)


def test_the_tempered_softmax_of_many_classes_sums_to_one(x64):
  many = [np.zeros(1000), np.linspace(0, 5, 1000), 5 * np.eye(1000)[3]]
  log_r = jax.vmap(tempered.log_tempered_softmax)(
    jnp.array(many * 2), jnp.repeat(jnp.array([0.2, 1.0]), 3)
  )
  # Rounding of a sum of 1000 numbers.
  np.testing.assert_allclose(np.exp(log_r).sum(axis=1), 1, rtol=1e-13)
  np.testing.assert_allclose(log_r[::3], -np.log(1000), rtol=1e-13)


def test_ldr_kl_by_hand(x64):
  # softplus(log(e^a - 1)) = a: scores of (3, 1) / 2 for a = (3, 1).
  logits = jnp.log(jnp.expm1(jnp.array([3.0, 1.0])))
  loss = cases.bind('ldr_kl', {'temperature': 1.0, 'margin': 0.5})
  got = [loss(logits, jnp.array(y)) for y in (0, 1)]
  want = np.log((1 + np.exp([-0.5, 1.5])) / 2)
  np.testing.assert_allclose(got, want, rtol=1e-14)


def test_phuber_is_smooth_where_it_switches(x64):
  loss = cases.bind('phuber', {'tau': 4.0})
  # p = (1/4, 3/4), a little less and a little more.
  z = jnp.array([[-1e-9, 0.0], [1e-9, 0.0]]) - jnp.array([jnp.log(3.0), 0.0])
  below, above = (loss(x, jnp.array(0)) for x in z)
  np.testing.assert_allclose([below, above], np.log(4), atol=2e-9)
  # The slope of cross entropy in z_0 is p_0 - 1.
  np.testing.assert_allclose((above - below) / 2e-9, -0.75, atol=1e-6)


def test_nnce_is_flat_below_its_floor(x64):
  loss = cases.bind('nnce', {'p_min': 1e-3})
  # p = (1 - 2e-9, 1e-9, 1e-9): only the first counts.
  z = jnp.array([np.log(1e9), 0.0, 0.0])
  got = [float(loss(z, jnp.array(y))) for y in range(3)]
  np.testing.assert_allclose(got, [0, 1, 1], atol=1e-8)
