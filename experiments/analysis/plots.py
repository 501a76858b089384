"""Pictures of runs."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib

matplotlib.use('Agg')  # No screen is needed.

from matplotlib import pyplot as plt
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
import numpy as np

from experiments.analysis import pictures, statistics, style
from sce_jax.runs import dataset_record, files
from sce_jax.storage import paths

style.use()
# With fewer epochs than this each one is marked.
_FEW_EPOCHS = 10
# More lines than these can be told apart: the last ones are grey.
MOST_LINES = 8
# Shares in per cent: a smaller span makes rounding look like a difference.
_LEAST_SPAN = 10


def label(name: str) -> str:
  """What tables and pictures call a method; any other name as it is."""
  from sce_jax import methods  # noqa: PLC0415  Sweeps are planned without jax.

  return methods.SPECS[name].short if name in methods.SPECS else name


def plot_runs(
  groups: Mapping[str, Sequence[paths.Path]], path: paths.Path
) -> paths.Path:
  """Draws the runs' accuracy, memorisation and per-class accuracy.

  A group's line is the mean over its runs, its band one standard deviation.

  Args:
    groups: run folders by the name of their group.
    path: the PNG file to write; a PDF and an SVG are written beside it.

  Returns:
    path
  """
  figure, axes = plt.subplots(
    1, 3, figsize=(13, 4.2), layout='constrained', width_ratios=(3, 3, 4)
  )
  # A run that failed has fewer epochs, or none.
  shown = {
    name: runs
    for name, folders in groups.items()
    if (runs := [m for f in folders if (m := files.read_metrics(f))])
  }
  curves(axes[0], shown, ('test', 'accuracy'))
  curves(axes[1], shown, ('train_eval', 'memorised'))
  every = [folder for folders in groups.values() for folder in folders]
  titles = dataset_record.read(every[0])[0].class_titles
  for number, (look, (name, runs)) in enumerate(
    zip(style.looks(list(shown)), shown.items(), strict=True)
  ):
    if number < MOST_LINES and all('test' in run[-1] for run in runs):
      offset = number - (min(len(shown), MOST_LINES) - 1) / 2
      classes(axes[2], runs, offset, look | {'label': name})
  test = test_title(every)
  axes[0].set(
    title=f'{test} accuracy',
    xlabel='epoch',
    ylabel=f'{test.lower()} accuracy (%)',
  )
  axes[1].set(
    title='Wrong labels memorised',
    xlabel='epoch',
    ylabel='share of wrong labels (%)',
  )
  axes[2].set(
    title=f'{test} accuracy of each class, last epoch',
    xlabel='class',
    ylabel=f'{test.lower()} accuracy (%)',
  )
  finish(axes[:2], epochs=True)
  finish(axes[2:])
  name_classes(axes[2], titles)
  pictures.add_legend(figure)
  for legend in figure.legends:  # The markers are those of the classes.
    for handle, look in zip(
      legend.legend_handles[:MOST_LINES], style.looks(list(shown)), strict=False
    ):
      if isinstance(handle, Line2D):
        handle.set_marker(look['marker'])
  configs = [files.read_config(folder) for folder in every]
  pictures.add_title(figure, pictures.about(configs))
  return pictures.save(figure, path)


def test_title(folders: Iterable[paths.Path]) -> str:
  """'Test', or 'Noisy test' where runs were tested on noisy labels."""
  return (
    'Noisy test' if any(map(dataset_record.has_noisy_test, folders)) else 'Test'
  )


def overfitting(
  groups: Mapping[str, Mapping[str, Sequence[Sequence[Mapping[str, Any]]]]],
  about: str,
  test: str = 'Test',
) -> Figure:
  """Test accuracy and memorised labels over the epochs.

  Args:
    groups: by the title of a row of panels ('' for the only one), the metrics
      of each group's runs by the group's name.
    about: what the picture's title says, see pictures.about.
    test: what the test split is called, see `test_title`.
  """
  figure, axes = plt.subplots(
    len(groups),
    2,
    figsize=(10, 3.5 * len(groups) + 0.7),
    layout='constrained',
    squeeze=False,
  )
  for row, (title, some) in zip(axes, groups.items(), strict=True):
    curves(row[0], some, ('test', 'accuracy'))
    curves(row[1], some, ('train_eval', 'memorised'))
    start = f'{title}: ' if title else ''
    row[0].set(
      title=f'{start}{test.lower() if start else test} accuracy',
      ylabel='accuracy (%)',
    )
    row[1].set(
      title=f'{start}{"w" if start else "W"}rong labels memorised',
      ylabel='share of wrong labels (%)',
    )
  for ax in axes[-1]:
    ax.set_xlabel('epoch')
  finish(axes.flat, epochs=True)
  pictures.add_legend(figure)
  pictures.add_title(figure, about)
  return figure


def curves(
  ax: Axes,
  groups: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]],
  keys: Sequence[str | int],
) -> None:
  """Draws a share of each group over the epochs, each as it always looks.

  Of more groups than can be told apart the last ones are grey.

  Args:
    ax: where.
    groups: the metrics of each group's runs, by the group's name.
    keys: where the share is in an epoch's record.
  """
  for number, (name, look) in enumerate(
    zip(groups, style.looks(list(groups)), strict=True)
  ):
    if number < MOST_LINES:
      plot_mean_std(ax, groups[name], keys, look | {'label': name})
      continue
    rest = len(groups) - MOST_LINES
    look = style.CROWD | {
      'label': f'{rest} more' if number == MOST_LINES else f'_{name}'
    }
    plot_mean_std(ax, groups[name], keys, look, spread=False)


def finish(axes: Iterable[Axes], *, epochs: bool = False) -> None:
  """Grid, ticks at whole numbers and at the ends, no share beyond 0 or 100 %.

  Args:
    axes: whose y is a share in per cent.
    epochs: whether x is the epoch; else it is the class.
  """
  axes = list(axes)
  ends = [end for ax in axes for end in _data_ends(ax)]
  for ax in axes:
    ax.grid(alpha=0.3)
    low, high = ax.get_ylim()
    missing = max(_LEAST_SPAN - (high - low), 0) / 2
    low, high = low - missing, high + missing
    # Moved back into what a share can be.
    low, high = low - max(high - 102, 0), high - min(low + 2, 0)
    ax.set_ylim(max(low, -2), min(high, 102))
    if not epochs:
      # Few classes are all named.
      ax.xaxis.set_major_locator(
        ticker.MaxNLocator(20, integer=True, min_n_ticks=1)
      )
    elif ends:
      _epoch_ticks(ax, int(min(ends)), int(max(ends)))


def _data_ends(ax: Axes) -> list[float]:
  return [
    float(x) for line in ax.get_lines() for x in np.ravel(line.get_xdata())
  ]


def _epoch_ticks(ax: Axes, first: int, last: int) -> None:
  """Ticks at the last epoch and at round ones before; few are all named."""
  if last - first < _FEW_EPOCHS:
    ax.set_xticks(range(first, last + 1))
    ax.set_xlim(first - 0.4, last + 0.4)
    return
  step = last / 6
  scale = 10 ** np.floor(np.log10(step))
  width = max(
    1, int(scale * min((1, 2, 5, 10), key=lambda x: abs(x * scale - step)))
  )
  round_ones = [x for x in range(0, last, width) if last - x >= 0.6 * width]
  ax.set_xticks([*round_ones, last])
  # A marker at the end is whole.
  ax.set_xlim(0, 1.015 * last)


def name_classes(ax: Axes, titles: Sequence[str]) -> None:
  """Names the classes along x, where there is room for their names."""
  if len(titles) > 20:
    return
  is_long = max(map(len, titles)) > 2
  ax.set_xticks(
    range(len(titles)),
    titles,
    rotation=45 if is_long else 0,
    ha='right' if is_long else 'center',
    rotation_mode='anchor' if is_long else None,
  )


def plot_mean_std(
  ax: Axes,
  runs: Sequence[Sequence[Mapping[str, Any]]],
  keys: Sequence[str | int],
  look: Mapping[str, Any],
  *,
  spread: bool = True,
) -> None:
  """Draws a share over the epochs: its mean over runs, one std as a band.

  Args:
    ax: where.
    runs: the metrics of each, see files.read_metrics.
    keys: where the share is in an epoch's record; its last may be a class.
    look: colour, line, marker and label.
    spread: whether there is a band.
  """
  curves = [
    {
      record['epoch']: 100 * value
      for record in run
      if (value := lookup(record, keys)) is not None
    }
    for run in runs
  ]
  epochs = sorted(
    set.intersection(*(set(curve) for curve in curves)) if curves else ()
  )
  if not epochs:
    return
  values = np.array([[curve[e] for e in epochs] for curve in curves])
  mean, deviation = statistics.mean_std(values)
  look = dict(look)
  if len(epochs) > _FEW_EPOCHS:
    look['marker'] = None
  ax.plot(epochs, mean, **look)
  if spread and len(values) > 1:
    ax.fill_between(
      epochs,
      mean - deviation,
      mean + deviation,
      color=look['color'],
      alpha=0.15,
      lw=0,
      zorder=look.get('zorder', 3) - 1,
    )


def lookup(record: Mapping[str, Any], keys: Sequence[str | int]) -> Any:
  """A figure of an epoch's record; None where it was not taken."""
  value: Any = record
  for key in keys:
    if isinstance(key, str) and key not in value:
      return None
    value = value[key]
    if value is None:
      return None
  return value


def classes(
  ax: Axes,
  runs: Sequence[Sequence[Mapping[str, Any]]],
  offset: float,
  look: Mapping[str, Any],
) -> None:
  """Draws each class's test accuracy in the last epoch.

  Args:
    ax: where.
    runs: the metrics of each, see files.read_metrics.
    offset: the group's place beside the others, in their number.
    look: colour, marker and label; the legend has that of the curves.
  """
  last = [run[-1]['test']['class_accuracy'] for run in runs]
  values = 100 * np.array(
    [[np.nan if x is None else x for x in run] for run in last]
  )
  mean, deviation = statistics.mean_std(values)
  numbers = np.arange(values.shape[1])
  # Points, not bars: where all classes are good the axis need not begin at 0.
  ax.errorbar(
    numbers + 0.15 * offset,
    mean,
    yerr=deviation if len(runs) > 1 else None,
    **dict(look) | {'linestyle': 'none', 'label': f'_{look["label"]}'},
  )
