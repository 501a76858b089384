"""What holds for every loss, and is tested on every one in the table."""

import doctest
import inspect
import re

import jax
import jax.numpy as jnp
from jax.test_util import check_grads
import numpy as np
import pytest

from tests.losses import cases

every_case = pytest.mark.parametrize(
  'name, hyper', cases.CASES, ids=cases.case_id
)
every_loss = pytest.mark.parametrize('name', cases.NAMES)


@every_loss
def test_vmap_and_jit_are_a_loop_of_single_examples(x64, name):
  logits, classes, targets = cases.arrays(
    jnp.float64, *cases.batch(seed=2, size=4)
  )
  loss = cases.bind(name, cases.plain(name))
  for labels in (classes, targets):
    loop = [loss(z, y) for z, y in zip(logits, labels, strict=True)]
    assert all(x.shape == () and x.dtype == logits.dtype for x in loop)
    got = jax.jit(jax.vmap(loss))(logits, labels)
    # The same operations, in an order that the compiler may change.
    np.testing.assert_allclose(got, loop, rtol=1e-13, atol=1e-14)


@every_case
def test_gradients_are_finite_differences(x64, name, hyper):
  logits, classes, _ = cases.batch(seed=3, size=1)
  z, y = cases.arrays(jnp.float64, logits[0], classes[0])
  loss = cases.bind(name, hyper)

  def of_arrays(*inputs):  # check_grads hands NumPy's
    return loss(*(jnp.asarray(x) for x in inputs))

  check_grads(lambda z: of_arrays(z, y), (z,), order=1)
  # In the target too. Its entries are far from 0, where log q bends sharply,
  # and are moved one by one: their sum need not stay 1.
  q = jnp.array([0.1, 0.3, 0.25, 0.2, 0.15])
  check_grads(of_arrays, (z, q), order=1)


@pytest.mark.parametrize(
  'dtype', [jnp.float32, jnp.bfloat16], ids=lambda d: d.__name__
)
@every_loss
def test_everything_is_finite_at_extreme_logits(name, dtype):
  logits, classes = cases.extremes()
  one_hot = np.eye(cases.K)[classes]
  logits, classes, one_hot = cases.arrays(dtype, logits, classes, one_hot)
  loss = cases.bind(name, cases.plain(name))
  by_class = jax.vmap(jax.value_and_grad(loss))(logits, classes)
  by_target = jax.vmap(jax.value_and_grad(loss, (0, 1)))(logits, one_hot)
  results = jax.tree.leaves((by_class, by_target))
  assert len(results) == 5
  for result in results:
    assert np.isfinite(np.asarray(result, np.float64)).all()


@every_loss
def test_a_one_hot_target_is_its_class(x64, name):
  logits, classes, _ = cases.batch(seed=4)
  logits, classes, one_hot = cases.arrays(
    jnp.float64, logits, classes, np.eye(cases.K)[classes]
  )
  loss = cases.batched(name, cases.plain(name))
  by_class, by_target = loss(logits, classes), loss(logits, one_hot)
  for a, b in zip(by_class, by_target, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-14, atol=1e-15)


@every_loss
def test_hyper_parameters_may_be_traced(x64, name):
  logits, classes, targets = cases.batch(seed=5, size=1)
  z, y, q = cases.arrays(jnp.float64, logits[0], classes[0], targets[0])
  plain = cases.plain(name)
  for key, value in cases.traced(name).items():
    # Three runs which differ in this one alone; 0.9 stays within every range.
    runs = [value, 0.9 * value, 0.95 * value]
    if np.ndim(value):
      runs = [np.linalg.matrix_power(value, n) for n in (1, 2, 3)]

    def loss(x, label, key=key):
      return cases.bind(name, {**plain, key: x})(z, label)

    for label in (y, q):
      alone = [loss(x, label) for x in runs]
      together = jax.jit(jax.vmap(loss, (0, None)))(jnp.array(runs), label)
      np.testing.assert_allclose(together, alone, rtol=1e-13)
      assert np.unique(np.round(alone, 9)).size == 3, 'the value has no effect'
      check_grads(lambda x, label=label: loss(x, label), (runs[0],), order=1)


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
