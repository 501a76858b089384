"""What a sweep ends with: a ranking, a picture, the command of the report."""

import collections
from collections.abc import Sequence
import os

from experiments.analysis import plots, statistics
from experiments.report import text
from experiments.sweeps.manifest import Entry
from sce_jax.runs import dataset_record, files, progress, read
from sce_jax.storage import paths

# So many groups of runs are shown and drawn; more lines cannot be told apart.
_SHOWN = 8


def show(entries: Sequence[Entry], picture: paths.Path) -> None:
  """Prints the ranking of a sweep's runs that ended well, and draws the best.

  Args:
    entries: its runs.
    picture: the file to draw into.
  """
  groups, diverged = _groups(entries)
  if not groups:
    return
  ranked = sorted(groups, key=lambda name: -_mean(groups[name]))
  noisy = any(dataset_record.has_noisy_test(entry.workdir) for entry in entries)
  rows = [['runs', f'{"noisy " * noisy}test accuracy', 'seeds']]
  for place, name in enumerate(ranked[:_SHOWN], 1):
    values = [100 * accuracy for _, accuracy in groups[name]]
    mean, deviation = statistics.mean_std(values)
    shown = f'{mean:.1f} %'
    if len(values) > 1:
      shown += f' ± {deviation:.1f}'
    seeds = str(len(values))
    if diverged[name]:
      seeds += f', {diverged[name]} diverged'
    rows.append([f'{place}. {name}', shown, seeds])
  heading, rule, best, *others = text.aligned(rows).splitlines()
  print(heading, rule, progress.styled(best, 'green'), *others, sep='\n')
  if len(ranked) > _SHOWN:
    print(f'and {len(ranked) - _SHOWN} more')
  drawn = plots.plot_runs(
    {
      name: [paths.path(x) for x, _ in groups[name]] for name in ranked[:_SHOWN]
    },
    picture,
  )
  root = os.path.dirname(entries[0].workdir)
  print(
    f'picture:  {paths.shown(drawn)}\n'
    f'report:   python launch.py report --workdir={paths.shown(root)}'
  )


def _groups(
  entries: Sequence[Entry],
) -> tuple[dict[str, list[tuple[str, float]]], collections.Counter[str]]:
  """Folder and accuracy of the runs that ended well, seeds together.

  Also how many runs of each group diverged.
  """
  settings = read.distinguishing_settings(entry.config for entry in entries)
  groups: dict[str, list[tuple[str, float]]] = {}
  diverged: collections.Counter[str] = collections.Counter()
  for entry, differs in zip(entries, settings, strict=True):
    result = files.read_result(entry.workdir) or {}
    names = ['loss.name', 'noise.name', 'noise.rate']
    parts = [differs[x] for x in names if x in differs]
    parts += [
      f'{path.rpartition(".")[2]}={value}'
      for path, value in differs.items()
      if path not in (*names, 'seed')
    ]
    name = ' '.join(parts) or entry.config['loss']['name']
    diverged[name] += 'failed' in result
    accuracy = result.get('test_accuracy')
    if accuracy is not None:
      groups.setdefault(name, []).append((entry.workdir, accuracy))
  return groups, diverged


def _mean(group: Sequence[tuple[str, float]]) -> float:
  return float(statistics.mean_std([x for _, x in group])[0])
