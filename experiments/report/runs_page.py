"""What any folder of runs shows, on a page or at the end of every report."""

from collections.abc import Mapping, Sequence
import datetime
import os
import re
from typing import TYPE_CHECKING

import numpy as np

from experiments.analysis import (
  frame,
  label_card,
  marks,
  noise_plots,
  pictures,
  plots,
  statistics,
)
from experiments.report import each_run, run_names, text, writer
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
from sce_jax.runs import files, progress, read
from sce_jax.runs.read import Run
from sce_jax.storage import paths

if TYPE_CHECKING:
  import pandas as pd

# More panels than these make no readable figure.
_MAX_PANELS = 4
_MAX_CLASSES = 20
# Of the 64 of a fingerprint.
_DIGITS = 16


def report(
  root: str | os.PathLike, dataset: str | None = None
) -> writer.Written:
  """Writes a report on all runs below a folder.

  It is in a folder of its own there: report/, or report-DATASET/ where a data
  set is given. Each data set is a section.

  Args:
    root: the folder.
    dataset: only runs on this data set.

  Raises:
    UserError: there are no runs, or the report's folder holds anything else or
      cannot be written.
  """
  runs = read.find(root, dataset, mixed=True)
  root = paths.path(root)
  if dataset is None:
    folder, owner = root / 'report', 'all runs'
  else:
    folder = root / f'report-{dataset.replace("/", "_")}'
    owner = f'runs on {dataset}'
  writer.claim(folder, owner)
  by_data: dict[str, list[Run]] = {}
  for run in runs:
    by_data.setdefault(run.config['data']['name'], []).append(run)
  blocks: list[Block] = []
  for name, some in by_data.items():
    # No table mixes data: a file's name begins with that of its own.
    start = (
      f'{re.sub("[^A-Za-z0-9_.-]", "_", name)}-' if len(by_data) > 1 else ''
    )
    blocks += _section(name if start else '', start, some, folder)
  name = ', '.join(by_data)
  has_seeds = len({run.config['seed'] for run in runs}) > 1
  over_seeds = ', mean ± standard deviation over seeds'
  written = writer.write(
    Page(
      f'{len(runs)} {"run" if len(runs) == 1 else "runs"} on {name}',
      f'All runs below {paths.shown(paths.absolute(root))}. Figures are those'
      f' of the last epoch{over_seeds * has_seeds}.',
      blocks,
      [
        ('command', text.own_command()),
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

  def values(texts, between=', '):
    return between.join(sorted(set(texts))) or 'none'

  unknown = 'unknown'
  ends = [r.status for r in runs]
  seeds = {r.config['seed'] for r in runs if r.status != 'missing'}
  initial = [r.initial for r in runs if r.initial]
  changed = ['; '.join(x) for d in described for x in d.get('changes', ())]
  together = [d['together'] for d in described if 'together' in d]
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
    *([('changed on the way', values(changed))] if changed else []),
    ('seeds', ', '.join(map(str, sorted(seeds))) or 'none'),
    # Small networks are trained side by side, and rounded by how many.
    *_together(together, len(described)),
    # Of a processor also the number of its cores, after a comma.
    ('devices', values((each_run.devices(r) for r in described), '; ')),
    # What an earlier version, or another program, did not record is unknown.
    ('trained', values(d.get('created', unknown)[:10] for d in described)),
    (
      'jax',
      values(d.get('versions', {}).get('jax', unknown) for d in described),
    ),
    ('python', values(d.get('python', unknown) for d in described)),
    ('code', values((d.get('git_commit') or unknown)[:8] for d in described)),
  ]


def _together(recorded: Sequence[int], count: int) -> list[tuple[str, str]]:
  """How many runs shared a program; nothing if none is known to have."""
  low, high = min(recorded, default=1), max(recorded, default=1)
  if high == 1:
    return []
  said = str(low) if low == high else f'{low} to {high}'
  unknown = count - len(recorded)
  if unknown:
    said += f', of {progress.counted(unknown, "run")} not recorded'
  return [('runs in a program', said)]


def blocks_of_runs(
  runs: Sequence[Run], folder: paths.Path, start: str = ''
) -> list[Block]:
  """The runs themselves: a table, two of them compared, their labels' noise.

  Args:
    runs: the runs.
    folder: where the report is, for links to theirs.
    start: of the names of tables and pictures.
  """
  return [
    each_run.table(runs, folder, start),
    *each_run.comparison(runs, start),
    *_noise(runs, start),
  ]


def _section(
  title: str, start: str, runs: Sequence[Run], folder: paths.Path
) -> list[Block]:
  """What there is to say of the runs on one data set."""
  labels = read.distinguishing_settings(run.config for run in runs)
  runs = [
    Run(run.folder, own, run.config)
    for run, own in zip(runs, labels, strict=True)
  ]
  heading = f'Results on {title}' if title else 'Results'
  return [
    Heading(heading),
    *_results(*_one_of_each(_named(runs)), start),
    *blocks_of_runs(runs, folder, start),
  ]


def _named(runs: Sequence[Run]) -> 'pd.DataFrame':
  """The runs, with what names them.

  `name`: what they differ in but the seed; `panel`, the noise of it; `line`,
  the rest.
  """
  parts = [run_names.parts(run) for run in runs]
  lines = [', '.join([method, *others]) for method, _, others in parts]
  panels = [noise for _, noise, _ in parts]
  return frame.from_runs(runs).assign(
    name=[', '.join(filter(None, x)) for x in zip(lines, panels, strict=True)],
    line=lines,
    panel=panels,
  )


def _one_of_each(runs: 'pd.DataFrame') -> 'tuple[pd.DataFrame, int]':
  """One run of each name and seed, and how many others there were.

  Runs that differ in bookkeeping alone are one draw, not several. The first
  that has finished is kept, or else the first.
  """
  kept = (
    runs.sort_values('status', key=lambda x: x != 'finished', kind='stable')
    .drop_duplicates(['name', 'seed'])
    .sort_index()
  )
  return kept, len(runs) - len(kept)


def _results(runs: 'pd.DataFrame', repeated: int, start: str) -> list[Block]:
  ended = frame.finished(runs)
  test = plots.test_title(run.folder for run in runs.run)
  shown = ['test_accuracy', 'lost', 'worst_class', 'memorised']
  has_validation = bool(runs.validation_accuracy.notna().any())
  if has_validation:
    shown.append('validation_accuracy')
  rows = [
    [
      name + _mark(group.run.iloc[0]),
      *(statistics.format_mean_std(group[figure]) for figure in shown),
      Cell(
        f'{sum(group.status == "finished")} of {len(group)}',
        value=sum(group.status == 'finished'),
      ),
    ]
    for name, group in runs.groupby('name', sort=False)
  ]
  found: list[Block] = []
  if repeated:
    found.append(
      Text(
        f'{progress.counted(repeated, "run")} left out here, as another run has'
        ' the same seed and differs at most in settings that change no figure,'
        ' such as eval.train_every. All runs are listed below.'
      )
    )
  found.append(
    Table(
      f'{start}results',
      'Last epoch, in per cent',
      [
        'runs',
        f'{test.lower()} accuracy',
        'lost since its best epoch',
        'worst class' + ' (noisy)' * (test != 'Test'),
        'memorised',
        *['validation accuracy'] * has_validation,
        'finished',
      ],
      rows,
      'memorised: share of the wrongly labelled training examples that are'
      f' predicted as their wrong label. {frame.LOST_NOTE}'
      + (f' {marked}' if (marked := marks.note(map(_mark, runs.run))) else '')
      + ' Test labels were held out of noisy ones: part of them may be wrong,'
      ' in each class too.' * (test != 'Test'),
    )
  )
  if len(ended):
    found += [_curves(ended, start), *_classes(ended, start)]
  return found


def _mark(run: Run) -> str:
  return marks.mark(run_names.method(run), run.result)


def _curves(runs: 'pd.DataFrame', start: str) -> Figure:
  panels = {
    title: frame.metrics(some, 'line')
    for title, some in runs.groupby('panel', sort=False)
  }
  shown = dict(list(panels.items())[:_MAX_PANELS])
  test = plots.test_title(run.folder for run in runs.run)
  more = len(panels) - len(shown)
  caption = f'{test} accuracy and memorised labels over the epochs'
  if runs.seed.nunique() > 1:
    caption += '; the band is one standard deviation over seeds'
  caption += '.'
  if runs.line.nunique() > plots.MOST_LINES:
    caption += f' After the first {plots.MOST_LINES} lines the others are grey.'
  if more:
    caption += f' {more} more noises are in the tables only.'
  return Figure(
    f'{start}curves',
    caption,
    plots.overfitting(shown, pictures.about(r.config for r in runs.run), test),
  )


def _classes(runs: 'pd.DataFrame', start: str) -> list[Block]:
  tested = runs[runs.test_accuracy.notna()]
  if not len(tested):
    return []
  classes = frame.class_accuracy(tested.run).shape[1]
  if classes > _MAX_CLASSES:
    return [
      Text(f'{classes} classes: their accuracies are in the run folders.')
    ]
  return [class_table(f'{start}classes', tested, 'name')]


def class_table(name: str, runs: 'pd.DataFrame', by: str) -> Table:
  """Each class's test accuracy, the worst, the best and their gap.

  Args:
    name: of the table.
    runs: finished runs, see analysis/frame.py.
    by: the column whose values are the table's rows.
  """
  rows = []
  titles: Sequence[str] = ()
  for group, some in runs.groupby(by, sort=False):
    values = frame.class_accuracy(some.run)
    low, high = values.min(axis=1), values.max(axis=1)
    titles = titles or _titles(some.run.iloc[0], values.shape[1])
    means = [*values.mean(), low.mean(), high.mean(), (high - low).mean()]
    rows.append([group, *map(number, means)])
  return Table(
    name,
    f'{plots.test_title(run.folder for run in runs.run)} accuracy of each class'
    ' in the last epoch, in per cent, mean over'
    ' seeds',
    ['runs', *titles, 'worst', 'best', 'gap'],
    rows,
    'worst, best and gap: of each run, then averaged.',
  )


def _titles(run: Run, count: int) -> Sequence[str]:
  """Of the classes; their numbers, where the run's record of them is lost."""
  if (run.folder / 'dataset.json').exists():
    return run.info.class_titles
  return [str(k) for k in range(count)]


def _class_names(runs: Sequence[Run]) -> Sequence[str] | None:
  """The names of the classes; None where they are only numbers."""
  for run in runs:
    if (run.folder / 'dataset.json').exists():
      names = run.info.class_names
      return None if all(x.isdecimal() for x in names) else names
  return None


def _noise(runs: Sequence[Run], start: str) -> list[Block]:
  """The labels of the first run of each noise: fingerprints, realised T."""
  first: dict[str, Run] = {}
  for run in runs:
    noise = run.config['noise']
    if run.status == 'missing':
      continue
    called = pictures.noise_title(noise) or noise['name']
    called = ', '.join([called, *pictures.changes_of_examples(noise)])
    first.setdefault(called, run)
  return [*_fingerprints(first), *_matrices(first, start)]


def _fingerprints(first: Mapping[str, Run]) -> list[Block]:
  known = [
    f'{called}: {label_card.read(str(run.folder)).fingerprint[:_DIGITS]}'
    for called, run in first.items()
    if (run.folder / 'noise.npz').exists()
  ]
  if not known:
    return []
  return [
    Text(
      "Fingerprints of the labels of each noise's first run (`launch.py"
      f' labels` prints the whole): {"; ".join(known)}.'
    )
  ]


def _matrices(first: Mapping[str, Run], start: str) -> list[Block]:
  matrices = {}
  for called, run in first.items():
    measured = (files.read_summary(run.folder) or {}).get('transition')
    if measured is not None and len(measured) <= _MAX_CLASSES:
      matrices[f'{run.config["data"]["name"]}, measured'] = np.array(measured)
    realised = files.read_noise(run.folder)
    if realised and len(realised['matrix']) <= _MAX_CLASSES:
      title = f'{called}, {100 * realised["rate"]:.1f} % wrong'
      matrices[title] = np.array(realised['matrix'])
  if not matrices:
    return []
  caption = 'As realised in the first run of each noise setting.'
  if any(title.endswith(', measured') for title in matrices):
    caption += ' Measured: on images with a noisy and a clean label.'
  figure = noise_plots.heat_maps(
    matrices,
    _class_names(list(first.values())),
    name=f'{start}matrices',
    caption=caption,
  )
  about = pictures.about((run.config for run in first.values()), '')
  pictures.add_title(figure.drawing, about)
  return [figure]
