"""Plain convolutional networks: digits, MNIST (4 layers), CIFAR (8 layers)."""

from flax import linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from sce_jax.models import initializers, layers


class CNN(nn.Module):
  """3x3 convolutions and pooling, one hidden dense layer, the logits.

  Each convolution and the hidden layer are followed by batch norm (where
  `batch_norm` is set) and ReLU.

  Attributes:
    stages: for each stage the widths of its convolutions; a 2x2 max-pooling
      stands after each stage that `pooled` names.
    pooled: for each stage, whether it ends with pooling.
    hidden: width of the hidden dense layer.
    num_classes: number of logits.
    batch_norm: whether there are batch-norm layers.
    momentum: of batch norm, see layers.BatchNorm.
    epsilon: of batch norm.
    use_bias: whether convolutions have biases.
    initializer: initialisers.
    dtype: compute type; parameters and statistics are float32.
    layout: one of layers.LAYOUTS.
    axis_name: mapped axis over which a batch is split, or None.
  """

  stages: tuple[tuple[int, ...], ...]
  pooled: tuple[bool, ...]
  hidden: int
  num_classes: int
  batch_norm: bool = True
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
    """Computes the logits.

    Args:
      images: normalised images.
      train: whether batch norm uses (and records) the batch's statistics.
      mask: 1 for the examples of the batch, 0 for what only fills it up.
      return_hidden: also return the last hidden layer's activations.

    Returns:
      float32 logits, or (logits, activations).
    """

    def norm_relu(x, name):
      if self.batch_norm:
        norm = layers.BatchNorm(
          self.momentum, self.epsilon, self.axis_name, self.layout, name=name
        )
        x = norm(x, train=train, mask=mask)
      return nn.relu(x)

    x = layers.from_nhwc(images, self.layout)
    number = 0
    for widths, pool in zip(self.stages, self.pooled, strict=True):
      for width in widths:
        number += 1
        conv = layers.Conv(
          width,
          use_bias=self.use_bias,
          initializer=self.initializer,
          dtype=self.dtype,
          layout=self.layout,
          name=f'conv{number}',
        )
        x = norm_relu(conv(x), f'conv{number}_bn')
      if pool:
        x = layers.max_pool(x)
    x = layers.flatten(x, self.layout)
    fc1 = layers.dense(self.hidden, x, self.initializer, self.dtype, 'fc1')
    hidden = norm_relu(fc1(x), 'fc1_bn')
    head = layers.dense(
      self.num_classes, hidden, self.initializer, self.dtype, 'head'
    )
    logits = head(hidden).astype(jnp.float32)
    return (logits, hidden.astype(jnp.float32)) if return_hidden else logits
