"""Residual networks (He et al., 2015, 2016), for small and large images."""

import functools

from flax import linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from sce_jax.models import initializers, layers

_EXPANSION = 4  # Of a bottleneck block's width, in its output.


class ResNet(nn.Module):
  """Three or four stages of residual blocks.

  Attributes:
    blocks: number of blocks of each stage.
    widths: channels of each stage's 3x3 convolutions; each stage but the first
      halves the image.
    num_classes: number of logits.
    pre_activation: True: batch norm and ReLU before each convolution, and
      once before pooling (He et al., 2016, the authors' ResNet-44). False:
      after each convolution, the stem's too (He et al., 2015), with batch
      norm on the projection.
    bottleneck: False: blocks of two 3x3 convolutions. True: of one, between
      1x1 convolutions, the last to four times the stage's width (He et al.,
      2015); only post-activation.
    imagenet: False: a 3x3 stem. True: a 7x7 stem and 3x3 max pooling, each of
      which halves the image, and torch's padding, with which pretrained
      weights were trained; only post-activation.
    momentum: of batch norm, see layers.BatchNorm.
    epsilon: of batch norm.
    use_bias: whether convolutions have biases.
    initializer: initialisers.
    dtype: compute type; parameters and statistics are float32.
    layout: one of layers.LAYOUTS.
    axis_name: mapped axis over which a batch is split, or None.
  """

  blocks: tuple[int, ...]
  widths: tuple[int, ...]
  num_classes: int
  pre_activation: bool
  bottleneck: bool = False
  imagenet: bool = False
  momentum: float = 0.99
  epsilon: float = 1e-3
  use_bias: bool = True
  initializer: initializers.Initializers = initializers.INITIALIZERS[
    'he_normal'
  ]
  dtype: DTypeLike = jnp.float32
  layout: str = 'nhwc'
  axis_name: str | None = None

  @nn.compact
  def __call__(
    self,
    images: Float[Array, 'N H W C'],
    *,
    train: bool = False,
    mask: Float[Array, ' N'] | None = None,
    return_hidden: bool = False,
  ) -> Float[Array, 'N K'] | tuple[Float[Array, 'N K'], Float[Array, 'N D']]:
    """Computes the logits; arguments and results as in cnn.CNN."""
    if self.pre_activation and (self.bottleneck or self.imagenet):
      raise ValueError(
        'bottleneck blocks and the stem of ImageNet are post-activation only'
      )
    conv = functools.partial(
      layers.Conv,
      even_padding=self.imagenet,
      use_bias=self.use_bias,
      initializer=self.initializer,
      dtype=self.dtype,
      layout=self.layout,
    )

    def norm(x, name):
      module = layers.BatchNorm(
        self.momentum, self.epsilon, self.axis_name, self.layout, name=name
      )
      return module(x, train=train, mask=mask)

    x = layers.from_nhwc(images, self.layout)
    size, strides = (7, 2) if self.imagenet else (3, 1)
    x = conv(self.widths[0], size, strides, name='stem')(x)
    if not self.pre_activation:
      x = nn.relu(norm(x, 'stem_bn'))
    if self.imagenet:
      x = layers.max_pool3(x, self.layout)
    width_in = self.widths[0]
    if self.bottleneck:
      block, expansion = _bottleneck_block, _EXPANSION
    elif self.pre_activation:
      block, expansion = _pre_activation_block, 1
    else:
      block, expansion = _basic_block, 1
    for s, (count, width) in enumerate(
      zip(self.blocks, self.widths, strict=True)
    ):
      for b in range(count):
        strides = 2 if s > 0 and b == 0 else 1
        width_out = expansion * width
        project = strides != 1 or width_in != width_out
        name = f'stage{s + 1}_block{b + 1}'
        x = block(x, conv, norm, width, strides, project, name)
        width_in = width_out
    if self.pre_activation:
      x = nn.relu(norm(x, 'final_bn'))
    hidden = layers.mean_pool(x, self.layout)
    head = layers.dense(
      self.num_classes, hidden, self.initializer, self.dtype, 'head'
    )
    logits = head(hidden).astype(jnp.float32)
    return (logits, hidden.astype(jnp.float32)) if return_hidden else logits


def _pre_activation_block(x, conv, norm, width, strides, project, name):
  y = nn.relu(norm(x, f'{name}_bn1'))
  shortcut = x
  if project:
    shortcut = conv(width, 1, strides, name=f'{name}_projection')(y)
  y = conv(width, strides=strides, name=f'{name}_conv1')(y)
  y = nn.relu(norm(y, f'{name}_bn2'))
  return shortcut + conv(width, name=f'{name}_conv2')(y)


def _basic_block(x, conv, norm, width, strides, project, name):
  y = conv(width, strides=strides, name=f'{name}_conv1')(x)
  y = nn.relu(norm(y, f'{name}_bn1'))
  y = norm(conv(width, name=f'{name}_conv2')(y), f'{name}_bn2')
  if project:
    x = conv(width, 1, strides, name=f'{name}_projection')(x)
    x = norm(x, f'{name}_projection_bn')
  return nn.relu(x + y)


def _bottleneck_block(x, conv, norm, width, strides, project, name):
  y = conv(width, 1, name=f'{name}_conv1')(x)
  y = nn.relu(norm(y, f'{name}_bn1'))
  # The 3x3 takes the stride: a 1x1 would skip three positions of four.
  y = conv(width, strides=strides, name=f'{name}_conv2')(y)
  y = nn.relu(norm(y, f'{name}_bn2'))
  y = norm(conv(_EXPANSION * width, 1, name=f'{name}_conv3')(y), f'{name}_bn3')
  if project:
    x = conv(_EXPANSION * width, 1, strides, name=f'{name}_projection')(x)
    x = norm(x, f'{name}_projection_bn')
  return nn.relu(x + y)
