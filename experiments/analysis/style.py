"""Colours, lines and markers: the same method looks the same everywhere.

The colours are told apart with normal sight, protanopia and deuteranopia, see
tests/experiments/analysis/test_style.py; where two methods share one, their
lines differ.
"""

from collections.abc import Sequence
import re
from typing import Any

from matplotlib import pyplot as plt

# Of methods, all dark enough for a line on white.
COLOURS = (
  '#D55E00',
  '#0072B2',
  '#279F85',
  '#622B57',
  '#000000',
  '#3FADE0',
  '#7D3622',
  '#1312A3',
)
LINES: tuple[Any, ...] = (
  '-',
  (0, (6, 2)),
  (0, (1, 1.3)),
  (0, (6, 2, 1, 2)),
  (0, (3, 1.5)),
  (0, (10, 2, 2, 2)),
  (0, (4, 1.5, 1, 1.5, 1, 1.5)),
  (0, (12, 4)),
)
MARKERS = 'os^DvPX*'
# By their short names; the place of each is its look, so new ones come last.
METHODS = (
  'SL',
  'CE',
  'GCE',
  'RCE',
  'MAE',
  'LSR',
  'Bootstrap soft',
  'Bootstrap hard',
  'D2L',
  'Forward',
  'Forward, true T',
  'Forward, estimated T',
  'ELR',
  'Co-teaching',
  'SOP',
  'NCE+RCE',
  'Focal',
  'NCE',
  'NFL',
  'NGCE',
  'NNCE',
  'NNFL',
  'AGCE',
  'AUL',
  'AEL',
  'AMSE',
  'Unhinged',
  'SGCE',
  'Taylor-CE',
  'PHuber-CE',
  'Truncated GCE',
  'Bi-tempered',
  'JS',
  'LDR-KL',
  'Backward',
  'DAL',
  'JoCoR',
  'SAT',
  'CORES2',
  'Peer loss',
  'GMM selection',
  'NCE+MAE',
  'NFL+RCE',
  'NFL+MAE',
  'NCE+AGCE',
  'NCE+AUL',
  'NCE+AEL',
  'ANL-CE',
  'ANL-FL',
  'ANL-CE-ER',
  'JAL-CE',
  'JAL-FL',
  'CE_eps+MAE',
  'FL_eps+MAE',
  'CE+LC',
  'CE+SR',
  'GCE+SR',
  'Mixup',
  'GJS',
  'VolMinNet',
  'T-Revision',
  'SL+LC',
  'SL annealed',
  'NLS',
)
# Of classes, in pairs with their markers.
CLASS_COLOURS = (
  '#D55E00',
  '#0072B2',
  '#000000',
  '#76EB9D',
  '#279F85',
  '#1312A3',
  '#83CAFF',
  '#FDCD0A',
  '#7D3622',
  '#622B57',
)
CLASS_MARKERS = 'os^DvP*X<>'
# What is only there to be compared with: a crowd, and labels without noise.
GREY = '#9A9A9A'
CROWD: dict[str, Any] = {
  'color': GREY,
  'linestyle': '-',
  'marker': None,
  'linewidth': 0.9,
  'zorder': 2,
}


def method_of(name: str) -> str | None:
  """The method, by its short name, that a name in a picture begins with.

  Args:
    name: such as 'SL', '2 CE', 'GCE, symmetric 0.4' or, with a mark of
      marks.py, 'Peer loss†'.

  Returns:
    The longest that fits; None: the name says no method.
  """
  bare = re.sub(r'^\d+(\.\d+)? ', '', name)
  fitting = [
    m for m in METHODS if re.match(rf'{re.escape(m)}[^\w,+]*(,|$)', bare)
  ]
  return max(fitting, key=len, default=None)


def looks(names: Sequence[str]) -> list[dict[str, Any]]:
  """The lines of a picture: colour, line, marker, width and layer.

  A method's first line looks as it does in all pictures. Further ones of the
  same method keep its colour. What is no method gets the colours that are left.

  Args:
    names: what the lines are called.
  """
  methods = [method_of(name) for name in names]
  taken = {METHODS.index(m) % len(COLOURS) for m in methods if m is not None}
  free = [n for n in range(len(COLOURS)) if n not in taken] or [0]
  seen: dict[int, int] = {}
  found = []
  others = 0
  for name in methods:
    if name is None:
      place = free[others % len(free)] + len(COLOURS) * (others // len(free))
      others += 1
    else:
      place = METHODS.index(name)
    repeated = seen.get(place, 0)
    seen[place] = repeated + 1
    found.append(_look(place, repeated, is_main=name == 'SL' and not repeated))
  return found


def method(name: str) -> dict[str, Any]:
  """How a method looks in every picture.

  Args:
    name: its short name, or one that begins with it.
  """
  return looks([name])[0]


def _look(place: int, repeated: int, *, is_main: bool) -> dict[str, Any]:
  # The lines are shifted in each round of colours, so no two are alike.
  line = place + place // len(COLOURS) + 3 * repeated
  return {
    'color': COLOURS[place % len(COLOURS)],
    'linestyle': LINES[line % len(LINES)],
    'marker': MARKERS[
      (place + place // len(COLOURS) + repeated) % len(MARKERS)
    ],
    'linewidth': 2.6 if is_main else 1.5,
    'zorder': 4 if is_main else 3,
  }


def of_class(number: int) -> dict[str, Any]:
  """Colour and marker of a class; they begin again after ten."""
  return {
    'color': CLASS_COLOURS[number % len(CLASS_COLOURS)],
    'marker': CLASS_MARKERS[number % len(CLASS_MARKERS)],
  }


def use() -> None:
  """Sets what all pictures have in common."""
  plt.rcParams.update(
    {
      # Letters as letters: journals take no Type 3 fonts.
      'pdf.fonttype': 42,
      # The same picture is the same file.
      'svg.hashsalt': 'sce_jax',
      'axes.titlesize': 'medium',
      'axes.spines.top': False,
      'axes.spines.right': False,
    }
  )
