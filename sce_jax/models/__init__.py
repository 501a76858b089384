"""The networks of the paper and of the field, by their config names."""

from collections.abc import Callable
import dataclasses
import functools
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp

from sce_jax.models import layers
from sce_jax.models.cnn import CNN
from sce_jax.models.initializers import INITIALIZERS
from sce_jax.models.layers import LAYOUTS
from sce_jax.models.mlp import MLP
from sce_jax.models.resnet import ResNet

__all__ = [
  'DTYPES',
  'FOR_FEATURES',
  'INITIALIZERS',
  'LAYOUTS',
  'MODELS',
  'ModelConfig',
  'build',
  'shapes',
]

DTYPES = {'float32': jnp.float32, 'bfloat16': jnp.bfloat16}

# The networks that take feature vectors; all others take images only.
FOR_FEATURES = ('mlp',)

MODELS: dict[str, Callable[..., nn.Module]] = {
  # 74,074 parameters on 8x8 images in 10 classes.
  'digits_cnn': functools.partial(
    CNN,
    stages=((16, 16), (32,)),
    pooled=(True, False),
    hidden=128,
    batch_norm=False,
  ),
  # The paper's 4 layers: 422,090 parameters on 28x28 images in 10 classes.
  'mnist_cnn': functools.partial(
    CNN, stages=((32,), (64,)), pooled=(True, True), hidden=128
  ),
  # The paper's 8 layers: 1,639,794 parameters on CIFAR-10.
  'cifar_cnn': functools.partial(
    CNN,
    stages=((64, 64), (128, 128), (196, 196)),
    pooled=(True, True, True),
    hidden=256,
  ),
  # The paper's pre-activation ResNet-44: 668,676 parameters on CIFAR-100.
  'resnet44': functools.partial(
    ResNet, blocks=(7, 7, 7), widths=(16, 32, 64), pre_activation=True
  ),
  # 21,328,292 parameters on CIFAR-100, without biases.
  'resnet34': functools.partial(
    ResNet,
    blocks=(3, 4, 6, 3),
    widths=(64, 128, 256, 512),
    pre_activation=False,
  ),
  # 23,705,252 parameters on CIFAR-100, without biases.
  'resnet50': functools.partial(
    ResNet,
    blocks=(3, 4, 6, 3),
    widths=(64, 128, 256, 512),
    pre_activation=False,
    bottleneck=True,
  ),
  # ResNet-50 v1.5, whose 3x3 convolutions take the strides, as torchvision and
  # timm have it: 25,557,032 parameters in 1,000 classes, without biases.
  'imagenet_resnet50': functools.partial(
    ResNet,
    blocks=(3, 4, 6, 3),
    widths=(64, 128, 256, 512),
    pre_activation=False,
    bottleneck=True,
    imagenet=True,
  ),
  # For feature vectors; images are flattened.
  'mlp': functools.partial(MLP, hidden=(256,)),
}


@dataclasses.dataclass(frozen=True)
class ModelConfig:
  """The `model` section of a config; config/base.py explains each field."""

  name: str
  initializer: str
  use_bias: bool
  batch_norm_momentum: float
  batch_norm_epsilon: float
  dtype: str
  layout: str | None
  init_from: str | None = None

  @property
  def architecture(self) -> dict[str, Any]:
    """What rebuilds the network, as plain data, without what it began from."""
    values = dataclasses.asdict(self)
    del values['init_from']
    return values


def build(
  config: ModelConfig,
  num_classes: int,
  *,
  platform: str,
  axis_name: str | None = None,
) -> nn.Module:
  """Builds the network that a config names.

  Args:
    config: the `model` section of a config.
    num_classes: number of logits.
    platform: what it is compiled for, such as 'cpu', 'gpu' or 'tpu'; decides
      the layout where the config does not.
    axis_name: mapped axis over which a batch is split, or None.

  Returns:
    A module that maps normalised images [N, H, W, C], or of FOR_FEATURES also
    features [N, D], to float32 logits [N, K].
  """
  return MODELS[config.name](
    num_classes=num_classes,
    momentum=config.batch_norm_momentum,
    epsilon=config.batch_norm_epsilon,
    use_bias=config.use_bias,
    initializer=INITIALIZERS[config.initializer],
    dtype=DTYPES[config.dtype],
    layout=config.layout or layers.platform_layout(platform),
    axis_name=axis_name,
  )


def shapes(
  config: ModelConfig, num_classes: int, image_shape: tuple[int, ...]
) -> Any:
  """The shapes of a network's variables, of which nothing is computed.

  Args:
    config: the `model` section of a config.
    num_classes: number of logits.
    image_shape: (H, W, C), or (D,) of features.
  """
  module = build(config, num_classes, platform='cpu')
  image = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
  return jax.eval_shape(module.init, jax.random.key(0), image)
