"""The runs of a page one by one: a table of them, and two compared."""

from collections.abc import Mapping, Sequence
import os
from typing import Any

from experiments.analysis import plots, style
from experiments.report import run_names
from experiments.report.page import (
  Block,
  Cell,
  ComparedRun,
  Comparison,
  Table,
  number,
)
from sce_jax.runs import read
from sce_jax.runs.read import Run
from sce_jax.storage import paths

# More runs make a page slow; a curve has so many points.
_MAX_COMPARED = 120
_MAX_POINTS = 100
# The figures that are drawn, and where they are in an epoch's record.
_CURVES = {
  'test accuracy': ('test', 'accuracy'),
  'wrong labels memorised': ('train_eval', 'memorised'),
}


def table(runs: Sequence[Run], folder: paths.Path, start: str) -> Table:
  """A row for each run.

  Args:
    runs: the runs.
    folder: where the report is, for links to theirs.
    start: of the table's name.
  """
  keys = run_names.further_fields(runs)
  rows = []
  for run in runs:
    figures = read.figures(run)
    epochs = run.metrics[-1]['epoch'] if run.metrics else 0
    shown = _picture(run)
    rows.append(
      [
        _name(run, folder),
        number(100 * figures['test_accuracy'], '.2f'),
        number(run.config['seed'], 'd'),
        Cell(run.status, note=run.failure),
        *(_label(run.labels.get(key, '-')) for key in keys),
        number(epochs, 'd'),
        number(figures['train_seconds']),
        run.description.get('created', '-')[:16].replace('T', ' '),
        _link(shown, folder) if shown else '-',
        run.folder.name,
        devices(run.description) if run.description else '-',
      ]
    )
  return Table(
    f'{start}runs',
    'The runs',
    [
      'run',
      f'{plots.test_title(r.folder for r in runs).lower()} accuracy (%)',
      'seed',
      'status',
      *keys,
      'epochs',
      'seconds',
      'begun (UTC)',
      'picture',
      'folder',
      'device',
    ],
    rows,
    "seconds: of runs trained together, each one's share. A failed run's loss"
    ' was not finite.',
  )


def _name(run: Run, folder: paths.Path) -> Cell:
  """A run's name, which leads to its folder where there is one."""
  is_there = run.status != 'missing'
  link = os.path.relpath(run.folder, folder) if is_there else ''
  return Cell(run_names.of_run(run), link=link)


def _picture(run: Run) -> paths.Path | None:
  """The page of a run's evaluation, or else its own picture or its group's."""
  candidates = (
    run.folder / 'evaluation' / 'report.html',
    run.folder / 'run.png',
    run.folder.parent / 'comparison.png',
  )
  return next((path for path in candidates if path.exists()), None)


def _link(shown: paths.Path, folder: paths.Path) -> Cell:
  name = shown.parent.name if shown.suffix == '.html' else shown.name
  return Cell(name, link=os.path.relpath(shown, folder))


def comparison(runs: Sequence[Run], start: str) -> list[Block]:
  """Two runs side by side, with the settings in which they differ."""
  shown = [run for run in runs if run.metrics][:_MAX_COMPARED]
  if len(shown) < 2:
    return []
  compared = []
  settings = read.distinguishing_settings(run.config for run in shown)
  for run, differing in zip(shown, settings, strict=True):
    figures = {
      name: value for name, value in read.figures(run).items() if value == value
    }
    facts = {
      name.replace('_', ' '): f'{value:.1f} s'
      if name == 'train_seconds'
      else f'{100 * value:.2f} %'
      for name, value in figures.items()
    }
    compared.append(
      ComparedRun(
        f'{run_names.of_run(run)}, seed {run.config["seed"]}',
        {**facts, 'status': run.status, **differing},
        {
          title: points
          for title, keys in _CURVES.items()
          if (points := _points(run, keys))
        },
        style.method(run_names.of_run(run))['color'],
      )
    )
  return [Comparison(f'{start}compare', compared)]


def _points(run: Run, keys: Sequence[str]) -> list[tuple[int, float]]:
  points = [
    (record['epoch'], round(100 * value, 2))
    for record in run.metrics
    if (value := plots.lookup(record, keys)) is not None
  ]
  step = -(-len(points) // _MAX_POINTS) or 1
  # The last one counts.
  return points[::-step][::-1]


def _label(text: str) -> Cell:
  """A label, sorted by its value where it is a number."""
  try:
    return Cell(text, float(text))
  except ValueError:
    return Cell(text)


def devices(description: Mapping[str, Any]) -> str:
  """The devices of a run, from its description."""
  names = description.get('devices') or ['unknown']
  name = f'{len(names)} x {names[0]}' if len(names) > 1 else names[0]
  # jax calls every processor cpu.
  processor = description.get('processor')
  return processor if processor and name == 'cpu cpu' else name
