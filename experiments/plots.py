"""Pictures of runs."""

from collections.abc import Mapping, Sequence
import pathlib

import matplotlib

matplotlib.use('Agg')  # No screen is needed.

from matplotlib import pyplot as plt
from matplotlib import ticker
import numpy as np

from sce_jax import workdir as workdir_lib

# Okabe and Ito's colours, told apart by the colour-blind; line styles and
# markers tell them apart in grey.
_COLOURS = ('#D55E00', '#0072B2', '#009E73', '#CC79A7', '#E69F00', '#56B4E9')
_STYLES = ('-', '--', '-.', ':', (0, (5, 1)), (0, (1, 1)))
_MARKERS = ('o', 's', '^', 'D', 'v', 'P')
# With fewer epochs than this each one is marked.
_FEW_EPOCHS = 10


def plot_runs(
  groups: Mapping[str, Sequence[pathlib.Path]], path: pathlib.Path
) -> pathlib.Path:
  """Draws the runs' accuracy, memorisation and per-class accuracy.

  A group's line is the mean over its runs, its band one standard deviation.

  Args:
    groups: run folders by the name of their group.
    path: the PNG file to write.

  Returns:
    path
  """
  figure, axes = plt.subplots(
    1, 3, figsize=(13, 3.8), layout='constrained', width_ratios=(3, 3, 4)
  )
  for number, (name, folders) in enumerate(groups.items()):
    runs = [workdir_lib.read_metrics(folder) for folder in folders]
    # A run that failed has fewer epochs, or none.
    runs = [run for run in runs if run]
    if not runs:
      continue
    style = {
      'color': _COLOURS[number % len(_COLOURS)],
      'linestyle': _STYLES[number % len(_STYLES)],
      'marker': _MARKERS[number % len(_MARKERS)],
      'label': name,
    }
    _band(axes[0], runs, ('test', 'accuracy'), style)
    _band(axes[1], runs, ('train_split', 'memorised'), style)
    _classes(axes[2], runs, (number - (len(groups) - 1) / 2), style)
  axes[0].set(title='Test accuracy', xlabel='epoch', ylabel='test accuracy (%)')
  axes[1].set(
    title='Wrong labels memorised',
    xlabel='epoch',
    ylabel='share of wrong labels (%)',
  )
  axes[2].set(
    title='Test accuracy of each class, last epoch',
    xlabel='class',
    ylabel='test accuracy (%)',
  )
  for ax in axes:
    ax.grid(alpha=0.3)
    # There is no share above 100 % or below 0.
    low, high = ax.get_ylim()
    ax.set_ylim(max(low, -1), min(high, 101))
    # Epochs and classes are whole numbers, and few classes are all named.
    ticks = 20 if ax is axes[2] else 8
    ax.xaxis.set_major_locator(
      ticker.MaxNLocator(ticks, integer=True, min_n_ticks=1)
    )
  for ax in axes[:2]:
    ax.set_xlim(left=0)
  axes[1].set_ylim(bottom=-0.02 * axes[1].get_ylim()[1])
  axes[0].legend()
  figure.savefig(path, dpi=120)
  plt.close(figure)
  return path


def _band(ax, runs, keys, style):
  split, figure = keys
  curves = [
    {
      record['epoch']: 100 * record[split][figure]
      for record in run
      if split in record and record[split][figure] is not None
    }
    for run in runs
  ]
  epochs = sorted(set.intersection(*(set(curve) for curve in curves)))
  if not epochs:
    return
  values = np.array([[curve[e] for e in epochs] for curve in curves])
  mean, spread = values.mean(0), values.std(0)
  if len(epochs) > _FEW_EPOCHS:
    style = style | {'marker': None}
  ax.plot(epochs, mean, **style)
  ax.fill_between(
    epochs, mean - spread, mean + spread, color=style['color'], alpha=0.2, lw=0
  )


def _classes(ax, runs, offset, style):
  last = [run[-1]['test']['class_accuracy'] for run in runs]
  values = 100 * np.array(
    [[np.nan if x is None else x for x in run] for run in last]
  )
  classes = np.arange(values.shape[1])
  # Points, not bars: where all classes are good the axis need not begin at 0.
  ax.errorbar(
    classes + 0.15 * offset,
    values.mean(0),
    yerr=values.std(0) if len(runs) > 1 else None,
    **style | {'linestyle': 'none'},
  )
