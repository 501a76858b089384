"""The noises a config can name."""

from collections.abc import Callable

from jaxtyping import Float64
import numpy as np

from sce_jax.noise import asymmetric, checks, cifar100, transitions

Noise = Callable[[int, float | int], Float64[np.ndarray, 'K K']]

# Noises of any number of classes: (num_classes, rate) -> T.
_ANY = {
  'clean': transitions.clean,
  'symmetric': transitions.symmetric,
  'symmetric_including_self': transitions.symmetric_including_self,
  'pair_flip': transitions.pair_flip,
}

# Noises of one data set's classes: how many, and rate -> T.
_FIXED = {
  'asymmetric_mnist': (10, asymmetric.asymmetric_mnist),
  'asymmetric_cifar10': (10, asymmetric.asymmetric_cifar10),
  'asymmetric_cifar100': (100, cifar100.asymmetric_cifar100),
  'asymmetric_cifar100_block_circular': (
    100,
    cifar100.asymmetric_cifar100_block_circular,
  ),
  'asymmetric_cifar100_block_pair': (
    100,
    cifar100.asymmetric_cifar100_block_pair,
  ),
}


def _of_any_size(name: str) -> Noise:
  """Gives a data set's noise the signature of the others."""
  size, noise = _FIXED[name]

  def sized(num_classes, rate):
    if num_classes != size:
      fitting = [*_ANY, *(k for k, v in _FIXED.items() if v[0] == num_classes)]
      raise ValueError(
        f'noise {name!r} is defined for {size} classes, not {num_classes}:'
        f' use one of {", ".join(fitting)}'
      )
    return noise(rate)

  return sized


# (num_classes, rate) -> T. Noise that is no matrix (human labels, instance
# dependent: labels -> labels) will want a table of its own beside this one.
NOISE: dict[str, Noise] = _ANY | {name: _of_any_size(name) for name in _FIXED}


def transition_matrix(
  name: str, num_classes: int, rate: float | int
) -> Float64[np.ndarray, 'K K']:
  """The transition matrix of a noise by its name in NOISE.

  Args:
    name: a key of NOISE.
    num_classes: K, at least 2; a data set's noise takes only its own.
    rate: the noise's rate, in [0, 1); what it is a share of is the noise's
      own matter (see its function).

  Returns:
    T[i, j] = P(noisy = j | clean = i), float64[K, K].

  Raises:
    ValueError: the name is unknown, or the noise refuses the other arguments.

  >>> transition_matrix('pair_flip', 2, 0.25)
  array([[0.75, 0.25],
         [0.25, 0.75]])
  """
  if name not in NOISE:
    raise ValueError(
      f'noise {name!r} is not known: use one of {", ".join(NOISE)}'
    )
  checks.check_rate(rate)
  return NOISE[name](num_classes, rate)
