"""The networks: sizes, layouts, types, hidden layers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax import models
from sce_jax.models.cnn import CNN
from sce_jax.models.resnet import ResNet

BASE = {
  'batch_norm_momentum': 0.9,
  'batch_norm_epsilon': 1e-5,
  'use_bias': True,
  'initializer': 'he_normal',
  'dtype': 'float32',
  'layout': 'nhwc',
}
COUNTS = [
  ('digits_cnn', (8, 8, 1), 10, True, 74_074),
  ('mnist_cnn', (28, 28, 1), 10, True, 422_090),
  ('cifar_cnn', (32, 32, 3), 10, True, 1_639_794),
  ('resnet44', (32, 32, 3), 100, True, 668_676),
  ('resnet34', (32, 32, 3), 100, False, 21_328_292),
]


@pytest.mark.parametrize('layout', models.LAYOUTS)
@pytest.mark.parametrize(('name', 'shape', 'classes', 'bias', 'count'), COUNTS)
def test_numbers_of_parameters(name, shape, classes, bias, count, layout):
  config = BASE | {'name': name, 'use_bias': bias, 'layout': layout}
  model = models.build(config, classes)
  variables = jax.eval_shape(
    model.init, jax.random.key(0), jnp.zeros((2, *shape))
  )
  assert sum(p.size for p in jax.tree.leaves(variables['params'])) == count


def small(kind, **options):
  if kind == 'cnn':
    return CNN(((4, 6), (8,)), (True, True), 10, 5, **options)
  return ResNet((1, 1), (4, 8), 5, kind == 'pre_activation', **options)


KINDS = ('cnn', 'pre_activation', 'post_activation')
IMAGES = jax.random.normal(jax.random.key(0), (6, 8, 8, 3))


def run(model, variables):
  """Logits, gradients and new statistics of a training step."""

  def loss(params):
    (logits, hidden), updated = model.apply(
      {**variables, 'params': params},
      IMAGES,
      train=True,
      return_hidden=True,
      mutable=['batch_stats'],
    )
    return jnp.sin(logits).sum(), (logits, hidden, updated['batch_stats'])

  gradients, rest = jax.grad(loss, has_aux=True)(variables['params'])
  return (*rest, gradients)


@pytest.fixture(scope='module', params=KINDS)
def both(request):
  """A network's parameters, and what they give in each layout."""
  kind = request.param
  variables = small(kind).init(jax.random.key(1), IMAGES)
  return (
    kind,
    variables,
    [
      jax.jit(lambda v, layout=layout: run(small(kind, layout=layout), v))(
        variables
      )
      for layout in models.LAYOUTS
    ],
  )


def test_layouts_are_interchangeable(both):
  kind, variables, (nhwc, chwn) = both
  other = small(kind, layout='chwn').init(jax.random.key(1), IMAGES)
  jax.tree.map(np.testing.assert_array_equal, other, variables)
  # Products and sums in another order, through up to six layers.
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4),
    nhwc,
    chwn,
  )


def test_the_hidden_layer_gives_the_logits(both):
  _, variables, ((logits, hidden, _, _), _) = both
  head = variables['params']['head']
  np.testing.assert_allclose(
    hidden @ head['kernel'] + head['bias'], logits, atol=1e-5
  )


@pytest.mark.parametrize('layout', models.LAYOUTS)
def test_bfloat16_computes_what_float32_does(both, layout):
  kind, variables, (expected, _) = both
  model = small(kind, layout=layout, dtype=jnp.bfloat16)
  actual = jax.jit(lambda v: run(model, v))(variables)
  for tree in (*actual, model.init(jax.random.key(1), IMAGES)):
    assert {x.dtype for x in jax.tree.leaves(tree)} == {jnp.dtype('float32')}
  # bfloat16 has 8 bits: a relative error of 0.4 % in each of six layers, of
  # logits of order 1.
  error = jnp.linalg.norm(actual[0] - expected[0])
  assert 0 < float(error) < 0.05 * float(jnp.linalg.norm(expected[0]))


def test_build_honours_its_config():
  config = BASE | {'name': 'mnist_cnn', 'layout': None, 'dtype': 'bfloat16'}
  model = models.build(config, 7, axis_name='batch')
  assert (model.momentum, model.epsilon) == (0.9, 1e-5)
  assert (model.num_classes, model.axis_name) == (7, 'batch')
  assert (model.layout, model.dtype) == ('chwn', jnp.bfloat16)  # On a CPU.
