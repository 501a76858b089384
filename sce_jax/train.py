"""Trains a run, or many; those that share a program are trained together."""

from collections.abc import Collection, Iterator, Sequence
import contextlib
import dataclasses
import functools
import os
from typing import Any

import jax
from jaxtyping import Int
import numpy as np

from sce_jax import methods, models
from sce_jax.config import caveats, choose, fields
from sce_jax.config import check as config_lib
from sce_jax.config.check import Config, LossConfig
from sce_jax.data import dataset as dataset_lib
from sce_jax.data import held_out, open_set
from sce_jax.data import labels as labels_lib
from sce_jax.data.dataset import Dataset
from sce_jax.data.sources import summary
from sce_jax.engine.trainer import Trainer
from sce_jax.errors import NonFiniteLoss, UserError
from sce_jax.loop import Loop
from sce_jax.models import ModelConfig
from sce_jax.noise.estimation import Evidence
from sce_jax.parallel import processes
from sce_jax.runs import (
  files,
  initial,
  metadata,
  progress,
  restore,
  together,
)
from sce_jax.runs import workdir as workdir_lib
from sce_jax.runs.run import Result, TrainingRun
from sce_jax.storage import paths


def train_and_evaluate(
  config: fields.RawConfig | Config,
  workdir: str | os.PathLike,
  data_dir: str | None = None,
  dataset: Dataset | None = None,
  allow_config_change: Collection[str] = (),
) -> Result:
  """Trains a run to its end and evaluates it.

  A run that has not ended is resumed from its last checkpoint, and ends as if
  it had never stopped; the result of one that has ended is returned again.

  Args:
    config: the config.
    workdir: the run's folder, see runs/files.py.
    data_dir: the tfds folder; None for TFDS_DATA_DIR or tfds's default.
    dataset: the config's data set, if it is in memory already.
    allow_config_change: fields, such as 'train.epochs', in which the config
      may differ from that of the run in the folder, which is then continued;
      'code': the code may.

  Returns:
    The figures of the last epoch, as in result.json.

  Raises:
    UserError: config, data or folder cannot be used; nothing has been done.
    NonFiniteLoss: the run has diverged; its checkpoints are kept.
    preemption.Preempted: SIGTERM was received, or SIGHUP after signals.install;
      the run has saved.
    KeyboardInterrupt: Ctrl-C; the run has saved.
  """
  (result,) = train_many(
    [config],
    [workdir],
    data_dir,
    dataset=dataset,
    allow_config_change=allow_config_change,
  )
  if 'failed' in result:
    raise NonFiniteLoss(result['failed'])
  return result


