"""A folder with another config, code or data, and with another process."""

import contextlib
import dataclasses
import os
import re
import shutil
import socket

import jax
import numpy as np
import pytest

from experiments.report import runs_page
from sce_jax import train
from sce_jax.config.check import check_config
from sce_jax.errors import NonFiniteLoss
from sce_jax.parallel import runners
from sce_jax.runs import files, metadata
from sce_jax.runs.read import Run
from sce_jax.runs.run import TrainingRun
from sce_jax.runs.workdir import Workdir
from sce_jax.storage import digests, paths
from tests import synthetic
from tests.data.reading import told
from tests.faults import inject
from tests.faults.short_runs import config, final, run

pytestmark = pytest.mark.faults


@pytest.fixture(scope='module')
def ended(small_network, tmp_path_factory):
  folder = tmp_path_factory.mktemp('ended') / 'run'
  run(folder)
  return folder


@pytest.fixture
def copied(ended, tmp_path):
  folder = tmp_path / 'another name'
  shutil.copytree(ended, folder)
  return folder


def test_more_epochs_extend_a_run_that_has_ended(
  ended, copied, tmp_path, capsys
):
  before = inject.contents(copied)
  message = told(run, copied, 3)
  assert '(train.epochs: 2 -> 3)' in message
  assert message.endswith('--allow_config_change=train.epochs')
  assert inject.contents(copied) == before
  result = run(copied, 3, ['train.epochs'])
  said = capsys.readouterr().out
  assert 'continues with train.epochs: 2 -> 3' in said
  assert 'the run is one of 3 epochs, no longer of 2, in its method, if' in said
  assert 'resumes at step 6' in said
  # The rate is constant, so that three epochs at once end the same.
  run(tmp_path / 'at once', 3)
  jax.tree.map(
    np.testing.assert_array_equal, final(copied), final(tmp_path / 'at once')
  )
  assert result['epochs'] == 3
  kept = files.read_record(copied, 'result-2-epochs.json')
  assert kept == files.read_result(ended)
  # From now on that is its config.
  assert run(copied, 3) == result


@pytest.mark.slow
@pytest.mark.parametrize(
  ('schedule', 'rates', 'said'),
  [
    # A cosine of 2 epochs from 0.04 to 0.01, then the last third of one of 3.
    ('cosine', [0.04, 0.025, 0.0175], 'of 2, in its learning rate, and'),
    ('step', [0.04, 0.02, 0.01], 'the learning rate does not'),
  ],
)
def test_more_epochs_are_trained_at_the_rates_that_are_said(
  schedule, rates, said, small_network, tmp_path, capsys
):
  changes = {
    'optim.schedule': schedule,
    'optim.learning_rate': 0.04,
    'optim.final_learning_rate': 0.01,
    'optim.boundaries': (1, 2),
    'optim.factor': 0.5,
    'optim.update': 'epoch',
  }
  run(tmp_path / 'run', 2, **changes)
  shutil.copytree(tmp_path / 'run', tmp_path / 'by hand')
  run(tmp_path / 'run', 3, ['train.epochs'], **changes)
  assert said in capsys.readouterr().out
  found = [x['learning_rate'] for x in files.read_metrics(tmp_path / 'run')]
  assert found == pytest.approx(rates)
  by_hand = {'optim.schedule': 'constant', 'optim.learning_rate': rates[2]}
  run(
    tmp_path / 'by hand', 3, ['train.epochs', *by_hand], **(changes | by_hand)
  )
  found, expected = (final(tmp_path / x).params for x in ('run', 'by hand'))
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, 1e-4, 1e-6), found, expected
  )


