"""Transition matrices that confuse lookalikes: MNIST and CIFAR-10."""

from jaxtyping import Float64
import numpy as np

from sce_jax.noise.transitions import flip_matrix

# Each digit and the one it is mistaken for.
_MNIST_FLIPS = {2: 7, 3: 8, 5: 6, 6: 5, 7: 1}

# truck > automobile, bird > airplane, deer > horse, cat <> dog.
_CIFAR10_FLIPS = {9: 1, 2: 0, 4: 7, 3: 5, 5: 3}


def asymmetric_mnist(rate: float | int) -> Float64[np.ndarray, '10 10']:
  """MNIST digits mistaken for their lookalikes: 2>7, 3>8, 5<>6, 7>1.

  From Patrini et al. 2017 (arXiv:1609.03683), used by the SCE paper
  (arXiv:1908.06112). Half of the classes stay clean: overall about rate / 2.

  Args:
    rate: share of each corrupted class, in [0, 1).

  Returns:
    T, float64[10, 10].

  Raises:
    ValueError: the rate is out of range.
  """
  return flip_matrix(_MNIST_FLIPS, 10, rate)


def asymmetric_cifar10(rate: float | int) -> Float64[np.ndarray, '10 10']:
  """CIFAR-10: truck>automobile, bird>airplane, deer>horse, cat<>dog.

  From Patrini et al. 2017 (arXiv:1609.03683), used by the SCE paper
  (arXiv:1908.06112). Five classes of ten stay clean: overall rate / 2. As a
  matrix it acts on clean labels, so cat and dog trade exactly `rate` of their
  examples; codes that flip dog after cat, in place, send some cats back and
  realise less (0.185 overall for a rate of 0.4).

  Args:
    rate: share of each corrupted class, in [0, 1).

  Returns:
    T, float64[10, 10].

  Raises:
    ValueError: the rate is out of range.
  """
  return flip_matrix(_CIFAR10_FLIPS, 10, rate)
