"""How SL depends on alpha, and on beta and A, which are one parameter.

The paper's figure of section 5.2: a large alpha overfits, a small one learns
slowly, and at a small alpha SL hardly depends on A. For a class label the loss
is alpha CE - beta A (1 - p_y), so beta and A enter as their product only.
"""

from collections.abc import Sequence

from matplotlib import pyplot as plt
import numpy as np

from experiments.analysis import plots, statistics
from experiments.paper import methods
from experiments.paper.registry import Context, RunSpec
from experiments.report.page import Block, Cell, Figure, Heading, Table, Text
from sce_jax.runs import read
from sce_jax.runs.read import Run

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


def report(context: Context, runs: Sequence[Run]) -> list[Block]:
  """Two curves, the heat map, and the check that only the product counts."""
  parts = {key[0]: group for key, group in read.group(runs, 'part').items()}
  del context
  return [
    Heading('alpha and A'),
    _table('alpha', parts['alpha'], ('alpha',)),
    _table('A', parts['A'], ('alpha', 'A')),
    _lines(parts),
    Heading('alpha and the product of beta and |A|'),
    _grid(parts['grid']),
    Heading('beta and A are one parameter'),
    *_equal(parts['equal']),
  ]


def _values(group: Sequence[Run], figure: str = 'test_accuracy'):
  return [
    r.result[figure] for r in group if r.result and r.result[figure] is not None
  ]


def _table(name: str, runs: Sequence[Run], keys: Sequence[str]) -> Table:
  groups = read.group(runs, *keys)
  cells = statistics.mark_best(
    {
      str(key): {
        r.config['seed']: r.result['test_accuracy'] for r in group if r.result
      }
      for key, group in groups.items()
    }
  )
  others = {
    'alpha': 'beta 1, A -4',
    'A': 'beta 1',
  }[name]
  return Table(
    f'sweep-{name}',
    f'SL under {NOISE} noise, {others}: per cent, mean ± standard deviation',
    [*keys, 'test accuracy, last epoch', 'wrong labels memorised'],
    [
      [
        *(Cell(x, float(x)) for x in key),
        cells[str(key)],
        statistics.format_mean_std(_values(group, 'memorised')),
      ]
      for key, group in groups.items()
    ],
  )


def _lines(parts) -> Figure:
  figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout='constrained')
  for figure_name, number in (('test_accuracy', 0), ('memorised', 1)):
    groups = read.group(parts['alpha'], 'alpha')
    _line(
      axes[0],
      {float(a): _values(group, figure_name) for (a,), group in groups.items()},
      plots.style(number)
      | {'label': ('test accuracy', 'wrong labels memorised')[number]},
    )
  axes[0].set(xscale='log', xlabel='alpha', ylabel='share (%)')
  axes[0].set_title('beta 1, A -4')
  axes[0].legend()
  groups = read.group(parts['A'], 'alpha', 'A')
  for number, alpha in enumerate(dict.fromkeys(key[0] for key in groups)):
    _line(
      axes[1],
      {
        float(a): _values(group)
        for (own, a), group in groups.items()
        if own == alpha
      },
      plots.style(number) | {'label': f'alpha {alpha}'},
    )
  axes[1].set(xlabel='A', ylabel='test accuracy (%)', title='beta 1')
  axes[1].legend()
  for ax in axes:
    ax.grid(alpha=0.3)
  return Figure(
    'sweeps',
    f'SL under {NOISE} noise, last epoch, against alpha (left) and A (right);'
    ' bars are one standard deviation over seeds.',
    figure,
  )


def _line(ax, values, look) -> None:
  values = {x: v for x, v in sorted(values.items()) if v}
  ax.errorbar(
    list(values),
    [100 * np.mean(v) for v in values.values()],
    yerr=[100 * np.std(v) for v in values.values()],
    capsize=3,
    **look,
  )


def _grid(runs: Sequence[Run]) -> Figure:
  accuracy = np.full((len(GRID_ALPHAS), len(GRID_PRODUCTS)), np.nan)
  for run in runs:
    loss = run.config['loss']
    place = (
      GRID_ALPHAS.index(loss['alpha']),
      GRID_PRODUCTS.index(-loss['beta'] * loss['log_zero']),
    )
    if run.result:
      accuracy[place] = 100 * run.result['test_accuracy']
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
  return Figure(
    'grid',
    f'Test accuracy of SL against alpha and beta |A|, {NOISE} noise, one seed.',
    figure,
  )


def _equal(runs: Sequence[Run]) -> list[Block]:
  ended = read.finished(runs)
  if len(ended) < 2:
    return [Text('The two runs have not finished.', warning=True)]
  first, second = ended[:2]
  losses = [[m['train']['loss'] for m in run.metrics] for run in ended[:2]]
  largest = float(np.abs(np.subtract(*losses)).max())
  same = first.result['test_accuracy'] == second.result['test_accuracy']
  return [
    Table(
      'equal',
      'Two runs with one product of beta and A',
      ['alpha', 'beta', 'A', 'beta |A|', 'test accuracy (%)', 'final loss'],
      [
        [
          *(Cell(r.labels[k], float(r.labels[k])) for k in ('alpha', 'beta')),
          Cell(r.labels['A'], float(r.labels['A'])),
          f'{-float(r.labels["beta"]) * float(r.labels["A"]):g}',
          f'{100 * r.result["test_accuracy"]:.3f}',
          f'{r.metrics[-1]["train"]["loss"]:.6f}',
        ]
        for r in ended[:2]
      ],
    ),
    Text(
      f'The largest difference between their training losses, of any epoch, is'
      f' {largest:.2g}; their test accuracies are'
      f' {"equal" if same else "not equal"}. Both factors are powers of two and'
      ' the two runs share a program, so that floating point rounds them alike.'
    ),
  ]
