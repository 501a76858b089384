"""The one loop: trains a run, or several of equal shape together."""

from collections.abc import Mapping, Sequence
import dataclasses
import os
import time
from typing import Any
import zlib

import jax
from jaxtyping import Float, Shaped
import numpy as np

from sce_jax import (
  anchors,
  distributed,
  fields,
  metrics,
  optim,
  preemption,
  progress,
  trials,
)
from sce_jax import config as config_lib
from sce_jax import workdir as workdir_lib
from sce_jax.checkpointing import Checkpoints
from sce_jax.data import load
from sce_jax.errors import UserError
from sce_jax.program import Program
from sce_jax.run import Result, Run, loss_parameters
from sce_jax.train_state import TrainState

# Of runs trained together so many are named.
_NAMED_RUNS = 6


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
  (result,) = train_together([config], [workdir], data_dir)
  if 'failed' in result:
    raise NonFiniteLoss(result['failed'])
  return result


def train_together(
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
  checked = [config_lib.check(config) for config in configs]
  trials.check_equal_shape(checked)
  distributed.check_same(
    {'the configs': [fields.fingerprint(c) for c in checked]}
  )
  data = _read(checked[0], data_dir)
  # Refuses what does not fit before a folder is made.
  Program(checked[0], data)
  return _train_together(checked, workdirs, data)


def _train_together(
  configs: Sequence[dict[str, Any]],
  workdirs: Sequence[str | os.PathLike],
  data: load.Data,
) -> list[Result]:
  runs: list[Run] = []
  try:
    for config, path in zip(configs, workdirs, strict=True):
      runs.append(Run.open(config, path, data))
    # A pure function of seed and example, so the same in every process.
    distributed.check_same(
      {'the labels': [_digest(run.train.label) for run in runs]}
    )
    _estimate_transitions([run for run in runs if run.lacks_transition], data)
    unfinished = [run for run in runs if run.result is None]
    ended = [run.workdir.path for run in runs if run.result is not None]
    if ended:
      progress.say(
        f'{", ".join(path.name for path in ended)} in {ended[0].parent}: ended'
        ' before, not trained again; name another --workdir to train anew'
      )
    if unfinished:
      _Loop(unfinished, data).run()
    return [run.result or {} for run in runs]
  finally:
    for run in runs:
      run.close()


def _estimate_transitions(runs: Sequence[Run], data: load.Data) -> None:
  """Trains with cross entropy first, and estimates the noise from that."""
  if not runs:
    return
  progress.say(
    'Trains with cross entropy first, to estimate the transition matrix from'
  )
  folders = [run.workdir.path / 'anchors' for run in runs]
  configs = [{**run.config, 'loss': {'name': 'ce'}} for run in runs]
  results = _train_together(configs, folders, data)
  program = Program(configs[0], data)
  for run, folder, result in zip(runs, folders, results, strict=True):
    if 'failed' in result:
      run.fail(result['failed'])
      continue
    state, _ = _last_state(folder, program)
    outputs = program.predict(state, 'train')
    run.set_transition(
      anchors.estimate_transition(
        np.asarray(jax.nn.softmax(outputs.logits)),
        run.config['loss']['percentile'],
      )
    )


@dataclasses.dataclass(frozen=True)
class Predictions:
  """What a run's network says of a split, in the split's order.

  Attributes:
    epoch: of the checkpoint that it comes from.
    split: the examples with their labels.
    probability: softmax outputs.
    hidden: the last hidden layer's activations.
  """

  epoch: int
  split: load.Split
  probability: Float[np.ndarray, 'N K']
  hidden: Float[np.ndarray, 'N D']


def predict_run(
  workdir: str | os.PathLike,
  split: str = 'train',
  data_dir: str | None = None,
) -> Predictions:
  """What a run's network says of a split, from its last checkpoint.

  Args:
    workdir: the run's folder; nothing in it is changed.
    split: 'train', with the run's noisy labels, or 'test'.
    data_dir: as in train_and_evaluate.

  Raises:
    UserError: there is no such run, or it has no checkpoint.
  """
  config = distributed.on_primary(lambda: workdir_lib.read_config(workdir))
  data = _read(config, data_dir)
  program = Program(config, data)
  state, step = _last_state(workdir, program)
  outputs = jax.device_get(program.predict(state, split))
  return Predictions(
    step // program.plan.steps,
    load.with_noise(data, config['noise'], config['seed'])
    if split == 'train'
    else data.test,
    np.asarray(jax.nn.softmax(outputs.logits)),
    outputs.hidden,
  )


def _read(config: Mapping[str, Any], data_dir: str | None) -> load.Data:
  data = distributed.primary_first(
    lambda: load.read(
      config['data']['name'], data_dir, limit=config['data']['limit']
    )
  )
  if distributed.num_processes() > 1:
    splits = {'training': data.train, 'test': data.test}
    distributed.check_same(
      {
        f'the {name} data': [
          _digest(x) for x in (split.image, split.clean_label, split.index)
        ]
        for name, split in splits.items()
      }
    )
  return data


def _digest(array: Shaped[np.ndarray, '...']) -> int:
  return zlib.crc32(array.tobytes())


def _last_state(
  workdir: str | os.PathLike, program: Program
) -> tuple[TrainState, int]:
  """A run's last checkpoint, on the devices, and the step it was saved at."""
  folder = workdir_lib.checkpoints(workdir)
  there = distributed.on_primary(folder.exists)
  checkpoints = Checkpoints(folder, None) if there else None
  steps = checkpoints.steps() if checkpoints else []
  if checkpoints is None or not steps:
    raise UserError(f'{workdir} has no checkpoint yet: train it further first')
  step = steps[-1]
  state, _ = checkpoints.restore(step, program.blank())
  checkpoints.close()
  return program.place(state), step


def evaluate_run(
  workdir: str | os.PathLike,
  data_dir: str | None = None,
  expected: fields.Config | None = None,
) -> dict[str, Any]:
  """Evaluates a run from its last checkpoint; changes nothing in its folder.

  Args:
    workdir: the run's folder.
    data_dir: as in train_and_evaluate.
    expected: the config that the run is expected to have, if any.

  Returns:
    Its epoch and step, and the figures of 'test' and 'train_split'.

  Raises:
    UserError: there is no such run, or it has no checkpoint.
  """
  config = distributed.on_primary(lambda: workdir_lib.read_config(workdir))
  changes = fields.differences(config, expected) if expected else None
  if changes:
    raise UserError(
      f'{workdir} holds a run of another config ({"; ".join(changes)}): leave'
      ' --config out, or name the folder of this one'
    )
  data = _read(config, data_dir)
  program = Program(config, data)
  state, step = _last_state(workdir, program)
  train = load.with_noise(data, config['noise'], config['seed'])
  transition = distributed.on_primary(
    lambda: workdir_lib.read_transition(workdir)
  )
  own = program.own(
    [config['seed']], [train], [loss_parameters(config, train, transition)]
  )
  return {
    'epoch': step // program.plan.steps,
    'step': step,
    'test': metrics.summarise(program.evaluate(state, own, 'test')),
    'train_split': metrics.summarise(program.evaluate(state, own, 'train')),
  }


class _Loop:
  """Trains runs together, from where they stand to the end."""

  def __init__(self, runs: Sequence[Run], data: load.Data):
    self._runs = list(runs)
    config = runs[0].config
    self._epochs = config['train']['epochs']
    self._eval_every = config['eval']['train_every']
    self._save_every = config['checkpoint']['every']
    self._program = Program(config, data, len(runs))
    self._plan = self._program.plan
    self._images = self._plan.batch_size * self._plan.full_steps
    self._images += self._plan.last_batch
    self._schedule = optim.make_schedule(
      config['optim'], self._epochs, self._plan.steps
    )
    self._own = self._program.own(
      [run.config['seed'] for run in runs],
      [run.train for run in runs],
      [run.loss_parameters for run in runs],
    )
    # D2L chooses the labels' weight anew after every epoch.
    self._paced = config['loss']['name'] == 'd2l'
    self._seconds_before = 0.0
    self._start = self._epoch_start = time.monotonic()
    self._compiles = True

  def run(self) -> None:
    """Trains to the end; records, saves and finishes each run."""
    state, step = self._restore()
    start = step
    last = self._epochs * self._plan.steps
    self._announce(step)
    label = _label([run.config for run in self._runs])
    self._progress = progress.Progress(
      label, self._epochs, step // self._plan.steps
    )
    pending = None
    try:
      with preemption.Notice() as notice:
        while step < last:
          state, sums = self._program.train(state, self._own, step)
          step = self._plan.after(step)
          report = {'train': sums, 'finite_steps': state.finite_steps + 0}
          epoch, within = divmod(step, self._plan.steps)
          if within == 0:
            report['test'] = self._program.evaluate(state, self._own, 'test')
            due = self._eval_every and epoch % self._eval_every == 0
            if due or step == last:
              report['train_split'] = self._program.evaluate(
                state, self._own, 'train'
              )
            if self._paced:
              report['lid'] = self._program.lid(state, self._own)
          # Fetched one dispatch late, so that the device never waits for us.
          if pending is not None:
            self._record(*pending)
          pending = (step, report)
          stop = notice.stop()
          save = within == 0 and (epoch % self._save_every == 0 or step == last)
          if save or stop or (self._paced and within == 0):
            self._record(*pending)
            pending = None
          if self._paced and within == 0:
            self._own = self._program.with_parameters(
              self._own, [run.loss_parameters for run in self._runs]
            )
          if save or stop:
            self._save(state)
          if stop and step < last:
            raise preemption.Preempted(
              f'SIGTERM: saved at step {step} (epoch {epoch}); the same'
              ' command goes on from here'
            )
          if all(run.result for run in self._runs):  # All have failed.
            return
    finally:
      self._progress.close()
    for run in self._runs:
      if run.result is None:
        record = run.workdir.last_metrics
        seconds = self._seconds() if start < last else record['seconds']
        run.finish(record, seconds)

  def _restore(self) -> tuple[TrainState, int]:
    # Ended between two runs' saves, only some have the last step.
    common = set.intersection(
      *(set(run.checkpoints.steps()) for run in self._runs)
    )
    step = max(common, default=0)
    for run in self._runs:
      run.rewind(step)
    # What depends on the epochs done, such as D2L's weight of the labels.
    self._own = self._program.with_parameters(
      self._own, [run.loss_parameters for run in self._runs]
    )
    state = self._program.init(self._own)
    if step:
      like = self._program.blank()
      restored = [run.checkpoints.restore(step, like) for run in self._runs]
      state = self._program.place(trials.stack([s for s, _ in restored]))
      self._seconds_before = restored[0][1]['seconds']
    return state, step

  def _announce(self, step: int) -> None:
    more = f'; goes on from step {step}' if step else ''
    for run in self._runs[:_NAMED_RUNS]:
      progress.say(
        f'{run.workdir.path}: {run.config["noise"]["name"]} noise,'
        f' {run.realised_rate:.2%} of {len(run.train)} labels are wrong{more}'
      )
    if len(self._runs) > _NAMED_RUNS:
      progress.say(f'and {len(self._runs) - _NAMED_RUNS} more runs beside them')
    # One run's matrix is worth a look; those of more, or larger ones, are in
    # their folders.
    matrix = self._runs[0].realised_matrix
    if len(self._runs) == 1 and len(matrix) <= 10:
      progress.say('realised T[i, j], clean i labelled j:')
      for row in matrix:
        progress.say('  ' + ' '.join(f'{share:5.3f}' for share in row))

  def _seconds(self) -> float:
    """Seconds a run has taken: its share of those trained together."""
    taken = (time.monotonic() - self._start) / len(self._runs)
    return self._seconds_before + taken

  def _save(self, state: TrainState) -> None:
    state = self._program.collect(state)
    states = trials.unstack(state, len(self._runs))
    for run, own in zip(self._runs, states, strict=True):
      if run.result is None:
        run.checkpoints.save(own, {'seconds': self._seconds()})

  def _record(self, step: int, report: dict[str, Any]) -> None:
    report = jax.device_get(self._program.collect(report))
    reports = trials.unstack(report, len(self._runs))
    if 'test' not in report:
      for run, own in zip(self._runs, reports, strict=True):
        run.check_finite(own, step, self._plan.steps)
      return
    now = time.monotonic()
    epoch_seconds = now - self._epoch_start
    self._epoch_start = now
    # The first epoch took a compilation, which tells nothing of the others.
    compiled, self._compiles = self._compiles, False
    rate = self._images * len(self._runs) / epoch_seconds
    epoch = step // self._plan.steps
    records = []
    for run, own in zip(self._runs, reports, strict=True):
      if not run.check_finite(own, step, self._plan.steps):
        continue
      record: dict[str, Any] = {
        'epoch': epoch,
        'step': step,
        'learning_rate': float(self._schedule(step - 1)),
        'seconds': round(self._seconds(), 3),
        'images_per_second': round(rate, 1),
      }
      if 'lid' in own:
        record['lid'] = float(own['lid'])
        record['label_weight'] = run.loss_parameters['weight']
        run.lids.append(record['lid'])
      for name in ('train', 'test', 'train_split'):
        if name in own:
          record[name] = metrics.summarise(own[name])
      run.workdir.write_metrics(record)
      records.append(record)
    if records:
      self._progress.update(
        epoch,
        float(np.mean([r['train']['loss'] for r in records])),
        float(np.mean([r['test']['accuracy'] for r in records])),
        rate,
        None if compiled else epoch_seconds * (self._epochs - epoch),
      )


def _label(configs: Sequence[dict[str, Any]]) -> str:
  config = configs[0]
  label = f'{config["data"]["name"]} {config["loss"]["name"]}'
  return label if len(configs) == 1 else f'{label}, {len(configs)} runs'
