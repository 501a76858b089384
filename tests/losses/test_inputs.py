"""What a loss takes, what it refuses, and in which dtype it answers."""

import inspect

import jax
from jax.experimental import checkify
import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax.losses import inputs
from tests.losses import cases, program

every_loss = pytest.mark.parametrize('name', cases.NAMES)


@every_loss
def test_a_hyper_parameter_takes_the_dtype_of_the_computation(x64, name):
  arrays = {
    k: jnp.asarray(v, jnp.float32) for k, v in cases.traced(name).items()
  }
  loss = cases.bind(name, cases.plain(name) | arrays)
  y = jnp.array(1)
  # Under strict promotion, as the tests run, a float32 number would not do for
  # float64 logits if the loss did not convert it.
  for dtype in (jnp.float16, jnp.bfloat16, jnp.float32, jnp.float64):
    value = jax.eval_shape(loss, jnp.zeros(cases.K, dtype), y)
    assert value.dtype == (jnp.float64 if dtype == jnp.float64 else jnp.float32)


@every_loss
def test_integer_logits_and_batches_are_refused(name):
  loss = cases.bind(name, cases.plain(name))
  with pytest.raises(TypeError):
    loss(jnp.zeros(cases.K, jnp.int32), jnp.array(1))
  with pytest.raises((TypeError, ValueError)):  # by jaxtyping, or by the loss
    loss(jnp.zeros((2, cases.K)), jnp.array([0, 1]))


@every_loss
def test_a_class_out_of_range_is_not_a_number(name):
  found = program.results(name, cases.plain(name), jnp.float64)
  assert np.isnan(found.of_no_class).all()
  assert not np.isnan(found.by_class.value).any()


@pytest.mark.parametrize(
  'logits, label, error, message',
  [
    (jnp.zeros(3, jnp.int32), jnp.array(1), TypeError, 'not int32'),
    (jnp.zeros((2, 3)), jnp.array(1), ValueError, 'use jax.vmap'),
    (jnp.zeros(()), jnp.array(1), ValueError, 'use jax.vmap'),
    (jnp.zeros(1), jnp.array(0), ValueError, 'K >= 2'),
    (jnp.zeros(3), jnp.array([1, 2]), ValueError, 'must be a scalar'),
    (jnp.zeros(3), jnp.zeros(4), ValueError, 'the shape of the logits'),
    (jnp.zeros(3), jnp.array(1.0), ValueError, 'the shape of the logits'),
    (jnp.zeros(3), jnp.array(True), TypeError, 'not bool'),
  ],
)
def test_wrong_inputs_are_named_without_jaxtyping(
  logits, label, error, message
):
  # The import hook of the tests would refuse these first; users have none.
  check_and_upcast = inspect.unwrap(inputs.check_and_upcast)
  with pytest.raises(error, match=message):
    check_and_upcast(logits, label)


def test_many_classes_have_the_bits_of_few(monkeypatch):
  logits = 5 * jax.random.normal(jax.random.key(0), (40, 10))
  labels = jnp.arange(40) % 10
  found = []
  for many in (2, 11):
    monkeypatch.setattr(inputs, '_MANY_CLASSES', many)

    def total(z, log_probability=inputs.log_probability):
      return jnp.sum(jax.vmap(log_probability)(z, labels) ** 2)

    found.append(jax.jit(jax.value_and_grad(total))(logits))
  jax.tree.map(np.testing.assert_array_equal, *found)


@every_loss
def test_a_python_integer_is_a_class(name):
  loss = cases.bind(name, cases.plain(name))
  logits = jnp.arange(float(cases.K))
  assert loss(logits, 1) == loss(logits, jnp.array(1))


@pytest.mark.parametrize('label', [3, -1, np.int64(7), np.array(3)])
def test_a_known_class_out_of_range_is_refused(label):
  check_and_upcast = inspect.unwrap(inputs.check_and_upcast)
  with pytest.raises(ValueError, match='logits of 3 classes have classes 0 to'):
    check_and_upcast(
      jnp.zeros(3), label if isinstance(label, int) else jnp.asarray(label)
    )


def test_checkify_finds_a_class_out_of_range_under_jit():
  def loss(logits, label):
    return inputs.check_and_upcast(logits, label)[1].sum()

  checked = jax.jit(checkify.checkify(loss, errors=checkify.nan_checks))
  error, _ = checked(jnp.zeros(3), jnp.array(3))
  assert 'nan' in error.get()
  assert checked(jnp.zeros(3), jnp.array(2))[0].get() is None
