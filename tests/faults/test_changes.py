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
from sce_jax.runs import files, metadata, restore
from sce_jax.runs.checkpointing import Checkpoints
from sce_jax.runs.read import Run
from sce_jax.runs.run import TrainingRun
from sce_jax.runs.workdir import Workdir
from sce_jax.storage import digests, paths
from tests import synthetic
from tests.data.reading import told
from tests.faults import inject

pytestmark = pytest.mark.faults


def config(epochs=2):
  made = synthetic.config()
  made.model.name = 'digits_cnn'
  made.train.epochs = epochs
  return made


def run(folder, epochs=2, allow=(), **changes):
  made = config(epochs)
  made.update_from_flattened_dict(changes)
  return train.train_and_evaluate(
    made, folder, dataset=synthetic.data(), allow_config_change=allow
  )


def final(folder):
  return jax.device_get(restore.load(folder).state)


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


def test_another_number_of_runs_together_is_told_and_recorded(
  small_network, tmp_path, capsys
):
  configs = [config(), config()]
  configs[1].seed = 1
  folders = [tmp_path / 'a', tmp_path / 'b']
  train.train_many(configs, folders, dataset=synthetic.data())
  assert files.read_description(folders[0])['together'] == 2
  (folders[0] / 'result.json').unlink()
  capsys.readouterr()
  run(folders[0])
  assert 'runs trained together: 2 -> 1' in capsys.readouterr().out
  found = files.read_description(folders[0])
  assert found['changes'] == [['runs trained together: 2 -> 1']]
  # What has saved nothing begins anew in its new company.
  run(tmp_path / 'c')
  (tmp_path / 'c' / files.SAVED).unlink()
  shutil.rmtree(tmp_path / 'c' / 'checkpoints')
  (tmp_path / 'c' / 'result.json').unlink()
  assert files.read_description(tmp_path / 'c')['together'] == 1
  both = [tmp_path / 'c', tmp_path / 'd']
  train.train_many(configs, both, dataset=synthetic.data())
  assert 'continues with' not in capsys.readouterr().out
  assert files.read_description(both[0])['together'] == 2


@pytest.mark.parametrize('at_start', [False, True])
def test_who_diverged_keeps_a_place_in_the_program(
  at_start, small_network, tmp_path, monkeypatch, capsys
):
  """So that the others' bits are those of a job that was never killed."""

  def go(name):
    configs = [config(3), config(3)]
    for seed, made in enumerate(configs):
      made.seed, made.checkpoint.keep = seed, 3
    configs[0].loss.alpha = 1e30
    folders = [tmp_path / name / x for x in ('diverges', 'other')]
    train.train_many(configs, folders, dataset=synthetic.data())
    return folders

  expected = final(go('undisturbed')[1])

  def stop(*_):
    raise KeyboardInterrupt

  with monkeypatch.context() as patch:
    patch.setattr(TrainingRun, 'save' if at_start else 'finish', stop)
    with pytest.raises(KeyboardInterrupt):
      go('killed')
  diverged, other = (tmp_path / 'killed' / x for x in ('diverges', 'other'))
  failed = files.read_result(diverged)
  assert failed is not None and 'not finite' in failed['failed']
  for step in ('6', '9'):  # As if it had been killed in the second epoch.
    shutil.rmtree(files.checkpoints(other) / step, ignore_errors=True)
  capsys.readouterr()
  go('killed')
  said = capsys.readouterr().out
  assert ('resumes at step 3' in said) != at_start
  assert 'continues with' not in said
  jax.tree.map(np.testing.assert_array_equal, final(other), expected)
  assert files.read_description(other)['together'] == 2
  assert files.read_result(diverged) == failed

  def shown():
    runs = [Run(x, {}, files.read_config(x)) for x in (diverged, other)]
    return dict(runs_page.facts(runs))['runs in a program']

  assert shown() == '2'
  record = files.read_description(diverged)
  del record['together']  # As by an earlier version.
  paths.write(diverged / 'config.json', digests.dumps(record))
  assert shown() == '2, of 1 run not recorded'


def test_who_has_ended_keeps_a_place_in_the_program(
  small_network, tmp_path, capsys
):
  def go(name):
    configs = [config(3) for _ in range(3)]
    for seed, made in enumerate(configs):
      made.seed = seed
    folders = [tmp_path / name / str(seed) for seed in range(3)]
    train.train_many(configs, folders, dataset=synthetic.data())
    return folders

  ended = go('run')
  expected = [final(folder) for folder in ended]
  for folder in ended[1:]:  # As if their last checkpoints had been lost.
    (folder / 'result.json').unlink()
    shutil.rmtree(files.checkpoints(folder) / '9')
  result = inject.contents(ended[0])
  capsys.readouterr()
  go('run')
  said = capsys.readouterr().out
  assert 'resumes at step 6' in said and 'continues with' not in said
  for folder, state in zip(ended, expected, strict=True):
    jax.tree.map(np.testing.assert_array_equal, final(folder), state)
  assert inject.contents(ended[0]) == result


