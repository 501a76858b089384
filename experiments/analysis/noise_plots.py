"""Label noise, looked at: matrices, mistaken pairs, classes, images."""

from collections.abc import Mapping, Sequence
import math
from typing import TYPE_CHECKING

from matplotlib import colors
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
import numpy as np

from experiments.analysis import style
from experiments.report.page import Cell, Figure, Table
from sce_jax import noise

if TYPE_CHECKING:  # Sweeps are planned without jax.
  from sce_jax.data.dataset import Split

# More classes than this are neither named nor have room for their figures.
_MANY_CLASSES = 20
# Off the diagonal the shares are small: their roots are told apart better.
_SHADES = colors.PowerNorm(0.5, 0, 1)


def heat_maps(
  matrices: Mapping[str, np.ndarray],
  names: Sequence[str] | None = None,
  caption: str = '',
  *,
  name: str = 'matrices',
  column: str = 'label',
) -> Figure:
  """Transition matrices side by side, with their shares in per cent.

  Args:
    matrices: T by what it is called.
    names: of the classes; None: their numbers.
    caption: more to say below the figure.
    name: of the figure's file.
    column: what a column is, 'label' or 'prediction'.
  """
  columns = min(3, len(matrices))
  rows = math.ceil(len(matrices) / columns)
  # Names need room.
  width, height = (4.6, 4.3) if names is None else (5.4, 5.0)
  figure, axes = plt.subplots(
    rows,
    columns,
    figsize=(width * columns + 0.6, height * rows),
    layout='constrained',
    squeeze=False,
  )
  for ax in axes.flat[len(matrices) :]:
    ax.set_axis_off()
  for ax, (title, matrix) in zip(axes.flat, matrices.items(), strict=False):
    image = _heat_map(ax, matrix, names)
    ax.set_title(title)
  for ax in axes[:, 0]:
    ax.set_ylabel('true class')
  for place in range(columns):
    last = (len(matrices) - 1 - place) // columns
    axes[last, place].set_xlabel(column)
  bar = figure.colorbar(image, ax=axes, shrink=0.8 / rows, pad=0.01)
  bar.set_ticks(
    [0, 0.01, 0.05, 0.2, 0.5, 1], labels=['0', '1', '5', '20', '50', '100 %']
  )
  text = (
    f'Row: the true class. Column: the {column}. Shade: the share of the row'
    ' that is there, by its square root; figures are in per cent.'
  )
  return Figure(name, f'{text} {caption}'.strip(), figure)


def _heat_map(ax: Axes, matrix: np.ndarray, names: Sequence[str] | None):
  size = len(matrix)
  image = ax.imshow(matrix, cmap='Blues', norm=_SHADES)
  if size > _MANY_CLASSES:
    return image
  classes = range(size)
  labels = list(names or map(str, classes))
  is_long = max(map(len, labels)) > 2
  ax.set_xticks(classes, labels, rotation=90 if is_long else 0)
  ax.set_yticks(classes, labels)
  for (i, j), share in np.ndenumerate(matrix):
    if share:
      ax.text(
        j,
        i,
        _percent(share),
        ha='center',
        va='center',
        fontsize=7,
        color='white' if _SHADES(share) > 0.6 else 'black',
      )
  return image


def _percent(share: float) -> str:
  # Two figures tell enough, and have room.
  return f'{100 * share:.1f}' if share < 0.0995 else f'{100 * share:.0f}'


def top_confusions(
  clean: np.ndarray,
  given: np.ndarray,
  names: Sequence[str],
  count: int = 10,
) -> Table:
  """The pairs of classes that are mistaken most often.

  Args:
    clean: true labels.
    given: labels of the same examples.
    names: of the classes.
    count: how many pairs.
  """
  pairs, counts = np.unique(
    np.stack([clean, given])[:, clean != given], axis=1, return_counts=True
  )
  wrong = int(counts.sum())
  rows, so_far = [], 0
  for best in np.argsort(-counts, kind='stable')[:count]:
    true, label = pairs[:, best]
    number = int(counts[best])
    so_far += number
    share = number / int((clean == true).sum())
    rows.append(
      [
        names[true],
        names[label],
        Cell(f'{number:,}', number),
        Cell(f'{100 * share:.1f}', share),
        Cell(f'{100 * number / wrong:.1f}', number / wrong),
        Cell(f'{100 * so_far / wrong:.1f}', so_far / wrong),
      ]
    )
  return Table(
    'mistaken',
    f'{len(rows)} of {len(names) * (len(names) - 1)} ordered pairs: those'
    ' mistaken most often',
    [
      'true class',
      'labelled as',
      'examples',
      '% of the class',
      '% of all wrong labels',
      'together',
    ],
    rows,
  )


def class_rates(
  clean: np.ndarray,
  given: Mapping[str, np.ndarray],
  names: Sequence[str],
) -> Figure:
  """The share of wrong labels in each class.

  Args:
    clean: true labels.
    given: labels of the same examples, by what they are called.
    names: of the classes.
  """
  figure, ax = plt.subplots(figsize=(9, 4), layout='constrained')
  overall = []
  looks = style.looks(list(given))
  for look, (name, labels) in zip(looks, given.items(), strict=True):
    matrix, rate = noise.empirical_transition_matrix(clean, labels, len(names))
    overall.append(f'{name} {100 * rate:.1f} %')
    ax.plot(
      100 * (1 - np.diag(matrix)),
      **look | {'linestyle': 'none', 'label': name},
    )
  ax.set_xticks(range(len(names)), names, rotation=30)
  ax.set(ylabel='wrong labels (%)', ylim=(0, None), title='By true class')
  ax.grid(alpha=0.3)
  figure.legend(loc='outside right upper')
  return Figure(
    'class-rates',
    f'Share of wrong labels in each class. Overall: {", ".join(overall)}.',
    figure,
  )


def wrong_images(
  split: 'Split', names: Sequence[str], count: int = 24, seed: int = 0
) -> Figure:
  """Some images whose label is wrong, drawn at random.

  Args:
    split: images and labels, whose true labels are known.
    names: of the classes.
    count: how many at most.
    seed: of the draw.
  """
  if split.clean_label is None:
    raise ValueError('the true labels are not known')
  wrong = np.flatnonzero(split.label != split.clean_label)
  rng = np.random.default_rng(seed)
  chosen = rng.choice(wrong, min(count, wrong.size), replace=False)
  columns = min(8, chosen.size)
  rows = math.ceil(chosen.size / columns)
  figure, axes = plt.subplots(
    rows,
    columns,
    figsize=(1.5 * columns, 1.95 * rows),
    layout='constrained',
    squeeze=False,
  )
  for ax in axes.flat:
    ax.set_axis_off()
  assert isinstance(split.image, np.ndarray)
  for ax, i in zip(axes.flat, chosen, strict=False):
    ax.imshow(split.image[i].squeeze(), cmap='gray')
    label, true = names[split.label[i]], names[split.clean_label[i]]
    ax.set_title(f'label: {label}\ntrue: {true}', fontsize=9)
  return Figure(
    'wrong-images',
    f'{chosen.size} of {wrong.size:,} images with a wrong label, drawn at'
    ' random.',
    figure,
  )
