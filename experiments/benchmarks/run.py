"""A whole CIFAR-10 run of 120 epochs: where its time goes.

  python -m experiments.benchmarks.run [--json=FILE]

The 8-layer CNN with SL and recipe=apl (crops and flips), 50,000 random images
to train on and 10,000 to test on after every epoch, dispatched as loop.py
does. A GPU or TPU trains bfloat16 for all 120 epochs; a CPU takes one dispatch
and one evaluation, and the rest is worked out from these: the table says which.
Reading the data, checkpoints and the record are left out.
"""

import time
from typing import Any

import jax
from jax import monitoring

from experiments.benchmarks import harness, workload
from sce_jax.config.check import Config
from sce_jax.engine.trainer import Trainer

EPOCHS, TRAIN, TEST = 120, 50_000, 10_000
_COMPILING = '/jax/core/compile/backend_compile_duration'


def main(argv: list[str] | None = None) -> None:
  parser = harness.Parser('run', __doc__)
  parser.add_argument(
    '--epochs',
    type=harness.count,
    help='epochs to train; by default 120, on a CPU a share of one',
  )
  parser.add_argument('--dtype', choices=['float32', 'bfloat16'])
  args = parser.parse(argv)
  on_cpu = jax.default_backend() == 'cpu'
  if args.epochs is None and not on_cpu:
    args.epochs = EPOCHS
  args.dtype = args.dtype or ('float32' if on_cpu else 'bfloat16')
  config = workload.Workload(
    'cifar_cnn', steps=39, dtype=args.dtype, augment=True
  ).config()
  rows = measure(config, args.epochs, TRAIN, TEST)
  harness.report('run', rows, args, harness.machine())


def measure(
  config: Config, epochs: int | None, train: int, test: int
) -> list[dict[str, Any]]:
  """Times the phases of a run.

  Args:
    config: the config.
    epochs: how many epochs to train; None: one dispatch and one evaluation.
    train: number of training images.
    test: number of test images.
  """
  compiling: list[float] = []

  def listen(event: str, seconds: float, **_) -> None:
    if event == _COMPILING:
      compiling.append(seconds)

  monitoring.register_event_duration_secs_listener(listen)
  start = time.perf_counter()
  dataset = workload.random_dataset(config.model.name, config, train, test)
  p = Trainer(config, dataset.info)
  p.load(dataset)
  inputs = p.make_inputs([0], [dataset.train.label], [config.traced_hparams])
  state = p.init(inputs)
  state, sums = p.train(state, inputs, 0)
  jax.block_until_ready(sums)
  first = time.perf_counter() - start
  jax.block_until_ready(p.evaluate(state, inputs, 'test'))
  if epochs:  # The partial batch has a separate program.
    for step in (p.plan.steps - 1, 0):
      state, sums = p.train(state, inputs, step)
    jax.block_until_ready(sums)
  ready = time.perf_counter() - start

  monitoring.unregister_event_duration_listener(listen)
  train_seconds = evaluate_seconds = 0.0
  step = 0
  end = (epochs or 0) * p.plan.steps or p.plan.next_boundary(0)
  while step < end:
    began = time.perf_counter()
    state, sums = p.train(state, inputs, step)
    step = p.plan.next_boundary(step)
    evaluates = step % p.plan.steps == 0 or step == end
    if evaluates:
      jax.block_until_ready(sums)
    trained = time.perf_counter()
    train_seconds += trained - began
    if evaluates:
      jax.block_until_ready(p.evaluate(state, inputs, 'test'))
      evaluate_seconds += time.perf_counter() - trained
  images = epochs * train if epochs else step * p.plan.batch_size
  rate = images / train_seconds
  evaluation = evaluate_seconds / (epochs or 1)
  whole = EPOCHS * (train / rate + evaluation)
  return [
    _row('until the first dispatch is done', first, 's'),
    _row('until all is compiled', ready, 's'),
    _row('of it XLA compiling', sum(compiling), 's'),
    _row('training, steady', rate, 'images/s'),
    _row('an epoch of training', train / rate, 's'),
    _row('an evaluation', evaluation, 's'),
    _row('share of evaluation', evaluation / (train / rate + evaluation), ''),
    _row('measured of the run', images / (EPOCHS * train), ''),
    _row(f'{EPOCHS} epochs after compilation', whole, 's'),
    _row(f'{EPOCHS} epochs in all', ready + whole, 's'),
  ]


def _row(what: str, value: float, unit: str) -> dict[str, Any]:
  return {'what': what, 'value': value, 'unit': unit}


if __name__ == '__main__':
  main()