def test_the_first_run_ends_when_the_last_is_saved(
  small_network, tmp_path, monkeypatch
):
  runs = {}
  save = TrainingRun.save

  def saved(self, state, seconds):
    runs[self.config.seed] = self
    save(self, state, seconds)

  def finish(self, record, seconds):
    assert [x.checkpoints._writing for x in runs.values()] == [None, None]
    raise KeyboardInterrupt

  monkeypatch.setattr(TrainingRun, 'save', saved)
  monkeypatch.setattr(TrainingRun, 'finish', finish)
  configs = [config(), config()]
  configs[1].seed = 1
  folders = [tmp_path / 'a', tmp_path / 'b']
  with pytest.raises(KeyboardInterrupt):
    train.train_many(configs, folders, dataset=synthetic.data())


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


@pytest.mark.parametrize('when', ['preempted', 'failed'])
def test_runs_trained_differently_far_are_resumed_apart(
  when, small_network, tmp_path, monkeypatch, capsys
):
  """None begins anew, and those trained together end as they would have."""

  def go(seeds, name):
    configs = [config(3) for _ in seeds]
    for seed, made in zip(seeds, configs, strict=True):
      made.seed, made.checkpoint.keep = seed, 1
    folders = [tmp_path / name / str(seed) for seed in seeds]
    train.train_many(configs, folders, dataset=synthetic.data())
    return folders

  expected = [final(folder) for folder in go([0, 1], 'undisturbed')]
  go([2], 'undisturbed')
  save, saved = TrainingRun.save, []

  def stop(self, state, seconds):
    if len(saved) == 4:  # Of two runs the two first epochs.
      raise KeyboardInterrupt
    saved.append(self)
    save(self, state, seconds)

  with monkeypatch.context() as patch:
    patch.setattr(TrainingRun, 'save', stop)
    with pytest.raises(KeyboardInterrupt):
      go([0, 1], 'run')
  if when == 'failed':  # And told to resume, its siblings being further.
    folder = tmp_path / 'run' / '2'
    shutil.copytree(tmp_path / 'undisturbed' / '2', folder)
    (folder / 'result.json').unlink()
  capsys.readouterr()
  folders = go([0, 1, 2], 'run')
  said = capsys.readouterr().out
  assert 'no checkpoints of the same step, so they are trained one group' in (
    said
  )
  assert ': 0, 1; 2\n' in said and 'resumes at step 6' in said
  assert 'continues with' not in said
  for folder, state in zip(folders[:2], expected, strict=True):
    jax.tree.map(np.testing.assert_array_equal, final(folder), state)
  for folder in folders:
    assert [x['epoch'] for x in files.read_metrics(folder)] == [1, 2, 3]


def test_a_later_checkpoint_of_the_settings_before_is_set_aside(
  small_network, tmp_path, monkeypatch
):
  """One run was saved once more than the other when they were stopped."""

  def go(allow=(), **changes):
    configs = [config(3), config(3)]
    for seed, made in enumerate(configs):
      made.update_from_flattened_dict({'seed': seed, **changes})
    folders = [tmp_path / str(seed) for seed in range(2)]
    data = synthetic.data()
    train.train_many(configs, folders, dataset=data, allow_config_change=allow)
    return folders

  save, saved = TrainingRun.save, []

  def stop(self, state, seconds):
    if len(saved) == 3:
      raise KeyboardInterrupt
    saved.append(self)
    save(self, state, seconds)

  with monkeypatch.context() as patch:
    patch.setattr(TrainingRun, 'save', stop)
    with pytest.raises(KeyboardInterrupt):
      go()
  kept = files.checkpoints(tmp_path / '0')
  assert {x.name for x in kept.iterdir()} == {'3', '6'}
  go(['optim.learning_rate'], **{'optim.learning_rate': 0.001})
  names = {x.name.partition('-')[0] for x in kept.iterdir()}
  assert names == {'6', '9', 'damaged'}
  # What is there now at step 6 has taken three small steps from step 3.
  (old,) = kept.glob('damaged-6-*')
  like = restore.load(tmp_path / '0').trainer.abstract_state()
  found = []
  for at in (kept / '6', old):
    folder = tmp_path / at.name / '6'
    shutil.copytree(at, folder)
    checkpoints = Checkpoints(folder.parent, None)
    found.append(checkpoints.restore(6, like)[0].params)
    checkpoints.close()
  differences = jax.tree.map(lambda a, b: abs(a - b).max(), *found)
  assert max(jax.tree.leaves(differences)) > 0
