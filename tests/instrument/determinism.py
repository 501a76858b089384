"""What is equal to the bit, and by how much the rest differs.

  python -m tests.instrument.determinism

Trains digits for five epochs by SL, with augmentation, on one device by pmap,
then again in other ways, and prints as Markdown how far the parameters are
apart, as a share of the largest one, and for how many of the 599 test images
the correctness of the prediction differs in sum.
"""

import os
import tempfile

# Before jax is imported. Compiled as a user's programs are.
os.environ['XLA_FLAGS'] = '--xla_force_host_platform_device_count=8'

import jax
import numpy as np

from configs import digits
from sce_jax.data.sources import prepare
from sce_jax.parallel import multirun, runners
from tests import synthetic
from tests.data import reading

EPOCHS = 5
# What is said, the runner, its devices, fields of the config, the strategy
# beside another run.
WAYS = (
  ('again', 'pmap', 1, {}, None),
  ('jit', 'jit', 1, {}, None),
  ('another `train.steps_per_dispatch`', 'pmap', 1, {'steps': 4}, None),
  ('`data.feed=stream`', 'pmap', 1, {'feed': 'stream'}, None),
  ('2 runs in a program, unrolled', 'pmap', 1, {}, 'unrolled'),
  ('2 runs, in turn (`lax.map`)', 'pmap', 1, {}, 'map'),
  ('2 runs, vmapped', 'pmap', 1, {}, 'vmap'),
  ('2 runs, each on a device', 'runs', 2, {}, None),
  ('8 devices, pmap', 'pmap', 8, {}, None),
  ('8 devices, jit', 'jit', 8, {}, None),
  ('`model.layout` chwn', 'pmap', 1, {'layout': 'chwn'}, None),
  ('`model.dtype=bfloat16`', 'pmap', 1, {'dtype': 'bfloat16'}, None),
)


def train(dataset, runner='pmap', count=1, changes=(), strategy=None):
  """Trains; the parameters, flat, and the number of correct predictions."""
  changes = dict(changes)
  config = digits.get_config('sl,symmetric,0.4')
  config.train.epochs = EPOCHS
  config.data.augment.pad_crop = 1
  config.train.steps_per_dispatch = changes.get('steps')
  config.data.feed = changes.get('feed', 'resident')
  config.model.layout = changes.get('layout', 'nhwc')
  config.model.dtype = changes.get('dtype', 'float32')
  configs = [config]
  if strategy or runner == 'runs':
    other = config.copy_and_resolve_references()
    other.seed = 1
    configs.append(other)
  devices = jax.devices()[:count]
  on = (
    runners.RunParallelRunner(devices)
    if runner == 'runs'
    else runners.make_runner(runner, devices)
  )
  trainer, inputs, _ = synthetic.program(
    configs, dataset, runner=on, strategy=strategy
  )
  state, _ = synthetic.run_epochs(trainer, inputs, EPOCHS)
  test = trainer.evaluate(state, inputs, 'test')
  first, sums = jax.device_get(
    [multirun.unstack(x, len(configs))[0] for x in (state.params, test)]
  )
  trainer.close()
  flat = np.concatenate([np.ravel(x) for x in jax.tree.leaves(first)])
  return flat.astype(np.float64), float(np.sum(sums.clean.class_correct))


def main() -> None:
  with tempfile.TemporaryDirectory() as folder:
    prepare.download_and_prepare('digits', folder)
    dataset = reading.read('digits', folder)
  expected, correct = train(dataset)
  print('| | parameters | correct |\n|---|---|---|', flush=True)
  for name, *way in WAYS:
    found, right = train(dataset, *way)
    shown = 'to the bit'
    if not np.array_equal(found, expected):
      shown = f'{np.abs(found - expected).max() / np.abs(expected).max():.0e}'
    print(f'| {name} | {shown} | {right - correct:+.0f} |', flush=True)


if __name__ == '__main__':
  main()
