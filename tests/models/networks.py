"""Networks for the tests: the shipped ones' images and configs, small ones."""

import jax.numpy as jnp
import numpy as np

from sce_jax.models import ModelConfig
from sce_jax.models.cnn import CNN
from sce_jax.models.resnet import ResNet

CONFIG = ModelConfig(
  name='digits_cnn',
  batch_norm_momentum=0.9,
  batch_norm_epsilon=1e-5,
  use_bias=True,
  initializer='he_normal',
  dtype='float32',
  layout='nhwc',
)
# The images of the shipped networks.
SHAPES = {
  'digits_cnn': (8, 8, 1),
  'mnist_cnn': (28, 28, 1),
  'cifar_cnn': (32, 32, 3),
  'resnet44': (32, 32, 3),
  'resnet34': (32, 32, 3),
  'resnet50': (32, 32, 3),
  'imagenet_resnet50': (64, 64, 3),
  'mlp': (64,),
}
KINDS = ('cnn', 'pre_activation', 'post_activation')
IMAGES = jnp.array(
  np.random.default_rng(0).normal(size=(6, 8, 8, 3)), jnp.float32
)


def small(kind, **options):
  """A network of a few channels for IMAGES, five classes."""
  if kind == 'cnn':
    return CNN(((4,), (6,), (8,)), (False, True, True), 10, 5, **options)
  return ResNet((1, 1), (4, 8), 5, kind == 'pre_activation', **options)
