"""What each part of SL does: CE, RCE alone, both scaled up, and their sum.

The paper's figure of section 5.2, under symmetric noise of 0.6. The paper
reports that dropping the reverse cross entropy and scaling up what is left
(2 CE, 5 CE) overfits, and that the reverse cross entropy alone learns slowly,
scaled up or not; whether it is so here the tables say.
"""

from typing import TYPE_CHECKING

from experiments.analysis import frame, pictures, plots, statistics
from experiments.paper import methods, scales
from experiments.paper.registry import Context, RunSpec
from experiments.report.page import Block, Figure, Heading, Table

if TYPE_CHECKING:  # Sweeps are planned without pandas.
  import pandas as pd

NOISE = 'symmetric 0.6'


def sweep(dataset: str, scale: str) -> list[RunSpec]:
  """The parts of SL, alone and scaled."""
  log_zero = scales.config(dataset, scale).loss.log_zero
  parts = {
    'CE': ('CE', {}),
    # k CE is SL without its reverse part.
    '2 CE': ('SL', {'loss.alpha': 2.0, 'loss.beta': 0.0}),
    '5 CE': ('SL', {'loss.alpha': 5.0, 'loss.beta': 0.0}),
    'RCE': ('RCE', {'loss.log_zero': log_zero}),
    '2 RCE': ('SL', {'loss.alpha': 0.0, 'loss.beta': 2.0}),
    '5 RCE': ('SL', {'loss.alpha': 0.0, 'loss.beta': 5.0}),
    'SL': ('SL', {}),
  }
  return [
    methods.trial(
      dataset, scale, method, NOISE, seed, name=name, changes=changes
    )
    for name, (method, changes) in parts.items()
    for seed in methods.seeds(dataset, scale)
  ]


def report(context: Context, runs: 'pd.DataFrame') -> list[Block]:
  """Curves, and the last epoch's figures."""
  del context
  diverged = frame.diverged(runs, 'method')
  accuracy = frame.best(runs, 'method')
  return [
    Heading(f'{NOISE.capitalize()} noise'),
    Table(
      'ablation',
      'Per cent, mean ± standard deviation over seeds',
      [
        'loss',
        'test accuracy, last epoch',
        'lost since its best epoch',
        'wrong labels memorised',
      ],
      [
        [
          name,
          accuracy[name],
          statistics.format_mean_std(group.lost, diverged=diverged[name]),
          statistics.format_mean_std(group.memorised, diverged=diverged[name]),
        ]
        for name, group in runs.groupby('method', sort=False)
      ],
      f'{statistics.BEST_NOTE} {frame.LOST_NOTE}',
    ),
    Figure(
      'curves',
      f'Test accuracy and memorised labels over the epochs, {NOISE} noise; the'
      ' band is one standard deviation over seeds.',
      plots.overfitting(
        {'': frame.metrics(runs, 'method')},
        pictures.about(run.config for run in frame.finished(runs).run),
      ),
    ),
  ]