@pytest.mark.parametrize(
  ('changes', 'allow', 'message'),
  [
    ({'loss.alpha': 0.5}, ['train.epochs'], r'\(loss.alpha: 0.01 -> 0.5\)'),
    ({'noise.rate': 0.2}, ['noise.rate'], 'noise.rate cannot change in a run'),
    ({'model.layout': 'nhwc'}, ['model.layout'], 'model.layout cannot change'),
    ({'model.dtype': 'bfloat16'}, ['model.dtype'], 'model.dtype cannot change'),
    ({'loss.alpha': 0.5}, ['loss.alpha'], '2 epochs are done and the run has'),
    (
      {'train.balanced_batches': 1, 'train.epochs': 9},
      ['train.balanced_batches', 'train.epochs'],
      'train.balanced_batches cannot change in a run',
    ),
    # What the optimiser's state is made of.
    (
      {'optim.weight_decay': 1e-3, 'train.epochs': 3},
      ['optim.weight_decay', 'train.epochs'],
      'checkpoints/6 does not fit this program',
    ),
    (
      {'train.record_averages': True, 'train.epochs': 3},
      ['train.record_averages', 'train.epochs'],
      'checkpoints/6 does not fit this program',
    ),
  ],
)
def test_other_changes_are_refused(changes, allow, message, copied):
  before = inject.contents(copied)
  assert re.search(message, told(run, copied, 2, allow, **changes))
  assert inject.contents(copied) == before


@pytest.mark.slow
def test_another_runner_and_other_devices_continue(copied, monkeypatch, capsys):
  """With the figures that they had, up to rounding."""
  monkeypatch.setattr(runners, 'all_devices', lambda: jax.devices()[:1])
  before = files.read_metrics(copied)
  allowed = ['train.epochs', 'train.runner']
  run(copied, 3, allowed, **{'train.runner': 'jit'})
  assert 'continues with train.runner: pmap -> jit' in capsys.readouterr().out
  after = files.read_metrics(copied)
  assert after[:2] == before and after[2]['epoch'] == 3
  loss = after[2]['train']['loss']
  assert 0 < loss < before[0]['train']['loss']


def test_a_diverged_run_continues_with_what_has_changed(copied, capsys):
  (copied / 'result.json').unlink()
  shutil.rmtree(files.checkpoints(copied) / '6')
  paths.write(copied / 'failed.json', digests.dumps({'failed': 'of old'}))
  with pytest.raises(NonFiniteLoss, match='of old'):
    run(copied)
  capsys.readouterr()
  run(copied, 2, ['optim.learning_rate'], **{'optim.learning_rate': 1e-3})
  assert 'resumes at step 3' in capsys.readouterr().out
  assert files.read_metrics(copied)[-1]['learning_rate'] == pytest.approx(1e-3)
  kept = files.read_record(copied, 'failed-before-change-1.json')
  assert kept == {'failed': 'of old'}


@pytest.mark.slow
@pytest.mark.parametrize('when', ['killed', 'ended'])
def test_what_prepares_a_run_may_change_too(
  when, small_network, tmp_path, monkeypatch
):
  """Stopped inside the preparation, or just before it was recorded."""

  def go(learning_rate, allow=()):
    made = synthetic.config('forward,symmetric,0.4')
    made.model.name = 'digits_cnn'
    made.loss.transition = 'anchors'
    made.optim.learning_rate = learning_rate
    return train.train_and_evaluate(
      made, tmp_path, dataset=synthetic.data(), allow_config_change=allow
    )

  def stop(*_):
    raise KeyboardInterrupt

  with monkeypatch.context() as patch:
    name = 'finish' if when == 'killed' else 'set_prepared'
    patch.setattr(TrainingRun, name, stop)
    with pytest.raises(KeyboardInterrupt):
      go(0.01)
  assert (tmp_path / 'prepare' / 'config.json').exists()
  assert go(0.02, ['optim.learning_rate'])['epochs'] == 2


def test_other_code_is_refused_and_shown(copied, monkeypatch):
  code = metadata.code() | {'losses/basic.py': 'another'}
  monkeypatch.setattr(metadata, 'code', lambda: code)
  run(copied)  # It has ended: its result is given again.
  (copied / 'result.json').unlink()
  message = told(run, copied)
  assert 'code: losses/basic.py differ from commit' in message
  run(copied, 2, ['code'])
  (copied / 'result.json').unlink()
  run(copied)


