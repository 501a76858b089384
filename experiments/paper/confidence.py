"""How sure the network is of given and of true labels, class by class.

The paper's figures on class 3 of CIFAR-10. The paper reports that on the
rightly labelled training examples of a hard class cross entropy stays unsure,
while it takes over the wrong labels of the others; whether it is so here the
tables say. Shown for CE and SL, for the class that CE learns worst, and the one
it learns best or one that --class names.
"""

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING

from matplotlib import pyplot as plt
import numpy as np

from experiments.analysis import frame, pictures, plots, statistics, style
from experiments.paper import methods
from experiments.paper.registry import Context, RunSpec
from experiments.report.page import Block, Figure, Heading, Table, Text

if TYPE_CHECKING:  # Sweeps are planned without pandas and jax.
  import pandas as pd

  from sce_jax.runs import restore

NOISE = 'symmetric 0.4'
TAKES_CLASS = True  # See registry.Context.named_class.
# What the metrics call it, and what it is.
_KINDS = {
  'right': 'rightly labelled: in the label',
  'wrong_clean': 'wrongly labelled: in the true label',
  'wrong_given': 'wrongly labelled: in the given label',
}


def sweep(dataset: str, scale: str) -> list[RunSpec]:
  """CE and SL on noisy labels."""
  return methods.trials(dataset, scale, [('CE', NOISE), ('SL', NOISE)])


def report(context: Context, runs: 'pd.DataFrame') -> list[Block]:
  """Confidence over the epochs, and what is predicted in the end."""
  from sce_jax.runs import restore  # noqa: PLC0415  Sweeps are planned without jax.

  diverged = frame.diverged(runs, 'method')
  runs = frame.finished(runs)
  if set(runs.method) != {'CE', 'SL'}:
    return [Text('CE and SL have not both finished.', warning=True)]
  accuracy = frame.class_accuracy(runs.run[runs.method == 'CE']).mean()
  hardest, easiest = int(accuracy.idxmin()), int(accuracy.idxmax())
  # By its number: of two reasons to show a class the first is its title.
  titles = {hardest: f'the hardest for CE, class {hardest}'}
  named = context.named_class
  if named is None:
    titles.setdefault(easiest, f'the easiest for CE, class {easiest}')
  else:
    titles.setdefault(named, f'class {named}')
  predictions = {
    name: restore.predict_run(group.iloc[0].folder, 'train', context.data_dir)
    for name, group in runs.groupby('method', sort=False).run
  }
  about = pictures.about(
    [group.iloc[0].config for _, group in runs.groupby('method').run],
    'shares of the training examples',
  )
  blocks: list[Block] = []
  for k, title in titles.items():
    blocks += [
      Heading(title[0].upper() + title[1:]),
      _table(k, runs, diverged),
      _curves(k, runs),
      _distribution(k, predictions, about),
    ]
  return blocks


def _table(
  k: int, runs: 'pd.DataFrame', diverged: Mapping[Hashable, int]
) -> Table:
  rows = []
  for name, group in runs.groupby('method', sort=False).run:
    last = [run.metrics[-1]['train_eval']['class_confidence'] for run in group]
    rows.append(
      [
        name,
        *(
          statistics.format_mean_std(
            [confidence[kind][k] for confidence in last],
            diverged=diverged[name],
          )
          for kind in _KINDS
        ),
        statistics.format_mean_std(
          frame.class_accuracy(group)[k] / 100, diverged=diverged[name]
        ),
      ]
    )
  return Table(
    f'confidence-{k}',
    f'Class {k}: mean confidence on its training examples in the last epoch,'
    f' {NOISE} noise, in per cent',
    ['method', *_KINDS.values(), 'test accuracy of the class'],
    rows,
  )


def _curves(k: int, runs: 'pd.DataFrame') -> Figure:
  groups = frame.metrics(runs, 'method')
  figure, axes = plt.subplots(
    1, 3, figsize=(11, 3.6), layout='constrained', sharey=True
  )
  for ax, (kind, title) in zip(axes, _KINDS.items(), strict=True):
    for name, group in groups.items():
      plots.plot_mean_std(
        ax,
        group,
        ('train_eval', 'class_confidence', kind, k),
        style.method(name) | {'label': name},
      )
    ax.set(xlabel='epoch')
    ax.set_title(title, fontsize=10)
  axes[0].set_ylabel('mean confidence (%)')
  plots.finish(axes, epochs=True)
  pictures.add_legend(figure)
  pictures.add_title(
    figure, f'class {k}; {pictures.about(run.config for run in runs.run)}'
  )
  return Figure(
    f'confidence-{k}',
    f'Class {k}, {NOISE} noise: mean confidence on its training examples over'
    ' the epochs; mean over seeds, one standard deviation as a band.',
    figure,
  )


def _distribution(
  k: int, predictions: dict[str, 'restore.Predictions'], about: str
) -> Figure:
  figure, axes = plt.subplots(
    1, 2, figsize=(10, 3.6), layout='constrained', sharey=True
  )
  for ax, wrong in zip(axes, (False, True), strict=True):
    for number, (name, made) in enumerate(predictions.items()):
      labels = made.split
      chosen = labels.clean_label == k
      chosen &= (labels.label != labels.clean_label) == wrong
      classes = made.probability.shape[1]
      counts = np.bincount(
        made.probability[chosen].argmax(1), minlength=classes
      )
      share = 100 * counts / max(counts.sum(), 1)
      look = style.method(name)
      ax.bar(
        np.arange(classes) + 0.4 * (number - 0.5),
        share,
        width=0.38,
        color=look['color'],
        edgecolor='black',
        hatch=('', '///')[number],
        label=name,
      )
    kind = 'wrongly' if wrong else 'rightly'
    ax.set(title=f'{kind} labelled', xlabel='predicted class')
  axes[0].set_ylabel('share of the examples (%)')
  plots.finish(axes)
  pictures.add_legend(figure)
  pictures.add_title(figure, f'true class {k}; {about}')
  return Figure(
    f'predictions-{k}',
    f'What the training examples of class {k} are predicted as in the last'
    f' epoch, {NOISE} noise, the first seed.',
    figure,
  )
