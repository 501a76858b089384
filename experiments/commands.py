"""The modes of launch.py: what each does, and its exit code."""

from collections.abc import Sequence
import os
import sys

from ml_collections import config_dict

from configs import digits
from experiments import compare, together
from experiments.analysis import plots
from experiments.paper import run as paper_run
from experiments.report import runs_page
from experiments.sweeps import manifest
from sce_jax import train
from sce_jax.config import check as config_lib
from sce_jax.engine import compilation_cache
from sce_jax.errors import UserError
from sce_jax.parallel import preemption, processes, startup
from sce_jax.runs import read, restore, trackers
from sce_jax.storage import paths

BAD_INPUT = 2
NON_FINITE = 3
INTERRUPTED = 130


def run(
  mode: str,
  *,
  config: config_dict.ConfigDict | None,
  workdir: str | None,
  data_dir: str | None,
  losses: Sequence[str],
  seeds: int,
  trials: Sequence[str],
  experiment_name: str | None = None,
  dataset: str | None = None,
  scale: str = 'short',
  named_class: int | None = None,
  coordinator: str | None = None,
  num_processes: int | None = None,
  process_id: int | None = None,
  manifest_path: str | None = None,
  members: Sequence[str] = (),
  tracked_by: Sequence[str] = (),
  config_file: str | None = None,
) -> int:
  """Does what a command line asks for.

  Args:
    mode: 'train', 'evaluate', 'compare' or 'report'.
    config: the config that was given, if any.
    workdir: the folder that was given, if any.
    data_dir: the tfds folder that was given, if any.
    losses: which losses to compare.
    seeds: how many seeds to compare.
    trials: fields and their values to train with, see together.py.
    experiment_name: an experiment, or 'help'.
    dataset: the experiment's data set, or the only one of a report.
    scale: the experiment's scale.
    named_class: a class that the experiment shows.
    coordinator: where process 0 is, see sce_jax/parallel/startup.py.
    num_processes: how many processes there are.
    process_id: which of them this is.
    manifest_path: the manifest of a sweep.
    members: those of its runs that are to be trained together.
    tracked_by: trackers beside TensorBoard.
    config_file: the file that the config comes from.

  Returns:
    The exit code: 0; 2: bad input; 3: a run diverged; 75: stopped by SIGTERM;
    130: by Ctrl-C. After the last two the same command resumes.
  """
  compilation_cache.enable()
  try:
    startup.initialize(coordinator, num_processes, process_id)
    trackers.enable(list(tracked_by))
    processes.on_primary(lambda: paths.check(workdir))
    named = data_dir or os.environ.get('TFDS_DATA_DIR')
    processes.on_primary_then_others(lambda: paths.check(named))
    if members:
      _members(manifest_path, members)
    elif experiment_name:
      _experiment(
        experiment_name,
        mode,
        config,
        dataset,
        scale,
        workdir,
        data_dir,
        named_class,
        trials,
      )
    elif trials and mode != 'train':
      raise UserError(
        f'--trials goes with --mode=train and a --config, not with {mode}'
      )
    elif mode == 'report':
      if processes.is_primary():
        runs_page.report(workdir or 'runs', dataset)
    elif mode == 'evaluate':
      _evaluate(config, workdir, data_dir)
    elif mode == 'train':
      if config is None:
        raise UserError(
          '--mode=train needs a config: give'
          ' --config=configs/mnist.py:sl,symmetric,0.4, say'
        )
      if trials:
        together.train_values(config, trials, workdir, data_dir)
      else:
        _train(config, workdir, data_dir)
    else:
      if config is None:
        config, config_file = digits.get_config(), digits.__file__
      compare.compare(
        config,
        losses,
        seeds,
        workdir,
        data_dir,
        config_file=os.path.relpath(config_file or digits.__file__),
      )
    processes.barrier()
  except UserError as error:
    processes.report_error(f'error: {error}')
    return BAD_INPUT
  except train.NonFiniteLoss as error:
    processes.barrier()
    processes.report_error(f'error: {error}')
    return NON_FINITE
  except preemption.Preempted as notice:
    processes.barrier()
    processes.report_error(str(notice))
    return preemption.EXIT_CODE
  except KeyboardInterrupt:
    print('interrupted; the same command resumes from here', file=sys.stderr)
    return INTERRUPTED
  return 0


def _experiment(
  name: str,
  mode: str,
  config: config_dict.ConfigDict | None,
  dataset: str | None,
  scale: str,
  workdir: str | None,
  data_dir: str | None,
  named_class: int | None,
  trials: Sequence[str],
) -> None:
  if trials:
    raise UserError('--experiment makes its own runs: leave --trials out')
  if config is not None:
    raise UserError(
      '--experiment makes its own configs: leave --config out, and choose with'
      ' --dataset=FILE and --scale'
    )
  if mode not in ('train', 'report'):
    raise UserError(
      f'--experiment trains what is missing, or only reports with'
      f' --mode=report; not with --mode={mode}'
    )
  paper_run.run(
    name,
    dataset or 'digits',
    scale,
    workdir or 'runs',
    data_dir,
    train_missing=mode == 'train',
    named_class=named_class,
  )


def _members(path: str | None, names: Sequence[str]) -> None:
  """Trains runs of a manifest together."""
  if path is None:
    raise UserError('--members are runs of a --manifest: give it, too')

  def pick(entries: list[manifest.Entry]) -> list[manifest.Entry]:
    by_name = {entry.id: entry for entry in entries}
    unknown = [name for name in names if name not in by_name]
    if unknown:
      raise UserError(f'{path} has no run {unknown[0]}')
    return [by_name[name] for name in names]

  chosen = manifest.read(path, pick)
  results = train.train_many(
    [manifest.config_of(entry.command) for entry in chosen],
    [entry.workdir for entry in chosen],
    manifest.data_dir_of(chosen[0].command),
  )
  failed = [r['failed'] for r in results if 'failed' in r]
  if failed:
    raise train.NonFiniteLoss('; '.join(failed))


def _train(
  config: config_dict.ConfigDict, workdir: str | None, data_dir: str | None
) -> None:
  config_lib.check_config(config)
  folder = paths.path(workdir or os.path.join('runs', read.run_name(config)))
  result = train.train_and_evaluate(config, folder, data_dir)
  if not processes.is_primary():
    return
  label = compare.plot_label(config.loss.name)
  picture = plots.plot_runs({label: [folder]}, folder / 'run.png')
  print(compare.table({config.loss.name: [result]}))
  print(f'run:      {folder}\npicture:  {picture}')


def _evaluate(
  config: config_dict.ConfigDict | None,
  workdir: str | None,
  data_dir: str | None,
) -> None:
  if workdir is None:
    raise UserError('--mode=evaluate needs the folder of a run: --workdir=...')
  figures = restore.evaluate_run(workdir, data_dir, expected=config)
  if not processes.is_primary():
    return
  print(f'{workdir}, epoch {figures["epoch"]} (step {figures["step"]})')
  for split, name in (('test', 'test'), ('train_eval', 'training')):
    values = figures.get(split)
    if values is None:
      continue
    print(f'{name} split, {values["examples"]} examples')
    for key in ('loss', 'accuracy', 'accuracy_noisy', 'memorised'):
      if values.get(key) is not None:
        print(f'  {key:16}{values[key]:.4f}')
    classes = '  '.join(
      f'{x:.3f}' for x in values.get('class_accuracy', ()) if x is not None
    )
    if classes:
      print(f'  {"class_accuracy":16}{classes}')
