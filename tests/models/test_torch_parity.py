"""Logits of ResNet-50 against PyTorch's, from one file of weights.

Needs torch (pip install torch), else it is skipped.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors import numpy as safetensors

from sce_jax import models
from sce_jax.models import ModelConfig
from sce_jax.models.resnet import ResNet
from sce_jax.runs import initial

torch = pytest.importorskip('torch', reason='PyTorch is not installed')

from tests.models import torch_resnet  # noqa: E402  Imports torch.

CONFIG = ModelConfig(
  name='imagenet_resnet50',
  initializer='he_normal',
  use_bias=False,
  batch_norm_momentum=0.9,
  batch_norm_epsilon=1e-5,
  dtype='float32',
  layout=None,
)


def saved(network, path):
  tensors = {name: x.numpy() for name, x in network.state_dict().items()}
  path.write_bytes(safetensors.save(tensors))
  return str(path)


def loaded(model, file, images):
  """The variables of a file, for a network that CONFIG names."""
  config = ModelConfig(**CONFIG.architecture, init_from=file)
  shapes = jax.eval_shape(model.init, jax.random.key(0), images)
  return initial.load(config, lambda: shapes).variables


def images_of(*shape):
  return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def logits_of(network, images):
  with torch.no_grad():
    channels_first = np.asarray(images).transpose(0, 3, 1, 2)
    return network(torch.tensor(channels_first)).numpy()


@pytest.mark.parametrize('layout', models.LAYOUTS)
# Sizes whose halves are odd, or not whole, at one stage or another.
@pytest.mark.parametrize('size', [(32, 32), (35, 45), (50, 27)])
def test_a_small_network(tmp_path, size, layout):
  network = torch_resnet.resnet((2, 1, 1), (4, 6, 8), 5)
  model = ResNet(
    (2, 1, 1),
    (4, 6, 8),
    5,
    False,
    bottleneck=True,
    imagenet=True,
    momentum=0.9,
    epsilon=1e-5,
    use_bias=False,
    layout=layout,
  )
  images = jnp.asarray(images_of(3, *size, 3))
  variables = loaded(model, saved(network, tmp_path / 'weights'), images)
  actual = jax.jit(model.apply)(variables, images)
  expected = logits_of(network, images)
  assert expected.std() > 0.1
  # float32, other orders of summation.
  np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)

  # In training: the batch's statistics, and the running ones after a step.
  actual, updated = jax.jit(
    lambda v: model.apply(v, images, train=True, mutable=['batch_stats'])
  )(variables)
  network.train()
  expected = logits_of(network, images)
  np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-3)
  means = updated['batch_stats']['stage3_block1_bn2']['mean']
  np.testing.assert_allclose(
    means, network.layer3[0].bn2.running_mean, rtol=1e-3, atol=1e-4
  )


@pytest.mark.slow
@pytest.mark.parametrize(
  ('layout', 'size'), [('nhwc', 224), ('nhwc', 64), ('chwn', 64)]
)
def test_resnet_50(tmp_path, layout, size):
  network = torch_resnet.resnet()
  config = ModelConfig(**CONFIG.architecture | {'layout': layout})
  model = models.build(config, 1000, platform='cpu')
  images = jnp.asarray(images_of(2, size, size, 3))
  variables = loaded(model, saved(network, tmp_path / 'weights'), images)
  expected = logits_of(network, images)
  actual = jax.jit(model.apply)(variables, images)
  error = np.linalg.norm(actual - expected) / np.linalg.norm(expected)
  # Of logits that differ between the images, through 50 layers of float32.
  assert np.linalg.norm(expected[0] - expected[1]) > 0.01 * np.linalg.norm(
    expected
  )
  assert error < 1e-4
