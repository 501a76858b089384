"""The page on one run's predictions, beside the run."""

from collections.abc import Mapping
import datetime
import json
from typing import Any

from matplotlib import pyplot as plt
import numpy as np

from experiments.analysis import (
  evaluation,
  noise_plots,
  pictures,
  plots,
  style,
)
from experiments.report import runs_page, text, writer
from experiments.report.page import (
  Block,
  Figure,
  Heading,
  Page,
  Table,
  number,
)
from sce_jax.errors import UserError
from sce_jax.runs import files, restore
from sce_jax.runs.read import Run
from sce_jax.storage import paths

_FOLDER = 'evaluation'
_OWNER = 'evaluation'
# In the run's folder, beside its page.
JSON = 'evaluation.json'


def report(
  workdir: str, counted: Mapping[str, Any], data_dir: str | None = None
) -> writer.Written:
  """Writes evaluation.json and a page on a run's predictions into its folder.

  Args:
    workdir: the run's folder.
    counted: what restore.evaluate_run has returned.
    data_dir: as in train.train_and_evaluate.

  Raises:
    UserError: there is no such run or data, or the folder holds anything else
      or cannot be written.
  """
  folder = paths.path(workdir)
  writer.claim(folder / _FOLDER, _OWNER)
  run = Run(folder, {}, files.read_config(folder))
  found = measure(run, data_dir)
  record = {
    'epoch': counted['epoch'],
    'step': counted['step'],
    'loss': {
      name: counted[split]['loss']
      for name, split in (('test', 'test'), ('training', 'train_eval'))
      if split in counted
    },
    'figures': found,
  }
  title = ', '.join(
    filter(
      None,
      [
        plots.label(run.config['loss']['name']),
        pictures.noise_title(run.config['noise']),
        *pictures.changes_of_examples(run.config['noise']),
        f'seed {run.config["seed"]}',
      ],
    )
  )
  written = writer.write(
    Page(
      f'{title}: evaluation',
      f'Predictions of {run.config["data"]["name"]} after epoch'
      f' {counted["epoch"]}, in per cent, against each set of labels that is'
      ' known.',
      blocks(found, title, pictures.about([run.config], '')),
      [
        ('run', str(folder)),
        ('command', text.own_command()),
        (
          'written',
          datetime.datetime.now().astimezone().isoformat(' ', 'minutes'),
        ),
        *runs_page.facts([run]),
      ],
    ),
    folder / _FOLDER,
    _OWNER,
  )
  try:
    paths.write(folder / JSON, json.dumps(record, indent=1).encode() + b'\n')
  except OSError as error:
    raise UserError(
      f'{folder / JSON} cannot be written ({error.strerror or error}): make'
      ' room'
    ) from None
  return written


def measure(run: Run, data_dir: str | None) -> dict[str, dict[str, Any]]:
  """The figures of each split against each set of its labels, by both."""
  names = run.info.class_titles
  splits = ['test', 'train'] if run.info.num_test else ['train']
  if files.read_validation(run.folder) is not None:
    splits.insert(-1, 'validation')
  made = restore.predict_splits(run.folder, splits, data_dir)
  found = {}
  for split, predictions in made.items():
    examples = predictions.split
    known = {}
    if split == 'validation':
      known['validation, noisy labels'] = examples.label
    elif split == 'test':
      kind = 'noisy' if run.noisy_test else 'true'
      known[f'test, {kind} labels'] = examples.label
    else:
      clean = examples.clean_label
      if clean is not None and (clean >= 0).any():
        known['training, true labels'] = clean
      known['training, labels trained on'] = examples.label
    for title, labels in known.items():
      found[title] = evaluation.figures(labels, predictions.probability, names)
  return found


def blocks(
  found: Mapping[str, dict[str, Any]], name: str, about: str
) -> list[Block]:
  """What a page shows of figures.

  Args:
    found: see `measure`.
    name: of the run, which begins with its method's short name.
    about: the data, noise and seed, for the pictures' titles.
  """
  shown: list[Block] = [Heading('Figures'), _figures(found)]
  first = next(iter(found))
  shown += [
    _calibration(found, style.method(name), about),
    Heading('Classes'),
    *(
      [_classes(first, found[first])]
      if len(found[first]['classes']) > 1
      else []
    ),
    _confusions(found, about),
  ]
  return shown


