"""Names of torchvision's ResNet-50 against those of our network."""

import dataclasses

from flax import traverse_util
import numpy as np

from sce_jax import models
from sce_jax.models import torch_names
from tests.models import networks


def published():
  """The names and shapes of a state_dict of ResNet-50 in 1,000 classes."""

  def norm(name, channels):
    found[f'{name}.num_batches_tracked'] = ()
    for leaf in ('weight', 'bias', 'running_mean', 'running_var'):
      found[f'{name}.{leaf}'] = (channels,)

  found = {'conv1.weight': (64, 3, 7, 7)}
  norm('bn1', 64)
  inputs = 64
  for i, count in enumerate((3, 4, 6, 3)):
    width = 64 * 2**i
    for j in range(count):
      block = f'layer{i + 1}.{j}'
      found[f'{block}.conv1.weight'] = (width, inputs, 1, 1)
      found[f'{block}.conv2.weight'] = (width, width, 3, 3)
      found[f'{block}.conv3.weight'] = (4 * width, width, 1, 1)
      for k, channels in enumerate((width, width, 4 * width)):
        norm(f'{block}.bn{k + 1}', channels)
      if j == 0:
        found[f'{block}.downsample.0.weight'] = (4 * width, inputs, 1, 1)
        norm(f'{block}.downsample.1', 4 * width)
      inputs = 4 * width
  return found | {'fc.weight': (1000, 2048), 'fc.bias': (1000,)}


def test_every_parameter_is_mapped_once():
  shapes = published()
  assert len(shapes) == 320  # 53 batch norms of five, 53 convolutions, fc.
  # Each array is told by its only number.
  tensors = {
    name: np.broadcast_to(np.float32(i), shape)
    for i, (name, shape) in enumerate(shapes.items())
  }
  ours = torch_names.from_torch(tensors)
  config = dataclasses.replace(
    networks.CONFIG, name='imagenet_resnet50', use_bias=False
  )
  variables = models.shapes(config, 1000, (64, 64, 3))
  expected = traverse_util.flatten_dict(variables, sep='.')
  assert {name: x.shape for name, x in ours.items()} == {
    name: x.shape for name, x in expected.items()
  }
  numbers = {float(x.flat[0]) for x in ours.values()}
  assert len(numbers) == len(ours) == 320 - 53
  # A few that a wrong rule would exchange.
  numbered = {name: float(i) for i, name in enumerate(shapes)}
  for name, torch in {
    'params.stage3_block6_bn2.scale': 'layer3.5.bn2.weight',
    'params.stage3_block6_bn2.bias': 'layer3.5.bn2.bias',
    'batch_stats.stage1_block1_projection_bn.var': (
      'layer1.0.downsample.1.running_var'
    ),
    'params.stage1_block1_projection.kernel': 'layer1.0.downsample.0.weight',
  }.items():
    assert ours[name].flat[0] == numbered[torch], name


def test_kernels_are_turned():
  kernel = np.arange(2 * 3 * 5 * 7, dtype=np.float32).reshape(2, 3, 5, 7)
  dense = np.arange(6, dtype=np.float32).reshape(2, 3)
  ours = torch_names.from_torch({'conv1.weight': kernel, 'fc.weight': dense})
  assert ours['params.stem.kernel'][4, 6, 2, 1] == kernel[1, 2, 4, 6]
  assert ours['params.head.kernel'][2, 1] == dense[1, 2]


def test_parallel_training_adds_a_prefix_and_strangers_keep_their_names():
  value = np.zeros((1,), np.float32)
  given = ['module.bn1.weight', 'features.0.weight', 'layer1.0.se.bias']
  ours = torch_names.from_torch(dict.fromkeys(given, value))
  assert list(ours) == ['params.stem_bn.scale', *given[1:]]
