"""A multilayer perceptron, for feature vectors."""

from flax import linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from sce_jax.models import initializers, layers


class MLP(nn.Module):
  """Hidden dense layers, each with batch norm and ReLU, and the logits.

  Images are flattened. Dense layers are the same in both layouts.

  Attributes:
    hidden: widths of the hidden layers.
    num_classes: number of logits.
    batch_norm: whether there are batch-norm layers.
    momentum: of batch norm, see layers.BatchNorm.
    epsilon: of batch norm.
    use_bias: not used; dense layers have biases.
    initializer: initialisers.
    dtype: compute type; parameters and statistics are float32.
    layout: not used.
    axis_name: mapped axis over which a batch is split, or None.
  """

  hidden: tuple[int, ...]
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
    features: Float[Array, 'N ...'],
    *,
    train: bool = False,
    mask: Float[Array, ' N'] | None = None,
    return_hidden: bool = False,
  ) -> Float[Array, 'N K'] | tuple[Float[Array, 'N K'], Float[Array, 'N D']]:
    """Computes the logits; arguments and results as in cnn.CNN."""
    x = features.reshape(features.shape[0], -1).astype(self.dtype)
    for i, width in enumerate(self.hidden, 1):
      fc = layers.dense(width, x, self.initializer, self.dtype, f'fc{i}')
      x = fc(x)
      if self.batch_norm:
        norm = layers.BatchNorm(
          self.momentum, self.epsilon, self.axis_name, name=f'fc{i}_bn'
        )
        x = norm(x, train=train, mask=mask)
      x = nn.relu(x)
    head = layers.dense(
      self.num_classes, x, self.initializer, self.dtype, 'head'
    )
    logits = head(x).astype(jnp.float32)
    return (logits, x.astype(jnp.float32)) if return_hidden else logits
