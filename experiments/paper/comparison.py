"""Test accuracy of the paper's methods under symmetric and asymmetric noise.

The paper's main tables. The figure is the last epoch's, never the best one's:
to choose the epoch by its test accuracy is to look at the answers. All methods
share the data set's optimiser, schedule and augmentation.
"""

from collections.abc import Sequence

from matplotlib import pyplot as plt
import numpy as np

from experiments.analysis import plots, statistics
from experiments.paper import methods, published, scales
from experiments.paper.registry import Context, RunSpec
from experiments.report.page import Block, Cell, Figure, Heading, Table, Text
from sce_jax import noise
from sce_jax.runs import files, read
from sce_jax.runs.read import Run

METHODS = tuple(name for name in methods.METHODS if name != 'RCE')
NOISES = (
  'clean',
  'symmetric 0.2',
  'symmetric 0.4',
  'symmetric 0.6',
  'symmetric 0.8',
  'asymmetric 0.2',
  'asymmetric 0.3',
  'asymmetric 0.4',
)
# What two CPU cores can finish, where a run takes more than seconds.
SHORT = ('clean', 'symmetric 0.4', 'symmetric 0.6', 'asymmetric 0.4')


def sweep(dataset: str, scale: str) -> list[RunSpec]:
  """All methods, under all noises, with all seeds."""
  noises = SHORT if scales.scale_of(dataset, scale).few else NOISES
  cells = [(method, given) for method in METHODS for given in noises]
  return methods.trials(dataset, scale, cells)


def report(context: Context, runs: Sequence[Run]) -> list[Block]:
  """The table, published figures beside it, what D2L and Forward did."""
  noises = list(dict.fromkeys(run.labels['noise'] for run in runs))
  ended = read.finished(runs)
  blocks: list[Block] = [
    Heading('Accuracy'),
    _accuracy(runs, noises),
    _memorised(runs, noises),
    _curves(ended, noises),
    Heading('Beside what was published'),
    *_published(context, ended),
    Heading('What D2L and the estimated T did'),
    *_estimates(ended),
    *_turning_points(ended),
  ]
  if noises == list(SHORT) and context.scale != 'full':
    blocks.insert(
      0,
      Text(
        f'Only {", ".join(SHORT)}; --scale=full has all of'
        f' {", ".join(NOISES)}.',
        warning=True,
      ),
    )
  blocks.insert(
    0, Text(f'Asymmetric noise here: {scales.asymmetric(context.dataset)}.')
  )
  return blocks


def _columns(runs: Sequence[Run], figure: str):
  """By noise and method, the figure of each seed that has finished."""
  for (given, method), group in read.group(runs, 'noise', 'method').items():
    yield (
      given,
      method,
      {
        r.config['seed']: r.result[figure]
        for r in group
        if r.result and r.result[figure] is not None
      },
    )


def _accuracy(runs: Sequence[Run], noises: Sequence[str]) -> Table:
  columns: dict[str, dict[str, dict[int, float]]] = {n: {} for n in noises}
  for given, method, values in _columns(runs, 'test_accuracy'):
    columns[given][method] = values
  cells = {
    given: statistics.mark_best(column) for given, column in columns.items()
  }
  return Table(
    'accuracy',
    'Test accuracy of the last epoch in per cent, mean ± standard deviation'
    ' over seeds',
    ['method', *noises],
    [[m, *(cells[n].get(m, '-') for n in noises)] for m in METHODS],
    'Best: highest mean. Not told apart: two-sided paired t-test over seeds,'
    ' p of at least 0.05; few seeds tell little apart.',
  )


def _memorised(runs: Sequence[Run], noises: Sequence[str]) -> Table:
  noises = [given for given in noises if given != 'clean']
  cells = {
    (method, given): statistics.format_mean_std(list(values.values()))
    for given, method, values in _columns(runs, 'memorised')
  }
  return Table(
    'memorised',
    'Wrongly labelled training examples predicted as their wrong label, per'
    ' cent',
    ['method', *noises],
    [[m, *(cells.get((m, n), '-') for n in noises)] for m in METHODS],
  )


