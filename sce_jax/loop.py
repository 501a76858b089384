"""The one loop, over epochs: trains runs of equal shape together."""

from collections.abc import Sequence
import time
from typing import Any

import jax
import numpy as np

from sce_jax.data import dataset as dataset_lib
from sce_jax.engine import metrics, optim
from sce_jax.engine.train_state import TrainState
from sce_jax.engine.trainer import Trainer
from sce_jax.parallel import multirun, preemption
from sce_jax.runs import progress
from sce_jax.runs.run import TrainingRun

# Of runs trained together so many are named.
_NAMED_RUNS = 6


class Loop:
  """Trains runs together, from where they stand to the end."""

  def __init__(self, runs: Sequence[TrainingRun], data: dataset_lib.Dataset):
    self._runs = list(runs)
    config = runs[0].config
    self._epochs = config['train']['epochs']
    self._eval_every = config['eval']['train_every']
    self._save_every = config['checkpoint']['every']
    self._program = Trainer(config, data, len(runs))
    self._plan = self._program.plan
    self._images = self._plan.batch_size * self._plan.full_steps
    self._images += self._plan.remainder_size
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
      with preemption.PreemptionHandler() as preempted:
        while step < last:
          state, sums = self._program.train(state, self._own, step)
          step = self._plan.next_boundary(step)
          report = {'train': sums, 'finite_steps': state.finite_steps + 0}
          epoch, within = divmod(step, self._plan.steps)
          if within == 0:
            report['test'] = self._program.evaluate(state, self._own, 'test')
            due = self._eval_every and epoch % self._eval_every == 0
            if due or step == last:
              report['train_eval'] = self._program.evaluate(
                state, self._own, 'train'
              )
            if self._paced:
              report['lid'] = self._program.lid(state, self._own)
          # Fetched one dispatch late, so that the device never waits for us.
          if pending is not None:
            self._record(*pending)
          pending = (step, report)
          stop = preempted.should_stop()
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
      run.truncate_metrics_after(step)
    # What depends on the epochs done, such as D2L's weight of the labels.
    self._own = self._program.with_parameters(
      self._own, [run.loss_parameters for run in self._runs]
    )
    state = self._program.init(self._own)
    if step:
      like = self._program.abstract_state()
      restored = [run.checkpoints.restore(step, like) for run in self._runs]
      state = self._program.place(multirun.stack([s for s, _ in restored]))
      self._seconds_before = restored[0][1]['seconds']
    return state, step

  def _announce(self, step: int) -> None:
    more = f'; goes on from step {step}' if step else ''
    for run in self._runs[:_NAMED_RUNS]:
      progress.log(
        f'{run.workdir.path}: {run.config["noise"]["name"]} noise,'
        f' {run.realised_rate:.2%} of {len(run.train)} labels are wrong{more}'
      )
    if len(self._runs) > _NAMED_RUNS:
      progress.log(f'and {len(self._runs) - _NAMED_RUNS} more runs beside them')
    # One run's matrix is worth a look; those of more, or larger ones, are in
    # their folders.
    matrix = self._runs[0].empirical_matrix
    if len(self._runs) == 1 and len(matrix) <= 10:
      progress.log('realised T[i, j], clean i labelled j:')
      for row in matrix:
        progress.log('  ' + ' '.join(f'{share:5.3f}' for share in row))

  def _seconds(self) -> float:
    """Seconds a run has taken: its share of those trained together."""
    taken = (time.monotonic() - self._start) / len(self._runs)
    return self._seconds_before + taken

  def _save(self, state: TrainState) -> None:
    state = self._program.collect(state)
    states = multirun.unstack(state, len(self._runs))
    for run, own in zip(self._runs, states, strict=True):
      if run.result is None:
        run.save(own, self._seconds())

  def _record(self, step: int, report: dict[str, Any]) -> None:
    report = jax.device_get(self._program.collect(report))
    reports = multirun.unstack(report, len(self._runs))
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
      for name in ('train', 'test', 'train_eval'):
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