def test_another_jax_and_other_devices_are_told_and_recorded(copied, capsys):
  record = files.read_description(copied)
  record['versions'] |= {'jax': '0.9.1', 'orbax-checkpoint': '0.1'}
  record['devices'] = ['gpu NVIDIA H100']
  paths.write(copied / 'config.json', digests.dumps(record))
  run(copied)
  assert 'continues with' not in capsys.readouterr().out  # It has ended.
  different = [
    'devices: 1 gpu NVIDIA H100 -> 8 cpu cpu',
    f'jax: 0.9.1 -> {jax.__version__}',
  ]
  for _ in range(2):
    (copied / 'result.json').unlink()
    run(copied)
    (line,) = [
      x for x in capsys.readouterr().out.splitlines() if 'continues with' in x
    ]
    assert (
      '; '.join(different) in line and 'may differ in the last bits' in line
    )
    (recorded,) = files.read_description(copied)['changes']
    assert recorded[:2] == different
  facts = dict(runs_page.facts([Run(copied, {}, record['config'])]))
  assert facts['changed on the way'] == '; '.join(recorded)


@pytest.mark.parametrize('what', ['config', 'lock'])
def test_a_later_run_is_refused_before_the_first_begins(what, copied, tmp_path):
  """Which is of another program, so that they are not trained together."""
  first, later = synthetic.config('ce,symmetric,0.4'), config()
  first.model.name = 'digits_cnn'
  folders = [tmp_path / 'first', copied]
  before = inject.contents(copied)
  with contextlib.ExitStack() as stack:
    expected = r'\(optim.learning_rate: .* -> 0.5\)'
    if what == 'lock':
      held = Workdir(copied, check_config(config()))
      stack.callback(held.close)
      expected = f'in use by another process, on {socket.gethostname()}:'
    else:
      later.optim.learning_rate = 0.5
    message = told(
      train.train_many, [first, later], folders, dataset=synthetic.data()
    )
  assert re.search(expected, message)
  assert inject.contents(copied) == before
  assert not folders[0].exists()


def test_other_data_are_refused(copied):
  (copied / 'result.json').unlink()
  before = inject.contents(copied)
  other = synthetic.data(train=45)
  message = told(train.train_and_evaluate, config(), copied, None, other)
  assert 'holds a run on other data (num_train: 44 -> 45' in message
  assert inject.contents(copied) == before


@pytest.mark.parametrize('what', ['image', 'label'])
def test_another_test_split_is_refused(what, copied):
  """Except where an earlier version has recorded nothing of it."""
  (copied / 'result.json').unlink()
  data = synthetic.data()
  changed = getattr(data.test, what).copy()
  changed[[0, 1]] = changed[[1, 0]]
  other = dataclasses.replace(
    data, test=dataclasses.replace(data.test, **{what: changed})
  )
  message = told(train.train_and_evaluate, config(), copied, None, other)
  assert f'holds a run on other data (other test {what}s):' in message
  record = files.read_record(copied, 'dataset.json')
  del record['other_digests']
  paths.write(copied / 'dataset.json', digests.dumps(record))
  train.train_and_evaluate(config(), copied, dataset=other)


def test_the_second_of_two_is_told_of_the_first(copied):
  first = Workdir(copied, check_config(config()))
  try:
    message = told(run, copied)
  finally:
    first.close()
  assert f'in use by another process, on {socket.gethostname()}:' in message
  assert f' pid {os.getpid()}, since 20' in message
  # What is left of a lock, or was copied with the folder, holds nobody up.
  assert (copied / '.lock').read_text()
  run(copied)


@pytest.mark.slow
def test_a_comparison_is_extended_too(launch_here, small_network, tmp_path):
  command = (
    'compare',
    '--config=configs/digits.py:sl,symmetric,0.4,tiny',
    '--losses=ce',
    '--seeds=1',
    f'--workdir={tmp_path}',
  )
  assert launch_here(*command, '--config.train.epochs=1').returncode == 0
  longer = (*command, '--config.train.epochs=2')
  refused = launch_here(*longer)
  assert refused.returncode == 2 and 'train.epochs: 1 -> 2' in refused.stderr
  done = launch_here(*longer, '--allow_config_change=train.epochs')
  assert done.returncode == 0, done.stderr
  (folder,) = tmp_path.glob('ce*/')
  assert files.read_result(folder)['epochs'] == 2
