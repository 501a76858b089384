"""What holds for every loss, and is tested on every one in the table."""

import doctest
import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax.methods import table
from tests.losses import cases, formulas, program

every_loss = pytest.mark.parametrize('name', cases.NAMES)


@every_loss
def test_a_row_of_a_batch_is_a_single_example(x64, name):
  """Neither vmap nor a traced hyper-parameter changes anything."""
  plain = cases.plain(name)
  want = program.results(name, plain, jnp.float64)
  z, y, q = cases.arrays(
    jnp.float64, *(x[7] for x in (cases.LOGITS, cases.CLASSES, cases.TARGETS))
  )
  loss = cases.bind(name, plain)
  for label, result in ((y, want.by_class), (q, want.by_target)):
    one = loss(z, label)
    assert one.shape == ()
    # The same operations, on arrays of other shapes.
    np.testing.assert_allclose(result.value[7], one, rtol=1e-13, atol=1e-14)


@pytest.mark.landing  # Compiles each loss.
@every_loss
def test_compiling_a_loss_changes_nothing(name):
  """As a user's program is compiled: at random and at extreme logits."""
  plain = cases.plain(name)
  want = program.results(name, plain, jnp.float32).by_class
  static = table.of_kind(name, plain, 'static')
  hyper = {
    key: jnp.asarray(value, jnp.float32)
    for key, value in cases.traced(name).items()
  }

  def loss(z, label, hyper):
    return cases.bind(name, static)(z, label, **hyper)

  compiled = jax.jit(
    jax.vmap(jax.value_and_grad(loss), (0, 0, None)),
    # XLA's own; conftest.py has less for speed.
    compiler_options={'xla_backend_optimization_level': 3},
  )
  value, gradient = compiled(
    *cases.arrays(jnp.float32, cases.LOGITS, cases.CLASSES), hyper
  )
  # float32's rounding of sums and powers, in another order.
  np.testing.assert_allclose(value, want.value, rtol=1e-5, atol=1e-5)
  np.testing.assert_allclose(gradient, want.in_logits, rtol=1e-5, atol=1e-5)


@every_loss
def test_gradients_are_finite_differences(name):
  """In the logits, the target and the hyper-parameters."""
  plain = cases.plain(name)
  found = program.results(name, plain, jnp.float64)
  count = len(program.DIRECTIONS)
  moves = program.moves(cases.traced(name))
  for result in (found.moved, found.moved_target):
    pairs = [(result.in_logits, program.MOVES[:, 0])]
    if result.in_labels is not None:
      pairs.append((result.in_labels, program.MOVES[:, 1]))
    pairs += [(result.in_hyper[key], move) for key, move in moves.items()]
    slope = sum(
      (gradient[0] * move[1 : count + 1]).reshape(count, -1).sum(axis=1)
      for gradient, move in pairs
    )
    forth, back = np.split(result.value[1:], 2)
    # Central differences err by the step squared times a third derivative of
    # at most some thousands, and by the values' rounding over the step.
    np.testing.assert_allclose(
      (forth - back) / 2 / program.STEP,
      slope / program.STEP,
      rtol=1e-6,
      atol=2e-7,
    )


@every_loss
def test_every_hyper_parameter_has_an_effect(name):
  found = program.results(name, cases.plain(name), jnp.float64)
  for key in cases.traced(name):
    slopes = (found.moved.in_hyper[key], found.moved_target.in_hyper[key])
    assert max(np.abs(x[0]).max() for x in slopes) > 1e-6, key


@pytest.mark.parametrize(
  'dtype', [jnp.float32, jnp.bfloat16], ids=lambda d: d.__name__
)
@every_loss
def test_everything_is_finite_at_extreme_logits(name, dtype):
  for hyper in cases.of(name):
    found = program.results(name, hyper, dtype)
    for result in filter(None, found[:3]):
      assert result.value.dtype == jnp.float32
      assert result.in_logits.dtype == dtype
      for x in (result.value, result.in_logits, result.in_labels):
        if x is not None:
          assert np.isfinite(np.asarray(x, np.float64)).all()


# Two classes, and many.
SHAPES = {
  2: [[1e4, -1e4], [-1e4, -1e4], [0, 1], [0, -100], [3, 3]],
  1000: [
    np.full(1000, 1e4),
    np.eye(1000)[3] * 1e4,
    np.linspace(-1e4, 1e4, 1000),
    np.linspace(0, 5, 1000),
  ],
}
SIZED = [name for name in cases.NAMES if name not in ('forward', 'backward')]


@pytest.mark.parametrize('size', SHAPES)
@pytest.mark.parametrize('name', SIZED)
def test_any_number_of_classes(name, size):
  hyper = cases.plain(name)
  logits = np.array(SHAPES[size], float)
  z, y = np.repeat(logits, 2, axis=0), np.tile([0, size - 1], len(logits))
  rows = program.repeat(z, y, cases.traced(name))
  result = program.evaluate(name, hyper, rows, jnp.float32)
  assert np.isfinite(result.value).all()
  assert np.isfinite(result.in_logits).all()
  low, high = (
    formulas.evaluate(x, hyper, size) for x in cases.SPECS[name].bound
  )
  # Sums of K numbers in float32.
  slack = 1e-5 * (1 + np.abs(result.value))
  assert (result.value >= low - slack).all()
  assert (result.value <= high + slack).all()
  # The last logits are moderate.
  want = formulas.evaluate(cases.SPECS[name].formula, hyper, size, z[-1], y[-1])
  np.testing.assert_allclose(result.value[-1], want, rtol=2e-5, atol=2e-5)


@every_loss
def test_a_one_hot_target_is_its_class(name):
  for hyper in cases.of(name):
    found = program.results(name, hyper, jnp.float64)
    by_class, by_target = found.by_class, found.by_one_hot
    for a, b in zip(by_class[:2], by_target[:2], strict=True):
      np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14)


@every_loss
def test_the_signature_is_that_of_a_loss_with_the_hyper_parameters(name):
  logits, label, *hyper = inspect.signature(
    cases.SPECS[name].loss
  ).parameters.values()
  assert (logits.name, label.name) == ('logits', 'label')
  assert all(x.kind is x.KEYWORD_ONLY for x in hyper)
  assert [x.name for x in hyper] == list(cases.plain(name))


@every_loss
def test_the_docstring_says_all_but_what_is_said_once_for_all(name):
  loss = cases.SPECS[name].loss
  doc = inspect.getdoc(loss)
  summary, blank, *_ = doc.split('\n')
  assert summary.endswith('.')
  assert not blank
  examples = doctest.DocTestParser().get_examples(doc)
  assert any(example.want for example in examples)
  assert loss.__name__ in ''.join(x.source for x in examples)
  _, reference = doc.split('\nReferences:\n')
  assert reference.strip()
  arguments = doc.partition('\nArgs:\n')[2].partition('\n\n')[0]
  documented = re.findall(r'^  (\w+): \S', arguments, re.MULTILINE)
  hyper = list(cases.plain(name))
  # What every loss takes may be said again, where there is more to say.
  assert [x for x in documented if x not in ('logits', 'label')] == hyper