def train_many(
  configs: Sequence[fields.RawConfig | Config],
  workdirs: Sequence[str | os.PathLike],
  data_dir: str | None = None,
  positions: Sequence[Int[np.ndarray, ' P']] | None = None,
  dataset: Dataset | None = None,
  allow_config_change: Collection[str] = (),
) -> list[Result]:
  """Trains runs; those that share a program are trained together.

  Runs share a program if they differ in seed, noise and traced hyper-parameters
  only. Each leaves the folder that it would leave alone. If one run diverges,
  the others continue: its result has the entry 'failed', a message.

  Args:
    configs: a config for each run.
    workdirs: a folder for each run.
    data_dir: as in train_and_evaluate.
    positions: the examples that each run trains on, as rows of the training
      split, with config.data.validation at 0; None for all that are to be used.
    dataset: the data set of all configs, which then have the same `data`
      section, if it is in memory already; None: each config's is read.
    allow_config_change: as in train_and_evaluate.

  Returns:
    The result of each run.

  Raises:
    UserError, preemption.Preempted: as in train_and_evaluate.
  """
  checked = [config_lib.check_config(config) for config in configs]
  processes.check_same(
    {
      'the configs': [fields.fingerprint(c.to_dict()) for c in checked],
      'the code': metadata.code(),
      'the version of jax': jax.__version__,
    }
  )
  chosen: list[np.ndarray | None] = [None] * len(checked)
  if positions is not None:
    chosen = list(positions)
    for config in checked:
      if config.data.validation:
        raise UserError(
          f'config.data.validation={config.data.validation:g} sets examples'
          ' apart, but which examples each run is trained on is given, as by an'
          ' audit for its folds: leave the field at 0'
        )
  validation: list[np.ndarray | None] = [None] * len(checked)
  datasets: dict[tuple, Dataset] = {}
  if dataset is not None:
    if len({_data_key(config) for config in checked}) > 1:
      raise UserError(
        'configs that are trained on one data set in memory must have the same'
        ' data section: train the others in a call of their own'
      )
    dataset_lib.check_same(dataset)
  # All that can be refused is refused before the first run is begun.
  for path in workdirs:
    processes.on_primary(functools.partial(workdir_lib.check_usable, path))
  has_ended: list[bool] = []
  weighed = _check_weights(checked, workdirs)
  for i, config in enumerate(checked):
    key = (_data_key(config),)
    if key not in datasets:
      if dataset is None:
        with progress.phase(f'data: reads {config.data.name}'):
          datasets[key] = dataset_lib.load_on_all_processes(
            config.data, data_dir
          )
      else:
        datasets[key] = dataset
      for line in summary.lines(datasets[key].summary):
        progress.log(line)
    own = datasets[key]
    checked[i] = choose.complete(config, own.info)
    config_lib.check_fits(checked[i], own.info)
    has_ended.append(
      processes.on_primary(
        functools.partial(
          _has_ended, workdirs[i], checked[i], allow_config_change
        )
      )
    )
    if chosen[i] is None:
      used = labels_lib.used_rows(own, config.noise, config.seed)
      chosen[i], validation[i] = _apart(used, own, config)
    _check_positions(chosen[i], own.info.num_train)
    images_key = _images_key(config)
    # Also where no image is replaced: a file of labels may need that.
    if images_key not in datasets or not config.noise.open_set_from:
      datasets[images_key] = open_set.apply(
        own, config.data, config.noise, config.seed, data_dir
      )
      given = config.noise.open_set_from
      for line in open_set.lines(datasets[images_key], given):
        progress.log(line)
  warnings: list[str | None] = []
  for c in checked:
    info = datasets[(_data_key(c),)].info
    warnings.append(labels_lib.warning(c.noise, info))
    warnings += caveats.of(c, info)
  for line in dict.fromkeys(filter(None, warnings)):
    progress.log(progress.styled(line, 'yellow'))
  groups = list(_groups(checked, chosen, validation))
  for group in groups:
    left = [workdirs[i] for i in group if not has_ended[i]]
    if not left:
      continue
    info = datasets[_images_key(checked[group[0]])].info
    trainer = Trainer(
      checked[group[0]],
      info,
      together.program_size(
        processes.on_primary(functools.partial(_began_with, left)),
        len(group) - len(left),
      ),
      num_examples=_size(chosen[group[0]], info.num_train),
    )
    trainer.check_trainable()
    model = checked[group[0]].model
    # What has a checkpoint does not begin from it again.
    if model not in weighed and not processes.on_primary(
      functools.partial(_have_checkpoints, left)
    ):
      initial.check(model, trainer.abstract_variables)
  results: list[Result] = [{} for _ in checked]
  for group in groups:
    trained = _train_group(
      [checked[i] for i in group],
      [workdirs[i] for i in group],
      datasets[_images_key(checked[group[0]])],
      [chosen[i] for i in group],
      [None] * len(group),
      allow_config_change,
      [validation[i] for i in group],
    )
    for i, result in zip(group, trained, strict=True):
      results[i] = result
  return results


