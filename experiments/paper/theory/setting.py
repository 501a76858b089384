"""What both parts of the theory share: losses, rates, sizes."""

import dataclasses

K = 10
SEED = 0
LOG_ZERO = -4.0

# Weights of cross entropy, reverse cross entropy and mean absolute error: all
# losses are sums of the three, so that one program trains them all.
LOSSES = {
  'CE': (1.0, 0.0, 0.0),
  'MAE': (0.0, 0.0, 1.0),
  'RCE': (0.0, 1.0, 0.0),
  'SL .01, 1': (0.01, 1.0, 0.0),
  'SL .1, 1': (0.1, 1.0, 0.0),
  'SL 1, 1': (1.0, 1.0, 0.0),
}
# RCE is twice MAE at this A, and Adam knows no scale: one is trained for both.
TRAINED = tuple(name for name in LOSSES if name != 'MAE')
RATES = (0.2, 0.4, 0.6, 0.8, 0.9, 0.95)
PAIR_RATES = (0.2, 0.4, 0.45, 0.55, 0.6)
LIMIT = 1 - 1 / K


@dataclasses.dataclass(frozen=True)
class Size:
  """How much is computed at a scale."""

  classifiers: int  # At each temperature.
  points: int
  hidden: int
  steps: int
  restarts: int
  samples: int
  fresh: int


_FULL = Size(100, 200, 64, 800, 3, 2, 1000)
SIZES = {
  'full': _FULL,
  'short': _FULL,
  'tiny': Size(20, 100, 32, 150, 1, 1, 500),
}
