"""Published figures, to stand beside ours: never ours, each with its source.

verified: read in the source that is named. recalled: from memory, found in no
source that could be opened; a target to look at, not to be quoted as the
paper's.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Published:
  """A published test accuracy.

  Attributes:
    accuracy: in per cent.
    mark: 'verified' or 'recalled'.
    source: where it stands.
  """

  accuracy: float
  mark: str
  source: str


_PAPER = 'Wang et al., ICCV 2019'
_TRANSCRIPT = (
  f'{_PAPER}, as transcribed in issue 3 of'
  ' YisenWang/symmetric_cross_entropy_for_noisy_labels'
)
_EPSILON = 'Wang et al. (eps-softmax), NeurIPS 2024, table 2, recipe=apl'
_SYMMETRIC = ('clean', 'symmetric 0.2', 'symmetric 0.4', 'symmetric 0.6')
_ASYMMETRIC = ('asymmetric 0.2', 'asymmetric 0.3', 'asymmetric 0.4')
# The paper has one row for each; which of the two it is is not known.
_ROWS = {
  'Bootstrap': ('Bootstrap soft', 'Bootstrap hard'),
  'Forward': ('Forward, true T', 'Forward, estimated T'),
}

_TABLES = (
  (
    ('cifar10', 'paper'),
    'recalled',
    _PAPER,
    (*_SYMMETRIC, 'symmetric 0.8', *_ASYMMETRIC),
    {
      'CE': (89.26, 82.96, 78.70, 66.62, 34.80, 85.98, 83.53, 78.51),
      'LSR': (88.57, 83.49, 78.41, 67.38, 36.30, 85.70, 83.23, 78.47),
      'Bootstrap': (88.77, 83.95, 79.97, 71.65, 41.44, 86.57, 84.86, 79.76),
      'Forward': (89.39, 85.83, 81.37, 73.59, 47.10, 87.68, 86.86, 85.73),
      'D2L': (86.66, 81.13, 76.80, 60.54, None, 82.72, 80.41, 73.33),
      'GCE': (86.76, 84.86, 82.42, 75.20, 40.81, 84.61, 82.11, 75.32),
      'SL': (89.28, 87.63, 85.34, 80.07, 53.81, 88.24, 85.36, 80.64),
    },
  ),
  (
    ('cifar100', 'paper'),
    'verified',
    _TRANSCRIPT,
    _SYMMETRIC,
    {
      'CE': (64.34, 59.26, 50.82, 25.39),
      'LSR': (63.68, 58.83, 50.05, 24.68),
      'Bootstrap': (63.26, 57.91, 48.17, 12.27),
      'Forward': (63.99, 59.75, 53.13, 24.70),
      'D2L': (64.60, 59.20, 52.01, 35.27),
      'GCE': (64.43, 59.06, 53.25, 36.16),
      'SL': (66.75, 60.01, 53.69, 41.47),
    },
  ),
  (
    ('cifar100', 'paper'),
    'recalled',
    _PAPER,
    _ASYMMETRIC,
    {
      'CE': (62.97, 63.12, 61.85),
      'LSR': (63.03, 62.32, 61.59),
      'Bootstrap': (63.44, 63.18, 62.08),
      'Forward': (64.09, 64.00, 60.91),
      'D2L': (62.43, 63.20, 61.35),
      'GCE': (63.03, 63.17, 61.69),
      'SL': (65.58, 65.14, 63.10),
    },
  ),
  (
    ('cifar10', 'apl'),
    'verified',
    _EPSILON,
    (*_SYMMETRIC, 'symmetric 0.8', 'asymmetric 0.4'),
    {
      'CE': (90.50, 75.47, 58.46, 39.16, 18.95, 75.28),
      'GCE': (89.42, 86.87, 82.24, 68.43, 25.82, 74.01),
      'SL': (91.30, 87.58, 79.47, 59.14, 25.88, 74.99),
    },
  ),
  (
    ('cifar100', 'apl'),
    'verified',
    _EPSILON,
    (*_SYMMETRIC, 'symmetric 0.8', 'asymmetric 0.4'),
    {
      'CE': (70.79, 56.21, 39.31, 22.38, 7.33, 41.15),
      'GCE': (70.57, 64.55, 56.60, 45.19, 19.85, 40.82),
      'SL': (70.41, 55.23, 40.23, 21.44, 7.63, 41.01),
    },
  ),
)


def lookup(
  dataset: str, method: str, noise: str, recipe: str = 'paper'
) -> Published | None:
  """What was published for a method under a noise, if anything is known.

  Args:
    dataset: the data set.
    method: a key of experiments.paper.methods.METHODS.
    noise: such as 'symmetric 0.4'.
    recipe: whose settings, 'paper' or 'apl'.
  """
  for key, mark, source, noises, rows in _TABLES:
    if key != (dataset, recipe) or noise not in noises:
      continue
    for name, values in rows.items():
      if method in _ROWS.get(name, (name,)):
        value = values[noises.index(noise)]
        return None if value is None else Published(value, mark, source)
  return None