def _check_weights(
  configs: Sequence[Config], workdirs: Sequence[str | os.PathLike]
) -> set[ModelConfig]:
  """Checks weights to begin from, before data are prepared for hours.

  Only of networks whose shapes are known without the data.

  Returns:
    The networks whose weights fit.

  Raises:
    UserError: a file cannot be read, or does not fit its network.
  """
  checked: set[ModelConfig] = set()
  for config, path in zip(configs, workdirs, strict=True):
    side, model = config.data.image_size, config.model
    if config.data.source not in dataset_lib.WEB or side is None:
      continue
    if model in checked or processes.on_primary(
      functools.partial(_have_checkpoints, [path])
    ):
      continue
    # A head of another number of classes is drawn anew.
    shape = (side, side, 3)
    initial.check(model, functools.partial(models.shapes, model, 1, shape))
    checked.add(model)
  return checked


def _groups(
  configs: Sequence[Config],
  positions: Sequence[np.ndarray | None],
  validation: Sequence[np.ndarray | None],
) -> Iterator[list[int]]:
  """Runs that share a program, in order of appearance."""
  groups: dict[tuple, list[int]] = {}
  for i, (config, rows, held) in enumerate(
    zip(configs, positions, validation, strict=True)
  ):
    # What streams is trained one run at a time.
    alone = i if config.data.feed == 'stream' else None
    count = None if rows is None else len(rows)
    held_count = 0 if held is None else len(held)
    key = (config.compile_key, count, held_count, _images_key(config), alone)
    groups.setdefault(key, []).append(i)
  yield from groups.values()


def _apart(
  used: np.ndarray, dataset: Dataset, config: Config
) -> tuple[np.ndarray, np.ndarray | None]:
  """The rows that are trained on, and those that settings are chosen by."""
  share = config.data.validation
  if not share:
    return used, None
  if dataset.validation is not None or config.data.feed == 'stream':
    why = (
      'is streamed'
      if dataset.validation is None
      else 'has a validation split of its own'
    )
    raise UserError(
      f'config.data.validation={share:g}: data set {dataset.info.name!r} {why}:'
      ' leave the field at 0'
    )
  rows = held_out.validation_rows(dataset.train.example_id, share)
  held = np.intersect1d(used, rows)
  rest = np.setdiff1d(used, rows)
  if not len(held) or not len(rest):
    raise UserError(
      f'config.data.validation={share:g} leaves {len(rest)} examples to train'
      f' on and {len(held)} to choose by: give another share'
    )
  return rest, held


def _data_key(config: Config) -> str:
  return fields.fingerprint(dataclasses.asdict(config.data))


def _images_key(config: Config) -> tuple:
  """Equal for configs whose runs are shown the same images."""
  return _data_key(config), *open_set.key(config.noise, config.seed)


def _size(positions: np.ndarray | None, num_train: int) -> int:
  return num_train if positions is None else len(positions)


def _has_ended(
  path: str | os.PathLike, config: Config, allow_changes: Collection[str]
) -> bool:
  """Whether nothing is left to train of a run; checks that it may be trained.

  Raises:
    UserError: it may not, for its folder holds a run of another config.
  """
  if workdir_lib.check(path, config, allow_changes):
    return False
  try:
    return files.read_result(path) is not None
  except files.DamagedError:  # It is made again.
    return False


def _began_with(workdirs: Sequence[str | os.PathLike]) -> list[int]:
  return [workdir_lib.together(path) for path in workdirs]


def _ended_config(path: str | os.PathLike) -> dict[str, Any] | None:
  """The config of a run that has a result; None: it has none."""
  try:
    ended = files.read_record(path, 'result.json') is not None
  except files.DamagedError:  # It is made again.
    return None
  return files.read_config(path) if ended else None


def _have_checkpoints(workdirs: Sequence[str | os.PathLike]) -> bool:
  return all(paths.names(files.checkpoints(path)) for path in workdirs)


def _check_positions(positions: np.ndarray | None, num_train: int) -> None:
  if positions is None:
    return
  rows = np.asarray(positions)
  if (not rows.size or not 0 <= rows.min() <= rows.max() < num_train) or len(
    np.unique(rows)
  ) != len(rows):
    raise UserError(
      f'positions must be different rows of the training split, from 0 to'
      f' {num_train - 1}'
    )


