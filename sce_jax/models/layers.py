"""Convolution, batch norm and pooling in two memory layouts.

The only file that knows layouts. A network is written once, on top of these
layers, and runs in either:

  nhwc  batch first, channels last, `lax.conv`: what GPUs and TPUs want.
  chwn  channels first, batch last, convolutions as matrix products: XLA's CPU
        backend multiplies matrices at close to the machine's rate but is
        several times slower in the gradient of a convolution.

Parameters have the same names and shapes in both, so a checkpoint written in
one layout is read in the other.
"""

from flax import linen as nn
import jax
from jax import lax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from sce_jax.models import conv3x3, initializers

LAYOUTS = ('nhwc', 'chwn')


def platform_layout(platform: str) -> str:
  """The faster layout on a platform, such as 'cpu', 'gpu' or 'tpu'."""
  return 'chwn' if platform == 'cpu' else 'nhwc'


def from_nhwc(images: Float[Array, 'N H W C'], layout: str) -> Array:
  """Brings a batch of images into the layout."""
  return images.transpose(3, 1, 2, 0) if layout == 'chwn' else images


def flatten(x: Array, layout: str) -> Float[Array, 'N D']:
  """Flattens each example in the order (H, W, C), whatever the layout."""
  if layout == 'chwn':
    # Whole rows of examples are moved; turning [D, N] is left to the product
    # that follows, which reads it either way.
    return x.transpose(1, 2, 0, 3).reshape(-1, x.shape[3]).T
  return x.reshape(x.shape[0], -1)


@jax.custom_vjp
def max_pool(x: Array) -> Array:
  """Maximum over 2x2 windows with stride 2; an odd last row is left out.

  A maximum of pairs, twice. The gradient is shared equally between tied rows of
  a window, and within a row between tied entries: [[1, 1], [1, 0]] get
  [[0.25, 0.25], [0.5, 0]].
  """
  pairs = _pairs(x)
  return jnp.max(jnp.max(pairs, axis=4), axis=2)


def _pairs(x: Array) -> Array:
  """Both positions as pairs, [., H/2, 2, W/2, 2, .], in both layouts."""
  height, width = x.shape[1] // 2, x.shape[2] // 2
  x = x[:, : 2 * height, : 2 * width]
  return x.reshape(x.shape[0], height, 2, width, 2, x.shape[3])


def _max_pool_forward(x):
  return max_pool(x), x


def _max_pool_backward(x, gradient):
  # By hand, since the gradient of taking a pair apart is a pass of its own for
  # each half.
  pairs = _pairs(x)
  rows = jnp.max(pairs, axis=4)
  d_rows = gradient[:, :, None] * _share(rows, 2)
  d_x = d_rows[..., None, :] * _share(pairs, 4)
  d_x = d_x.reshape(x.shape[0], d_x.shape[1] * 2, -1, x.shape[3])
  odd = [(0, n - m) for n, m in zip(x.shape, d_x.shape, strict=True)]
  return (jnp.pad(d_x, odd),)


def _share(x: Array, axis: int) -> Array:
  """What each of a pair has of its maximum's gradient: 1, 1/2 or 0."""
  other = jnp.flip(x, axis)
  half = jnp.asarray(0.5, x.dtype)
  return half * ((x >= other).astype(x.dtype) + (x > other).astype(x.dtype))


max_pool.defvjp(_max_pool_forward, _max_pool_backward)


def max_pool3(x: Array, layout: str) -> Array:
  """Maximum over 3x3 windows with stride 2, padded by one all around (torch's).

  Tied entries may share the gradient in one layout and not in the other: after
  ReLU, where only zeros are tied, it is the same.
  """
  if layout == 'nhwc':
    # By their keywords: jax2onnx knows no others.
    return nn.max_pool(
      x, window_shape=(3, 3), strides=(2, 2), padding=((1, 1), (1, 1))
    )
  for axis in (1, 2):
    pad = [(1, 1) if i == axis else (0, 0) for i in range(4)]
    padded = jnp.pad(x, pad, constant_values=-jnp.inf)
    last = x.shape[axis] - 1
    x, *others = (
      lax.slice_in_dim(padded, i, last + i + 1, 2, axis) for i in range(3)
    )
    for other in others:
      x = jnp.maximum(x, other)
  return x


def mean_pool(x: Array, layout: str) -> Float[Array, 'N C']:
  """Mean over all positions (global average pooling)."""
  x = x.mean(axis=(1, 2))
  return x.T if layout == 'chwn' else x


