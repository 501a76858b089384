"""Methods that are more than a loss: all runners, together, and resumed.

With state, two networks, two views, mixed examples, or what moves in a run.
"""

import copy
import functools
import pathlib
import re

import jax
import numpy as np
import pytest

from sce_jax import methods, train
from sce_jax.config import check
from sce_jax.parallel import preemption, runners
from sce_jax.runs import files, restore
from tests import synthetic
from tests.conftest import REPOSITORY

NAMES = (
  pytest.param('elr', marks=pytest.mark.landing),
  'co_teaching',
  *(
    pytest.param(name, marks=pytest.mark.slow)
    for name in (
      'd2l',
      'jocor',
      'sat',
      'cores2',
      'peer',
      'gmm_selection',
      'sop',
      'vol_min_net',
      't_revision',
      'dal',
      'mixup',
      'gjs',
      'ce_sr',
      'sl_annealed',
    )
  ),
)
pytestmark = pytest.mark.usefixtures('small_network')
ONE = runners.make_runner('pmap', jax.devices()[:1])


def config(name, seed=0):
  c = synthetic.config(f'{name},symmetric,0.4,seed={seed}')
  c.model.name = 'digits_cnn'
  with c.unlocked():
    if name == 'd2l':
      c.loss.window, c.loss.warm_up = 1, 0
    if name in ('co_teaching', 'jocor', 'gmm_selection'):
      c.loss.warm_up = 1
    if name == 'sat':
      c.loss.start = 0.5
    if name == 'cores2':
      c.loss.start, c.loss.ramp, c.loss.sieve = 0.0, 0.5, 0.0
    if name == 't_revision':
      c.loss.transition, c.loss.start, c.loss.rate = 'true', 0.0, 0.01
    if name == 'gjs':
      c.data.augment.shift = 0.1  # Or its two views are the same.
    if name == 'peer':
      c.loss.schedule = 'cifar100_uniform'
  return c


def run(configs, runner=ONE):
  trainer, inputs, _ = synthetic.program(configs, runner=runner)
  state, _ = synthetic.run_epochs(trainer, inputs, 2)
  return jax.device_get(state)


@pytest.fixture(scope='module')
def alone(small_network):
  return functools.cache(lambda name: run([config(name)]))


def check_close(state, expected):
  # Sums over devices or runs add up in another order: float32's rounding,
  # grown over six steps.
  for part in ('params', 'method'):
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=5e-4, atol=5e-5),
      getattr(state, part),
      getattr(expected, part),
    )


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize(
  'runner', ['pmap', pytest.param('jit', marks=pytest.mark.slow)]
)
def test_devices_share_a_batch(name, runner, alone):
  state = run([config(name)], runners.make_runner(runner, jax.devices()[:4]))
  check_close(state, alone(name))


@pytest.mark.slow
@pytest.mark.parametrize('name', NAMES)
def test_runs_on_devices_of_their_own(name, alone):
  both = run(
    [config(name), config(name, seed=1)],
    runners.RunParallelRunner(jax.devices()[:2]),
  )
  check_close(jax.tree.map(lambda x: x[0], both), alone(name))


@pytest.mark.parametrize('name', NAMES)
def test_runs_side_by_side(name, alone):
  both = run([config(name), config(name, seed=1)])
  check_close(jax.tree.map(lambda x: x[0], both), alone(name))
  assert any(np.any(x[0] != x[1]) for x in jax.tree.leaves(both.params))


@pytest.mark.parametrize('name', NAMES)
def test_a_stopped_run_ends_with_the_same_bits(
  name, data_dir, tmp_path, monkeypatch
):
  c = config(name)
  c.data.limit = 128
  c.train.batch_size = 48
  c.train.epochs = 4
  c.train.steps_per_dispatch = 1
  c.checkpoint.every = 3
  calls = []

  class Stops(preemption.PreemptionHandler):
    def should_stop(self):
      calls.append(1)
      return len(calls) == 8  # Inside the third epoch.

  train.train_and_evaluate(copy.deepcopy(c), tmp_path / 'whole', data_dir)
  with monkeypatch.context() as patch:
    patch.setattr(preemption, 'PreemptionHandler', Stops)
    with pytest.raises(preemption.Preempted):
      train.train_and_evaluate(copy.deepcopy(c), tmp_path / 'cut', data_dir)
  train.train_and_evaluate(c, tmp_path / 'cut', data_dir)

  def figures(folder):
    times = ('seconds', 'images_per_second')
    return [
      {k: v for k, v in record.items() if k not in times}
      for record in files.read_metrics(folder)
    ]

  assert figures(tmp_path / 'cut') == figures(tmp_path / 'whole')
  method = methods.build(name, check.check_config(config(name)).loss.hparams)
  has_figures = bool(method.figures) or method.end_epoch is not None
  assert ('method' in figures(tmp_path / 'cut')[0]) == has_figures
  states = [
    jax.device_get(restore.load(tmp_path / part).state)
    for part in ('cut', 'whole')
  ]
  jax.tree.map(np.testing.assert_array_equal, *states)
  # Its network is evaluated with the state that it was trained with.
  again = restore.evaluate_run(tmp_path / 'cut', data_dir)
  recorded = files.read_result(tmp_path / 'cut')
  assert again['train_eval']['loss'] == recorded['train_eval']['loss']


def test_no_method_is_named_outside_its_room():
  """The loop, runs and engine know none of the methods."""
  names = [name for name in methods.SPECS if len(name) > 3] + ['d2l', 'elr']
  pattern = re.compile(rf'\b({"|".join(names)}|lid|anchors)\b', re.IGNORECASE)
  package = REPOSITORY / 'sce_jax'
  places = ('loop.py', 'train.py', 'runs', 'engine', 'config', 'parallel')
  found = [
    f'{file.relative_to(package)}: {line.strip()}'
    for place in places
    for file in _sources(package / place)
    # What papers set, and what we do for data of one's own, by method.
    if file.name not in ('published.py', 'own.py')
    for line in file.read_text().splitlines()
    if pattern.search(line)
    # optax's words, jax's, and English.
    and not re.search(r'forward(s|ed)?\b to|loss for', line)
  ]
  assert found == []


def _sources(path: pathlib.Path):
  return [path] if path.is_file() else sorted(path.rglob('*.py'))
