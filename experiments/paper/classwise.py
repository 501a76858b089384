"""Accuracy of each class: which classes noise hurts, what SL does for them.

The paper's class-wise figures: under symmetric noise cross entropy leaves hard
classes behind while it overfits easy ones. Cross entropy on clean labels is the
yardstick; label smoothing and SL train on the noisy ones.
"""

from collections.abc import Sequence

from matplotlib import pyplot as plt

from experiments.analysis import plots
from experiments.paper import methods
from experiments.paper.registry import Context, RunSpec
from experiments.report import runs_page
from experiments.report.page import Block, Cell, Figure, Heading, Table, Text
from sce_jax.runs import read
from sce_jax.runs.read import Run

RATES = ('symmetric 0.4', 'symmetric 0.6')
NOISY = ('CE', 'LSR', 'SL')


def sweep(dataset: str, scale: str) -> list[RunSpec]:
  """CE on clean labels; CE, LSR and SL on noisy ones."""
  cells = [('CE', 'clean')]
  cells += [(method, noise) for noise in RATES for method in NOISY]
  return methods.trials(dataset, scale, cells)


def report(context: Context, runs: Sequence[Run]) -> list[Block]:
  """Curves of each class, and the gap between the worst and the best."""
  groups = {
    key: read.finished(group)
    for key, group in read.group(runs, 'method', 'noise').items()
  }
  groups = {key: group for key, group in groups.items() if group}
  blocks: list[Block] = []
  for noise in RATES:
    shown = {
      f'{method}, {given}': group
      for (method, given), group in groups.items()
      if given in (noise, 'clean')
    }
    if not shown:
      continue
    slug = noise.replace(' ', '-')
    blocks += [
      Heading(noise.capitalize()),
      *_verdict(shown, noise, _class_titles(shown)),
      runs_page.class_table(f'classes-{slug}', shown),
      _figure(f'curves-{slug}', shown, noise),
    ]
  return blocks or [Text('No run has finished yet.', warning=True)]


def _class_titles(groups: dict[str, list[Run]]) -> Sequence[str]:
  return next(iter(groups.values()))[0].info.class_titles


def _verdict(
  groups: dict[str, list[Run]], noise: str, names: Sequence[str]
) -> list[Block]:
  """Names the hardest and the easiest class, and who does what to them."""
  wanted = {m: groups.get(f'{m}, {noise}') for m in ('CE', 'SL')}
  if not all(wanted.values()):
    return []
  accuracy = {
    m: read.class_accuracy(group or []).mean(0) for m, group in wanted.items()
  }
  hard, easy = int(accuracy['CE'].argmin()), int(accuracy['CE'].argmax())
  shown = {
    f"CE's hardest class: {names[hard]}": (
      accuracy['CE'][hard],
      accuracy['SL'][hard],
    ),
    f"CE's easiest class: {names[easy]}": (
      accuracy['CE'][easy],
      accuracy['SL'][easy],
    ),
    'mean of all classes': (accuracy['CE'].mean(), accuracy['SL'].mean()),
  }
  rows = [
    [
      label,
      Cell(f'{ce:.1f}', float(ce)),
      Cell(f'{sl:.1f}', float(sl)),
      Cell(f'{sl - ce:+.1f}', float(sl - ce)),
    ]
    for label, (ce, sl) in shown.items()
  ]
  return [
    Table(
      f'hardest-{noise.replace(" ", "-")}',
      f'{noise}: the classes that CE learns worst and best, test accuracy of'
      ' the last epoch in per cent',
      ['', 'CE', 'SL', 'SL less CE'],
      rows,
    )
  ]


def _figure(name: str, groups: dict[str, list[Run]], noise: str) -> Figure:
  figure, axes = plt.subplots(
    1,
    len(groups),
    figsize=(3.2 * len(groups), 3.6),
    layout='constrained',
    sharey=True,
    squeeze=False,
  )
  number = read.class_accuracy(next(iter(groups.values()))).shape[1]
  for ax, (title, group) in zip(axes[0], groups.items(), strict=True):
    accuracy = read.class_accuracy(group).mean(0)
    ends = {int(accuracy.argmin()): 0, int(accuracy.argmax()): 1}
    for k in range(number):
      look = {'color': '0.75', 'linestyle': '-', 'marker': None, 'label': None}
      if k in ends:
        kind = ('worst', 'best')[ends[k]]
        look = plots.style(ends[k]) | {'label': f'{kind}: class {k}'}
      plots.plot_mean_std(
        ax,
        [r.metrics for r in group],
        ('test', 'class_accuracy', k),
        look | {'zorder': 2 + (k in ends)},
        spread=k in ends,
      )
    ax.set(title=title, xlabel='epoch')
    ax.legend(fontsize=8, loc='lower right')
  axes[0][0].set_ylabel('test accuracy of the class (%)')
  plots.finish(axes[0], epochs=True)
  return Figure(
    name,
    f'Test accuracy of each class over the epochs, {noise}: in colour the'
    ' class that is worst and the one that is best in the last epoch, the'
    ' others in grey. Mean over seeds; of the two one standard deviation as a'
    ' band.',
    figure,
  )
