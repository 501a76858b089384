"""Published figures, to stand beside ours: never ours, each with its source.

verified: read in the source that is named. secondary: read in a review of it or
in others' notes on it. recalled: from memory, found in no source that could be
opened; a target to look at, not to be quoted as the paper's. claimed: on a page
that says itself that it has not been verified.
"""

from collections.abc import Sequence
import dataclasses
import functools

from configs.common import GIVEN
from experiments.paper.methods import noise_of


@dataclasses.dataclass(frozen=True)
class Published:
  """A published test accuracy.

  Attributes:
    accuracy: in per cent.
    mark: 'verified', 'secondary', 'recalled' or 'claimed', see above.
    source: where it stands.
    protocol: the recipe of ours that it is of, 'paper' or 'apl', or else what
      was different, in a few words.
  """

  accuracy: float
  mark: str
  source: str
  protocol: str


_PAPER = 'Wang et al., ICCV 2019'
_TRANSCRIPT = (
  f'{_PAPER}, as transcribed in issue 3 of'
  ' YisenWang/symmetric_cross_entropy_for_noisy_labels'
)
_EPSILON_NAME = 'Wang et al. (eps-softmax), NeurIPS 2024'
_EPSILON = f'{_EPSILON_NAME}, table 2, recipe=apl'
_ANL = 'Ye et al. (ANL), NeurIPS 2023, from notes on it'
_RRM = 'RRM, from notes on it: CE and what it makes of CE'
_JAL = 'Wang et al. (JAL), ICCV 2025, as review notes have it'
_SYMMETRIC = ('clean', 'symmetric 0.2', 'symmetric 0.4', 'symmetric 0.6')
_ASYMMETRIC = ('asymmetric 0.2', 'asymmetric 0.3', 'asymmetric 0.4')
# What papers call asymmetric on CIFAR-100: the codes of SCE, and of APL and all
# after it, take five consecutive classes for a superclass. A config's
# `asymmetric` there is that of the true superclasses.
_BLOCK_PAIR = tuple(
  x.replace('asymmetric', 'asymmetric_cifar100_block_pair') for x in _ASYMMETRIC
)
_BLOCK_CIRCULAR = tuple(
  x.replace('asymmetric', 'asymmetric_cifar100_block_circular')
  for x in ('asymmetric 0.1', *_ASYMMETRIC)
)
_PART_DEPENDENT = tuple(f'part_dependent_exact {r}' for r in (0.2, 0.4, 0.6))
_WITH_SELF = tuple(f'symmetric_including_self {r / 10}' for r in (2, 4, 6, 8))
# The paper has one row for each; which of the two it is is not known.
_ROWS = {
  'Bootstrap': ('Bootstrap soft', 'Bootstrap hard'),
  'Forward': ('Forward', 'Forward, true T', 'Forward, estimated T'),
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
    _BLOCK_PAIR,
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
    (*_SYMMETRIC, 'symmetric 0.8'),
    {
      'CE': (90.50, 75.47, 58.46, 39.16, 18.95),
      'Focal': (89.70, 74.50, 58.23, 38.69, 19.47),
      'GCE': (89.42, 86.87, 82.24, 68.43, 25.82),
      'SL': (91.30, 87.58, 79.47, 59.14, 25.88),
      'NCE+MAE': (89.02, 86.79, 83.60, 75.93, 46.96),
      'NCE+RCE': (91.03, 88.41, 85.13, 79.20, 55.28),
      'NFL+RCE': (91.08, 89.00, 85.90, 79.79, 55.47),
      'NCE+AUL': (91.06, 89.11, 85.79, 79.57, 57.59),
      'NCE+AGCE': (91.13, 89.00, 85.91, 80.36, 49.98),
      'NCE+AEL': (88.43, 86.46, 83.06, 75.15, 43.22),
      'LDR-KL': (91.38, 89.01, 85.46, 74.93, 34.78),
      'CE+LC': (90.06, 85.66, 79.18, None, None),
      'CE_eps+MAE': (91.40, 89.29, 85.93, 79.52, 58.96),
      'FL_eps+MAE': (91.11, 89.13, 86.15, 79.81, 58.02),
    },
  ),
  (
    ('cifar10', 'apl'),
    'verified',
    _EPSILON,
    ('asymmetric 0.1', *_ASYMMETRIC),
    {
      'CE': (86.98, 83.82, 79.35, 75.28),
      'Focal': (86.64, 83.08, 79.34, 74.68),
      'GCE': (88.43, 86.17, 80.72, 74.01),
      'SL': (89.87, 86.48, 81.30, 74.99),
      'NCE+MAE': (88.03, 85.53, 81.10, 74.98),
      'NCE+RCE': (90.25, 88.11, 85.35, 79.43),
      'NFL+RCE': (89.99, 88.33, 85.27, 79.05),
      'NCE+AUL': (90.18, 88.30, 85.28, 79.14),
      'NCE+AGCE': (89.90, 88.36, 85.73, 79.28),
      'NCE+AEL': (87.59, 85.98, 82.87, 75.78),
      'LDR-KL': (90.24, 88.38, 85.03, 77.68),
      'CE_eps+MAE': (90.30, 88.62, 85.56, 78.91),
      'FL_eps+MAE': (90.39, 88.40, 85.31, 79.04),
    },
  ),
  (
    ('cifar10', 'apl'),
    'verified',
    _EPSILON,
    _PART_DEPENDENT,
    {
      'CE': (75.05, 57.27, 37.62),
      'GCE': (86.95, 79.35, 52.30),
      'SL': (86.79, 74.56, 49.63),
      'NCE+RCE': (89.06, 85.07, 70.45),
      'CE_eps+MAE': (89.27, 85.26, 74.32),
    },
  ),
  (
    ('cifar10', 'apl'),
    'secondary',
    _JAL,
    ('symmetric 0.4', 'symmetric 0.8', 'asymmetric 0.2', 'asymmetric 0.4'),
    {
      'CE': (58.05, 19.74, 83.05, 73.85),
      'NCE+RCE': (85.89, 54.99, 88.62, 77.94),
      'ANL-CE': (87.16, 62.28, 89.09, 77.99),
      'ANL-FL': (86.94, 61.89, 89.29, 77.89),
      'JAL-CE': (87.53, 65.43, 89.11, 79.54),
      'JAL-FL': (87.43, 64.84, 89.36, 79.51),
    },
  ),
  (
    ('cifar10', 'apl'),
    'secondary',
    _JAL,
    _PART_DEPENDENT[1:],
    {'ANL-CE': (85.74, 69.83), 'JAL-CE': (86.46, 75.62)},
  ),
  # Its clip is that of the paper at norm 1 only, see methods/loss_wrappers.py.
  (
    ('cifar10', 'apl, with another clip'),
    'verified',
    _EPSILON,
    ('symmetric 0.6', 'symmetric 0.8', 'asymmetric 0.1', *_ASYMMETRIC),
    {'CE+LC': (53.87, 21.04, 87.99, 84.01, 79.71, 74.34)},
  ),
  (
    ('cifar100', 'apl'),
    'verified',
    _EPSILON,
    (*_SYMMETRIC, 'symmetric 0.8'),
    {
      'CE': (70.79, 56.21, 39.31, 22.38, 7.33),
      'SL': (70.41, 55.23, 40.23, 21.44, 7.63),
      'NCE+MAE': (67.69, 63.21, 57.91, 45.26, 23.72),
      'NCE+RCE': (67.89, 64.60, 58.64, 45.25, 24.87),
      'NCE+AGCE': (68.78, 65.30, 59.95, 47.63, 24.13),
      'LDR-KL': (71.03, 56.69, 40.69, 22.59, 7.49),
      'CE_eps+MAE': (70.83, 65.45, 59.20, None, 26.30),
      'FL_eps+MAE': (70.58, 65.45, 59.58, None, 26.73),
    },
  ),
  (
    ('cifar100', 'apl, but q = 0.5, 0.5, 0.7, 0.7, 0.9 by rate, ours 0.7'),
    'verified',
    _EPSILON,
    (*_SYMMETRIC, 'symmetric 0.8'),
    {'GCE': (70.57, 64.55, 56.60, 45.19, 19.85)},
  ),
  (
    ('cifar100', 'apl; alpha 0.0125 in its text, in its code and here 0.00125'),
    'verified',
    _EPSILON,
    ('symmetric 0.6',),
    {'CE_eps+MAE': (48.15,), 'FL_eps+MAE': (48.09,)},
  ),
  (
    ('cifar100', 'apl'),
    'verified',
    _EPSILON,
    _BLOCK_CIRCULAR,
    {
      'CE': (65.10, 58.26, 49.99, 41.15),
      'GCE': (63.94, 60.89, 53.36, 40.82),
      'SL': (64.54, 57.62, 50.17, 41.01),
      'NCE+MAE': (65.70, 62.87, 55.82, 41.86),
      'NCE+RCE': (66.20, 63.18, 55.05, 41.21),
      'NCE+AGCE': (67.15, 64.21, 56.18, 44.15),
      'LDR-KL': (65.93, 58.47, 50.92, 41.94),
      'CE_eps+MAE': (67.58, 64.52, 58.47, 48.51),
      'FL_eps+MAE': (67.73, 64.80, 58.88, 48.10),
    },
  ),
  (
    ('cifar100', 'apl'),
    'secondary',
    _JAL,
    ('symmetric 0.4', 'symmetric 0.6'),
    {
      'NCE+RCE': (58.48, 46.73),
      'ANL-CE': (61.58, 52.09),
      'JAL-CE': (64.11, 56.73),
      'JAL-FL': (64.55, 56.44),
    },
  ),
  (
    # That its asymmetric noise is of blocks is inferred: it follows APL, and
    # its NCE+RCE is near that of the table above.
    ('cifar100', 'apl'),
    'secondary',
    _JAL,
    _BLOCK_CIRCULAR[2:],
    {
      'NCE+RCE': (55.86, 41.50),
      'ANL-CE': (60.57, 45.73),
      'JAL-CE': (64.90, 56.17),
      'JAL-FL': (65.18, 56.26),
    },
  ),
  (
    ('cifar10', 'apl'),
    'secondary',
    _ANL,
    ('symmetric 0.8',),
    {'NCE+AGCE': (55.62,), 'ANL-CE': (61.27,)},
  ),
  (
    ('cifar10', 'rrm'),
    'secondary',
    _RRM,
    ('symmetric 0.2',),
    {'CE': (86.98,), 'CE with RRM': (90.44,)},
  ),
  (
    ('cifar10', 'ResNet-50'),
    'verified',
    'dmizr/phuber, README',
    _SYMMETRIC,
    {
      'CE': (95.8, 84.0, 67.8, 44.0),
      'GCE': (95.3, 92.5, 82.4, 53.3),
      'PHuber-CE': (94.8, 92.8, 87.8, 73.2),
    },
  ),
  (
    ('cifar100', 'ResNet-50'),
    'verified',
    'dmizr/phuber, README',
    _SYMMETRIC,
    {
      'CE': (75.4, 62.2, 45.8, 26.7),
      'GCE': (73.3, 68.5, 59.5, 40.3),
      # With tau = 10, as in the config.
      'PHuber-CE': (60.6, 54.8, 43.1, 24.3),
      'PHuber-CE, tau = 50': (75.4, 65.9, 49.1, 26.9),
      'PHuber-GCE': (72.7, 68.4, 60.2, 42.2),
    },
  ),
  (
    ('cifar10', 'ResNet-34, 200 epochs'),
    'verified',
    'self-adaptive-training, README',
    _WITH_SELF,
    {'SAT': (94.14, 92.64, 89.23, 78.58)},
  ),
  (
    ('cifar100', 'ResNet-34, 200 epochs'),
    'verified',
    'self-adaptive-training, README',
    _WITH_SELF,
    {'SAT': (75.77, 71.38, 62.69, 38.72)},
  ),
  (
    ('cifar10_n', 'ResNet-34, best epoch'),
    'verified',
    _EPSILON_NAME,
    ('aggre', 'random1', 'worse'),
    {
      'CE': (87.77, 85.02, 77.69),
      'GCE': (87.85, 87.61, 80.66),
      'NLS': (91.97, 90.29, 82.99),
      'CE_eps+MAE': (91.80, 90.43, 83.74),
    },
  ),
  (
    ('cifar100_n', 'ResNet-34, best epoch'),
    'verified',
    _EPSILON_NAME,
    ('noisy',),
    {
      'CE': (55.50,),
      'GCE': (56.73,),
      'NLS': (58.59,),
      'CE_eps+MAE': (61.78,),
    },
  ),
  (
    # Its code trains all of CIFAR-10 with this network and recipe; that the
    # table does is not known.
    ('cifar10_n', 'apl, it seems'),
    'secondary',
    _JAL,
    ('worse',),
    {'ANL-FL': (80.56,), 'JAL-CE': (81.33,)},
  ),
  (
    ('cifar10_n', 'ReScience C, 2026'),
    'verified',
    'KlemenVovk/noisy-labels, README',
    ('clean', 'aggre', 'random1', 'random2', 'random3', 'worse'),
    {
      'CE': (94.21, 91.70, 90.20, 90.12, 90.08, 83.91),
      'Co-teaching': (92.15, 91.93, 90.69, 90.51, 90.56, 80.92),
      'ELR': (93.97, 93.00, 92.20, 92.05, 92.18, 87.89),
      'VolMinNet': (92.71, 90.47, 88.90, 88.81, 88.67, 80.87),
      'SOP': (93.76, 91.69, 89.83, 90.57, 90.88, 83.66),
    },
  ),
  (
    ('cifar100_n', 'ReScience C, 2026'),
    'verified',
    'KlemenVovk/noisy-labels, README',
    ('clean', 'noisy'),
    {
      'CE': (76.23, 61.19),
      'Co-teaching': (72.24, 54.48),
      'ELR': (75.64, 63.72),
      'VolMinNet': (72.73, 58.30),
      'SOP': (72.97, 56.17),
    },
  ),
  (
    ('clothing1m', 'paper'),
    'recalled',
    _PAPER,
    (GIVEN,),
    {
      'CE': (68.80,),
      'Bootstrap': (68.94,),
      'Forward': (69.84,),
      'D2L': (69.47,),
      'GCE': (69.75,),
    },
  ),
  (
    ('clothing1m', 'paper'),
    'claimed',
    f'{_PAPER}, as sotaverified.org quotes it, there marked as unverified',
    (GIVEN,),
    {'SL': (71.02,)},
  ),
  (
    ('clothing1m', 'eps_softmax'),
    'verified',
    f'{_EPSILON_NAME}, recipe=eps_softmax',
    (GIVEN,),
    {'CE': (67.38,), 'GCE': (69.03,), 'SL': (67.40,), 'CE_eps+MAE': (69.85,)},
  ),
  (
    ('clothing1m', 'anl'),
    'secondary',
    _ANL,
    (GIVEN,),
    {'ANL-CE': (69.93,), 'NCE+RCE': (69.07,)},
  ),
  (
    ('clothing1m', 'rrm'),
    'secondary',
    _RRM,
    (GIVEN,),
    {'CE': (68.94,), 'CE with RRM': (71.48,)},
  ),
  (
    ('webvision_mini', 'apl'),
    'verified',
    _EPSILON_NAME,
    (GIVEN,),
    {
      'CE': (66.08,),
      'GCE': (61.96,),
      'SL': (67.92,),
      'AGCE': (69.48,),
      'NCE+RCE': (66.88,),
      'CE_eps+MAE': (71.32,),
    },
  ),
  (
    ('webvision_mini', 'anl'),
    'secondary',
    _ANL,
    (GIVEN,),
    {'ANL-CE': (67.44,), 'NCE+AGCE': (65.00,)},
  ),
  (
    ('food101n', 'rrm'),
    'secondary',
    _RRM,
    (GIVEN,),
    {'CE': (81.67,), 'CE with RRM': (84.21,)},
  ),
  (
    ('animal10n', 'anl'),
    'secondary',
    _ANL,
    (GIVEN,),
    {'ANL-CE': (80.72,)},
  ),
)


