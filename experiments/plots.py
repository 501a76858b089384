"""Pictures of runs."""

from collections.abc import Mapping, Sequence
import pathlib

import matplotlib

matplotlib.use('Agg')  # No screen is needed.

from matplotlib import pyplot as plt
import numpy as np

from sce_jax import workdir as workdir_lib

# Okabe and Ito's colours, told apart by the colour-blind; the line styles
# tell them apart in grey.
_COLOURS = ('#D55E00', '#0072B2', '#009E73', '#CC79A7', '#E69F00', '#56B4E9')
_STYLES = ('-', '--', '-.', ':', (0, (5, 1)), (0, (1, 1)))


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
      'label': name,
    }
    _band(axes[0], runs, ('test', 'accuracy'), style)
    _band(axes[1], runs, ('train_split', 'memorised'), style)
    _bars(axes[2], runs, number, len(groups), style['color'], name)
  axes[0].set(title='Test accuracy', ylabel='accuracy (%)')
  axes[1].set(
    title='Wrong labels memorised', ylabel='share of wrong labels (%)'
  )
  for ax in axes[:2]:
    ax.set(xlabel='epoch', ylim=(0, 100))
    ax.grid(alpha=0.3)
  axes[2].set(
    title='Test accuracy of each class, last epoch',
    xlabel='class',
    ylabel='accuracy (%)',
    ylim=(0, 100),
  )
  axes[0].legend(loc='lower right')
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
  marker = 'o' if len(epochs) == 1 else None
  ax.plot(epochs, mean, marker=marker, **style)
  ax.fill_between(
    epochs, mean - spread, mean + spread, color=style['color'], alpha=0.2, lw=0
  )


def _bars(ax, runs, number, num_groups, colour, name):
  last = [run[-1]['test']['class_accuracy'] for run in runs]
  values = 100 * np.array(
    [[np.nan if x is None else x for x in v] for v in last]
  )
  classes = np.arange(values.shape[1])
  width = 0.8 / num_groups
  ax.bar(
    classes + (number - (num_groups - 1) / 2) * width,
    values.mean(0),
    width,
    yerr=values.std(0) if len(runs) > 1 else None,
    color=colour,
    hatch='' if number % 2 else '//',
    edgecolor='white',
    label=name,
    error_kw={'lw': 0.8},
  )
  if len(classes) <= 20:
    ax.set_xticks(classes)
