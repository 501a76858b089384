"""Pictures of runs."""

from collections.abc import Iterable, Mapping, Sequence
import io
from typing import Any

import matplotlib

matplotlib.use('Agg')  # No screen is needed.

from matplotlib import pyplot as plt
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
import numpy as np

from sce_jax.runs import files
from sce_jax.storage import paths

# Okabe and Ito's colours, told apart by the colour-blind; line styles and
# markers tell them apart in grey.
_COLOURS = ('#D55E00', '#0072B2', '#009E73', '#CC79A7', '#E69F00', '#56B4E9')
_STYLES = ('-', '--', '-.', ':', (0, (5, 1)), (0, (1, 1)))
_MARKERS = ('o', 's', '^', 'D', 'v', 'P')
# With fewer epochs than this each one is marked.
_FEW_EPOCHS = 10


def label(name: str) -> str:
  """What tables and pictures call a method; any other name as it is."""
  from sce_jax import methods  # noqa: PLC0415  Sweeps are planned without jax.

  return methods.SPECS[name].short if name in methods.SPECS else name


def noise_title(noise: Mapping[str, Any]) -> str:
  """What label noise is called; given labels have no rate, clean ones no name.

  Args:
    noise: the `noise` section of a config.
  """
  names = []
  for name, rate in (
    (noise['name'], noise['rate']),
    # Which runs of earlier versions do not have; nor those below.
    (noise.get('second', ''), noise.get('second_rate', 0.0)),
  ):
    if name not in ('', 'clean'):
      names.append(f'{name} {rate:g}' if rate else name)
  return ' + '.join(names)


def changes_of_examples(noise: Mapping[str, Any]) -> list[str]:
  """What a noise does to the examples, beside their labels: a phrase each."""
  phrases = []
  if noise.get('imbalance'):
    phrases.append(
      f'{noise["imbalance"]} imbalance {noise["imbalance_ratio"]:g}'
    )
  if noise.get('open_set_from'):
    phrases.append(
      f'open-set images of {noise["open_set_from"]}'
      f' {noise["open_set_rate"]:g}'.removesuffix(' 0')
    )
  return phrases


def style(number: int) -> dict[str, Any]:
  """Colour, line and marker of a figure's line, from 0 on."""
  return {
    'color': _COLOURS[number % len(_COLOURS)],
    # Shifted once the colours begin again, so that no two lines are alike.
    'linestyle': _STYLES[(number + number // 6) % len(_STYLES)],
    'marker': _MARKERS[number % len(_MARKERS)],
  }


def plot_runs(
  groups: Mapping[str, Sequence[paths.Path]], path: paths.Path
) -> paths.Path:
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
    runs = [files.read_metrics(folder) for folder in folders]
    # A run that failed has fewer epochs, or none.
    runs = [run for run in runs if run]
    if not runs:
      continue
    look = style(number) | {'label': name}
    plot_mean_std(axes[0], runs, ('test', 'accuracy'), look)
    plot_mean_std(axes[1], runs, ('train_eval', 'memorised'), look)
    if all('test' in run[-1] for run in runs):
      classes(axes[2], runs, number - (len(groups) - 1) / 2, look)
  test = test_title(folder for folders in groups.values() for folder in folders)
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
  axes[1].set_ylim(bottom=-0.02 * axes[1].get_ylim()[1])
  if axes[0].lines:
    axes[0].legend()
  png = io.BytesIO()
  figure.savefig(png, format='png', dpi=120)
  plt.close(figure)
  paths.write(path, png.getvalue())
  return path


def test_title(folders: Iterable[paths.Path]) -> str:
  """'Test', or 'Noisy test' where runs were tested on noisy labels."""
  return 'Noisy test' if any(map(files.has_noisy_test, folders)) else 'Test'


def overfitting(
  groups: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]],
  test: str = 'Test',
) -> Figure:
  """Test accuracy and memorised labels over the epochs, side by side.

  Args:
    groups: the metrics of each group's runs, by the group's name.
    test: what the test split is called, see `test_title`.
  """
  figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout='constrained')
  for number, (name, runs) in enumerate(groups.items()):
    look = style(number) | {'label': name}
    plot_mean_std(axes[0], runs, ('test', 'accuracy'), look)
    plot_mean_std(axes[1], runs, ('train_eval', 'memorised'), look)
  axes[0].set(title=f'{test} accuracy', xlabel='epoch', ylabel='accuracy (%)')
  axes[1].set(
    title='Wrong labels memorised',
    xlabel='epoch',
    ylabel='share of wrong labels (%)',
  )
  finish(axes, epochs=True)
  figure.legend(
    *max(
      (ax.get_legend_handles_labels() for ax in axes), key=lambda x: len(x[0])
    ),
    loc='outside lower center',
    ncols=4,
    frameon=False,
  )
  return figure


def finish(axes: Iterable[Axes], *, epochs: bool = False) -> None:
  """Grid, whole numbers along x, and no share above 100 % or below 0.

  Args:
    axes: whose y is a share in per cent.
    epochs: whether x is the epoch; else it is the class.
  """
  for ax in axes:
    ax.grid(alpha=0.3)
    low, high = ax.get_ylim()
    ax.set_ylim(max(low, -1), min(high, 101))
    # Few classes are all named.
    ax.xaxis.set_major_locator(
      ticker.MaxNLocator(8 if epochs else 20, integer=True, min_n_ticks=1)
    )
    if epochs:
      ax.set_xlim(left=0)


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
  mean, deviation = values.mean(0), values.std(0)
  look = dict(look)
  if len(epochs) > _FEW_EPOCHS:
    look['marker'] = None
  ax.plot(epochs, mean, **look)
  if spread:
    ax.fill_between(
      epochs,
      mean - deviation,
      mean + deviation,
      color=look['color'],
      alpha=0.2,
      lw=0,
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
    look: colour, marker and label.
  """
  last = [run[-1]['test']['class_accuracy'] for run in runs]
  values = 100 * np.array(
    [[np.nan if x is None else x for x in run] for run in last]
  )
  numbers = np.arange(values.shape[1])
  # Points, not bars: where all classes are good the axis need not begin at 0.
  ax.errorbar(
    numbers + 0.15 * offset,
    values.mean(0),
    yerr=values.std(0) if len(runs) > 1 else None,
    **dict(look) | {'linestyle': 'none'},
  )
