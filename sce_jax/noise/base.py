"""What a noise is: a pure function of labels and example ids."""

from collections.abc import Callable, Mapping
import dataclasses
import os
from typing import NamedTuple

from jaxtyping import Float64, Int32, Integer
import numpy as np

from sce_jax.noise import checks
from sce_jax.noise.corruption import corrupt

# (num_classes, rate) -> T
TransitionFn = Callable[[int, float | int], Float64[np.ndarray, 'K K']]


class NoisyLabels(NamedTuple):
  """Labels with noise.

  Attributes:
    labels: of the N examples, in their order.
    transition: T[i, j] = P(noisy = j | clean = i), where the labels were drawn
      from a matrix.
  """

  labels: Int32[np.ndarray, ' N']
  transition: Float64[np.ndarray, 'K K'] | None


# (labels[N], ids[N], num_classes, rate, seed, mode, images) -> NoisyLabels.
# A pure function: of one example, its id and the seed decide.
Noise = Callable[..., NoisyLabels]


@dataclasses.dataclass(frozen=True)
class NoiseSpec:
  """A row of the table of noises.

  Attributes:
    apply: the noise.
    transition: its matrix as a function of (num_classes, rate); None if it is
      no matrix.
    num_classes: how many classes it needs; None: any number from 2 on.
    dataset: the data set whose classes it needs; '' for those of any.
    classes: names that some of the classes must have, by class, where a data
      set names its classes.
  """

  apply: Noise
  transition: TransitionFn | None = None
  num_classes: int | None = None
  dataset: str = ''
  classes: Mapping[int, str] = dataclasses.field(default_factory=dict)


def from_transition(transition: TransitionFn) -> Noise:
  """Lifts a transition matrix to a noise: labels are drawn by `corrupt`."""

  def apply(labels, ids, num_classes, rate, seed, mode, images=None):
    del images
    matrix = transition(num_classes, rate)
    noisy = corrupt(labels, matrix, seed=seed, mode=mode, ids=ids)
    return NoisyLabels(noisy, matrix)

  return apply


def from_labels(
  ids: Integer[np.ndarray, ' M'],
  labels: Integer[np.ndarray, ' M'],
  source: str | os.PathLike | None = None,
) -> Noise:
  """Makes a noise of labels that are given: by people, by a file.

  Args:
    ids: the examples that they are of.
    labels: their labels.
    source: where they come from, for messages.

  Returns:
    A noise that raises ValueError unless there is exactly one label, of one of
    the classes, for each example.
  """
  where = f'{os.fspath(source)}: ' if source is not None else ''

  def apply(clean, wanted, num_classes, rate, seed, mode, images=None):
    del rate, seed, mode, images
    if len(ids) != len(wanted):
      raise ValueError(
        f'{where}{len(ids)} labels for {len(wanted)} training examples: give'
        ' each example one'
      )
    order = np.argsort(ids, kind='stable')
    place = np.minimum(np.searchsorted(ids[order], wanted), len(ids) - 1)
    found = order[place]
    unknown = np.flatnonzero(ids[found] != wanted)
    if unknown.size:
      strange = np.setdiff1d(ids, wanted)
      raise ValueError(
        f'{where}there is no label for example {wanted[unknown[0]]}'
        + (f', but one for {strange[0]}' if strange.size else '')
        + ": ids must be the data set's own"
      )
    given = labels[found]
    checks.check_labels(f'{where}labels', given, num_classes, len(clean))
    return NoisyLabels(given.astype(np.int32), None)

  return apply
