"""The losses by the names that configs use."""

from collections.abc import Callable, Mapping

from jaxtyping import Array, Float

from sce_jax.losses.basic import cross_entropy, mean_absolute_error
from sce_jax.losses.corrections import backward_correction, forward_correction
from sce_jax.losses.powers import focal, generalized_cross_entropy
from sce_jax.losses.symmetric import (
  reverse_cross_entropy,
  symmetric_cross_entropy,
)
from sce_jax.losses.targets import (
  bootstrap_hard,
  bootstrap_soft,
  label_smoothing,
)

Loss = Callable[..., Float[Array, '']]

LOSSES: Mapping[str, Loss] = {
  'ce': cross_entropy,
  'rce': reverse_cross_entropy,
  'sl': symmetric_cross_entropy,
  'mae': mean_absolute_error,
  'lsr': label_smoothing,
  'gce': generalized_cross_entropy,
  'bootstrap_soft': bootstrap_soft,
  'bootstrap_hard': bootstrap_hard,
  'd2l': bootstrap_hard,  # With a weight that training changes.
  'forward': forward_correction,
  'backward': backward_correction,
  'focal': focal,
}
