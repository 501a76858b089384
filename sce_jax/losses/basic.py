"""Cross entropy and mean absolute error, the two ends of the field.

The one learns fast and memorizes wrong labels, the other tolerates them and
learns slowly.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from sce_jax.losses.inputs import (
  Label,
  check_and_upcast,
  is_integer_label,
  log_probability,
  log_softmax_and_softmax,
)


def cross_entropy(logits: Float[Array, ' K'], label: Label) -> Float[Array, '']:
  """Cross entropy of one example.

  The loss is `-sum_k q_k log p_k`, with p = softmax(logits) and q the target;
  for a class y it is `-log p_y`.

  Examples:
    >>> import jax, jax.numpy as jnp
    >>> logits = jnp.array([[0.0, 0.0], [jnp.log(3.0), 0.0]])
    >>> losses = jax.vmap(cross_entropy)(logits, jnp.array([0, 1]))
    >>> print(', '.join(f'{x:.4f}' for x in losses))
    0.6931, 1.3863

  References:
    Bridle, Training Stochastic Model Recognition Algorithms as Networks can
    Lead to Maximum Mutual Information Estimation of Parameters, NIPS 1989.
  """
  logits, target = check_and_upcast(logits, label)
  if is_integer_label(label):
    return -log_probability(logits, label)
  log_p, _ = log_softmax_and_softmax(logits)
  return -jnp.sum(target * log_p)


def mean_absolute_error(
  logits: Float[Array, ' K'], label: Label
) -> Float[Array, '']:
  """Mean absolute error between the softmax and the target of one example.

  The loss is `sum_k |p_k - q_k|`, with p = softmax(logits) and q the target;
  for a class y it is `2 (1 - p_y)`. Some codes leave the 2 out.

  Returns:
    The loss `[]`, between 0 and 2.

  Examples:
    >>> import jax.numpy as jnp
    >>> logits = jnp.array([jnp.log(3.0), 0.0])
    >>> loss = mean_absolute_error(logits, jnp.array(1))
    >>> print(f'{loss:.4f}')
    1.5000

  References:
    Ghosh et al., `Robust Loss Functions under Label Noise for Deep Neural
    Networks <https://arxiv.org/abs/1712.09482>`_, AAAI 2017.
  """
  logits, target = check_and_upcast(logits, label)
  _, p = log_softmax_and_softmax(logits)
  return jnp.sum(jnp.abs(p - target))
