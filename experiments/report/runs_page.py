"""What any folder of runs shows: --mode=report, and the end of every report."""

from collections.abc import Mapping, Sequence
import datetime
import os
import sys

import numpy as np

from experiments.analysis import noise_plots, plots, statistics
from experiments.report import writer
from experiments.report.page import (
  Block,
  Cell,
  Figure,
  Heading,
  Page,
  Table,
  Text,
)
from sce_jax.runs import files, read
from sce_jax.runs.read import Run
from sce_jax.storage import paths

# More groups than colours make no readable figure.
_MAX_LINES = 8
_MAX_CLASSES = 20


def report(
  root: str | os.PathLike, dataset: str | None = None
) -> writer.Written:
  """Writes a report on all runs below a folder, into that folder.

  Args:
    root: the folder.
    dataset: only runs on this data set.

  Raises:
    UserError: there are no runs, or they are on different data sets.
  """
  runs = read.find(root, dataset)
  root = paths.path(root)
  groups = _groups(runs)
  blocks: list[Block] = [*_results(groups), *blocks_of_runs(runs, root)]
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
    root,
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
  return [
    (
      'runs',
      ', '.join(
        f'{ends.count(status)} {status}'
        for status in ('finished', 'failed', 'unfinished', 'missing')
        if status in ends
      ),
    ),
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


def _groups(runs: Sequence[Run]) -> dict[str, list[Run]]:
  """Runs that differ in the seed only, by what they differ in from others."""
  groups: dict[str, list[Run]] = {}
  for run in runs:
    groups.setdefault(_name(run.labels), []).append(run)
  if list(groups) == ['']:
    return {runs[0].config['loss']['name']: list(runs)}
  return groups


def _name(labels: Mapping[str, str]) -> str:
  """What a run differs in but the seed: 'sl, symmetric 0.4, loss.alpha=1.0'."""
  rest = {key: value for key, value in labels.items() if key != 'seed'}
  noise = [rest.pop(key, '') for key in ('noise.name', 'noise.rate')]
  parts = [rest.pop('loss.name', ''), ' '.join(filter(None, noise))]
  parts += [f'{key}={value}' for key, value in rest.items()]
  return ', '.join(filter(None, parts))


def _results(groups: dict[str, list[Run]]) -> list[Block]:
  ended = {name: read.finished(runs) for name, runs in groups.items()}
  rows = []
  for name, runs in groups.items():
    results = [r.result for r in ended[name] if r.result]
    has_test = any(r['test'] for r in results)
    worst = read.class_accuracy(ended[name]).min(1) / 100 if has_test else []
    memorised = [r['memorised'] for r in results if r['memorised'] is not None]
    count = Cell(f'{len(results)} of {len(runs)}', value=len(results))
    rows.append(
      [
        name,
        count,
        statistics.format_mean_std(
          [r['test_accuracy'] for r in results if r['test']]
        ),
        statistics.format_mean_std(worst),
        statistics.format_mean_std(memorised),
      ]
    )
  found: list[Block] = [
    Heading('Results'),
    Table(
      'results',
      'Last epoch, in per cent',
      ['runs', 'finished', 'test accuracy', 'worst class', 'memorised'],
      rows,
      'memorised: share of the wrongly labelled training examples that are'
      ' predicted as their wrong label.',
    ),
  ]
  shown = {name: runs for name, runs in ended.items() if runs}
  if shown:
    found += [*_curves(shown), *_classes(shown)]
  return found


def _curves(groups: dict[str, list[Run]]) -> list[Block]:
  lines = dict(list(groups.items())[:_MAX_LINES])
  figure = plots.overfitting(
    {name: [r.metrics for r in runs] for name, runs in lines.items()}
  )
  more = len(groups) - len(lines)
  return [
    Figure(
      'curves',
      'Test accuracy and memorised labels over the epochs; the band is one'
      ' standard deviation over seeds.'
      + (f' {more} more groups are in the tables only.' if more else ''),
      figure,
    )
  ]


def _classes(groups: dict[str, list[Run]]) -> list[Block]:
  first = next(iter(groups.values()))[0].result or {}
  if not first['test']:
    return []
  number = len(first['test']['class_accuracy'])
  if number > _MAX_CLASSES:
    return [Text(f'{number} classes: their accuracies are in the run folders.')]
  return [class_table('classes', groups)]


def class_table(name: str, groups: dict[str, list[Run]]) -> Table:
  """Each class's test accuracy, the worst, the best and their gap.

  Args:
    name: of the table.
    groups: finished runs by their row; each has one at least.
  """
  rows = []
  number = 0
  for group, runs in groups.items():
    values = read.class_accuracy(runs)
    number = values.shape[1]
    low, high = values.min(1), values.max(1)
    mean = values.mean(0).filled(np.nan)
    rows.append(
      [
        group,
        *(Cell('-' if np.isnan(x) else f'{x:.1f}', float(x)) for x in mean),
        Cell(f'{low.mean():.1f}', float(low.mean())),
        Cell(f'{high.mean():.1f}', float(high.mean())),
        Cell(f'{(high - low).mean():.1f}', float((high - low).mean())),
      ]
    )
  return Table(
    name,
    'Test accuracy of each class in the last epoch, in per cent, mean over'
    ' seeds',
    ['', *map(str, range(number)), 'worst', 'best', 'gap'],
    rows,
    'worst, best and gap: of each run, then averaged.',
  )


def _table(runs: Sequence[Run], folder: paths.Path) -> Table:
  keys = list(dict.fromkeys(key for run in runs for key in run.labels))
  rows = []
  for run in runs:
    accuracy, seconds = Cell('-'), Cell('-')
    if run.result:
      if run.result['test']:
        value = 100 * run.result['test_accuracy']
        accuracy = Cell(f'{value:.2f}', value)
      seconds = _seconds(run.result['train_seconds'])
    epochs = run.metrics[-1]['epoch'] if run.metrics else 0
    rows.append(
      [
        Cell(run.folder.name, link=os.path.relpath(run.folder, folder)),
        Cell(run.status, note=run.failure),
        *(run.labels.get(key, '-') for key in keys),
        accuracy,
        Cell(f'{epochs}', float(epochs)),
        seconds,
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
      'test accuracy (%)',
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


def _seconds(value: float) -> Cell:
  return Cell(f'{value:.1f}', float(value))


def _devices(description) -> str:
  names = description['devices']
  name = f'{len(names)} x {names[0]}' if len(names) > 1 else names[0]
  # jax calls every processor cpu.
  processor = description.get('processor')
  return processor if processor and name == 'cpu cpu' else name


def _noise(runs: Sequence[Run]) -> list[Block]:
  """The realised noise of each setting's first run."""
  first = {}
  for run in runs:
    noise = run.config['noise']
    if run.status == 'missing':
      continue
    first.setdefault((noise['name'], noise['rate']), run)
  matrices = {}
  for (name, rate), run in first.items():
    realised = files.read_noise(run.folder)
    if realised and len(realised['matrix']) <= _MAX_CLASSES:
      title = f'{name} {rate:g}, {realised["rate"]:.1%} wrong'
      matrices[title] = np.array(realised['matrix'])
  if not matrices:
    return []
  return [
    noise_plots.heat_maps(
      matrices,
      caption='As realised in the first run of each noise setting.',
    )
  ]
