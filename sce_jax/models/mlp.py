"""A multilayer perceptron, for feature vectors."""

from flax import linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from sce_jax.models import initializers, layers


class MLP(nn.Module):
  """Hidden dense layers, each followed by ReLU, and the logits.

  Images are flattened. There is no batch norm: behind it weight decay does not
  keep a layer's function small, and small networks of features need that, see
  configs/own.py. Dense layers are the same in both layouts and have biases.

  Attributes:
    hidden: widths of the hidden layers.
    num_classes: number of logits.
    initializer: initialisers.
    dtype: compute type; parameters are float32.
    momentum, epsilon, use_bias, layout, axis_name: of other networks; not used.
  """

  hidden: tuple[int, ...]
  num_classes: int
  initializer: initializers.Initializers = initializers.INITIALIZERS[
    'he_normal'
  ]
  dtype: DTypeLike = jnp.float32
  momentum: float = 0.99
  epsilon: float = 1e-3
  use_bias: bool = True
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
    del train, mask
    x = features.reshape(features.shape[0], -1).astype(self.dtype)
    for i, width in enumerate(self.hidden, 1):
      fc = layers.dense(width, x, self.initializer, self.dtype, f'fc{i}')
      x = nn.relu(fc(x))
    head = layers.dense(
      self.num_classes, x, self.initializer, self.dtype, 'head'
    )
    logits = head(x).astype(jnp.float32)
    return (logits, x.astype(jnp.float32)) if return_hidden else logits