def _curves(runs: Sequence[Run], noises: Sequence[str]) -> Figure:
  columns = min(4, len(noises))
  rows = -(-len(noises) // columns)
  figure, axes = plt.subplots(
    rows,
    columns,
    figsize=(3.1 * columns, 2.9 * rows + 0.6),
    layout='constrained',
    sharex=True,
    sharey=True,
    squeeze=False,
  )
  groups = read.group(runs, 'noise', 'method')
  for ax, given in zip(axes.flat, noises, strict=False):
    for number, method in enumerate(METHODS):
      plots.plot_mean_std(
        ax,
        [r.metrics for r in groups.get((given, method), [])],
        ('test', 'accuracy'),
        plots.style(number) | {'label': method},
      )
    ax.set_title(given)
  plots.finish(axes.flat, epochs=True)
  for ax in axes[-1]:
    ax.set_xlabel('epoch')
  for ax in axes[:, 0]:
    ax.set_ylabel('test accuracy (%)')
  figure.legend(
    *axes[0][0].get_legend_handles_labels(),
    loc='outside lower center',
    ncols=5,
    frameon=False,
  )
  return Figure(
    'curves',
    'Test accuracy over the epochs, mean over seeds, one standard deviation as'
    ' a band.',
    figure,
  )


def _published(context: Context, runs: Sequence[Run]) -> list[Block]:
  rows = []
  sources = {}
  for (method, given), group in read.group(runs, 'method', 'noise').items():
    found = published.lookup(scales.title(context.dataset), method, given)
    if found is None:
      continue
    ours = statistics.format_mean_std(
      [r.result['test_accuracy'] for r in group if r.result]
    )
    difference = (ours.value or 0.0) - found.accuracy
    rows.append(
      [
        method,
        given,
        ours,
        Cell(f'{found.accuracy:.2f}', found.accuracy),
        found.mark,
        Cell(f'{difference:+.2f}', difference),
      ]
    )
    sources[found.mark] = found.source
  if not rows:
    return [
      Text(f'No published figure of the paper is known for {context.dataset}.')
    ]
  differs = scales.scale_of(context.dataset, context.scale).note
  return [
    Table(
      'published',
      'Ours and the published test accuracy, per cent',
      ['method', 'noise', 'ours', 'published', 'mark', 'difference'],
      rows,
      ' '.join(
        [f'{mark}: {source}.' for mark, source in sources.items()]
        + (
          ['recalled figures were found in no source: do not quote them.']
          if 'recalled' in sources
          else []
        )
        + ([f'Not the published protocol. {differs}'] if differs else [])
      ),
    )
  ]


def _estimates(runs: Sequence[Run]) -> list[Block]:
  rows = []
  groups = read.group(runs, 'method', 'noise')
  for (method, given), group in groups.items():
    if method != 'Forward, estimated T':
      continue
    errors, diagonals = [], []
    for run in group:
      prepared = files.read_prepared(run.folder)
      settings = run.config['noise']
      if prepared is None:
        continue
      matrix = prepared['transition_matrix']
      true = noise.transition_matrix(
        settings['name'], len(matrix), settings['rate']
      )
      errors.append(float(np.abs(matrix - true).sum(1).mean() / 2))
      diagonals.append(float(np.diag(matrix).mean()))
    if errors:
      rows.append(
        [
          given,
          statistics.format_mean_std(errors, percent=False),
          statistics.format_mean_std(diagonals, percent=False),
          Cell(f'{np.diag(true).mean():.3f}', float(np.diag(true).mean())),
        ]
      )
  if not rows:
    return []
  return [
    Table(
      'transition',
      'Estimated against true transition matrix',
      [
        'noise',
        'distance of a row (total variation)',
        'mean diagonal, estimated',
        'mean diagonal, true',
      ],
      rows,
      'Estimated from anchor points of a network trained with CE to the last'
      ' epoch. A mean diagonal near 1 says that this network has memorised its'
      ' labels, and then the corrected loss is CE again.',
    )
  ]


def _turning_points(runs: Sequence[Run]) -> list[Block]:
  from sce_jax.methods import d2l  # noqa: PLC0415  Sweeps are planned without jax.

  rows = []
  groups = read.group(runs, 'method', 'noise')
  for (method, given), group in groups.items():
    if method != 'D2L':
      continue
    loss = group[0].config['loss']
    found, weights = [], []
    for run in group:
      found.append(
        d2l.turning_point(
          [m['method']['lid'] for m in run.metrics],
          window=loss['window'],
          warm_up=loss['warm_up'],
        )
      )
      weights.append(run.metrics[-1]['method']['label_weight'])
    turned = [x for x in found if x is not None]
    rows.append(
      [
        given,
        Cell(f'{len(turned)} of {len(found)}', float(len(turned))),
        Cell(', '.join(map(str, turned)) or '-'),
        statistics.format_mean_std(weights, percent=False),
      ]
    )
  if not rows:
    return []
  return [
    Table(
      'd2l',
      "D2L: where the last hidden layer's dimensionality turns, and the weight"
      ' of the given labels in the last epoch',
      ['noise', 'runs that turn', 'after epochs', 'weight at the end'],
      rows,
    )
  ]
