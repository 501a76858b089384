"""The last hidden layer in two dimensions, and how well it separates classes.

The paper's t-SNE figure, for CE and SL on clean and on noisy labels, of test
images. Beside it stand the silhouette of the true
classes and the accuracy of nearest neighbours, both in the layer itself.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib import pyplot as plt
import numpy as np
from sklearn import manifold, metrics, model_selection, neighbors

from experiments.analysis import frame, pictures, statistics, style
from experiments.paper import methods
from experiments.paper.registry import Context, RunSpec
from experiments.report.page import Block, Cell, Figure, Heading, Table, Text

if TYPE_CHECKING:  # Sweeps are planned without pandas.
  import pandas as pd

NOISE = 'symmetric 0.4'
CASES = (('CE', 'clean'), ('CE', NOISE), ('SL', 'clean'), ('SL', NOISE))
# So many test images: t-SNE's time grows with their number.
_EXAMPLES = 1000
_NEIGHBOURS = 10


def sweep(dataset: str, scale: str) -> list[RunSpec]:
  """CE and SL on clean and on noisy labels."""
  return methods.trials(dataset, scale, CASES)


def report(context: Context, runs: 'pd.DataFrame') -> list[Block]:
  """The picture of the first seed, and the figures of all."""
  from sce_jax.runs import restore  # noqa: PLC0415  Sweeps are planned without jax.

  by = ['method', 'noise']
  diverged = frame.diverged(runs, by)
  groups = list(frame.finished(runs).groupby(by, sort=False))
  if len(groups) < len(CASES):
    return [Text('Not all runs have finished.', warning=True)]
  rows: list[list[Cell | str]] = []
  figure, axes = plt.subplots(1, 4, figsize=(13, 4.5), layout='constrained')
  for ax, (key, group) in zip(axes, groups, strict=True):
    name = ', '.join(key)
    figures = []
    for number, run in enumerate(group.run):
      made = restore.predict_run(run.folder, 'test', context.data_dir)
      hidden = made.hidden[:_EXAMPLES]
      classes = made.split.label[:_EXAMPLES]
      seed = run.config['seed']
      figures.append(separability(hidden, classes, seed))
      if number == 0:
        _draw(ax, hidden, classes, run.info.class_titles, seed)
        ax.set_title(name, fontsize=10)
    silhouettes, accuracies = zip(*figures, strict=True)
    rows.append(
      [
        name,
        statistics.format_mean_std(
          silhouettes, percent=False, diverged=diverged[key]
        ),
        statistics.format_mean_std(accuracies, diverged=diverged[key]),
        statistics.format_mean_std(group.test_accuracy, diverged=diverged[key]),
      ]
    )
  pictures.add_legend(figure, markerscale=1.8, title='true class')
  about = pictures.about(
    [group.run.iloc[0].config for _, group in groups],
    f'{len(classes)} test images',
  )
  pictures.add_title(figure, about)
  return [
    Heading('Last hidden layer'),
    Figure(
      'tsne',
      f'Activations of the last hidden layer on {len(classes)} test images in'
      ' two dimensions (t-SNE, perplexity 30 or less), the first seed, by true'
      ' class.',
      figure,
    ),
    Table(
      'separability',
      'How well the last hidden layer separates the true classes, test images',
      [
        'labels trained on',
        'silhouette, from -1 to 1',
        f'accuracy of {_NEIGHBOURS} nearest neighbours (%)',
        "the network's test accuracy (%)",
      ],
      rows,
      'Nearest neighbours: five-fold cross-validation with the true labels of'
      ' the test images, so what the layer knows, not what was learned on top'
      ' of it.',
    ),
  ]


def separability(
  hidden: np.ndarray, classes: np.ndarray, seed: int
) -> tuple[float, float]:
  """Silhouette and nearest-neighbour accuracy of activations.

  Args:
    hidden: activations [N, D].
    classes: true classes [N].
    seed: of the cross-validation's folds.

  Returns:
    The mean silhouette in Euclidean distance, from -1 to 1, and the accuracy
    of a nearest-neighbour classifier in five-fold cross-validation.
  """
  folds = min(5, int(np.bincount(classes)[np.unique(classes)].min()))
  score = float(metrics.silhouette_score(hidden, classes))
  if folds < 2:  # A class has a single example.
    return score, float('nan')
  found = model_selection.cross_val_score(
    neighbors.KNeighborsClassifier(min(_NEIGHBOURS, len(hidden) // 2)),
    hidden,
    classes,
    cv=model_selection.StratifiedKFold(folds, shuffle=True, random_state=seed),
  )
  return score, float(found.mean())


def _draw(
  ax,
  hidden: np.ndarray,
  classes: np.ndarray,
  titles: Sequence[str],
  seed: int,
) -> None:
  perplexity = min(30.0, (len(hidden) - 1) / 3)
  placed = manifold.TSNE(
    perplexity=perplexity, init='pca', learning_rate='auto', random_state=seed
  ).fit_transform(hidden)
  for k in np.unique(classes):
    ax.scatter(
      *placed[classes == k].T,
      s=16,
      **style.of_class(int(k)),
      linewidths=0,
      label=titles[k],
    )
  ax.set(xticks=[], yticks=[], xlabel='t-SNE 1', ylabel='t-SNE 2')
