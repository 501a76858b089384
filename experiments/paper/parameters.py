"""How SL depends on alpha, and on beta and A, which are one parameter.

The paper's figure of section 5.2. The paper reports that a large alpha
overfits, a small one learns slowly, and at a small alpha SL hardly depends on
A; whether it is so here the tables say. For a class label the loss is
alpha CE - beta A (1 - p_y), so beta and A enter as their product only.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
import numpy as np

from experiments.analysis import frame, pictures, statistics, style
from experiments.paper import methods
from experiments.paper.registry import Context, RunSpec
from experiments.report.page import Block, Figure, Heading, Table, Text, number

if TYPE_CHECKING:  # Sweeps are planned without pandas.
  import pandas as pd

NOISE = 'symmetric 0.6'
ALPHAS = (0.001, 0.01, 0.1, 0.5, 1.0, 5.0)
LOG_ZEROS = (-2.0, -4.0, -6.0, -8.0)
# Of the heat map; A is -4 there and beta the product over 4.
GRID_ALPHAS = (0.01, 0.1, 1.0, 5.0)
GRID_PRODUCTS = (1.0, 2.0, 4.0, 8.0, 16.0)
# The same product twice, at an alpha that nothing else has: the two then train
# in one program, and rounding has no reason to tell them apart.
EQUAL_ALPHA = 0.2
EQUAL = ((1.0, -4.0), (2.0, -2.0))


def sweep(dataset: str, scale: str) -> list[RunSpec]:
  """The two sweeps, the grid with one seed, and a pair of equal product."""
  seeds = methods.seeds(dataset, scale)

  def trial(part, alpha, beta, log_zero, seed):
    made = methods.trial(
      dataset,
      scale,
      'SL',
      NOISE,
      seed,
      name=f'{part} {alpha:g} {beta:g} {log_zero:g}',
      changes={
        'loss.alpha': alpha,
        'loss.beta': beta,
        'loss.log_zero': log_zero,
      },
    )
    labels = {
      'part': part,
      'alpha': f'{alpha:g}',
      'beta': f'{beta:g}',
      'A': f'{log_zero:g}',
      'seed': str(seed),
    }
    return RunSpec(labels, made.config)

  # First, so that no group's end comes between them.
  runs = [trial('equal', EQUAL_ALPHA, *pair, seeds[0]) for pair in EQUAL]
  runs += [
    trial('alpha', alpha, 1.0, -4.0, seed) for alpha in ALPHAS for seed in seeds
  ]
  runs += [
    trial('A', alpha, 1.0, log_zero, seed)
    for alpha in (0.01, 0.1)
    for log_zero in LOG_ZEROS
    for seed in seeds
  ]
  runs += [
    trial('grid', alpha, product / 4, -4.0, seeds[0])
    for alpha in GRID_ALPHAS
    for product in GRID_PRODUCTS
  ]
  return runs


def report(context: Context, runs: 'pd.DataFrame') -> list[Block]:
  """Two curves, the heat map, and the check that only the product counts."""
  del context
  runs = runs.astype({'alpha': float, 'beta': float, 'A': float})
  parts = dict(list(runs.groupby('part')))
  return [
    Heading('alpha and A'),
    _table('alpha', 'beta 1, A -4', parts['alpha'], ['alpha']),
    _table('A', 'beta 1', parts['A'], ['alpha', 'A']),
    _lines(parts['alpha'], parts['A']),
    Heading('alpha and the product of beta and |A|'),
    _grid(parts['grid']),
    Heading('beta and A are one parameter'),
    *_equal(parts['equal']),
  ]


def _table(
  name: str, fixed: str, runs: 'pd.DataFrame', keys: list[str]
) -> Table:
  diverged = frame.diverged(runs, keys)
  accuracy = frame.best(runs, keys)
  return Table(
    f'sweep-{name}',
    f'SL under {NOISE} noise, {fixed}: per cent, mean ± standard deviation',
    [*keys, 'test accuracy, last epoch', 'wrong labels memorised'],
    [
      [
        *(number(x, 'g') for x in key),
        accuracy[key],
        statistics.format_mean_std(memorised, diverged=diverged[key]),
      ]
      for key, memorised in runs.groupby(keys, sort=False).memorised
    ],
    statistics.BEST_NOTE,
  )


def _lines(alphas: 'pd.DataFrame', log_zeros: 'pd.DataFrame') -> Figure:
  figure, axes = plt.subplots(1, 2, figsize=(10, 4.5), layout='constrained')
  by_alpha = alphas.groupby('alpha')
  names = ['test accuracy', 'wrong labels memorised']
  names += [
    f'alpha {x:g}: test accuracy' for x, _ in log_zeros.groupby('alpha')
  ]
  looks = [style.method('SL'), *style.looks(names[1:])]
  draw_line(axes[0], by_alpha.test_accuracy, looks[0], names[0])
  draw_line(axes[0], by_alpha.memorised, looks[1], names[1])
  axes[0].set(xscale='log', xlabel='alpha', ylabel='share (%)')
  axes[0].set_title('beta 1, A -4')
  for look, name, (_, some) in zip(
    looks[2:], names[2:], log_zeros.groupby('alpha'), strict=True
  ):
    draw_line(axes[1], some.groupby('A').test_accuracy, look, name)
  axes[1].set(xlabel='A', ylabel='test accuracy (%)', title='beta 1')
  axes[0].xaxis.set_major_formatter('{x:g}')
  axes[0].set_xticks(ALPHAS)
  axes[1].set_xticks(sorted(LOG_ZEROS))
  for ax in axes:
    ax.set_ylim(-1, 101)
    ax.grid(alpha=0.3)
  pictures.add_legend(figure)
  pictures.add_title(
    figure,
    pictures.about(
      (run.config for run in frame.finished(alphas).run),
      'points: mean over seeds, bars: ± 1 standard deviation',
    ),
  )
  return Figure(
    'sweeps',
    f'SL under {NOISE} noise, last epoch, against alpha (left) and A (right);'
    ' bars are one standard deviation over seeds.',
    figure,
  )


def draw_line(
  ax: Axes,
  groups: 'Iterable[tuple[float, pd.Series]]',
  look: Mapping[str, Any],
  label: str,
) -> None:
  """Draws mean and standard deviation of groups of shares against their key.

  Args:
    ax: where.
    groups: a key and a share of each seed, nan where it is not known.
    look: colour, line and marker.
    label: of the legend.
  """
  points = [
    (x, *statistics.mean_std(100 * group.dropna())) for x, group in groups
  ]
  x, mean, spread = np.array(points, float).T
  # No share is below 0 or above 100 %, so no bar ends there.
  ends = [np.minimum(spread, mean), np.minimum(spread, 100 - mean)]
  ax.errorbar(x, mean, yerr=ends, capsize=3, label=label, **look)


def _grid(runs: 'pd.DataFrame') -> Figure:
  accuracy = (
    runs.assign(product=-runs.beta * runs.A)
    .pivot(index='alpha', columns='product', values='test_accuracy')
    .reindex(index=GRID_ALPHAS, columns=GRID_PRODUCTS)
    .to_numpy()
    * 100
  )
  figure, ax = plt.subplots(figsize=(6.4, 4), layout='constrained')
  image = ax.imshow(accuracy, cmap='cividis', aspect='auto', origin='lower')
  middle = np.nanmean([np.nanmin(accuracy), np.nanmax(accuracy)])
  for (i, j), value in np.ndenumerate(accuracy):
    ax.text(
      j,
      i,
      '-' if np.isnan(value) else f'{value:.1f}',
      ha='center',
      va='center',
      color='black' if value > middle else 'white',
    )
  ax.set_xticks(
    range(len(GRID_PRODUCTS)), labels=[f'{x:g}' for x in GRID_PRODUCTS]
  )
  ax.set_yticks(range(len(GRID_ALPHAS)), labels=[f'{x:g}' for x in GRID_ALPHAS])
  ax.set(xlabel='beta |A|', ylabel='alpha')
  figure.colorbar(image, label='test accuracy, last epoch (%)')
  pictures.add_title(
    figure, pictures.about((run.config for run in runs.run), '')
  )
  return Figure(
    'grid',
    f'Test accuracy of SL against alpha and beta |A|, {NOISE} noise, one seed.',
    figure,
  )


def _equal(runs: 'pd.DataFrame') -> list[Block]:
  ended = frame.finished(runs)
  if len(ended) < 2:
    return [Text('The two runs have not finished.', warning=True)]
  losses = np.array(
    [[m['train']['loss'] for m in run.metrics] for run in ended.run]
  )
  largest = float(np.ptp(losses, axis=0).max())
  same = ended.test_accuracy.nunique() == 1
  return [
    Table(
      'equal',
      'Two runs with one product of beta and A',
      ['alpha', 'beta', 'A', 'beta |A|', 'test accuracy (%)', 'final loss'],
      [
        [
          *(number(x, 'g') for x in (row.alpha, row.beta, row.A)),
          number(-row.beta * row.A, 'g'),
          number(100 * row.test_accuracy, '.3f'),
          number(loss[-1], '.6f'),
        ]
        for row, loss in zip(ended.itertuples(), losses, strict=True)
      ],
    ),
    Text(
      f'The largest difference between their training losses, of any epoch, is'
      f' {largest:.2g}; their test accuracies are'
      f' {"equal" if same else "not equal"}. Both factors are powers of two and'
      ' the two runs share a program, so that floating point rounds them alike.'
    ),
  ]