class Conv(nn.Module):
  """Convolution whose output has the size of its input over the strides.

  Attributes:
    features: number of output channels.
    kernel_size: height and width of the kernel.
    strides: step in both directions.
    even_padding: True: equal on both sides, as in torch. False: what is odd of
      it goes after ('SAME', Keras's). They differ with strides only.
    use_bias: whether a bias is added.
    initializer: the initialisers of kernel and bias.
    dtype: what the products are computed in; parameters stay float32.
    layout: one of LAYOUTS.
  """

  features: int
  kernel_size: int = 3
  strides: int = 1
  even_padding: bool = False
  use_bias: bool = True
  initializer: initializers.Initializers = initializers.INITIALIZERS[
    'he_normal'
  ]
  dtype: DTypeLike = jnp.float32
  layout: str = 'nhwc'

  @nn.compact
  def __call__(self, x: Array) -> Array:
    channels = x.shape[0 if self.layout == 'chwn' else -1]
    size = self.kernel_size
    kernel = self.param(
      'kernel',
      self.initializer.conv_kernel,
      (size, size, channels, self.features),
      jnp.float32,
    )
    x = x.astype(self.dtype)
    padding = [(size // 2, size // 2)] * 2 if self.even_padding else 'SAME'
    kernel = kernel.astype(self.dtype)
    x = _convolve(x, kernel, self.strides, padding, self.layout)
    if self.use_bias:
      bias = self.param(
        'bias',
        self.initializer.bias(size * size * channels),
        (self.features,),
        jnp.float32,
      ).astype(self.dtype)
      x = x + (bias[:, None, None, None] if self.layout == 'chwn' else bias)
    return x


def _convolve(
  x: Array,
  kernel: Array,
  strides: int,
  padding: str | list[tuple[int, int]],
  layout: str,
) -> Array:
  if layout == 'chwn' and strides == 1 and kernel.shape[:2] == (3, 3):
    return conv3x3.conv3x3(x, kernel)
  order = 'NHWC' if layout == 'nhwc' else 'CHWN'
  return lax.conv_general_dilated(
    x,
    kernel,
    (strides, strides),
    padding,
    dimension_numbers=(order, 'HWIO', order),
  )


class BatchNorm(nn.Module):
  """Batch normalisation (Ioffe and Szegedy, 2015) over the whole batch.

  Statistics are float32; the running ones keep `momentum` of their old value
  in a step, which is Keras's convention (torch's momentum is 1 - this).

  Attributes:
    momentum: share of the running statistics kept in a step.
    epsilon: added to the variance.
    axis_name: mapped axis over which the batch is split, or None.
    layout: layout of 4-d input; 2-d input is [N, C] in both.
  """

  momentum: float = 0.99
  epsilon: float = 1e-3
  axis_name: str | None = None
  layout: str = 'nhwc'

  @nn.compact
  def __call__(
    self,
    x: Float[Array, '...'],
    *,
    train: bool,
    mask: Float[Array, ' N'] | None = None,
  ) -> Float[Array, '...']:
    """Normalises x.

    Args:
      x: activations.
      train: with the statistics of the batch (and update the running ones),
        else with the running ones.
      mask: 1 for the examples of the batch, 0 for what only fills it up.
    """
    chwn = self.layout == 'chwn' and x.ndim == 4
    channels = x.shape[0 if chwn else -1]
    scale = self.param('scale', nn.initializers.ones, (channels,), jnp.float32)
    bias = self.param('bias', nn.initializers.zeros, (channels,), jnp.float32)
    running_mean = self.variable(
      'batch_stats', 'mean', jnp.zeros, (channels,), jnp.float32
    )
    running_var = self.variable(
      'batch_stats', 'var', jnp.ones, (channels,), jnp.float32
    )

    def per_channel(v):
      return v[:, None, None, None] if chwn else v

    x32 = x.astype(jnp.float32)
    if train:
      mean, var = self._batch_statistics(x32, mask, chwn)
      if not self.is_initializing():
        keep = self.momentum
        running_mean.value = keep * running_mean.value + (1 - keep) * mean
        running_var.value = keep * running_var.value + (1 - keep) * var
    else:
      mean, var = running_mean.value, running_var.value
    factor = scale * lax.rsqrt(var + self.epsilon)
    y = (x32 - per_channel(mean)) * per_channel(factor) + per_channel(bias)
    return y.astype(x.dtype)

  def _batch_statistics(
    self, x: Array, mask: Array | None, chwn: bool
  ) -> tuple[Array, Array]:
    axes = tuple(range(1, x.ndim) if chwn else range(x.ndim - 1))
    if mask is None:
      moments = jnp.stack([x.mean(axes), jnp.square(x).mean(axes)])
      if self.axis_name is not None:
        moments = lax.pmean(moments, self.axis_name)
    else:
      weight = mask if chwn else mask.reshape(-1, *[1] * (x.ndim - 1))
      positions = x.size // (mask.size * (x.shape[0 if chwn else -1]))
      sums = jnp.stack(
        [(weight * x).sum(axes), (weight * jnp.square(x)).sum(axes)]
      )
      count = mask.sum() * positions
      if self.axis_name is not None:
        sums, count = lax.psum((sums, count), self.axis_name)
      moments = sums / count
    mean, mean_of_squares = moments
    # Rounding may leave the difference a little below zero.
    return mean, jnp.maximum(mean_of_squares - jnp.square(mean), 0.0)


def dense(
  features: int,
  x: Float[Array, 'N D'],
  initializer: initializers.Initializers,
  dtype: DTypeLike,
  name: str,
) -> nn.Dense:
  """A dense layer for x, with the bias that its fan-in asks for."""
  return nn.Dense(
    features,
    kernel_init=initializer.dense_kernel,
    bias_init=initializer.bias(x.shape[-1]),
    dtype=dtype,
    name=name,
  )
