"""Searches a method's settings by noisy labels alone.

As a user of real data must: part of the training examples is held out, and the
settings are chosen by how many of their noisy labels are predicted. The runs of
the search are given neither the test split nor a true label. Only the settings
that were chosen are then trained on all examples and tested, once.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import importlib.util
import math
from typing import Any

from matplotlib import pyplot as plt
from matplotlib import ticker

from experiments.analysis import frame, plots, statistics, style
from experiments.paper import run as paper_run
from experiments.paper import scales, search_space
from experiments.paper.noisy_search import Search, Trial, hide, search
from experiments.paper.search_space import Range
from experiments.report import runs_page, text, writer
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
from sce_jax import train
from sce_jax.config import check, choose, fields
from sce_jax.config.check import Config
from sce_jax.data import dataset as dataset_lib
from sce_jax.data import open_set
from sce_jax.data.dataset import Dataset
from sce_jax.errors import NonFiniteLoss, UserError
from sce_jax.parallel import processes
from sce_jax.runs import read
from sce_jax.runs.read import Run
from sce_jax.storage import paths

_INSTALL = 'pip install "optuna>=5.0,<6"'
_SHOWN = 10


def run(
  request: Search, root: str, data_dir: str | None = None
) -> writer.Written:
  """Searches, tests what was chosen, writes a page.

  Args:
    request: what is searched.
    root: the folder of all runs.
    data_dir: as in train.train_and_evaluate.

  Raises:
    UserError: bad input; nothing has been done.
    NonFiniteLoss: all settings diverge, or runs with those that were chosen do;
      then the page is written.
    preemption.Preempted, KeyboardInterrupt: as in train_and_evaluate; the same
      command resumes.
  """
  if importlib.util.find_spec('optuna') is None:
    raise UserError(f'experiment tune needs optuna: {_INSTALL}')
  if processes.num_processes() > 1:
    raise UserError('experiment tune is run by one process: --num_processes=1')
  if paths.is_cloud(paths.path(root)):
    raise UserError(
      f'--workdir={root}: the journal of experiment tune is a local file'
    )
  plan = _plan(request, data_dir)
  request, config, dataset = plan.request, plan.config, plan.dataset
  data = hide(dataset, config, request.held_out, request.folds)
  digest = fields.fingerprint(
    {
      'config': config.to_dict(),
      'space': {path: str(range_) for path, range_ in plan.space.items()},
      'held_out': request.held_out,
      'folds': request.folds,
    }
  )
  name = '-'.join(
    ('tune', scales.title(request.dataset), request.scale, request.loss, digest)
  )
  folder = paths.path(root) / name
  owner = f'experiment {name}'
  writer.claim(folder, owner)
  trials = search(
    request, plan.space, plan.own, data, folder.with_name(f'{name}-trials')
  )
  if trials[0].diverged:
    raise NonFiniteLoss('all settings that were tried diverge')
  tested = _test(request, trials[0], paths.path(root), dataset)
  page = _page(request, plan.space, plan.own, data, trials, tested, folder)
  written = writer.write(page, folder, owner)
  for block in page.blocks:
    if isinstance(block, Table) and block.name in ('trials', 'test'):
      print(f'\n{text.table(block)}')
  print(f'\nreport:   {written.html}')
  failed = [run.failure for run in tested if run.status == 'failed']
  if failed:
    raise NonFiniteLoss.of_runs(failed)
  return written


@dataclasses.dataclass(frozen=True)
class _Plan:
  """What is searched, and in which data.

  Attributes:
    request: with what the data have chosen.
    config: what is trained, but for what is searched.
    space: the ranges by path.
    own: the config's own values by path.
    dataset: with the images replaced that the config says.
  """

  request: Search
  config: Config
  space: Mapping[str, Range]
  own: Mapping[str, Any]
  dataset: Dataset


def _plan(request: Search, data_dir: str | None) -> _Plan:
  """Reads the data, and finds what is searched in them.

  Raises:
    UserError: something of it cannot be used.
  """
  raw = fields.plain(request.raw_config(request.seed, {}))
  to_choose = {path: choose.FIELDS[path] for path in choose.left(raw)}
  stand_ins = search_space.stand_ins(
    request.ranges, request.loss, choose.with_values(raw, to_choose)['loss']
  )
  config = request.config(request.seed, stand_ins)
  dataset = dataset_lib.read(config.data, data_dir)
  check.check_fits(config, dataset.info)
  left, config = config.left, choose.complete(config, dataset.info)
  values = fields.own(config.to_dict())
  request = dataclasses.replace(request, chosen={k: values[k] for k in left})
  space = search_space.parse(request.ranges, values) or search_space.default(
    request.loss, config.loss.hparams
  )
  for path, range_ in space.items():  # Before anything is trained.
    for end in (range_.low, range_.high):
      value = int(end) if range_.is_whole else end
      request.config(request.seed, {**stand_ins, path: value})
  return _Plan(
    request,
    config,
    space,
    {path: x for path, x in values.items() if path not in stand_ins},
    open_set.apply(dataset, config.data, config.noise, config.seed, data_dir),
  )


def _test(
  request: Search, chosen: Trial, root: paths.Path, dataset: Dataset
) -> list[Run]:
  """Trains the chosen settings on all examples, with all seeds."""
  info = dataset.info
  if not info.num_test or info.noisy_test:
    return []  # There is no true label to test on.
  count = request.seeds
  if count is None:
    count = scales.scale_of(request.dataset, request.scale).seeds
  configs = [request.config(s, chosen.settings).to_dict() for s in range(count)]
  runs = [Run(root / read.run_name(c), {}, c) for c in configs]
  train.train_many(configs, [run.folder for run in runs], dataset=dataset)
  return runs


def _page(
  request: Search,
  space: Mapping[str, Range],
  own: Mapping[str, Any],
  data: Sequence[Dataset],
  trials: Sequence[Trial],
  tested: Sequence[Run],
  folder: paths.Path,
) -> Page:
  best, count = trials[0], sum(part.info.num_test for part in data)
  error = math.sqrt(best.accuracy * (1 - best.accuracy) / count)
  flags = ' '.join(f'--config.{k}={v:.9g}' for k, v in best.settings.items())
  blocks: list[Block] = [
    Text(
      f'{plots.label(request.loss)} under {request.noise} noise: {len(trials)}'
      f' settings, chosen by the noisy labels of {count:,} training examples'
      f' that the runs were not trained on{_in_turn(data)}. A standard error of'
      f' such an accuracy is {100 * error:.1f} points; differences between'
      ' settings have less, as all are judged by the same labels.'
    ),
    Heading('The search'),
    _table(space, own, trials),
    _figure(plots.label(request.loss), space, trials),
    Heading('What was chosen'),
    Text(f'Settings: {flags}'),
    _tested(request, tested),
  ]
  scaled = scales.scale_of(request.dataset, request.scale)
  if scaled.note:
    blocks.insert(0, Text(scaled.note, warning=request.scale != 'full'))
  if tested:
    blocks += [
      Heading('Runs'),
      *runs_page.blocks_of_runs(list(tested), folder),
    ]
  title, _, rest = (__doc__ or '').partition('\n')
  return Page(
    f'tune: {title.rstrip(".")}',
    ' '.join(rest.split()),
    blocks,
    paper_run.facts('tune', request.dataset, request.scale, tested),
  )


def _in_turn(data: Sequence[Dataset]) -> str:
  if len(data) == 1:
    return ''
  return f', in {len(data)} parts: each setting has a run without each of them'


def _table(
  space: Mapping[str, Range], own: Mapping[str, Any], trials: Sequence[Trial]
) -> Table:
  rows: list[list[Cell | str]] = []
  # The config may lack what is searched.
  note = ''
  for place, trial in enumerate(trials):
    is_own = all(trial.settings[path] == own.get(path) for path in space)
    if place >= _SHOWN and not is_own:
      continue
    if is_own:
      note = 'own: the settings that the config has. '
    rows.append(
      [
        number(trial.number, 'd'),
        Cell('own' if is_own else ''),
        Cell('diverged', 0.0)
        if trial.diverged
        else number(100 * trial.accuracy, '.2f'),
        *(number(trial.settings[path], '.4g') for path in space),
      ]
    )
  return Table(
    'trials',
    'The best settings: accuracy on held-out noisy labels, per cent',
    ['trial', '', 'noisy accuracy', *space],
    rows,
    f'{note}Searched: '
    + '; '.join(f'{path} from {range_}' for path, range_ in space.items())
    + '.',
  )


def _figure(
  method: str, space: Mapping[str, Range], trials: Sequence[Trial]
) -> Figure:
  columns = min(3, len(space))
  rows = -(-len(space) // columns)
  figure, axes = plt.subplots(
    rows,
    columns,
    figsize=(3.4 * columns, 2.8 * rows),
    layout='constrained',
    sharey=True,
    squeeze=False,
  )
  known = [t for t in trials if not t.diverged]
  look = style.method(method)
  last = max(t.number for t in trials)
  for ax, (path, range_) in zip(axes.flat, space.items(), strict=False):
    ax.scatter(
      [t.settings[path] for t in known],
      [100 * t.accuracy for t in known],
      color=look['color'],
      marker=look['marker'],
      alpha=[0.3 + 0.7 * t.number / max(last, 1) for t in known],
      s=18,
      clip_on=False,
    )
    ax.plot(
      trials[0].settings[path],
      100 * trials[0].accuracy,
      'o',
      ms=11,
      mfc='none',
      mec='black',
      clip_on=False,
    )
    least, most = sorted((abs(range_.low), abs(range_.high)))
    # Within less than a decade ticks of a logarithmic axis would overlap.
    if range_.is_log and most >= 10 * least:
      ax.set_xscale('symlog', linthresh=least)
      between = (1, 2, 5) if most < 100 * least else (1,)
      ax.xaxis.set_major_locator(
        ticker.SymmetricalLogLocator(base=10, linthresh=least, subs=between)
      )
      ax.xaxis.set_major_formatter('{x:g}')
    ax.set_xlim(range_.low, range_.high)
    ax.set_xlabel(path)
    ax.grid(alpha=0.3)
  for ax in list(axes.flat)[len(space) :]:
    ax.set_axis_off()
  for ax in axes[:, 0]:
    ax.set_ylabel('noisy accuracy (%)')
  return Figure(
    'search',
    'Each setting that was tried; the later, the darker. The chosen one has a'
    ' ring.' + ' The others differ, too.' * (len(space) > 1),
    figure,
  )


def _tested(request: Search, tested: Sequence[Run]) -> Block:
  if not tested:
    return Text('There is no test split with true labels to test it on.')
  runs = frame.from_runs(tested)
  diverged = len(runs) - len(frame.finished(runs))
  return Table(
    'test',
    f'{request.noise}: what was chosen, trained on all examples, last epoch,'
    ' per cent; mean ± standard deviation over seeds',
    ['seeds', 'test accuracy', 'worst class', 'memorised'],
    [
      [
        number(len(runs), 'd'),
        *(
          statistics.format_mean_std(runs[name], diverged=diverged)
          for name in ('test_accuracy', 'worst_class', 'memorised')
        ),
      ]
    ],
    'Only here has the test split been used. Settings that were chosen for this'
    ' noise are no settings for all noises.',
  )
