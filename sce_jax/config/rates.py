"""The share of wrong labels under a noise, for methods that are told it.

Where papers look a setting up by rate they mean the noise's own rate; that is
another number where some classes stay clean.
"""

from collections.abc import Mapping

from sce_jax.noise import FROM_PROBABILITIES, NOISE

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
    file, and of noise whose rate is not the share that it corrupts; and for a
    rate outside [0, 1), which is refused when the config is checked.
  """
  if not 0 <= rate < 1:
    return None
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
    return None  # Refused, too, for this noise.
  return found.pop() if len(found) == 1 else None
