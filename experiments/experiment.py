"""Trains what an experiment lacks, and writes its report.

An experiment is a module of experiments/paper with a docstring, whose first
line says what it shows, and

  sweep(dataset, scale) -> list[Trial]      the runs it needs
  report(context, runs) -> list[Block]      tables and figures from them

Runs are kept by their config in one folder, so that experiments share them and
none is ever trained twice.
"""

from collections.abc import Iterator, Mapping, Sequence
import dataclasses
import datetime
import importlib
import os
import pathlib
import sys
from types import ModuleType

from ml_collections import config_dict

from experiments import overview, protocols, records
from experiments.records import Record
from experiments.report import text, writer
from experiments.report.page import Heading, Page, Table, Text
from sce_jax import config as config_lib
from sce_jax import distributed, progress, train, trials
from sce_jax.errors import UserError

NAMES = (
  'comparison',
  'classwise',
  'easy_hard',
  'confidence',
  'embeddings',
  'parameters',
  'ablation',
  'gradients',
  'theory',
  'recipe',
)

# So many runs share a program: enough to fill a device, few enough that the
# first of them are done soon.
_TOGETHER = {'digits': 32, 'mnist': 8, 'cifar10': 4, 'cifar100': 4}

# Seconds to train on one image, and that much less to evaluate one, on two
# cores of an AMD EPYC (experiments/benchmarks/NOTES.md); cifar100 by the
# operations of its network, not measured.
_SECONDS = {
  'digits': 3e-5,
  'mnist': 2.6e-4,
  'cifar10': 3.4e-3,
  'cifar100': 3e-3,
}
_EVALUATION = 0.35
_SECONDS_A_PROGRAM = 8.0


@dataclasses.dataclass(frozen=True)
class Trial:
  """A run that an experiment needs.

  Attributes:
    labels: what it is in the experiment, such as method, noise, seed.
    config: its config.
  """

  labels: Mapping[str, str]
  config: config_dict.ConfigDict


@dataclasses.dataclass(frozen=True)
class Context:
  """What a report is made for.

  Attributes:
    dataset: the data set.
    scale: full, short or tiny.
    data_dir: as in train.train_and_evaluate.
    named_class: a class that the user asks for.
  """

  dataset: str
  scale: str
  data_dir: str | None = None
  named_class: int | None = None


def run(
  name: str,
  dataset: str,
  scale: str,
  root: str | os.PathLike,
  data_dir: str | None = None,
  *,
  train_missing: bool = True,
  named_class: int | None = None,
) -> writer.Written | None:
  """Trains an experiment's missing runs and writes its report.

  Args:
    name: one of NAMES.
    dataset: a data set's name.
    scale: full, short or tiny.
    root: the folder of all runs; the report gets one of its own in it.
    data_dir: as in train.train_and_evaluate.
    train_missing: False: the report shows what is there.
    named_class: a class to be shown, where an experiment shows some.

  Returns:
    Where the report is; None where several processes have trained its runs,
    of which none makes it.

  Raises:
    UserError: an unknown name, data set or scale.
    train.NonFiniteLoss: some runs have gone astray; all others ended and the
      report is written.
    preemption.Preempted: SIGTERM has come.
  """
  module = load(name)
  protocol = protocols.protocol(dataset, scale)
  root = pathlib.Path(root)
  planned = [
    Record(root / records.run_name(trial.config), trial.labels, config)
    for trial in module.sweep(dataset, scale)
    for config in [config_lib.check(trial.config)]
  ]
  if train_missing:
    _train(planned, dataset, data_dir)
  if distributed.num_processes() > 1:
    # Reports read predictions, which are made by all devices of one process.
    progress.say(
      'All runs are trained. The report is made by one process: the same'
      ' command with --num_processes=1 and no --coordinator'
    )
    return None
  context = Context(dataset, scale, data_dir, named_class)
  runs = [Record(r.folder, r.labels, r.config) for r in planned]
  blocks = list(module.report(context, runs))
  if protocol.note and runs:
    blocks.insert(0, Text(protocol.note, warning=scale != 'full'))
  folder = root / f'{name}-{dataset}-{scale}'
  if runs:
    blocks += [Heading('Runs'), *overview.blocks_of_runs(_unique(runs), folder)]
  title, _, rest = (module.__doc__ or name).partition('\n')
  written = writer.write(
    Page(
      f'{name}: {title.rstrip(".")}',
      ' '.join(rest.split()),
      blocks,
      _facts(name, dataset, scale, _unique(runs)),
    ),
    folder,
  )
  first = next((b for b in blocks if isinstance(b, Table)), None)
  if first is not None:
    print(f'\n{text.table(first)}\n')
  print(f'report:   {written.html}')
  for path in [written.markdown, *written.tables, *written.figures]:
    print(f'          {path}')
  failed = [r.failure for r in _unique(runs) if r.status == 'failed']
  if failed:
    raise train.NonFiniteLoss('; '.join(failed))
  return written


