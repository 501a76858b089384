"""What each part of SL does: CE, RCE alone, both scaled up, and their sum.

The paper's figure of section 5.2, under symmetric noise of 0.6: dropping the
reverse cross entropy and scaling up what is left (2 CE, 5 CE) overfits, and the
reverse cross entropy alone learns slowly, scaled up or not.
"""

from collections.abc import Sequence

from experiments.analysis import plots, statistics
from experiments.paper import methods, scales
from experiments.paper.registry import Context, RunSpec
from experiments.report.page import Block, Figure, Heading, Table
from sce_jax.runs import read
from sce_jax.runs.read import Run

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


def report(context: Context, runs: Sequence[Run]) -> list[Block]:
  """Curves, and the last epoch's figures."""
  groups = {
    name: read.finished(group)
    for (name,), group in read.group(runs, 'method').items()
  }
  cells = statistics.mark_best(
    {
      name: {r.config['seed']: r.result['test_accuracy'] for r in group}
      for name, group in groups.items()
    }
  )
  best = {
    name: [max(m['test']['accuracy'] for m in run.metrics) for run in group]
    for name, group in groups.items()
  }
  memorised = {
    name: [
      r.result['memorised'] for r in group if r.result['memorised'] is not None
    ]
    for name, group in groups.items()
  }
  figure = plots.overfitting(
    {name: [r.metrics for r in group] for name, group in groups.items()}
  )
  del context
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
          cells[name],
          statistics.format_mean_std(
            [
              top - r.result['test_accuracy']
              for top, r in zip(best[name], group, strict=True)
            ]
          ),
          statistics.format_mean_std(memorised[name]),
        ]
        for name, group in groups.items()
      ],
      'Lost since its best epoch: how far a run has overfitted; the best epoch'
      " itself is nobody's to choose.",
    ),
    Figure(
      'curves',
      f'Test accuracy and memorised labels over the epochs, {NOISE} noise; the'
      ' band is one standard deviation over seeds.',
      figure,
    ),
  ]
