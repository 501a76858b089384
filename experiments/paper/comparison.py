"""Test accuracy of the paper's methods under label noise.

The paper's main tables. The figure is the last epoch's, never the best one's:
to choose the epoch by its test accuracy is to look at the answers. All methods
share the data set's optimiser, schedule and augmentation.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib import pyplot as plt
import numpy as np

from configs.common import GIVEN
from experiments.analysis import frame, pictures, plots, statistics, style
from experiments.paper import by_noise, methods, published_table, scales
from experiments.paper.registry import Context, RunSpec
from experiments.report.page import (
  Block,
  Cell,
  Figure,
  Heading,
  Table,
  Text,
  number,
)
from sce_jax import noise
from sce_jax.noise import estimation
from sce_jax.runs import files

if TYPE_CHECKING:  # Sweeps are planned without pandas.
  import pandas as pd

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
  """All methods that the data allow, under all noises, with all seeds."""
  noises = scales.noises(
    dataset, SHORT if scales.scale_of(dataset, scale).few else NOISES
  )
  trained = _methods(dataset, scale)
  cells = [(method, given) for method in trained for given in noises]
  return methods.trials(dataset, scale, cells)


def _methods(dataset: str, scale: str) -> tuple[str, ...]:
  """METHODS without those that streamed data cannot be trained with."""
  if scales.config(dataset, scale).data.feed != 'stream':
    return METHODS
  return tuple(name for name in METHODS if not _uses_features(name))


def _uses_features(name: str) -> bool:
  # Late: only where the data are streamed does planning need jax.
  from sce_jax import methods as all_methods  # noqa: PLC0415

  loss, _ = methods.METHODS[name]
  hparams = all_methods.find(loss).hparams
  defaults = {key: hparam.default for key, hparam in hparams.items()}
  return all_methods.build(loss, defaults).uses_features


def report(context: Context, runs: 'pd.DataFrame') -> list[Block]:
  """The table, published figures beside it, what D2L and Forward did."""
  noises = list(dict.fromkeys(runs.noise))
  trained = _methods(context.dataset, context.scale)
  finished = frame.finished(runs)
  blocks: list[Block] = [
    Heading('Accuracy'),
    accuracy(runs, trained),
    *_memorised(runs[~runs.noise.isin(['clean', GIVEN])], trained),
    _curves(finished, noises, trained),
    Heading('Beside what was published'),
    *published_table.blocks(
      context,
      frame.ended(runs),
      {m: (m, m) for m in trained},
      'paper',
      others=False,
    ),
    Heading(f'What {"D2L and " * ("D2L" in trained)}the estimated T did'),
    *_estimates(finished[finished.method == 'Forward, estimated T']),
    *_turning_points(finished[finished.method == 'D2L']),
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
  about = f'Asymmetric noise here: {scales.asymmetric(context.dataset)}.'
  if noises == [GIVEN]:
    about = (
      'Labels are as they came with the data, in part wrong; no noise is added.'
      ' True T is the one measured on the images that have a true label, too.'
    )
  if trained != METHODS:
    left_out = [name for name in METHODS if name not in trained]
    about += (
      f' Left out: {", ".join(left_out)}. Training images are streamed, and'
      ' such a method looks at them after each epoch.'
    )
  blocks.insert(0, Text(about))
  return blocks


def accuracy(runs: 'pd.DataFrame', trained: Sequence[str]) -> Table:
  """Test accuracy of the last epoch, a row per method, a column per noise.

  Args:
    runs: as experiments.analysis.frame.from_runs gives them.
    trained: the methods.
  """
  columns = {
    given: frame.best(some, 'method')
    for given, some in runs.groupby('noise', sort=False)
  }
  return Table(
    'accuracy',
    'Test accuracy of the last epoch in per cent, mean ± standard deviation'
    ' over seeds',
    ['method', *columns],
    [[m, *(cells.get(m, '-') for cells in columns.values())] for m in trained],
    f'{statistics.BEST_NOTE} Few seeds tell little apart.',
  )


def _memorised(runs: 'pd.DataFrame', trained: Sequence[str]) -> list[Table]:
  if not len(runs):
    return []
  return [by_noise.memorised(runs, {method: method for method in trained})]


def _curves(
  runs: 'pd.DataFrame', noises: Sequence[str], trained: Sequence[str]
) -> Figure:
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
  groups = frame.metrics(runs, ['noise', 'method'])
  for ax, given in zip(axes.flat, noises, strict=False):
    for method in trained:
      plots.plot_mean_std(
        ax,
        groups.get((given, method), []),
        ('test', 'accuracy'),
        style.method(method) | {'label': method},
        # Nine bands over each other hide the lines.
        spread=method == 'SL',
      )
    ax.set_title(given)
  plots.finish(axes.flat, epochs=True)
  for ax in axes[-1]:
    ax.set_xlabel('epoch')
  for ax in axes[:, 0]:
    ax.set_ylabel('test accuracy (%)')
  pictures.add_legend(figure)
  note = "lines: means over seeds, band: SL's ± 1 standard deviation"
  pictures.add_title(
    figure, pictures.about((run.config for run in runs.run), note)
  )
  return Figure(
    'curves',
    'Test accuracy over the epochs, mean over seeds; of SL one standard'
    ' deviation as a band.',
    figure,
  )


def _estimates(runs: 'pd.DataFrame') -> list[Block]:
  rows = []
  for given, group in runs.groupby('noise', sort=False):
    errors, diagonals = [], []
    for run in group.run:
      prepared = files.read_prepared(run.folder)
      if prepared is None:
        continue
      matrix, settings = prepared['transition_matrix'], run.config['noise']
      summary = files.read_summary(run.folder) or {}
      true = (
        np.array(summary.get('transition', ()))
        if given == GIVEN
        else (
          noise.transition_matrix(
            settings['name'], len(matrix), settings['rate']
          )
        )
      )
      if not true.size:
        continue
      errors.append(estimation.total_variation(matrix, true).mean())
      diagonals.append(np.diag(matrix).mean())
    if errors:
      rows.append(
        [
          given,
          statistics.format_mean_std(errors, percent=False),
          statistics.format_mean_std(diagonals, percent=False),
          number(np.diag(true).mean(), '.3f'),
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


def _turning_points(runs: 'pd.DataFrame') -> list[Block]:
  from sce_jax.methods import d2l  # noqa: PLC0415  Sweeps are planned without jax.

  rows = []
  for given, group in runs.groupby('noise', sort=False):
    found, weights = [], []
    for run in group.run:
      found.append(
        d2l.turning_point(
          [m['method']['lid'] for m in run.metrics],
          window=run.config['loss']['window'],
          warm_up=run.config['loss']['warm_up'],
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
