"""The share of wrong labels under a noise, for methods that are told it.

Where papers look a setting up by rate they mean the noise's own rate; that is
another number where some classes stay clean.
"""

from collections.abc import Mapping
from typing import Any

from sce_jax import methods
from sce_jax.data import labels
from sce_jax.data.info import DatasetInfo
from sce_jax.noise import FROM_PROBABILITIES, NOISE

# A method is not told of smaller differences than this.
_SMALL = 0.05

# Data sets whose own labels are the true ones, and how many classes they have.
_CLASSES: Mapping[str, int] = {
  'digits': 10,
  'mnist': 10,
  'cifar10': 10,
  'cifar10_n': 10,
  'cifar100': 100,
  'cifar100_n': 100,
}
# What people got wrong, by Wei et al. (ICLR 2022); CIFAR-100's rounded.
_PEOPLE: Mapping[str, Mapping[str, float]] = {
  'cifar10_n': {
    'aggre': 0.0903,
    'random1': 0.1723,
    'random2': 0.1812,
    'random3': 0.1764,
    'worse': 0.4021,
  },
  'cifar100_n': {'noisy': 0.402},
}


def of_people(dataset: str, noise: str) -> float | None:
  """The share of wrong labels that people gave, or of some drawn to match.

  Returns:
    From 0 to 1; None if these are no such labels, or their rate is not known.
  """
  return _PEOPLE.get(dataset, {}).get(noise.removeprefix('matched_'))


def overall(dataset: str, noise: str, rate: float) -> float | None:
  """The share of all labels that is wrong, where classes are of equal size.

  Args:
    dataset: a data set's name.
    noise: a noise's name.
    rate: the noise's own rate, which may be that of some classes only.

  Returns:
    From 0 to 1; None if it is not known: of labels as they are given, of a
    file, and of noise whose rate is not the share that it corrupts.
  """
  people = of_people(dataset, noise)
  if people is not None:
    return people
  if noise in FROM_PROBABILITIES:
    return rate
  if noise not in NOISE or (noise == 'clean' and dataset not in _CLASSES):
    return None
  spec = NOISE[noise]
  if spec.transition is None:
    return None if spec.share is None else round(spec.share(rate), 4)
  known = spec.num_classes or _CLASSES.get(dataset)
  try:
    # Of noise that is the same whatever the number of classes, any will do.
    found = {
      round(1 - float(spec.transition(size, rate).diagonal().mean()), 9)
      for size in ((known,) if known else (2, 100))
    }
  except ValueError:
    return None  # The rate is refused when the config is checked.
  return found.pop() if len(found) == 1 else None


def warning(
  loss: str,
  hparams: Mapping[str, Any],
  noise: labels.NoiseConfig,
  info: DatasetInfo,
) -> str | None:
  """What to say if a method is told another noise rate than there is.

  A config file tells it the rate of the noise that was named then; flags may
  have changed the noise since.

  Args:
    loss: the method's name.
    hparams: its hyper-parameters.
    noise: the noise.
    info: the data set's description.

  Returns:
    A line; None if there is nothing to say, or the rate is not known.
  """
  told = methods.find(loss).told_rate
  matrix = labels.transition_matrix(noise, info)
  if matrix is not None:
    share: float | None = 1 - float(matrix.diagonal().mean())
  elif noise.second:
    share = None
  else:
    share = overall(info.name, noise.name, noise.rate)
  if not told or share is None:
    return None
  # Of a replaced image no label is right.
  share = noise.open_set_rate + (1 - noise.open_set_rate) * share
  given = hparams[told]
  if abs(given - share) < _SMALL:
    return None
  return (
    f'warning: {loss} is told by config.loss.{told}={given:g} which'
    f" share of the labels is wrong, but under the config's noise it is"
    f' {share:.3g}'
  )
