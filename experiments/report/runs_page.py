"""What any folder of runs shows, on a page or at the end of every report."""

from collections.abc import Mapping, Sequence
import datetime
import os
import sys
from typing import TYPE_CHECKING

import numpy as np

from experiments.analysis import (
  frame,
  marks,
  noise_plots,
  plots,
  statistics,
)
from experiments.report import writer
from experiments.report.page import (
  Block,
  Cell,
  Figure,
  Heading,
  Page,
  Table,
  Text,
  number,
)
from sce_jax.runs import files, read
from sce_jax.runs.read import Run
from sce_jax.storage import paths

if TYPE_CHECKING:
  import pandas as pd

# More groups than colours make no readable figure.
_MAX_LINES = 8
_MAX_CLASSES = 20


def report(
  root: str | os.PathLike, dataset: str | None = None
) -> writer.Written:
  """Writes a report on all runs below a folder.

  It is in a folder of its own there: report/, or report-DATASET/ where a data
  set is given.

  Args:
    root: the folder.
    dataset: only runs on this data set.

  Raises:
    UserError: there are no runs, they are on different data sets, or the
      report's folder holds anything else or cannot be written.
  """
  runs = read.find(root, dataset)
  root = paths.path(root)
  if dataset is None:
    folder, owner = root / 'report', 'all runs'
  else:
    folder = root / f'report-{dataset.replace("/", "_")}'
    owner = f'runs on {dataset}'
  writer.claim(folder, owner)
  blocks: list[Block] = [*_results(_named(runs)), *blocks_of_runs(runs, folder)]
  name = runs[0].config['data']['name']
  written = writer.write(
    Page(
      f'{len(runs)} run(s) on {name}',
      f'All runs below {paths.absolute(root)}. Figures are those of the last'
      ' epoch, mean ± standard deviation over seeds.',
      blocks,
      [
        ('command', f'python {" ".join(sys.argv)}'),
        (
          'written',
          datetime.datetime.now().astimezone().isoformat(' ', 'minutes'),
        ),
        *facts(runs),
      ],
    ),
    folder,
    owner,
  )
  print(f'report:   {written.html}')
  return written


def facts(runs: Sequence[Run]) -> list[tuple[str, str]]:
  """What is to be known of runs: devices, versions, dates, seeds, their end."""
  if not runs:
    return []
  described = [r.description for r in runs if r.description]

  def values(texts):
    return ', '.join(sorted(set(texts))) or 'none'

  ends = [r.status for r in runs]
  initial = [r.initial for r in runs if r.initial]
  return [
    (
      'runs',
      ', '.join(
        f'{ends.count(status)} {status}'
        for status in ('finished', 'failed', 'unfinished', 'missing')
        if status in ends
      ),
    ),
    *([('initial weights', values(initial))] if initial else []),
    ('seeds', ', '.join(map(str, sorted({r.config['seed'] for r in runs})))),
    ('devices', values(_devices(r) for r in described)),
    ('trained', values(d['created'][:10] for d in described)),
    ('jax', values(d['versions']['jax'] for d in described)),
    ('python', values(d['python'] for d in described)),
    ('code', values((d['git_commit'] or 'unknown')[:8] for d in described)),
  ]


def blocks_of_runs(runs: Sequence[Run], folder: paths.Path) -> list[Block]:
  """The runs themselves: a table, their labels' noise, their settings.

  Args:
    runs: the runs.
    folder: where the report is, for links to theirs.
  """
  return [_table(runs, folder), *_noise(runs)]


def _named(runs: Sequence[Run]) -> 'pd.DataFrame':
  """The runs, with a column `name`: what they differ in but the seed."""
  names = [_name(run.labels) for run in runs]
  if not any(names):
    names = [plots.label(_method(run)) for run in runs]
  return frame.from_runs(runs).assign(name=names)


def _method(run: Run) -> str:
  return run.config['loss']['name']


def _name(labels: Mapping[str, str]) -> str:
  """What a run differs in but the seed: 'SL, symmetric 0.4, loss.alpha=1.0'."""
  rest = {key: value for key, value in labels.items() if key != 'seed'}
  noise = [rest.pop(key, '') for key in ('noise.name', 'noise.rate')]
  parts = [
    plots.label(rest.pop('loss.name', '')),
    ' '.join(filter(None, noise)),
  ]
  parts += [f'{key}={value}' for key, value in rest.items()]
  return ', '.join(filter(None, parts))


def _results(runs: 'pd.DataFrame') -> list[Block]:
  ended = frame.finished(runs)
  test = plots.test_title(run.folder for run in runs.run)
  rows = [
    [
      name + marks.mark(_method(group.run.iloc[0])),
      Cell(
        f'{sum(group.status == "finished")} of {len(group)}',
        value=sum(group.status == 'finished'),
      ),
      *(
        statistics.format_mean_std(group[figure])
        for figure in ('test_accuracy', 'worst_class', 'memorised')
      ),
    ]
    for name, group in runs.groupby('name', sort=False)
  ]
  found: list[Block] = [
    Heading('Results'),
    Table(
      'results',
      'Last epoch, in per cent',
      [
        'runs',
        'finished',
        f'{test.lower()} accuracy',
        'worst class' + ' (noisy)' * (test != 'Test'),
        'memorised',
      ],
      rows,
      'memorised: share of the wrongly labelled training examples that are'
      ' predicted as their wrong label.'
      + (f' {marked}' if (marked := marks.note(map(_method, runs.run))) else '')
      + ' Test labels were held out of noisy ones: part of them may be wrong,'
      ' in each class too.' * (test != 'Test'),
    ),
  ]
  if len(ended):
    found += [_curves(ended), *_classes(ended)]
  return found


