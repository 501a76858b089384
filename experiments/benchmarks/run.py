"""A whole run, from its first compilation on."""

from collections.abc import Iterator
import contextlib
import itertools
import time

import jax
from jax import monitoring

from experiments.benchmarks.harness import Report, by_platform
from experiments.benchmarks.workload import Training, Workload

EPOCHS = 120
_COMPILING = '/jax/core/compile/backend_compile_duration'


def run(
  epochs: int | None = None,
  dtype: str | None = None,
  network: str = 'cifar_cnn',
  num_train: int = 50_000,
  num_test: int = 10_000,
) -> Report:
  """A whole CIFAR-10 run of 120 epochs: where its time goes.

  The 8-layer CNN with SL and recipe=apl (crops and flips) on random images, an
  evaluation after every epoch, dispatched as loop.py does. A GPU or TPU trains
  bfloat16 for all 120 epochs; a CPU takes one dispatch and one evaluation, and
  the rest is worked out from these: the table says which. Reading the data,
  checkpoints and the record are left out.
  """
  epochs = epochs or by_platform(None, EPOCHS)
  dtype = dtype or by_platform('float32', 'bfloat16')
  w = Workload(network, steps=39, dtype=dtype, augment=True, devices=None)
  first = 0.0
  with _compile_seconds() as compiling:
    start = time.perf_counter()
    training = Training(w, num_train, num_test)
    plan = training.plan
    # The steps at which an epoch's dispatches begin.
    begins = [0, *itertools.accumulate(plan.dispatches)][:-1]
    if epochs is None:
      begins = begins[:1]
    # The dispatches of an epoch do not all have the same program.
    for begin in {plan.dispatch(x): x for x in begins}.values():
      jax.block_until_ready(training(begin))
      first = first or time.perf_counter() - start
    jax.block_until_ready(training.evaluate())
    ready = time.perf_counter() - start

  train_seconds = evaluate_seconds = 0.0
  for _ in range(epochs or 1):
    start = time.perf_counter()
    for begin in begins:
      done = training(begin)
    jax.block_until_ready(done)
    trained = time.perf_counter()
    jax.block_until_ready(training.evaluate())
    train_seconds += trained - start
    evaluate_seconds += time.perf_counter() - trained
  images = plan.dispatches[0] * plan.batch_size
  if epochs:
    images = epochs * plan.images
  epoch = train_seconds * plan.images / images
  evaluation = evaluate_seconds / (epochs or 1)
  whole = EPOCHS * (epoch + evaluation)
  return Report(
    [
      {'what': what, 'value': value, 'unit': unit}
      for what, value, unit in (
        ('until the first dispatch is done', first, 's'),
        ('until all is compiled', ready, 's'),
        ('of it XLA compiling', sum(compiling), 's'),
        ('training, steady', images / train_seconds, 'images/s'),
        ('an epoch of training', epoch, 's'),
        ('an evaluation', evaluation, 's'),
        ('share of evaluation', evaluation / (epoch + evaluation), ''),
        ('measured of the run', images / (EPOCHS * plan.images), ''),
        (f'{EPOCHS} epochs after compilation', whole, 's'),
        (f'{EPOCHS} epochs in all', ready + whole, 's'),
      )
    ]
  )


@contextlib.contextmanager
def _compile_seconds() -> Iterator[list[float]]:
  """The durations of XLA's compilations while this is open."""
  durations: list[float] = []

  def listen(event: str, duration_secs: float, **kwargs: str | int) -> None:
    del kwargs
    if event == _COMPILING:
      durations.append(duration_secs)

  monitoring.register_event_duration_secs_listener(listen)
  try:
    yield durations
  finally:
    monitoring.unregister_event_duration_listener(listen)
