"""Trains what an experiment lacks, and writes its report.

Runs are kept by their config in one folder, so that experiments share them and
none is ever trained twice.
"""

from collections.abc import Iterator, Mapping, Sequence
import datetime
import os
import pathlib
import time
import traceback

from experiments.analysis import frame
from experiments.paper import registry, scales
from experiments.report import runs_page, text, writer
from experiments.report.page import Heading, Page, Table, Text
from sce_jax import train
from sce_jax.config import check as config_lib
from sce_jax.config import fields
from sce_jax.data import dataset as dataset_lib
from sce_jax.data.dataset import Dataset
from sce_jax.data.info import DatasetInfo
from sce_jax.errors import NonFiniteLoss, UserError
from sce_jax.parallel import preemption, processes
from sce_jax.runs import metadata, progress, read
from sce_jax.runs.read import Run
from sce_jax.storage import paths

# A wider table is no help on a terminal.
_TERMINAL_WIDTH = 160


def run(
  name: str,
  dataset: str,
  scale: str,
  root: str | os.PathLike,
  data_dir: str | None = None,
  *,
  train_missing: bool = True,
  named_class: int | None = None,
  choice: registry.Choice = registry.EVERYTHING,
) -> writer.Written | None:
  """Trains an experiment's missing runs and writes its report.

  Args:
    name: one of NAMES.
    dataset: a data set's name.
    scale: one of scales.SCALES.
    root: the folder of all runs; the report gets one of its own in it.
    data_dir: as in train.train_and_evaluate.
    train_missing: False: the report shows what is there.
    named_class: a class to be shown, where an experiment shows some.
    choice: which runs, where an experiment lets its user choose.

  Returns:
    Where the report is; None where several processes have trained its runs,
    of which none makes it.

  Raises:
    UserError: an unknown name, data set or scale, a class for an experiment
      that shows none, or a folder for the report that holds anything else or
      cannot be written.
    NonFiniteLoss: some runs have diverged; all others ended and the
      report is written.
    preemption.Preempted: SIGTERM was received.
    Exception: the first thing that broke a group of runs; all others ended and
      the report is written.
  """
  module = registry.load(name)
  if named_class is not None and not hasattr(module, 'TAKES_CLASS'):
    raise UserError(f'experiment {name} shows no chosen class: omit --class')
  scaled = scales.scale_of(dataset, scale)
  root = paths.path(root)
  planned = [
    Run(
      root / read.run_name(spec.config),
      spec.labels,
      config_lib.check_config(spec.config).to_dict(),
    )
    for spec in registry.plan(name, dataset, scale, choice)
  ]
  folder = root / f'{name}-{scales.title(dataset)}-{scale}'
  owner = f'experiment {name} on {_data_name(dataset)}, {scale}'
  if choice.digest:
    folder = folder.with_name(f'{folder.name}-{choice.digest}')
    owner += f', choice {choice.digest}'
  waiting = _waiting(planned) if train_missing else []
  groups = list(_groups(waiting, scales.runs_per_program(dataset)))
  # Each data set is read once, and what it lacks is said before the first run.
  data = _read(groups, data_dir, named_class)
  if processes.num_processes() == 1:
    writer.claim(folder, owner)
  if waiting:
    have = len(_unique(planned)) - len(waiting)
    progress.log(
      f'{progress.counted(len(waiting), "run")} to train'
      + (f'; {have} already exist' if have else '')
    )
  errors = _train(groups, data, data_dir)
  if processes.num_processes() > 1:
    # Reports read predictions, which are made by all devices of one process.
    progress.log(
      'All runs are trained. The report is made by one process: the same'
      ' command with --num_processes=1 and no --coordinator'
    )
    return None
  context = registry.Context(dataset, scale, data_dir, named_class, choice)
  runs = [Run(r.folder, r.labels, r.config) for r in planned]
  for finished in runs:
    if finished.result:
      _check_shows(finished.info, named_class)
  blocks = list(module.report(context, frame.from_runs(runs)))
  failed = [r.failure for r in _unique(runs) if r.status == 'failed']
  if failed:
    blocks.insert(
      0,
      Text(
        f'{len(failed)} of {progress.counted(len(_unique(runs)), "run")}'
        ' diverged: means, deviations and curves are those of the others.',
        warning=True,
      ),
    )
  if scaled.note and runs:
    blocks.insert(0, Text(scaled.note, warning=scale != 'full'))
  if runs:
    blocks += [
      Heading('Runs'),
      *runs_page.blocks_of_runs(_unique(runs), folder),
    ]
  title, _, rest = (module.__doc__ or name).partition('\n')
  written = writer.write(
    Page(
      f'{name}: {title.rstrip(".")}',
      ' '.join(rest.split()),
      blocks,
      facts(name, dataset, scale, _unique(runs)),
    ),
    folder,
    owner,
  )
  first = next((b for b in blocks if isinstance(b, Table)), None)
  shown = text.table(first) if first is not None else ''
  if shown and text.columns(shown) <= _TERMINAL_WIDTH:
    print(f'\n{shown}\n')
  print(f'report:   {written.html}')
  for path in [written.markdown, *written.tables, *written.figures]:
    print(f'          {path}')
  if errors:
    raise errors[0]
  if failed:
    raise NonFiniteLoss.of_runs(failed)
  return written


