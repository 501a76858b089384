"""Trains a run, or several of equal shape together."""

from collections.abc import Sequence
import os
from typing import Any

import jax
import numpy as np

from sce_jax.config import check as config_lib
from sce_jax.config import fields
from sce_jax.data import dataset as dataset_lib
from sce_jax.engine.trainer import Trainer
from sce_jax.loop import Loop
from sce_jax.methods import transition_estimation
from sce_jax.parallel import processes
from sce_jax.runs import progress, restore
from sce_jax.runs.run import Result, TrainingRun


class NonFiniteLoss(Exception):
  """The loss of a run is infinite or not a number."""


def train_and_evaluate(
  config: fields.Config,
  workdir: str | os.PathLike,
  data_dir: str | None = None,
) -> Result:
  """Trains a run to its end and evaluates it.

  On the folder of a run that has not ended it goes on from the last
  checkpoint, and ends as if it had never stopped; on that of one that has
  ended it gives its result again.

  Args:
    config: the config.
    workdir: the run's folder, see workdir.py.
    data_dir: the tfds folder; None for TFDS_DATA_DIR or tfds's default.

  Returns:
    The figures of the last epoch, as in result.json.

  Raises:
    UserError: config, data or folder cannot be used; nothing has been done.
    NonFiniteLoss: the run has gone astray; its checkpoints are kept.
    preemption.Preempted: SIGTERM has come; the run has saved itself.
  """
  (result,) = train_many([config], [workdir], data_dir)
  if 'failed' in result:
    raise NonFiniteLoss(result['failed'])
  return result


def train_many(
  configs: Sequence[fields.Config],
  workdirs: Sequence[str | os.PathLike],
  data_dir: str | None = None,
) -> list[Result]:
  """Trains runs that differ in seed, noise or loss parameters in one program.

  Each leaves the folder that it would leave alone. A run whose loss turns
  non-finite ends alone: its result has the entry 'failed', a message.

  Args:
    configs: a config for each run.
    workdirs: a folder for each run.
    data_dir: as in train_and_evaluate.

  Returns:
    The result of each run.

  Raises:
    UserError, preemption.Preempted: as in train_and_evaluate.
  """
  checked = [config_lib.check_config(config) for config in configs]
  config_lib.check_same_program(checked)
  processes.check_same(
    {'the configs': [fields.fingerprint(c) for c in checked]}
  )
  data = dataset_lib.load_on_all_processes(checked[0], data_dir)
  # Refuses what does not fit before a folder is made.
  Trainer(checked[0], data)
  return _train_many(checked, workdirs, data)


def _train_many(
  configs: Sequence[dict[str, Any]],
  workdirs: Sequence[str | os.PathLike],
  data: dataset_lib.Dataset,
) -> list[Result]:
  runs: list[TrainingRun] = []
  try:
    for config, path in zip(configs, workdirs, strict=True):
      runs.append(TrainingRun.open(config, path, data))
    # A pure function of seed and example, so the same in every process.
    processes.check_same(
      {'the labels': [dataset_lib.digest(run.train.label) for run in runs]}
    )
    _estimate_transitions([run for run in runs if run.lacks_transition], data)
    unfinished = [run for run in runs if run.result is None]
    ended = [run.workdir.path for run in runs if run.result is not None]
    if ended:
      progress.log(
        f'{", ".join(path.name for path in ended)} in {ended[0].parent}: ended'
        ' before, not trained again; name another --workdir to train anew'
      )
    if unfinished:
      Loop(unfinished, data).run()
    return [run.result or {} for run in runs]
  finally:
    for run in runs:
      run.close()


def _estimate_transitions(
  runs: Sequence[TrainingRun], data: dataset_lib.Dataset
) -> None:
  """Trains with cross entropy first, and estimates the noise from that."""
  if not runs:
    return
  progress.log(
    'Trains with cross entropy first, to estimate the transition matrix from'
  )
  folders = [run.workdir.path / 'anchors' for run in runs]
  configs = [{**run.config, 'loss': {'name': 'ce'}} for run in runs]
  results = _train_many(configs, folders, data)
  program = Trainer(configs[0], data)
  for run, folder, result in zip(runs, folders, results, strict=True):
    if 'failed' in result:
      run.fail(result['failed'])
      continue
    state, _ = restore.last_state(folder, program)
    outputs = program.predict(state, 'train')
    run.set_transition(
      transition_estimation.estimate_transition(
        np.asarray(jax.nn.softmax(outputs.logits)),
        run.config['loss']['percentile'],
      )
    )
