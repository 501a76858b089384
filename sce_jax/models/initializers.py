"""Weight initialisers of the codes whose results are compared.

he_normal  truncated normal of variance 2 / fan-in, zero biases: the paper's
authors (Keras).
torch      uniform within +-1 / sqrt(fan-in), biases too: torch's default,
hence SCELoss-Reproduce's.
apl        uniform of variance 2 / fan-in for convolutions, Glorot uniform
for dense layers, torch's biases: Active Passive Loss.
"""

from collections.abc import Callable
import dataclasses

from flax import linen as nn
import jax

KernelInit = Callable[..., jax.Array]


@dataclasses.dataclass(frozen=True)
class Initializers:
  """Initialisers of kernels, and of a bias given the kernel's fan-in."""

  conv_kernel: KernelInit
  dense_kernel: KernelInit
  bias: Callable[[int], KernelInit]


def _zeros(fan_in: int) -> KernelInit:
  del fan_in
  return nn.initializers.zeros


def _uniform_fan_in(fan_in: int) -> KernelInit:
  bound = fan_in**-0.5

  def init(key, shape, dtype):
    return jax.random.uniform(key, shape, dtype, -bound, bound)

  return init


_HE_NORMAL = nn.initializers.he_normal()
# Variance bound^2 / 3 with bound^2 = 1 / fan-in.
_TORCH = nn.initializers.variance_scaling(1 / 3, 'fan_in', 'uniform')

INITIALIZERS: dict[str, Initializers] = {
  'he_normal': Initializers(_HE_NORMAL, _HE_NORMAL, _zeros),
  'torch': Initializers(_TORCH, _TORCH, _uniform_fan_in),
  'apl': Initializers(
    nn.initializers.he_uniform(),
    nn.initializers.glorot_uniform(),
    _uniform_fan_in,
  ),
}
