"""3x3 convolutions as matrix products, with the batch axis last.

XLA's CPU backend multiplies matrices at close to the machine's rate, but takes
most of a training step for the gradient of a convolution's kernel. Which form
is best depends on the shape and was measured, see
experiments/benchmarks/NOTES.md:

  few channels (images)   nine shifted copies of the input, one product
  small, or bfloat16      three copies, three products' worth in one
  large, float32          Winograd's, see winograd.py
"""

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sce_jax.models import winograd

# Multiplications in each of Winograd's 36 products from which on they are worth
# the hundred kernels that there are to compile, and to call.
_WINOGRAD_WORK = 4e6


def conv3x3(
  x: Float[Array, 'C H W N'], kernel: Float[Array, '3 3 C F']
) -> Float[Array, 'F H W N']:
  """Convolution with 'SAME' padding, stride 1, in the form that is fastest.

  Args:
    x: input, float32 or bfloat16.
    kernel: kernel of the same type.
  """
  if (
    x.dtype == jnp.float32
    and not _has_few_channels(kernel)
    and winograd.work(x, kernel) >= _WINOGRAD_WORK
  ):
    return winograd.conv3x3(x, kernel)
  return _by_stacking(x, kernel)


def _has_few_channels(kernel: Array) -> bool:
  # Nine copies of the input are less to move than three of the output.
  return 9 * kernel.shape[2] < 3 * (kernel.shape[2] + kernel.shape[3])


# Rows are shifted before the product and columns after it, so three copies of
# the input are stacked, not nine; the same stacks serve both gradients. Each
# product contracts its left factor on the last axis, the orientation in which
# XLA's CPU backend is fast.


@jax.custom_vjp
def _by_stacking(
  x: Float[Array, 'C H W N'], kernel: Float[Array, '3 3 C F']
) -> Float[Array, 'F H W N']:
  channels, features = kernel.shape[2:]
  if _has_few_channels(kernel):
    matrix = kernel.reshape(9 * channels, features).T
    y = _product(matrix, _patches(x), widen=True)
  else:
    rows = _stack_shifted(x, 1, (-1, 0, 1))
    matrix = kernel.transpose(1, 3, 0, 2)
    z = _product(matrix.reshape(3 * features, 3 * channels), rows)
    left, middle, right = z.reshape(3, features, *x.shape[1:])
    y = _shift(left, 2, -1) + middle + _shift(right, 2, 1)
  return y.astype(x.dtype)


def _forward(x, kernel):
  return _by_stacking(x, kernel), (x, kernel)


def _backward(saved, gradient):
  x, kernel = saved
  channels, features = kernel.shape[2:]
  columns = _stack_shifted(gradient, 2, (1, 0, -1))
  if _has_few_channels(kernel):
    d_kernel = _kernel_product(gradient, _patches(x), widen=True)
    # Or XLA would turn it by swapping the product's factors, at twice the time.
    d_kernel = lax.optimization_barrier(d_kernel).T.reshape(kernel.shape)
  else:
    rows = _stack_shifted(x, 1, (-1, 0, 1))
    d_kernel = _kernel_product(columns, rows)
    d_kernel = d_kernel.reshape(3, features, 3, channels)
    d_kernel = d_kernel.transpose(2, 0, 3, 1)
  matrix = kernel.transpose(0, 2, 1, 3).reshape(3 * channels, 3 * features)
  z = _product(matrix, columns)
  above, middle, below = z.reshape(3, channels, *x.shape[1:])
  d_x = _shift(above, 1, 1) + middle + _shift(below, 1, -1)
  return d_x.astype(x.dtype), d_kernel.astype(kernel.dtype)


_by_stacking.defvjp(_forward, _backward)


def _shift(x: Array, axis: int, distance: int) -> Array:
  """y[k] = x[k + distance] along an axis, zero outside."""
  if distance == 0:
    return x
  pad = [(0, 0)] * x.ndim
  pad[axis] = (max(-distance, 0), max(distance, 0))
  start, stop = max(distance, 0), x.shape[axis] + min(distance, 0)
  return jnp.pad(lax.slice_in_dim(x, start, stop, axis=axis), pad)


def _stack_shifted(x: Array, axis: int, distances: tuple[int, ...]) -> Array:
  return jnp.concatenate([_shift(x, axis, d) for d in distances])


def _patches(x: Array) -> Array:
  return _stack_shifted(_stack_shifted(x, 2, (-1, 0, 1)), 1, (-1, 0, 1))


def _product(
  matrix: Float[Array, 'A B'],
  x: Float[Array, 'B H W N'],
  *,
  widen: bool = False,
) -> Float[Array, 'A H W N']:
  return _dot(matrix, x, (1,), (0,), widen)


def _kernel_product(
  gradient: Float[Array, 'A H W N'],
  x: Float[Array, 'B H W N'],
  *,
  widen: bool = False,
) -> Float[Array, 'A B']:
  # Flat, since XLA would copy a factor that is contracted on several axes.
  gradient = gradient.reshape(gradient.shape[0], -1)
  return _dot(gradient, x.reshape(x.shape[0], -1), (1,), (1,), widen)


def _dot(a, b, a_axes, b_axes, widen):
  if widen:
    # XLA's CPU backend has no bfloat16 product for a transposed left factor,
    # into which it also turns a transposed result.
    a, b = a.astype(jnp.float32), b.astype(jnp.float32)
  return lax.dot_general(
    a, b, ((a_axes, b_axes), ((), ())), preferred_element_type=jnp.float32
  )
