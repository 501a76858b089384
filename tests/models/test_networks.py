"""The networks: sizes, layouts, types, hidden layers."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax import models
from sce_jax.models import conv3x3
from tests.models.networks import CONFIG, IMAGES, KINDS, SHAPES, small

# Parameters, and running statistics beside them: two for each channel that is
# normalised (the CIFAR CNN's 2,064 are in Keras's own count).
COUNTS = [
  ('digits_cnn', 10, True, 74_074, 0),
  ('mnist_cnn', 10, True, 422_090, 2 * (32 + 64 + 128)),
  ('cifar_cnn', 10, True, 1_639_794, 2_064),
  ('resnet44', 100, True, 668_676, 2 * (15 * 16 + 14 * 32 + 14 * 64)),
  (
    'resnet34',
    100,
    False,
    21_328_292,
    2 * (7 * 64 + 9 * 128 + 13 * 256 + 7 * 512),
  ),
  # A block's convolutions have 1, 1 and 4 times its width, a projection 4.
  (
    'resnet50',
    100,
    False,
    23_705_252,
    2 * (64 + 22 * 64 + 28 * 128 + 40 * 256 + 22 * 512),
  ),
  # As torchvision counts it.
  (
    'imagenet_resnet50',
    1000,
    False,
    25_557_032,
    2 * (64 + 22 * 64 + 28 * 128 + 40 * 256 + 22 * 512),
  ),
  # Of 64 features; both layers have biases.
  ('mlp', 10, True, 65 * 256 + 257 * 10, 0),
]


def total(tree):
  return sum(x.size for x in jax.tree.leaves(tree))


# The residual networks take a while to compile; test_structure.py has both.
SOME = [
  pytest.param(kind, marks=() if kind == 'cnn' else pytest.mark.slow)
  for kind in KINDS
]


@pytest.mark.parametrize('layout', models.LAYOUTS)
@pytest.mark.parametrize(
  ('name', 'classes', 'bias', 'parameters', 'statistics'), COUNTS
)
def test_sizes(name, classes, bias, parameters, statistics, layout):
  config = dataclasses.replace(CONFIG, name=name, use_bias=bias, layout=layout)
  logits, variables = jax.eval_shape(
    models.build(config, classes, platform='cpu').init_with_output,
    jax.random.key(0),
    jnp.zeros((2, *SHAPES[name])),
  )
  assert (logits.shape, logits.dtype) == ((2, classes), jnp.float32)
  assert total(variables['params']) == parameters
  assert total(variables.get('batch_stats', {})) == statistics


def run(model, variables):
  """Logits, hidden layer, new statistics, gradients of a training step."""

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


def flat(tree):
  return jnp.concatenate([x.ravel() for x in jax.tree.leaves(tree)])


@pytest.fixture(scope='module', params=SOME)
def both(request):
  """A network's parameters, and what they give in each layout."""
  kind = request.param
  variables = jax.jit(small(kind).init)(jax.random.key(1), IMAGES)
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
  # A checkpoint of one is read in the other.
  shapes = jax.eval_shape(
    small(kind, layout='chwn').init, jax.random.key(1), IMAGES
  )
  assert shapes == jax.eval_shape(lambda: variables)
  # Products and sums in another order, through up to six layers.
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4),
    nhwc,
    chwn,
  )


def test_layouts_agree_where_winograd_is_used(monkeypatch):
  variables = jax.jit(small('cnn').init)(jax.random.key(1), IMAGES)
  expected = jax.jit(lambda v: run(small('cnn'), v))(variables)
  monkeypatch.setattr(conv3x3, '_WINOGRAD_WORK', 0)
  actual = jax.jit(lambda v: run(small('cnn', layout='chwn'), v))(variables)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4),
    actual,
    expected,
  )


def test_the_hidden_layer_gives_the_logits(both):
  _, variables, ((logits, hidden, _, _), _) = both
  head = variables['params']['head']
  # Sums of at most ten products of order 1.
  np.testing.assert_allclose(
    hidden @ head['kernel'] + head['bias'], logits, atol=1e-5
  )


def test_evaluation_is_the_default_and_changes_nothing(both):
  kind, variables, _ = both
  model = small(kind)
  logits, updated = jax.jit(
    lambda v: model.apply(v, IMAGES, mutable=['batch_stats'])
  )(variables)
  alone = jax.jit(lambda v: model.apply(v, IMAGES[:1], train=False))(variables)
  # An example's logits do not hang on its batch: float32's rounding only.
  np.testing.assert_allclose(logits[:1], alone, rtol=1e-4, atol=1e-5)
  jax.tree.map(
    np.testing.assert_array_equal,
    updated['batch_stats'],
    variables['batch_stats'],
  )


def test_bfloat16_computes_what_float32_does(both):
  """In the layout for CPUs; a convolution's test has both."""
  kind, variables, (expected, _) = both
  model = small(kind, layout='chwn', dtype=jnp.bfloat16)
  fresh = jax.eval_shape(model.init, jax.random.key(1), IMAGES)
  actual = jax.jit(lambda v: run(model, v))(variables)
  # What is kept or given away is float32.
  types = {x.dtype for x in jax.tree.leaves((actual, fresh))}
  assert types == {jnp.dtype('float32')}
  # bfloat16 has 8 bits: a relative error of 0.4 % in each of six layers, of
  # logits of order 1. Gradients have twice as many layers, and rounding turns
  # some of ReLU's and pooling's choices: far from the 100 % of a wrong one.
  for a, b, tolerance in (
    (actual[0], expected[0], 0.05),
    (*(flat(x[-1]) for x in (actual, expected)), 0.2),
  ):
    error = jnp.linalg.norm(a - b)
    assert 0 < float(error) < tolerance * float(jnp.linalg.norm(b))


def test_products_have_the_type_and_the_precision_asked_for():
  """Forward and backward, in the layout for accelerators; nothing is run."""

  def products(dtype):
    model = small('cnn', layout='nhwc', dtype=dtype)
    variables = jax.eval_shape(model.init, jax.random.key(1), IMAGES)
    text = jax.jit(lambda v: run(model, v)).lower(variables).as_text()
    found = re.findall(r'stablehlo\.(?:convolution|dot_general)\b.*', text)
    # Three convolutions and two dense layers: to the output, to the kernels,
    # and to the inputs but the first one's.
    assert len(found) == 5 + 5 + 4
    return found

  assert not any('xf32>' in x for x in products(jnp.bfloat16))
  assert not any('HIGHEST' in x for x in products(jnp.float32))
  # As JAX_DEFAULT_MATMUL_PRECISION=highest does.
  with jax.default_matmul_precision('highest'):
    assert all('HIGHEST' in x for x in products(jnp.float32))


def test_build_honours_its_config():
  config = dataclasses.replace(
    CONFIG, name='mnist_cnn', layout=None, dtype='bfloat16'
  )
  model = models.build(config, 7, platform='cpu', axis_name='batch')
  assert (model.momentum, model.epsilon) == (0.9, 1e-5)
  assert (model.num_classes, model.axis_name) == (7, 'batch')
  assert (model.layout, model.dtype) == ('chwn', jnp.bfloat16)
  for platform in ('gpu', 'tpu'):
    assert models.build(config, 7, platform=platform).layout == 'nhwc'
