"""What every loss takes: its types, its dtype check, its pass over the logits.

Inside a loss sums are written `jnp.sum(a * b)` and never `jnp.dot(a, b)`: on a
TPU, and on a GPU with TF32, a float32 dot rounds its factors.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int, Real

# An integer dtype means a class, a floating dtype a distribution over classes.
Label = Int[Array, ''] | int | Float[Array, ' K']

# From so many on XLA's CPU backend is faster where the logit of the class is
# shifted on its own, since it then keeps one array [N, K], not two; below it is
# slower. The bits are the same. See experiments/benchmarks/NOTES.md.
_MANY_CLASSES = 64

# A hyper-parameter: a Python or NumPy number, or a (traced) array of no axes.
Scalar = Real[ArrayLike, '']


def is_integer_label(label: Array | int) -> bool:
  """Whether the label is an integer class rather than a target."""
  return jnp.issubdtype(jnp.asarray(label).dtype, jnp.integer)


def check_and_upcast(
  logits: Float[Array, ' K'], label: Label
) -> tuple[Float[Array, ' K'], Float[Array, ' K']]:
  """Checks one example and brings it to the dtype the loss is computed in.

  Args:
    logits: Unnormalized log probabilities `[K]`.
    label: A class `[]` of integer dtype or a target `[K]` of floating dtype.

  Returns:
    The logits and the target, both `[K]`, in float32 or wider. A class becomes
    a one-hot target. A class outside `0 .. K-1` becomes a target of NaN where
    its value is not known, as under `jit` and `vmap`: there nothing can
    be raised, and a NaN loss is seen where a wrong but finite one is not.
    `jax.experimental.checkify` raises there, too (`checkify.nan_checks`).

  Raises:
    TypeError: The logits are not floating, or the label is neither of integer
      nor of floating dtype.
    ValueError: The shapes are not those of one example of at least 2 classes,
      or the class is known and outside `0 .. K-1`.
  """
  if not jnp.issubdtype(logits.dtype, jnp.floating):
    raise TypeError(f'logits must be of floating dtype, not {logits.dtype}')
  if logits.ndim != 1 or logits.size < 2:
    raise ValueError(
      'a loss takes the logits[K] of one example, K >= 2, not shape '
      f'{logits.shape}; use jax.vmap for a batch'
    )
  size = logits.size
  narrow = jnp.finfo(logits.dtype).bits < 32
  dtype = jnp.float32 if narrow else logits.dtype
  if isinstance(label, int):
    label = jnp.asarray(label)
  if is_integer_label(label):
    if label.ndim:
      raise ValueError(f'an integer label must be a scalar, not {label.shape}')
    check_class(label, size)
    label = jnp.asarray(label, jnp.int32)
    known = (label >= 0) & (label < size)
    one_hot = (jnp.arange(size, dtype=jnp.int32) == label).astype(dtype)
    target = jnp.where(known, one_hot, jnp.nan)
  elif jnp.issubdtype(label.dtype, jnp.floating):
    if label.shape != logits.shape:
      raise ValueError(
        f'a target must have the shape of the logits, {logits.shape}, '
        f'not {label.shape}'
      )
    target = jnp.asarray(label, dtype)
  else:
    raise TypeError(
      'the label must be an integer class or a floating target, '
      f'not {label.dtype}'
    )
  return jnp.asarray(logits, dtype), target


def check_class(label: Int[Array, ''], num_classes: int) -> None:
  """Refuses a class whose value is known and that there is not.

  Raises:
    ValueError: it is outside `0 .. K-1`.
  """
  if isinstance(label, jax.core.Tracer):
    return
  if not 0 <= int(label) < num_classes:
    raise ValueError(
      f'the label is class {int(label)}, but logits of {num_classes} classes'
      f' have classes 0 to {num_classes - 1}'
    )


def log_softmax_and_softmax(
  logits: Float[Array, ' K'],
) -> tuple[Float[Array, ' K'], Float[Array, ' K']]:
  """Computes `log p` and `p` from a single exponential of the logits."""
  # The shift cancels in both results, hence it needs no gradient.
  shifted = logits - jax.lax.stop_gradient(jnp.max(logits))
  exponentials = jnp.exp(shifted)
  total = jnp.sum(exponentials)
  return shifted - jnp.log(total), exponentials / total


@jax.custom_jvp
def pick(values: Float[Array, ' K'], label: Int[Array, '']) -> Float[Array, '']:
  """The value of a class, `values[label]`, with a gradient without scatter.

  The gradient of indexing adds to one element, which a TPU does by a loop over
  the examples of a batch. This one is a select over all K: the same bits, and
  as dense as the softmax that it is added to.

  Args:
    values: One number a class `[K]`.
    label: A class `[]`, in `0 .. K-1`.
  """
  return values[label]


@pick.defjvp
def _pick_jvp(primals, tangents):
  (values, label), (tangent, _) = primals, tangents
  own = jnp.arange(values.size, dtype=label.dtype) == label
  return pick(values, label), jnp.sum(jnp.where(own, tangent, 0))


def log_probability(
  logits: Float[Array, ' K'], label: Int[Array, ''] | int
) -> Float[Array, '']:
  """The `log p_y` of a class y, without arrays of `[K]` but the logits.

  Args:
    logits: Unnormalized log probabilities `[K]`, from `check_and_upcast`.
    label: A class `[]`.

  Returns:
    `log p_y` `[]`; NaN for a class outside `0 .. K-1`.
  """
  label = jnp.asarray(label, jnp.int32)
  known = (label >= 0) & (label < logits.size)
  # Shifted first: large logits would round away what they differ by.
  top = jax.lax.stop_gradient(jnp.max(logits))
  shifted = logits - top
  own = jnp.where(known, label, 0)
  if logits.size < _MANY_CLASSES:
    chosen = pick(shifted, own)
  else:
    chosen = pick(logits, own) - top
  chosen = jnp.where(known, chosen, jnp.nan)
  return chosen - jnp.log(jnp.sum(jnp.exp(shifted)))


def mean_over_label(
  one: Callable[[Float[Array, '...']], Float[Array, '...']],
  logits: Float[Array, ' K'],
  label: Label,
) -> Float[Array, '']:
  """A loss that reads the label's probability alone.

  Args:
    one: The loss of a class, from `log p` of that class; elementwise.
    logits: Unnormalized log probabilities `[K]`, as the loss was given them.
    label: A class `[]` or a target `[K]`, as the loss was given it.

  Returns:
    The loss `[]` of a class, or its mean over a target.
  """
  logits, target = check_and_upcast(logits, label)
  if is_integer_label(label):
    return one(log_probability(logits, label))
  log_p, _ = log_softmax_and_softmax(logits)
  return jnp.sum(target * one(log_p))


def log_of_target(target: Float[Array, ' K']) -> Float[Array, ' K']:
  """Computes `log q_k`, and 0 where q_k is 0, with a gradient of 0 there."""
  # The inner where keeps log away from 0: one around it alone would still send
  # 0 * inf, a NaN, into the gradient with respect to the target.
  return jnp.log(jnp.where(target == 0, 1, target))


def log_one_minus(
  log_p: Float[Array, ' K'], p: Float[Array, ' K']
) -> Float[Array, ' K']:
  """Computes `log(1 - p_k)` for every class, finite and exact at p_k = 1."""
  # Only the largest p can come near 1. There 1 - p has no digits left, but the
  # others' logarithms still have: 1 - p_top = sigmoid(log(sum_others / p_top)).
  # All the rest are at most 1/2, where 1 - p is exact enough.
  top = jax.nn.one_hot(jnp.argmax(log_p), log_p.size, dtype=bool)
  log_others = jax.nn.logsumexp(log_p, where=~top)
  log_top = jnp.sum(jnp.where(top, log_p, 0))
  below = jnp.log1p(-jnp.where(top, 0, p))
  return jnp.where(top, jax.nn.log_sigmoid(log_others - log_top), below)
