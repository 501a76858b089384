"""The one loop, over epochs: trains runs that share a program."""

from collections.abc import Sequence
import time
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Int
import numpy as np

from sce_jax.config.check import Config
from sce_jax.data.dataset import Dataset
from sce_jax.engine import compilation_cache, metrics, optim, order
from sce_jax.engine.pace import Pace
from sce_jax.engine.train_state import TrainState
from sce_jax.engine.trainer import Trainer
from sce_jax.parallel import multirun, preemption, processes
from sce_jax.runs import files, initial, progress
from sce_jax.runs.checkpointing import keep_together, restore_newest
from sce_jax.runs.run import TrainingRun

# Maximum number of runs listed by name in the log.
_NAMED_RUNS = 6


class Loop:
  """Trains runs together, from their last common checkpoint to the end.

  Runs that have diverged or ended may be among them: they fill a place in the
  program.
  """

  def __init__(self, runs: Sequence[TrainingRun], dataset: Dataset):
    self._runs = list(runs)
    config = runs[0].config
    self._epochs = config.train.epochs
    self._eval_every = config.eval.train_every
    self._save_every = config.checkpoint.every
    self._info = dataset.info
    self._ids = dataset.train.example_id
    self._trainer = Trainer(
      config, dataset.info, len(runs), num_examples=len(runs[0].labels)
    )
    self._trainer.check_trainable()
    self._trainer.load(dataset)
    self._plan = self._trainer.plan
    self._schedule = optim.make_schedule(
      config.optim, self._epochs, self._plan.steps
    )
    self._inputs = self._trainer.make_inputs(
      [run.config.seed for run in runs],
      [run.labels for run in runs],
      [run.hparams for run in runs],
      [run.positions for run in runs],
    )
    self._validation = None
    held = [run.validation for run in runs]
    if held[0] is not None:
      self._validation = self._trainer.make_inputs(
        [run.config.seed for run in runs],
        [rows[1] for rows in held if rows is not None],
        [run.hparams for run in runs],
        [rows[0] for rows in held if rows is not None],
      )
    self._seconds_before = 0.0
    self._start = self._epoch_start = time.monotonic()
    # Of the first epoch, those before the step at which it is resumed.
    self._images_before = 0
    self._waited_before = 0.0

  def run(self) -> None:
    """Trains to the end; records, saves and finishes each run."""
    state, step = self._restore()
    start = step
    self._images_before = step % self._plan.steps * self._plan.batch_size
    last = self._epochs * self._plan.steps
    self._announce(step)
    label = _label([run.config for run in self._runs])
    self._progress = progress.Progress(
      label, self._epochs, step / self._plan.steps, self._info.noisy_test
    )
    self._time_left = _TimeLeft(step, last)
    pending, pending_steps = None, 0
    pace, over = Pace(), None
    then = pace.most_steps
    try:
      with preemption.PreemptionHandler() as preempted:
        while step < last:
          # All processes take the same number of steps, known a dispatch ahead.
          most, then = then, processes.broadcast(pace.most_steps)
          begin = step
          # A call returns at once, unless it compiles or waits for data.
          waits = 'data' if self._trainer.input_wait else 'compiling'
          with self._progress.doing(waits):
            state, (sums, figures) = self._trainer.train(
              state, self._inputs, step, most, then
            )
          preempted.training_begins()
          for run in self._runs:  # A full disk is told at once.
            run.checkpoints.check_saved()
          step = self._plan.next_boundary(step, most)
          report = {'train': sums, 'finite_steps': state.finite_steps + 0}
          epoch, within = divmod(step, self._plan.steps)
          if within == 0:
            with self._progress.doing('compiling evaluation'):
              report |= self._evaluate(state, epoch) | {'method': figures}
          # Fetched one dispatch late, so that the device never waits for us.
          if pending is not None:
            self._record(*pending)
            now = time.monotonic()
            # Alone the steps: no compilation, and no evaluation.
            if over is not None and pending[0] % self._plan.steps:
              pace.seen(pending_steps, now - over)
            over = now
          pending, pending_steps = (step, report), step - begin
          stop = preempted.should_stop()
          save = within == 0 and (epoch % self._save_every == 0 or step == last)
          if within == 0 or stop:
            report['is_finite'] = self._trainer.is_finite(state)
          if save or stop:
            self._record(*pending)
            pending = over = None
            self._save(state)
          if all(run.result for run in self._runs):  # All have failed.
            return
          if stop and step < last:
            self._wait_until_saved()
            raise preempted.stopped(
              f'saved at step {step} (epoch {epoch}); the same command resumes'
              ' from there'
            )
    finally:
      self._progress.close()
      self._trainer.close()
    # A run that has ended is not trained again for another's checkpoint.
    self._wait_until_saved()
    for run in self._runs:
      if run.result is None:
        record = run.workdir.epochs.at(last)
        seconds = self._seconds() if start < last else record['seconds']
        run.finish(record, seconds)

  def _evaluate(self, state: TrainState, epoch: int) -> dict[str, Any]:
    report = {
      split: self._trainer.evaluate(state, self._inputs, split)
      for split in self._trainer.evaluated
    }
    if self._validation is not None:
      # They lie in the training split, and are not trained on.
      report['validation'] = self._trainer.evaluate(
        state, self._validation, 'train'
      )
    due = self._eval_every and epoch % self._eval_every == 0
    if due or epoch == self._epochs:
      report['train_eval'] = self._trainer.evaluate(
        state, self._inputs, 'train'
      )
    return report

  def _restore(self) -> tuple[TrainState, int]:
    unfinished = [run for run in self._runs if run.result is None]
    checkpoints = [run.checkpoints for run in unfinished]
    found = None
    if any(each.steps() for each in checkpoints):  # To trace takes time.
      found = restore_newest(checkpoints, self._trainer.abstract_state())
    step = found[0] if found else 0
    for run in unfinished:  # Before anything is changed.
      if found:
        run.workdir.begun.check_initial()
      run.workdir.epochs.check(step, step // self._plan.steps)
    if found is None:
      loaded = initial.load(
        self._runs[0].config.model, self._trainer.abstract_variables
      )
      if loaded.record is not None:
        for run in unfinished:
          run.workdir.begun.record_initial(loaded.record)
      state = self._trainer.init(self._inputs, loaded.variables)
    else:
      self._seconds_before = found[1][0][1]['seconds']
      # Where one has ended, any state will do.
      own = iter(state for state, _ in found[1])
      spare = found[1][0][0]
      states = [spare if run.result else next(own) for run in self._runs]
      state = self._trainer.device_put(multirun.stack(states))
    unfinished[0].checkpoints.check_space(state)
    for run in unfinished:
      is_changed = run.workdir.continue_with(together=len(self._runs))
      # Of runs that were stopped between their saves one may have a later
      # checkpoint, which is of the settings before.
      run.checkpoints.set_damaged_aside(later_than=step if is_changed else None)
      run.workdir.epochs.truncate_after(step)
    return state, step

  def _announce(self, step: int) -> None:
    resumed = f'; resumes at step {step}' if step else ''
    alike: dict[str, list[str]] = {}
    for run in self._runs:
      if run.result is not None:
        continue
      name, size = run.config.noise.name, len(run.labels)
      if run.noise is None:
        what = f'{size} labels, of which it is not known how many are wrong'
      else:
        known = f'{100 * run.noise[1]:.2f} % of {run.num_known}'
        what = f'{name} noise, {known} labels are wrong'
      alike.setdefault(what, []).append(run.workdir.path.name)
    for what, names in alike.items():
      progress.log(f'{what}{resumed}')
      more = len(names) - _NAMED_RUNS
      progress.log(
        f'  {", ".join(names[:_NAMED_RUNS])}'
        + (f' and {more} more' if more > 0 else '')
      )
    record = self._runs[0].workdir.begun.initial
    if record is not None:
      progress.log(f'initial weights: {files.initial_title(record)}')
    # One run's matrix is worth a look; those of more, or larger ones, are in
    # their folders.
    noise = self._runs[0].noise
    if len(self._runs) == 1 and noise and len(noise[0]) <= 10:
      progress.log('actual T[i, j] in per cent, clean i labelled j:')
      for row in noise[0]:
        progress.log('  ' + ' '.join(f'{100 * x:5.1f}' for x in row))

  def _seconds(self) -> float:
    """Seconds a run has taken: its share of those trained together."""
    taken = (time.monotonic() - self._start) / len(self._runs)
    return self._seconds_before + taken

  def _save(self, state: TrainState) -> None:
    state = self._trainer.replicate(state)
    states = multirun.unstack(state, len(self._runs))
    keep_together([r.checkpoints for r in self._runs if r.result is None])
    self._wait_until_saved()  # So that all remove what is old before.
    for run, own in zip(self._runs, states, strict=True):
      if run.result is None:
        run.save(own, self._seconds())

  def _wait_until_saved(self) -> None:
    for run in self._runs:
      run.checkpoints.wait()

  def _check_finite(
    self, run: TrainingRun, report: dict[str, Any], step: int
  ) -> bool:
    def batch(number: int) -> Int[np.ndarray, ' B']:
      rows = order.batch_rows(
        jax.random.key(run.config.seed),
        jnp.asarray(run.labels),
        number,
        self._plan,
        self._info.num_classes,
      )
      return self._ids[run.positions[rows]]

    return run.check_finite(report, step, self._plan.steps, batch)

  def _record(self, step: int, report: dict[str, Any]) -> None:
    report = jax.device_get(self._trainer.replicate(report))
    reports = multirun.unstack(report, len(self._runs))
    left = self._time_left.at(step)
    if step % self._plan.steps:
      for run, own in zip(self._runs, reports, strict=True):
        self._check_finite(run, own, step)
      self._progress.advance(step / self._plan.steps, left)
      return
    now = time.monotonic()
    epoch_seconds = now - self._epoch_start
    self._epoch_start = now
    waited = self._trainer.input_wait
    images = self._plan.images - self._images_before
    self._images_before = 0
    rate = images * len(self._runs) / epoch_seconds
    epoch = step // self._plan.steps
    records = []
    for run, own in zip(self._runs, reports, strict=True):
      if not self._check_finite(run, own, step):
        continue
      record: dict[str, Any] = {
        'epoch': epoch,
        'step': step,
        'learning_rate': float(self._schedule(step - 1)),
        'seconds': round(self._seconds(), 3),
        'images_per_second': round(rate, 1),
      }
      if waited is not None:
        record['input_wait'] = round(waited - self._waited_before, 3)
      for name in ('train', 'test', 'validation', 'train_eval'):
        if name in own:
          record[name] = metrics.summarise(own[name])
      if self._validation is not None:
        # Nobody who chooses by noisy labels knows the true ones.
        record['validation'] = metrics.noisy_only(record['validation'])
      if self._info.noisy_test:
        record['noisy_test'] = True
      figures = metrics.method_figures(own['train'])
      figures |= {name: float(value) for name, value in own['method'].items()}
      if figures:
        record['method'] = figures
      run.workdir.epochs.write(record)
      records.append(record)
    self._waited_before = waited or 0.0
    compiled, self._time_left.compiled = self._time_left.compiled, False
    if records:
      self._progress.update(
        epoch,
        _mean(records, 'train', 'loss'),
        _mean(records, 'test', 'accuracy') if self._info.num_test else None,
        None if compiled else rate,
        left,
      )


class _TimeLeft:
  """How fast steps are done, evaluation included and compilation left out.

  Attributes:
    compiled: whether something was compiled since this was last set to False.
  """

  def __init__(self, step: int, last: int):
    self._last = last
    self._steps, self._seconds = 0, 0.0
    self._mark = step, time.monotonic(), compilation_cache.num_compiled()
    self.compiled = True

  def at(self, step: int) -> float | None:
    """Seconds to the end, at this step; None as long as all has compiled."""
    before, since, compiled = self._mark
    now = time.monotonic()
    self._mark = step, now, compilation_cache.num_compiled()
    if self._mark[2] > compiled:
      self.compiled = True
    else:
      self._steps += step - before
      self._seconds += now - since
    if not self._steps:
      return None
    return self._seconds / self._steps * (self._last - step)


def _mean(records: Sequence[dict[str, Any]], split: str, name: str) -> float:
  return float(np.mean([record[split][name] for record in records]))


def _label(configs: Sequence[Config]) -> str:
  config = configs[0]
  label = f'{config.data.name} {config.loss.name}'
  return label if len(configs) == 1 else f'{label}, {len(configs)} runs'
