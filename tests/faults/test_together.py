"""Runs that share a program, stopped and resumed."""

import shutil

import jax
import numpy as np
import pytest

from experiments.report import runs_page
from sce_jax import train
from sce_jax.runs import files, restore
from sce_jax.runs.checkpointing import Checkpoints
from sce_jax.runs.read import Run
from sce_jax.runs.run import TrainingRun
from sce_jax.storage import digests, paths
from tests import synthetic
from tests.faults import inject
from tests.faults.short_runs import config, final, run, stopped_after

pytestmark = [pytest.mark.faults, pytest.mark.landing]


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


@pytest.mark.parametrize('when', ['preempted', 'failed'])
def test_runs_trained_differently_far_are_resumed_apart(
  when, small_network, tmp_path, capsys
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
  with stopped_after(4):  # Of two runs the two first epochs.
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
  small_network, tmp_path
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

  with stopped_after(3):
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