def _train(
  groups: Sequence[Sequence[Run]],
  data: Mapping[str, Dataset],
  data_dir: str | None,
) -> list[Exception]:
  """Trains one group after another; what broke some of them.

  Hours may have gone into the others, so they are trained all the same.
  """
  errors: list[Exception] = []
  begun = time.monotonic()
  total = sum(map(len, groups))
  done = 0
  for number, group in enumerate(groups, 1):
    left = ''
    if done:
      seconds = (time.monotonic() - begun) / done * (total - done)
      left = f'; about {progress.duration(seconds)} left over all'
    size = progress.counted(len(group), 'run')
    progress.log(f'group {number} of {len(groups)}, {size}{left}')
    try:
      train.train_many(
        [r.config for r in group],
        [r.folder for r in group],
        data_dir,
        dataset=data[_data_key(group)],
      )
    except (UserError, preemption.Preempted):
      raise
    except Exception as error:
      if processes.num_processes() > 1:
        raise  # The others wait in the group that broke.
      traceback.print_exc()
      progress.log(
        f'group {number} broke: {type(error).__name__}; the others continue'
      )
      errors.append(error)
    done += len(group)
  return errors


def _waiting(planned: Sequence[Run]) -> list[Run]:
  """The runs that have not ended."""
  runs = _unique(planned)
  statuses = processes.on_primary(lambda: [r.status for r in runs])
  return [
    run
    for run, status in zip(runs, statuses, strict=True)
    if status in ('missing', 'unfinished')
  ]


def _read(
  groups: Sequence[Sequence[Run]],
  data_dir: str | None,
  named_class: int | None,
) -> dict[str, Dataset]:
  """The data set of each group, by its key, which experiments can show."""
  data: dict[str, Dataset] = {}
  for group in groups:
    key = _data_key(group)
    if key not in data:
      section = config_lib.check_config(group[0].config).data
      data[key] = dataset_lib.load_on_all_processes(section, data_dir)
      _check_shows(data[key].info, named_class)
  return data


def _data_key(group: Sequence[Run]) -> str:
  """Equal for groups that are trained on the same data."""
  return fields.fingerprint(group[0].config['data'])


def _check_shows(info: DatasetInfo, named_class: int | None) -> None:
  """Checks that an experiment can show a data set.

  Raises:
    UserError: it cannot; one line.
  """
  if info.noisy_test:
    raise UserError(
      'experiments show accuracy on true labels, and those held out of data'
      f' set {info.name!r} are noisy: use compare or report'
    )
  if not info.num_test:
    raise UserError(
      f'experiments show test accuracy, and data set {info.name!r} has no test'
      ' split: use compare or report'
    )
  if named_class is not None and named_class >= info.num_classes:
    raise UserError(
      f'--class={named_class}: {info.name} has classes 0 to'
      f' {info.num_classes - 1}'
    )


def _data_name(dataset: str) -> str:
  """A config file: its name in configs/, or an absolute path."""
  file = pathlib.Path(scales.config_file(dataset)).resolve()
  return file.stem if file.parent == scales.CONFIGS else str(file)


def _groups(waiting: Sequence[Run], size: int) -> Iterator[list[Run]]:
  """Runs that are trained together: of one program, so many at most."""
  by_shape: dict[str, list[Run]] = {}
  for record in waiting:
    key = config_lib.check_config(record.config).compile_key
    by_shape.setdefault(key, []).append(record)
  for alike in by_shape.values():
    for start in range(0, len(alike), size):
      yield alike[start : start + size]


def _unique(runs: Sequence[Run]) -> list[Run]:
  """Each run once: an experiment may need one for several tables."""
  return list({r.folder: r for r in runs}.values())


def facts(
  name: str, dataset: str, scale: str, runs: Sequence[Run]
) -> list[tuple[str, str]]:
  """What is to be known of a page: its command, data, dates, runs."""
  known = [
    ('command', text.own_command()),
    ('data', dataset),
    ('scale', scale),
    ('written', datetime.datetime.now().astimezone().isoformat(' ', 'minutes')),
    ('written on', metadata.processor()),
  ]
  return known + runs_page.facts(runs)
