"""What the networks compute and what their layers are told."""

import dataclasses

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax import models
from sce_jax.models import layers
from sce_jax.models.resnet import ResNet
from tests.models import networks, reference


def assert_logits(model, forward, images=networks.IMAGES):
  """Against NumPy, with random biases, scales and running statistics."""
  shapes = jax.eval_shape(model.init, jax.random.key(0), images)
  rng = np.random.default_rng(0)

  def values(path, leaf):
    if path[-1].key == 'var':
      return rng.uniform(0.5, 2, leaf.shape)
    fan_in = np.prod(leaf.shape[:-1]) if path[-1].key == 'kernel' else 1
    return rng.normal(size=leaf.shape) / fan_in**0.5

  variables = jax.tree_util.tree_map_with_path(values, shapes)
  actual = jax.jit(model.apply)(
    jax.tree.map(lambda x: jnp.array(x, jnp.float32), variables),
    images,
  )
  expected = forward(
    reference.Network(variables, model.epsilon),
    np.asarray(images, np.float64),
  )
  # float32 through at most eleven layers.
  np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('kind', networks.KINDS)
def test_logits_by_definition(kind):
  model = networks.small(kind, epsilon=0.1)
  assert_logits(model, getattr(reference, kind))


def bottleneck(net, x):
  """Three blocks: wider, as wide, at half the resolution (He et al., 2015)."""
  relu = reference.relu
  x = relu(net.norm('stem_bn', net.conv('stem', x)))
  for name, strides, project in (
    ('stage1_block1', 1, True),
    ('stage1_block2', 1, False),
    ('stage2_block1', 2, True),
  ):
    y = relu(net.norm(f'{name}_bn1', net.conv(f'{name}_conv1', x)))
    y = relu(net.norm(f'{name}_bn2', net.conv(f'{name}_conv2', y, strides)))
    y = net.norm(f'{name}_bn3', net.conv(f'{name}_conv3', y))
    if project:
      x = net.conv(f'{name}_projection', x, strides)
      x = net.norm(f'{name}_projection_bn', x)
    x = relu(x + y)
  return net.dense('head', x.mean((1, 2)))


@pytest.mark.parametrize('layout', models.LAYOUTS)
def test_logits_of_bottleneck_blocks_by_definition(layout):
  model = ResNet(
    (2, 1), (4, 8), 5, False, bottleneck=True, epsilon=0.1, layout=layout
  )
  assert_logits(model, bottleneck)


def imagenet(net, x):
  """ImageNet's stem and two basic blocks, all padded alike on both sides."""
  relu = reference.relu
  x = net.conv('stem', x, 2, even_padding=True)
  x = reference.max_pool3(relu(net.norm('stem_bn', x)))
  for name, strides in (('stage1_block1', 1), ('stage2_block1', 2)):
    y = net.conv(f'{name}_conv1', x, strides, even_padding=True)
    y = relu(net.norm(f'{name}_bn1', y))
    y = net.norm(f'{name}_bn2', net.conv(f'{name}_conv2', y))
    if strides == 2:
      x = net.conv(f'{name}_projection', x, strides)
      x = net.norm(f'{name}_projection_bn', x)
    x = relu(x + y)
  return net.dense('head', x.mean((1, 2)))


@pytest.mark.parametrize('layout', models.LAYOUTS)
@pytest.mark.parametrize('shape', [(15, 16), (17, 14)])
def test_logits_with_the_stem_of_imagenet_by_definition(shape, layout):
  images = jnp.array(
    np.random.default_rng(1).normal(size=(2, *shape, 3)), jnp.float32
  )
  model = ResNet(
    (1, 1), (4, 8), 5, False, imagenet=True, epsilon=0.1, layout=layout
  )
  assert_logits(model, imagenet, images)


def test_bottleneck_blocks_are_not_pre_activation():
  model = ResNet((1,), (4,), 5, True, bottleneck=True)
  with pytest.raises(ValueError, match='post-activation'):
    jax.eval_shape(model.init, jax.random.key(0), networks.IMAGES)


def calls(name, shape, num_classes=10, **options):
  """The layers of a network as called in training: (module, kwargs, output)."""
  model = models.build(
    dataclasses.replace(networks.CONFIG, name=name, **options),
    num_classes,
    platform='cpu',
    axis_name='batch',
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
  # The digits' network has no batch norm, that of features dense layers only.
  lacks = {'digits_cnn': {layers.BatchNorm}}
  lacks['mlp'] = {layers.BatchNorm, layers.Conv}
  expected = {layers.BatchNorm, layers.Conv, nn.Dense}
  assert kinds == expected - lacks.get(name, set())


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
    # The first 1x1 of a stage is still at the resolution of the last one.
    (
      'resnet50',
      [(32, 64)] * 3
      + [(32, 256)] * 2
      + [(32, 64), (32, 64), (32, 256)] * 2
      + [(32, 128), (16, 128)]
      + [(16, 512)] * 2
      + [(16, 128), (16, 128), (16, 512)] * 3
      + [(16, 256), (8, 256)]
      + [(8, 1024)] * 2
      + [(8, 256), (8, 256), (8, 1024)] * 5
      + [(8, 512), (4, 512)]
      + [(4, 2048)] * 2
      + [(4, 512), (4, 512), (4, 2048)] * 2,
    ),
    # The stem and the pooling after it halve the image, which has 64 pixels.
    (
      'imagenet_resnet50',
      [(32, 64)]
      + [(16, 64)] * 2
      + [(16, 256)] * 2
      + [(16, 64), (16, 64), (16, 256)] * 2
      + [(16, 128), (8, 128)]
      + [(8, 512)] * 2
      + [(8, 128), (8, 128), (8, 512)] * 3
      + [(8, 256), (4, 256)]
      + [(4, 1024)] * 2
      + [(4, 256), (4, 256), (4, 1024)] * 5
      + [(4, 512), (2, 512)]
      + [(2, 2048)] * 2
      + [(2, 512), (2, 512), (2, 2048)] * 2,
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
    ('resnet50', 2048),
    ('imagenet_resnet50', 2048),
  ],
)
def test_widths_of_the_hidden_layers(name, width):
  config = dataclasses.replace(networks.CONFIG, name=name)
  model = models.build(config, 7, platform='cpu')
  x = jnp.zeros((2, *networks.SHAPES[name]))
  (logits, hidden), _ = jax.eval_shape(
    lambda key: model.init_with_output(key, x, return_hidden=True),
    jax.random.key(0),
  )
  assert (logits.shape, hidden.shape) == ((2, 7), (2, width))
