"""Accuracy of each class: which classes noise hurts, what SL does for them.

The paper's class-wise figures. The paper reports that under symmetric noise
cross entropy leaves hard classes behind while it overfits easy ones; whether it
is so here the tables say. Cross entropy on clean labels is the yardstick; label
smoothing and SL train on the noisy ones.
"""

from typing import TYPE_CHECKING

from matplotlib import pyplot as plt

from configs.common import GIVEN
from experiments.analysis import frame, pictures, plots, style
from experiments.paper import methods, scales
from experiments.paper.registry import Context, RunSpec
from experiments.report import runs_page
from experiments.report.page import Block, Figure, Heading, Table, Text, number

if TYPE_CHECKING:  # Sweeps are planned without pandas.
  import pandas as pd

RATES = ('symmetric 0.4', 'symmetric 0.6')
NOISY = ('CE', 'LSR', 'SL')


def sweep(dataset: str, scale: str) -> list[RunSpec]:
  """CE on clean labels; CE, LSR and SL on noisy ones."""
  rates = scales.noises(dataset, RATES)
  cells = [] if rates == (GIVEN,) else [('CE', 'clean')]
  cells += [(method, noise) for noise in rates for method in NOISY]
  return methods.trials(dataset, scale, cells)


def report(context: Context, runs: 'pd.DataFrame') -> list[Block]:
  """Curves of each class, and the gap between the worst and the best."""
  runs = frame.finished(runs)
  runs = runs.assign(row=runs.method + ', ' + runs.noise)
  blocks: list[Block] = []
  for noise in scales.noises(context.dataset, RATES):
    shown = runs[runs.noise.isin([noise, 'clean'])]
    if not len(shown):
      continue
    slug = noise.replace(' ', '-')
    blocks += [
      Heading(noise.capitalize()),
      *_verdict(shown[shown.noise == noise], noise),
      runs_page.class_table(f'classes-{slug}', shown, 'row'),
      _figure(f'curves-{slug}', shown, noise),
    ]
  return blocks or [Text('No run has finished yet.', warning=True)]


def _verdict(runs: 'pd.DataFrame', noise: str) -> list[Block]:
  """Names the hardest and the easiest class, and who does what to them."""
  ce, sl = (runs[runs.method == method] for method in ('CE', 'SL'))
  if not (len(ce) and len(sl)):
    return []
  titles = ce.run.iloc[0].info.class_titles
  before, after = (frame.class_accuracy(some.run).mean() for some in (ce, sl))
  hard, easy = int(before.idxmin()), int(before.idxmax())
  shown = {
    f"CE's hardest class: {titles[hard]}": (before[hard], after[hard]),
    f"CE's easiest class: {titles[easy]}": (before[easy], after[easy]),
    'mean of all classes': (before.mean(), after.mean()),
  }
  return [
    Table(
      f'hardest-{noise.replace(" ", "-")}',
      f'{noise}: the classes that CE learns worst and best, test accuracy of'
      ' the last epoch in per cent',
      ['', 'CE', 'SL', 'SL less CE'],
      [
        [label, number(x), number(y), number(y - x, '+.1f')]
        for label, (x, y) in shown.items()
      ],
    )
  ]


def _figure(name: str, runs: 'pd.DataFrame', noise: str) -> Figure:
  groups = list(runs.groupby('row', sort=False))
  titles = runs.run.iloc[0].info.class_titles
  figure, axes = plt.subplots(
    1,
    len(groups),
    figsize=(3.2 * len(groups), 4.2),
    layout='constrained',
    sharey=True,
    squeeze=False,
  )
  for ax, (title, group) in zip(axes[0], groups, strict=True):
    accuracy = frame.class_accuracy(group.run).mean()
    titles = group.run.iloc[0].info.class_titles
    ends = {int(accuracy.idxmin()): 0, int(accuracy.idxmax()): 1}
    for k in accuracy.index:
      look = style.CROWD | {'label': '_'}
      if k in ends:
        kind = ('worst', 'best')[ends[k]]
        # The colours are no method's here: the panel is one method.
        look = style.of_class(2 + ends[k]) | {
          'linestyle': ('-', '--')[ends[k]],
          'label': f'{kind} class of the last epoch',
        }
        ax.annotate(
          titles[k],
          (1, accuracy[k]),
          xycoords=('axes fraction', 'data'),
          xytext=(3, 0),
          textcoords='offset points',
          va='center',
          fontsize=9,
          color=look['color'],
        )
      plots.plot_mean_std(
        ax,
        [run.metrics for run in group.run],
        ('test', 'class_accuracy', k),
        look | {'zorder': 2 + (k in ends)},
        spread=k in ends,
      )
    ax.set(title=title, xlabel='epoch')
  axes[0][0].set_ylabel('test accuracy of the class (%)')
  plots.finish(axes[0], epochs=True)
  pictures.add_legend(figure)
  pictures.add_title(figure, pictures.about(run.config for run in runs.run))
  return Figure(
    name,
    f'Test accuracy of each class over the epochs, {noise}: in colour the'
    ' class that is worst and the one that is best in the last epoch, the'
    ' others in grey. Of several seeds the mean, and of the two classes one'
    ' standard deviation as a band.',
    figure,
  )