# Of the few data sets and noises of the tables; each reads a config file.
_noise_of = functools.cache(noise_of)


def lookup(
  dataset: str, method: str, noise: str, recipe: str = 'paper'
) -> Published | None:
  """What was published for a method under a noise, if anything is known.

  Args:
    dataset: the data set.
    method: its name in tables, as in experiments.paper.methods.METHODS or the
      `short` of its row of sce_jax.methods.
    noise: such as 'symmetric 0.4'.
    recipe: whose settings, 'paper' or 'apl'.
  """
  return next(
    (
      x
      for x in find(dataset, method, noise_of(dataset, noise))
      if x.protocol == recipe
    ),
    None,
  )


def find(
  dataset: str, method: str, noise: tuple[str, float]
) -> list[Published]:
  """All that was published for a method under a noise, under any protocol.

  Args:
    dataset: the data set.
    method: as in `lookup`.
    noise: its name in configs and its rate, as `methods.noise_of` gives them:
      a noise can be written in several ways.
  """
  return [
    Published(value, mark, source, protocol)
    for (data, protocol), mark, source, noises, rows in _TABLES
    if data == dataset
    for name, values in rows.items()
    if method in _ROWS.get(name, (name,))
    for written, value in zip(noises, values, strict=True)
    if value is not None and _noise_of(dataset, written) == noise
  ]


def others(dataset: str, methods: Sequence[str]) -> list[tuple[str, Published]]:
  """What was published for labels as given, and for none of some methods."""
  return [
    (row, Published(values[0], mark, source, protocol))
    for (data, protocol), mark, source, noises, rows in _TABLES
    if data == dataset and noises == (GIVEN,)
    for row, values in rows.items()
    if not {row, *_ROWS.get(row, ())} & set(methods)
  ]