def _train_group(
  configs: Sequence[Config],
  workdirs: Sequence[str | os.PathLike],
  dataset: Dataset,
  positions: Sequence[np.ndarray | None],
  labels: Sequence[np.ndarray | None],
  allow_changes: Collection[str] = (),
  validation: Sequence[np.ndarray | None] | None = None,
) -> list[Result]:
  runs: list[TrainingRun] = []
  with contextlib.ExitStack() as opened:
    for config, path, rows, given, held in zip(
      configs,
      workdirs,
      positions,
      labels,
      validation or [None] * len(configs),
      strict=True,
    ):
      runs.append(
        opened.enter_context(
          TrainingRun.open(
            config, path, dataset, rows, given, allow_changes, held
          )
        )
      )
    # A pure function of seed and example, so the same in every process.
    processes.check_same(
      {'the labels': [dataset_lib.digest(run.labels) for run in runs]}
    )
    _prepare(
      [run for run in runs if run.result is None and run.prepared is None],
      dataset,
      allow_changes,
    )
    unfinished = [run for run in runs if run.result is None]
    ended = [run.workdir.path for run in runs if run.result is not None]
    if ended:
      progress.log(
        f'{", ".join(path.name for path in ended)} in {ended[0].parent}: has'
        ' already ended; name another --workdir to train anew'
      )
    for group in together.resumed(unfinished):
      Loop(together.filled(group, runs), dataset).run()
    return [run.result or {} for run in runs]


def _prepare(
  runs: Sequence[TrainingRun],
  dataset: Dataset,
  allow_changes: Collection[str],
) -> None:
  """Lets the runs' method compute hyper-parameters, if it does."""
  if not runs:
    return
  loss = runs[0].config.loss
  method = methods.build(loss.name, loss.hparams)
  if method.prepare is None:
    return

  def fit(name: str, which: Sequence[int], share: float):
    chosen = [runs[i] for i in which]
    return _fit(name, chosen, share, dataset, allow_changes)

  prepared = method.prepare(fit, [run.prepare_context for run in runs])
  for run, hparams in zip(runs, prepared, strict=True):
    if hparams is not None:
      methods.check(loss.name, hparams)
      run.set_prepared(hparams)


def _fit(
  name: str,
  runs: Sequence[TrainingRun],
  share: float,
  dataset: Dataset,
  allow_changes: Collection[str],
) -> list[Evidence | None]:
  """Trains another method on the same labels first, in RUN/prepare.

  Args:
    name: of the method.
    runs: that are prepared.
    share: of their epochs that it is trained for.
    dataset: theirs.
    allow_changes: fields in which it may differ from what is in RUN/prepare.

  Returns:
    What each network says of its training examples; None if it failed.
  """
  progress.log(
    f'Trains with {methods.find(name).title} first: the method computes'
    ' hyper-parameters from that'
  )
  loss = LossConfig(name, methods.complete(name, {}))
  configs = [
    dataclasses.replace(
      run.config,
      loss=loss,
      train=dataclasses.replace(
        run.config.train, epochs=max(1, round(share * run.config.train.epochs))
      ),
    )
    for run in runs
  ]
  folders = [run.workdir.path / files.PREPARE for run in runs]
  # One that has ended is used as it is, as where prepared.json is there.
  for i, folder in enumerate(folders):
    ended = processes.on_primary(functools.partial(_ended_config, folder))
    if ended is not None:
      configs[i] = config_lib.check_config(ended)
  results = _train_group(
    configs,
    folders,
    dataset,
    [run.positions for run in runs],
    [run.labels for run in runs],
    allow_changes,
  )
  fitted: list[Evidence | None] = []
  for run, folder, result in zip(runs, folders, results, strict=True):
    if 'failed' in result:
      run.fail(result['failed'])
      fitted.append(None)
      continue
    images = dataset.train.rows(run.positions).image
    probability, features = restore.load(folder, must_have_ended=True).predict(
      images
    )
    fitted.append(Evidence(probability, run.labels, features, run.config.seed))
  return fitted