def _figures(found: Mapping[str, dict[str, Any]]) -> Table:
  has_top5 = any(f['top5_accuracy'] is not None for f in found.values())
  keys = {'accuracy': 'accuracy', 'balanced_accuracy': 'balanced accuracy'}
  if has_top5:
    keys['top5_accuracy'] = 'top-5 accuracy'
  keys['ece'] = 'calibration error (ECE)'
  return Table(
    'figures',
    'Predictions against labels, in per cent',
    ['labels', *keys.values(), 'examples'],
    [
      [
        title,
        *(number(_percent(f[key]), '.2f') for key in keys),
        number(f['examples'], ',d'),
      ]
      for title, f in found.items()
    ],
    'Balanced accuracy: the mean recall of the classes. ECE: how far the'
    ' probability of a prediction is from how often it is right, over'
    f' {evaluation.BINS} bins of equal width.',
  )


def _classes(title: str, figures: dict[str, Any]) -> Table:
  return Table(
    'classes',
    f'Each class, {title}, in per cent',
    ['class', 'recall', 'precision', 'examples'],
    [
      [
        c['name'],
        number(_percent(c['recall'])),
        number(_percent(c['precision'])),
        number(c['examples'], ',d'),
      ]
      for c in figures['classes']
    ],
    'Recall: the share of the class that is predicted as it. Precision: the'
    ' share of what is predicted as it that belongs to it.',
  )


def _confusions(found: Mapping[str, dict[str, Any]], about: str) -> Figure:
  matrices = {}
  for title, f in found.items():
    counts = np.array(f['confusion'], float)
    matrices[title] = counts / np.maximum(counts.sum(1, keepdims=True), 1)
  first = next(iter(found.values()))
  figure = noise_plots.heat_maps(
    matrices,
    [c['name'] for c in first['classes']],
    'Where the labels are not the true ones, a row is a label.',
    name='confusion',
    column='prediction',
  )
  pictures.add_title(figure.drawing, about)
  return figure


def _calibration(
  found: Mapping[str, dict[str, Any]], look: Mapping[str, Any], about: str
) -> Figure:
  figure, axes = plt.subplots(
    1,
    len(found),
    figsize=(3.7 * len(found) + 0.4, 4.3),
    layout='constrained',
    sharey=True,
    squeeze=False,
  )
  for ax, (title, f) in zip(axes[0], found.items(), strict=True):
    bins = f['reliability']
    left = [100 * b['from'] for b in bins]
    width = [100 * (b['to'] - b['from']) for b in bins]
    ax.bar(
      left,
      [100 * b['share'] for b in bins],
      width,
      align='edge',
      color=style.GREY,
      alpha=0.5,
      label='share of the examples',
    )
    ax.plot([0, 100], [0, 100], color='black', lw=0.9, ls=':', label='ideal')
    ax.plot(
      [100 * b['confidence'] for b in bins],
      [100 * b['accuracy'] for b in bins],
      color=look['color'],
      marker=look['marker'],
      clip_on=False,  # Markers at 0 and 100 % are whole.
      label='right predictions',
    )
    ax.set(
      title=f'{title}\nECE {100 * f["ece"]:.1f} %',
      xlabel='probability of the prediction (%)',
      xlim=(0, 100),
      ylim=(0, 100),
    )
    ax.grid(alpha=0.3)
  axes[0][0].set_ylabel('share (%)')
  pictures.add_legend(figure)
  pictures.add_title(figure, about)
  return Figure(
    'calibration',
    'Reliability: how often predictions are right, by their probability. On'
    ' the dotted line a network is as sure as it is right; below it, too sure.'
    ' Bars: how many predictions are so sure.',
    figure,
  )


def _percent(share: float | None) -> float | None:
  return None if share is None else 100 * share
