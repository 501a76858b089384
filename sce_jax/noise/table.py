"""The noises that a config can name."""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import functools

from jaxtyping import Float64
import numpy as np

from sce_jax.noise import (
  asymmetric,
  checks,
  cifar100,
  clusters,
  instance,
  posterior,
  random_matrices,
  transitions,
)
from sce_jax.noise.base import (
  Noise,
  NoiseSpec,
  TransitionFn,
  from_transition,
)


def _any_size(transition: TransitionFn) -> NoiseSpec:
  """A noise of any number of classes."""
  return NoiseSpec(from_transition(transition), transition)


def _fixed(
  num_classes: int, matrix, dataset: str, classes: Mapping[int, str]
) -> NoiseSpec:
  """A noise of one data set's classes, from rate -> T."""

  def transition(given: int, rate: float | int):
    del given  # Checked by `check_fits`.
    return matrix(rate)

  return NoiseSpec(
    from_transition(transition),
    transition,
    num_classes=num_classes,
    dataset=dataset,
    classes=classes,
  )


def _random(sparsity: float) -> NoiseSpec:
  """A noise whose matrix is drawn by the seed."""
  return NoiseSpec(random_matrices.drawn(sparsity), check=random_matrices.check)


_CIFAR100 = 'cifar100', {0: 'apple', 99: 'worm'}

NOISE: dict[str, NoiseSpec] = {
  'clean': _any_size(transitions.clean),
  'symmetric': _any_size(transitions.symmetric),
  'symmetric_including_self': _any_size(transitions.symmetric_including_self),
  'pair_flip': _any_size(transitions.pair_flip),
  'asymmetric_mnist': _fixed(
    10, asymmetric.asymmetric_mnist, 'mnist', {k: str(k) for k in range(10)}
  ),
  'asymmetric_cifar10': _fixed(
    10,
    asymmetric.asymmetric_cifar10,
    'cifar10',
    # Not 1, which some call automobile and some car.
    {
      0: 'airplane',
      2: 'bird',
      3: 'cat',
      4: 'deer',
      5: 'dog',
      7: 'horse',
      9: 'truck',
    },
  ),
  'asymmetric_cifar100': _fixed(100, cifar100.asymmetric_cifar100, *_CIFAR100),
  'asymmetric_cifar100_block_circular': _fixed(
    100, cifar100.asymmetric_cifar100_block_circular, *_CIFAR100
  ),
  'asymmetric_cifar100_block_pair': _fixed(
    100, cifar100.asymmetric_cifar100_block_pair, *_CIFAR100
  ),
  'random_matrix': _random(0.0),
  'random_matrix_sparse20': _random(0.2),
  'random_matrix_sparse40': _random(0.4),
  'random_matrix_sparse60': _random(0.6),
  'part_dependent': NoiseSpec(
    instance.part_dependent, share=instance.mean_flip_rate
  ),
  'part_dependent_exact': NoiseSpec(instance.part_dependent_exact),
  'part_dependent_shared': NoiseSpec(
    instance.part_dependent_shared, share=instance.mean_flip_rate
  ),
  'instance_dependent_sigmoid': NoiseSpec(
    instance.instance_dependent_sigmoid, share=None
  ),
  'cluster_based': NoiseSpec(clusters.cluster_based),
}


@dataclasses.dataclass(frozen=True)
class PosteriorSpec:
  """A noise that is made of a network's probabilities.

  Attributes:
    make: the noise of (ids[M], probability[M, K]).
    array: what a file calls these probabilities.
  """

  make: Callable[..., Noise]
  array: str


FROM_PROBABILITIES: dict[str, PosteriorSpec] = {
  **{
    f'pmd_type{kind}': PosteriorSpec(
      functools.partial(posterior.pmd, kind=kind), 'probability'
    )
    for kind in (1, 2, 3)
  },
  'seal': PosteriorSpec(posterior.seal, 'averaged'),
}


def check_fits(
  name: str,
  num_classes: int,
  class_names: Sequence[str] = (),
  dataset: str = '',
) -> None:
  """Checks that a noise is one of these classes.

  Args:
    name: a key of NOISE.
    num_classes: K.
    class_names: the names of the classes, or their numbers as tfds has it for
      classes without a name; empty: nothing is known of them.
    dataset: the data set's name, which counts where classes have none.

  Raises:
    ValueError: there is no such noise, or it is that of other classes.
  """
  if name not in NOISE:
    raise ValueError(
      f'noise {name!r} is not known: use one of {", ".join(NOISE)}'
    )
  facts = num_classes, class_names, dataset
  fitting = [key for key in NOISE if _misfit(key, *facts) is None]
  misfit = _misfit(name, *facts)
  if misfit is not None:
    raise ValueError(
      f'noise {name!r} {misfit}: use one of {", ".join(fitting)}'
    )


def _misfit(
  name: str, num_classes: int, class_names: Sequence[str], dataset: str
) -> str | None:
  """Why a noise is not one of these classes; None if it is."""
  spec = NOISE[name]
  if spec.num_classes not in (None, num_classes):
    return f'is defined for {spec.num_classes} classes, not {num_classes}'
  numbers = list(map(str, range(num_classes)))
  if list(class_names) == numbers and dataset.startswith(spec.dataset or ' '):
    return None
  if class_names:
    for k, title in spec.classes.items():
      if class_names[k].lower() != title:
        return (
          f'is defined for classes of which number {k} is {title!r}, but here'
          f' it is {class_names[k]!r}'
        )
  return None


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
  check_fits(name, num_classes)
  checks.check_rate(rate)
  transition = NOISE[name].transition
  if transition is None:
    raise ValueError(f'noise {name!r} is not drawn from a transition matrix')
  return transition(num_classes, rate)
