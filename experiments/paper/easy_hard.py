"""Easy and hard classes: which of them CE under-learns and which it overfits.

Cross entropy at an early, a middle and a late stage, trained on clean and on
noisy labels. What a class loses to the noise has two causes, which are told
apart at the epoch at which the mean test accuracy under noise is highest: what
is missing there is under-learned, what is lost after it is overfitted.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from matplotlib import pyplot as plt
import numpy as np

from experiments.analysis import frame, pictures, plots, style
from experiments.paper import methods
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
from sce_jax.runs.read import Run

if TYPE_CHECKING:  # Sweeps are planned without pandas.
  import pandas as pd

NOISE = 'symmetric 0.4'


def sweep(dataset: str, scale: str) -> list[RunSpec]:
  """CE on clean and on noisy labels; SL on noisy ones, to compare."""
  cells = [('CE', 'clean'), ('CE', NOISE), ('SL', NOISE)]
  return methods.trials(dataset, scale, cells)


def report(context: Context, runs: 'pd.DataFrame') -> list[Block]:
  """The stages, and each class's loss to noise by its cause."""
  del context
  ended = frame.finished(runs).groupby(['method', 'noise']).run
  groups = {key: curves(group) for key, group in ended}
  clean, noisy = groups.get(('CE', 'clean')), groups.get(('CE', NOISE))
  if clean is None or noisy is None:
    return [Text('CE has not finished on clean and noisy labels.', True)]
  blocks: list[Block] = [
    Heading('Stages'),
    _stages(clean, noisy, pictures.about(_configs(runs), 'mean over seeds')),
    Heading('Under-learned or overfitted'),
    _causes('CE', clean, noisy),
  ]
  if ('SL', NOISE) in groups:
    blocks.append(_causes('SL', clean, groups['SL', NOISE]))
  return blocks


def _configs(runs: 'pd.DataFrame') -> list[Mapping[str, Any]]:
  shown = runs[(runs.method == 'CE') & (runs.noise == NOISE)]
  return [run.config for run in frame.finished(shown).run]


def curves(group: Iterable[Run]) -> np.ndarray:
  """Each class's test accuracy, [epochs, classes], in per cent, mean of runs.

  The first row is that after the first epoch.
  """
  values: list[list[list[float]]] = [
    [
      [np.nan if x is None else 100 * x for x in m['test']['class_accuracy']]
      for m in run.metrics
    ]
    for run in group
  ]
  return np.mean(values, axis=0)


def causes(clean: np.ndarray, noisy: np.ndarray) -> Mapping[str, np.ndarray]:
  """Splits what each class loses to noise into its two causes.

  Args:
    clean: accuracy of each class, [epochs, classes], trained on clean labels.
    noisy: the same, trained on noisy labels.

  Returns:
    'under_learned', what is missing at the epoch with the highest mean
    accuracy under noise; 'overfitted', what is lost from there to the last
    epoch; 'lost', their sum: accuracy of the last epoch on clean labels less
    that on noisy ones. And 'peak', that epoch, counted from 1.
  """
  peak = int(np.nanmean(noisy, axis=1).argmax())
  return {
    'under_learned': clean[-1] - noisy[peak],
    'overfitted': noisy[peak] - noisy[-1],
    'lost': clean[-1] - noisy[-1],
    'peak': np.array(peak + 1),
  }


def _stages(clean: np.ndarray, noisy: np.ndarray, about: str) -> Figure:
  epochs = len(noisy)
  stages = {
    'early': max(1, round(0.1 * epochs)),
    'middle': max(1, round(0.5 * epochs)),
    'late': epochs,
  }
  figure, axes = plt.subplots(
    1, 3, figsize=(11, 3.6), layout='constrained', sharey=True
  )
  classes = np.arange(noisy.shape[1])
  for ax, (name, epoch) in zip(axes, stages.items(), strict=True):
    ce = style.method('CE') | {'linestyle': 'none'}
    # Both are CE: the one on clean labels is hollow.
    hollow = ce | {'markerfacecolor': 'white'}
    for label, values, look in (
      ('CE, clean labels', clean, hollow),
      (f'CE, {NOISE}', noisy, ce),
    ):
      ax.plot(classes, values[epoch - 1], **look | {'label': label})
    ax.vlines(
      classes, noisy[epoch - 1], clean[epoch - 1], color='0.7', zorder=0
    )
    ax.set(title=f'{name}: epoch {epoch}', xlabel='class')
  axes[0].set_ylabel('test accuracy of the class (%)')
  plots.finish(axes)
  pictures.add_legend(figure)
  pictures.add_title(figure, about)
  return Figure(
    'stages',
    f'CE at three stages on clean labels and under {NOISE} noise: test accuracy'
    ' of each class, mean over seeds.',
    figure,
  )


def _causes(method: str, clean: np.ndarray, noisy: np.ndarray) -> Table:
  found = causes(clean, noisy)
  rows: list[list[Cell | str]] = []
  figures = np.stack(
    [
      clean[-1],
      noisy[-1],
      found['lost'],
      found['under_learned'],
      found['overfitted'],
    ]
  )
  for k in np.argsort(-found['lost']):
    *_, lost, under, over = figures[:, k]
    cause = 'under-learned' if under > over else 'overfitted'
    rows.append(
      [
        number(int(k), 'd'),
        *map(number, figures[:, k]),
        cause if lost > 0 else 'nothing lost',
      ]
    )
  rows.append(['mean', *map(number, np.nanmean(figures, axis=1)), ''])
  return Table(
    f'causes-{method.lower()}',
    f'{method} under {NOISE} noise against CE on clean labels: points of test'
    ' accuracy that each class loses, and to which cause',
    [
      'class',
      'clean',
      'noisy',
      'lost',
      'under-learned',
      'overfitted',
      'mostly',
    ],
    rows,
    'Under-learned: missing at the epoch with the highest mean accuracy under'
    f' noise, here epoch {found["peak"]} of {len(noisy)}; overfitted: lost'
    ' between it and the last epoch. Their sum is what is lost. That epoch is'
    ' used to explain, never to report.',
  )