def _curves(runs: 'pd.DataFrame') -> Figure:
  groups = frame.metrics(runs, 'name')
  test = plots.test_title(run.folder for run in runs.run)
  more = max(len(groups) - _MAX_LINES, 0)
  return Figure(
    'curves',
    f'{test} accuracy and memorised labels over the epochs; the band is one'
    ' standard deviation over seeds.'
    + (f' {more} more groups are in the tables only.' if more else ''),
    plots.overfitting(dict(list(groups.items())[:_MAX_LINES]), test),
  )


def _classes(runs: 'pd.DataFrame') -> list[Block]:
  tested = runs[runs.test_accuracy.notna()]
  if not len(tested):
    return []
  classes = frame.class_accuracy(tested.run).shape[1]
  if classes > _MAX_CLASSES:
    return [
      Text(f'{classes} classes: their accuracies are in the run folders.')
    ]
  return [class_table('classes', tested, 'name')]


def class_table(name: str, runs: 'pd.DataFrame', by: str) -> Table:
  """Each class's test accuracy, the worst, the best and their gap.

  Args:
    name: of the table.
    runs: finished runs, see analysis/frame.py.
    by: the column whose values are the table's rows.
  """
  rows = []
  for group, some in runs.groupby(by, sort=False):
    values = frame.class_accuracy(some.run)
    low, high = values.min(axis=1), values.max(axis=1)
    means = [*values.mean(), low.mean(), high.mean(), (high - low).mean()]
    rows.append([group, *map(number, means)])
  return Table(
    name,
    f'{plots.test_title(run.folder for run in runs.run)} accuracy of each class'
    ' in the last epoch, in per cent, mean over'
    ' seeds',
    ['', *map(str, values.columns), 'worst', 'best', 'gap'],
    rows,
    'worst, best and gap: of each run, then averaged.',
  )


def _table(runs: Sequence[Run], folder: paths.Path) -> Table:
  keys = list(dict.fromkeys(key for run in runs for key in run.labels))
  rows = []
  for run in runs:
    figures = read.figures(run)
    epochs = run.metrics[-1]['epoch'] if run.metrics else 0
    rows.append(
      [
        Cell(run.folder.name, link=os.path.relpath(run.folder, folder)),
        Cell(run.status, note=run.failure),
        *(_label(run.labels.get(key, '-')) for key in keys),
        number(100 * figures['test_accuracy'], '.2f'),
        number(epochs, 'd'),
        number(figures['train_seconds']),
        _devices(run.description) if run.description else '-',
        run.description.get('created', '-')[:16].replace('T', ' '),
      ]
    )
  return Table(
    'runs',
    'The runs',
    [
      'run',
      'status',
      *keys,
      f'{plots.test_title(r.folder for r in runs).lower()} accuracy (%)',
      'epochs',
      'seconds',
      'device',
      'begun (UTC)',
    ],
    rows,
    "seconds: of runs trained together, each one's share. A failed run's loss"
    ' was not finite. The columns between status and accuracy are what the'
    ' runs differ in.',
  )


def _label(text: str) -> Cell:
  """A label, sorted by its value where it is a number."""
  try:
    return Cell(text, float(text))
  except ValueError:
    return Cell(text)


def _devices(description) -> str:
  names = description['devices']
  name = f'{len(names)} x {names[0]}' if len(names) > 1 else names[0]
  # jax calls every processor cpu.
  processor = description.get('processor')
  return processor if processor and name == 'cpu cpu' else name


def _noise(runs: Sequence[Run]) -> list[Block]:
  """The realised noise of each setting's first run."""
  first: dict[str, Run] = {}
  for run in runs:
    noise = run.config['noise']
    if run.status == 'missing':
      continue
    called = plots.noise_title(noise) or noise['name']
    called = ', '.join([called, *plots.changes_of_examples(noise)])
    first.setdefault(called, run)
  matrices = {}
  for called, run in first.items():
    measured = (files.read_summary(run.folder) or {}).get('transition')
    if measured is not None and len(measured) <= _MAX_CLASSES:
      matrices[f'{run.config["data"]["name"]}, measured'] = np.array(measured)
    realised = files.read_noise(run.folder)
    if realised and len(realised['matrix']) <= _MAX_CLASSES:
      title = f'{called}, {realised["rate"]:.1%} wrong'
      matrices[title] = np.array(realised['matrix'])
  if not matrices:
    return []
  return [
    noise_plots.heat_maps(
      matrices,
      caption='As realised in the first run of each noise setting; measured:'
      ' on images with a noisy and a clean label.',
    )
  ]
