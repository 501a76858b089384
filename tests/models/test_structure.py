"""What the networks compute and what their layers are told."""

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax import models
from sce_jax.models import layers
from tests.models import networks, reference


@pytest.mark.parametrize('kind', networks.KINDS)
def test_logits_by_definition(kind):
  """Against NumPy, with random biases, scales and running statistics."""
  model = networks.small(kind, epsilon=0.1)
  shapes = jax.eval_shape(model.init, jax.random.key(0), networks.IMAGES)
  rng = np.random.default_rng(0)

  def values(path, leaf):
    if path[-1].key == 'var':
      return rng.uniform(0.5, 2, leaf.shape)
    fan_in = np.prod(leaf.shape[:-1]) if path[-1].key == 'kernel' else 1
    return rng.normal(size=leaf.shape) / fan_in**0.5

  variables = jax.tree_util.tree_map_with_path(values, shapes)
  actual = jax.jit(model.apply)(
    jax.tree.map(lambda x: jnp.array(x, jnp.float32), variables),
    networks.IMAGES,
  )
  forward = getattr(reference, kind)
  expected = forward(
    reference.Network(variables, 0.1), np.asarray(networks.IMAGES, np.float64)
  )
  # float32 through five layers.
  np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


def calls(name, shape, num_classes=10, **options):
  """The layers of a network as called in training: (module, kwargs, output)."""
  model = models.build(
    networks.CONFIG | {'name': name} | options, num_classes, axis_name='batch'
  )
  seen = []

  def record(layer, args, kwargs, context):
    y = layer(*args, **kwargs)
    if context.method_name == '__call__':
      seen.append((context.module, kwargs, y))
    return y

  def init(images, mask):
    return model.init(jax.random.key(0), images, train=True, mask=mask)

  with nn.intercept_methods(record):
    jax.eval_shape(
      jax.vmap(init, axis_name='batch'),
      jnp.zeros((2, 3, *shape)),
      jnp.ones((2, 3)),
    )
  return seen[:-1]  # The last to return is the network itself.


@pytest.mark.parametrize('layout', models.LAYOUTS)
@pytest.mark.parametrize(('name', 'shape'), networks.SHAPES.items())
def test_every_layer_is_told_what_the_config_says(name, shape, layout):
  kinds = set()
  for module, kwargs, _ in calls(
    name,
    shape,
    layout=layout,
    use_bias=False,
    dtype='bfloat16',
    initializer='apl',
    batch_norm_momentum=0.8,
    batch_norm_epsilon=0.5,
  ):
    kinds.add(type(module))
    if isinstance(module, layers.BatchNorm):
      assert (module.momentum, module.epsilon) == (0.8, 0.5)
      assert (module.axis_name, module.layout) == ('batch', layout)
      assert kwargs['train']
      assert kwargs['mask'].shape == (3,)
    elif isinstance(module, layers.Conv):
      assert not module.use_bias
      assert module.initializer is models.INITIALIZERS['apl']
      assert (module.dtype, module.layout) == (jnp.bfloat16, layout)
    else:
      assert module.kernel_init is models.INITIALIZERS['apl'].dense_kernel
      assert module.dtype == jnp.bfloat16
  expected = {layers.BatchNorm, layers.Conv, nn.Dense}
  # The digits' network has no batch norm.
  assert kinds == expected - ({layers.BatchNorm} if 'digits' in name else set())


@pytest.mark.parametrize(
  ('name', 'outputs'),
  [
    ('digits_cnn', [(8, 16)] * 2 + [(4, 32)]),
    ('mnist_cnn', [(28, 32), (14, 64)]),
    ('cifar_cnn', [(32, 64)] * 2 + [(16, 128)] * 2 + [(8, 196)] * 2),
    # A 1x1 projection beside the first block's two convolutions of a stage.
    ('resnet44', [(32, 16)] * 15 + [(16, 32)] * 15 + [(8, 64)] * 15),
    (
      'resnet34',
      [(32, 64)] * 7 + [(16, 128)] * 9 + [(8, 256)] * 13 + [(4, 512)] * 7,
    ),
  ],
)
def test_resolutions_and_widths(name, outputs):
  convolutions = [
    y.shape
    for module, _, y in calls(name, networks.SHAPES[name])
    if isinstance(module, layers.Conv)
  ]
  assert convolutions == [(3, size, size, width) for size, width in outputs]


@pytest.mark.parametrize(
  ('name', 'width'),
  [
    ('digits_cnn', 128),
    ('mnist_cnn', 128),
    ('cifar_cnn', 256),
    ('resnet44', 64),
    ('resnet34', 512),
  ],
)
def test_widths_of_the_hidden_layers(name, width):
  model = models.build(networks.CONFIG | {'name': name}, 7)
  x = jnp.zeros((2, *networks.SHAPES[name]))
  (logits, hidden), _ = jax.eval_shape(
    lambda key: model.init_with_output(key, x, return_hidden=True),
    jax.random.key(0),
  )
  assert (logits.shape, hidden.shape) == ((2, 7), (2, width))