def load(name: str) -> ModuleType:
  """The module of an experiment.

  Raises:
    UserError: there is none of this name.
  """
  if name not in NAMES:
    raise UserError(
      f'--experiment={name} is not known: use one of {", ".join(NAMES)}, or'
      ' help'
    )
  return importlib.import_module(f'experiments.paper.{name}')


def describe(dataset: str) -> str:
  """The experiments, a line each, and how long they take at each scale."""
  lines = [
    f'Experiments on {dataset}, and the time that all their runs take on two'
    ' CPU cores, if none is there yet:',
    '',
    f'  {"":12}' + ''.join(f'{scale:>10}' for scale in protocols.SCALES),
  ]
  for name in NAMES:
    module = load(name)
    times = ''.join(
      f'{_time(module, dataset, scale):>10}' for scale in protocols.SCALES
    )
    title = (module.__doc__ or '').partition('\n')[0]
    lines.append(f'  {name:12}{times}  {title}')
  lines += [
    '',
    'python launch.py --experiment=NAME'
    f' --dataset={"|".join(protocols.DATASETS)}'
    f' --scale={"|".join(protocols.SCALES)}',
    'Runs are shared between experiments and never trained twice.',
  ]
  return '\n'.join(lines)


def _time(module: ModuleType, dataset: str, scale: str) -> str:
  try:
    return _duration(seconds(module.sweep(dataset, scale)))
  except UserError:  # It has nothing to show of this data set.
    return '-'


def seconds(planned: Sequence[Trial]) -> float:
  """The expected time of runs on two CPU cores."""
  configs = {
    records.run_name(trial.config): trial.config for trial in planned
  }.values()
  total = 0.0
  for config in configs:
    name = config.data.name
    size = config.data.limit or {'digits': 1198, 'mnist': 60000}.get(
      name, 50000
    )
    test = config.data.limit or {'digits': 599}.get(name, 10000)
    every = config.eval.train_every or config.train.epochs
    images = size + _EVALUATION * (test + size / every)
    times = 2 if config.loss.get('transition') == 'anchors' else 1
    total += times * config.train.epochs * images * _SECONDS[name]
  shapes = {trials.shape_key(config) for config in configs}
  return total + _SECONDS_A_PROGRAM * max(len(shapes), 1)


def _train(
  planned: Sequence[Record], dataset: str, data_dir: str | None
) -> None:
  statuses = distributed.on_primary(
    lambda: [r.status for r in _unique(planned)]
  )
  waiting = [
    r
    for r, status in zip(_unique(planned), statuses, strict=True)
    if status in ('missing', 'unfinished')
  ]
  if not waiting:
    return
  have = len(_unique(planned)) - len(waiting)
  progress.say(
    f'{len(waiting)} runs to train'
    + (f'; {have} are there already' if have else '')
  )
  chunks = list(_chunks(waiting, _TOGETHER[dataset]))
  for number, chunk in enumerate(chunks, 1):
    progress.say(f'group {number} of {len(chunks)}, {len(chunk)} runs')
    train.train_together(
      [r.config for r in chunk], [r.folder for r in chunk], data_dir
    )


def _chunks(waiting: Sequence[Record], size: int) -> Iterator[list[Record]]:
  by_shape: dict[str, list[Record]] = {}
  for record in waiting:
    by_shape.setdefault(trials.shape_key(record.config), []).append(record)
  for alike in by_shape.values():
    for start in range(0, len(alike), size):
      yield alike[start : start + size]


def _unique(runs: Sequence[Record]) -> list[Record]:
  """Each run once: an experiment may need one for several tables."""
  return list({r.folder: r for r in runs}.values())


def _facts(
  name: str, dataset: str, scale: str, runs: Sequence[Record]
) -> list[tuple[str, str]]:
  facts = [
    ('command', f'python {" ".join(sys.argv)}'),
    ('data', dataset),
    ('scale', scale),
    ('written', datetime.datetime.now().astimezone().isoformat(' ', 'minutes')),
  ]
  return facts + overview.facts(runs)


def _duration(value: float) -> str:
  for unit, size in (('d', 86400), ('h', 3600), ('min', 60)):
    if value >= 1.5 * size:
      return f'{value / size:.0f} {unit}'
  return f'{value:.0f} s'
