"""How often a loss goes over the logits, read from its jaxpr."""

import jax
import jax.numpy as jnp

from tests.losses import cases


def equations(jaxpr):
  """All equations, those of inner jaxprs included."""
  for equation in jaxpr.eqns:
    yield equation
    for parameter in equation.params.values():
      inner = getattr(parameter, 'jaxpr', parameter)
      if hasattr(inner, 'eqns'):
        yield from equations(inner)


def exponentials(function):
  """How many exponentials of K numbers an example costs."""
  closed = jax.make_jaxpr(function)(jnp.zeros(cases.K), jnp.array(1))
  return sum(
    equation.primitive.name in ('exp', 'exp2', 'expm1')
    and equation.outvars[0].aval.shape == (cases.K,)
    for equation in equations(closed.jaxpr)
  )


def test_sl_takes_the_exponentials_once():
  sl = cases.bind('sl', {'alpha': 0.1, 'beta': 1.0})
  ce, rce = cases.bind('ce', {}), cases.bind('rce', {})
  assert exponentials(sl) == 1
  assert exponentials(jax.jit(jax.value_and_grad(sl))) == 1
  # The counter does see a second pass where there is one.
  assert exponentials(lambda z, y: 0.1 * ce(z, y) + rce(z, y)) == 2


def test_forward_correction_of_a_class_reads_one_column():
  forward = cases.bind('forward', cases.plain('forward'))
  closed = jax.make_jaxpr(forward)(jnp.zeros(cases.K), jnp.array(1))
  shapes = {
    equation.outvars[0].aval.shape
    for equation in equations(closed.jaxpr)
    if equation.primitive.name == 'exp'
  }
  assert shapes == {(cases.K,)}


def scatters(function):
  """Whether the gradient of a batch's mean adds to single elements."""

  def mean(z, y):
    return jax.vmap(function)(z, y).mean()

  closed = jax.make_jaxpr(jax.grad(mean))(
    jnp.zeros((3, cases.K)), jnp.arange(3)
  )
  return any(
    'scatter' in equation.primitive.name for equation in equations(closed.jaxpr)
  )


def test_no_gradient_of_a_class_scatters():
  """On a TPU a scatter is a loop over the examples of a batch."""
  assert not [
    name
    for name in cases.NAMES
    if scatters(cases.bind(name, cases.plain(name)))
  ]
  assert scatters(lambda z, y: z[y])  # It is seen where there is one.
