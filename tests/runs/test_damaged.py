"""Runs whose newest checkpoint is damaged: the newest whole one is used."""

import dataclasses
import os
import pathlib
import shutil

import jax
import numpy as np
import pytest

from configs import digits
from sce_jax import train
from sce_jax.runs import files, restore, together
from sce_jax.runs.checkpointing import (
  Checkpoints,
  has_any,
  keep_together,
  restore_newest,
)
from sce_jax.storage import paths
from tests.data.reading import told

pytestmark = pytest.mark.faults

TIMES = ('seconds', 'images_per_second')


def config():
  made = digits.get_config('sl,symmetric,0.4,tiny')
  made.train.epochs = 3  # Of three steps: 40 examples in batches of 16.
  return made


@pytest.fixture(scope='module')
def undisturbed(data_dir, tmp_path_factory):
  folder = tmp_path_factory.mktemp('undisturbed') / 'run'
  train.train_and_evaluate(config(), folder, data_dir)
  return folder


def copy(run, folder):
  """A run's folder just before its result was written."""
  shutil.copytree(run, folder)
  (folder / 'result.json').unlink()
  return folder


def metrics(folder):
  return [
    {key: value for key, value in record.items() if key not in TIMES}
    for record in files.read_metrics(folder)
  ]


def content(folder):
  return {
    path: path.read_bytes()
    for path in folder.rglob('*')
    if path.is_file() and path.name != '.lock'
  }


def cut(checkpoint: pathlib.Path) -> None:
  for path in checkpoint.rglob('*'):
    if path.is_file():
      os.truncate(path, path.stat().st_size // 2)


def empty(checkpoint: pathlib.Path) -> None:
  for path in checkpoint.rglob('*'):
    if path.is_file():
      path.write_bytes(b'')


def remove(name):
  return lambda checkpoint: shutil.rmtree(checkpoint / name)


DAMAGES = {
  'cut': cut,
  'empty': empty,
  'no state': remove('state'),
  'no extra': remove('extra'),
}


@pytest.mark.parametrize('damage', DAMAGES.values(), ids=DAMAGES)
def test_the_newest_whole_one_is_restored(
  damage, undisturbed, tmp_path, capsys
):
  folder = copy(undisturbed, tmp_path / 'run')
  checkpoints = files.checkpoints(folder)
  assert sorted(p.name for p in checkpoints.iterdir()) == ['6', '9']
  damage(checkpoints / '9')
  before = content(folder)
  assert restore.load(folder).step == 6
  (line,) = capsys.readouterr().out.splitlines()
  assert line.startswith(f'{checkpoints / "9"}: the checkpoint is damaged, an')
  assert content(folder) == before


def test_a_resumed_run_ends_as_one_that_was_never_damaged(
  undisturbed, data_dir, tmp_path, capsys
):
  folder = copy(undisturbed, tmp_path / 'run')
  checkpoints = files.checkpoints(folder)
  cut(checkpoints / '9')
  (checkpoints / '99').mkdir()
  train.train_and_evaluate(config(), folder, data_dir)
  said = capsys.readouterr().out
  for name in ('99', '9'):
    assert f'{checkpoints / name}: the checkpoint is damaged' in said
  assert 'resumes at step 6' in said
  assert metrics(folder) == metrics(undisturbed)
  # The same step was saved anew, beside what is left of the damaged one.
  names = sorted(p.name.split('-')[:2] for p in checkpoints.iterdir())
  assert names == [['6'], ['9'], ['damaged', '9'], ['damaged', '99']]
  runs = [restore.load(x) for x in (folder, undisturbed)]
  assert [run.step for run in runs] == [9, 9]
  states = [jax.device_get(run.state) for run in runs]
  jax.tree.map(np.testing.assert_array_equal, *states)


def test_evaluation_uses_the_newest_whole_one(undisturbed, data_dir, tmp_path):
  folder = copy(undisturbed, tmp_path / 'run')
  cut(files.checkpoints(folder) / '9')
  figures = restore.evaluate_run(folder, data_dir)
  recorded = files.read_metrics(folder)[1]
  assert figures['epoch'] == recorded['epoch'] == 2
  for split in ('test', 'train_eval'):
    assert figures[split]['accuracy'] == recorded[split]['accuracy']


def test_without_a_whole_one_nothing_is_touched(
  undisturbed, data_dir, tmp_path
):
  folder = copy(undisturbed, tmp_path / 'run')
  checkpoints = files.checkpoints(folder)
  cut(checkpoints / '9')
  empty(checkpoints / '6')
  before = content(folder)
  for call in (
    lambda: train.train_and_evaluate(config(), folder, data_dir),
    lambda: restore.load(folder),
  ):
    assert told(call).startswith(
      f'{checkpoints} holds no whole checkpoint (step 9 is the newest): copy'
    )
    assert content(folder) == before


@pytest.mark.parametrize('lost', ['checkpoints', '9'])
def test_a_run_that_has_lost_its_checkpoints_does_not_begin_anew(
  lost, undisturbed, data_dir, tmp_path
):
  folder = copy(undisturbed, tmp_path / 'run')
  checkpoints = files.checkpoints(folder)
  shutil.rmtree(checkpoints)
  if lost == '9':  # What is left of one that was set aside is none.
    (checkpoints / 'damaged-9-1').mkdir(parents=True)
  before = content(folder)
  message = told(train.train_and_evaluate, config(), folder, data_dir)
  assert 'no whole checkpoint, but the run had saved some: copy' in message
  assert content(folder) == before
  assert checkpoints.exists() == (lost == '9')


@pytest.mark.parametrize(
  ('steps', 'damaged', 'step'),
  [
    # Of each of two runs: what there is, what of it is damaged.
    (([6, 9], [6, 9]), ([], []), 9),
    (([6, 9], [6, 9]), ([], [9]), 6),
    (([6, 9], [6]), ([9], []), 6),
    (([6], [6, 9]), ([], []), 6),
    (([], []), ([], []), None),
  ],
)
def test_runs_that_train_together_resume_at_one_step(
  steps, damaged, step, undisturbed, tmp_path
):
  checkpoints = []
  for i in range(2):
    folder = tmp_path / str(i)
    folder.mkdir()
    for x in steps[i]:
      shutil.copytree(files.checkpoints(undisturbed) / str(x), folder / str(x))
    for x in damaged[i]:
      cut(folder / str(x))
    checkpoints.append(Checkpoints(folder, 2))
  like = restore.load(undisturbed).trainer.abstract_state()
  found = restore_newest(checkpoints, like)
  assert (found and found[0]) == step
  if found:
    assert [int(state.step) for state, _ in found[1]] == [step, step]
  for each in checkpoints:
    each.set_damaged_aside()
    each.close()
  left = [
    [x for x in a if x not in b] for a, b in zip(steps, damaged, strict=True)
  ]
  assert [each.steps() for each in checkpoints] == left


def test_runs_without_a_common_checkpoint_never_begin_anew(
  undisturbed, tmp_path
):
  for name, step in (('a', '6'), ('b', '9')):
    at = files.checkpoints(undisturbed) / step
    shutil.copytree(at, tmp_path / name / step)
  like = restore.load(undisturbed).trainer.abstract_state()
  checkpoints = [Checkpoints(tmp_path / x, 2) for x in ('a', 'b', 'c')]
  for some in (checkpoints[:2], checkpoints[1:]):
    assert 'no checkpoints of the same step' in told(restore_newest, some, like)
  for each in checkpoints:
    each.close()


@pytest.mark.parametrize(
  ('steps', 'groups'),
  [
    ([[6, 9], [6], [3, 6]], [[0, 1, 2]]),
    ([[], []], [[0, 1]]),
    ([[6], [], [6], []], [[0, 2], [1, 3]]),
    # As many together as can be; if equally many, the newest first.
    ([[3], [6, 9], [9, 12]], [[1, 2], [0]]),
    ([[3], [6], []], [[1], [0], [2]]),
  ],
)
def test_which_runs_are_resumed_together(steps, groups):
  assert together.by_step(steps) == groups


def saved_at(checkpoints, like, step):
  state = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), like)
  checkpoints.save(
    dataclasses.replace(state, step=np.int32(step)), {'seconds': 1.0}
  )


@pytest.mark.parametrize(
  'where', ['here', pytest.param('s3', marks=pytest.mark.landing)]
)
def test_a_checkpoint_is_removed_when_every_run_has_a_newer_one(
  where, undisturbed, tmp_path, request
):
  folder = tmp_path
  if where == 's3':
    folder = paths.path(request.getfixturevalue('cloud')()[0])
  like = restore.load(undisturbed).trainer.abstract_state()
  pair = [Checkpoints(folder / x, 1) for x in 'ab']
  keep_together(pair)
  for each in pair:
    saved_at(each, like, 3)
    each.wait()
  # Killed here, the other would have only the step that is removed.
  saved_at(pair[0], like, 6)
  pair[0].wait()
  assert [each.steps() for each in pair] == [[3, 6], [3]]
  saved_at(pair[1], like, 6)
  for each in (*pair[::-1], *pair):
    each.wait()
  assert [each.steps() for each in pair] == [[6], [6]]
  for each in pair:
    each.close()
  again = Checkpoints(folder / 'a', 1)
  assert again.steps() == [6]
  again.close()


def test_opening_a_run_removes_no_checkpoint(undisturbed, tmp_path):
  shutil.copytree(files.checkpoints(undisturbed), tmp_path / 'a')
  checkpoints = Checkpoints(tmp_path / 'a', 1)
  checkpoints.check_saved()
  checkpoints.close()
  assert checkpoints.steps() == [6, 9]


def test_a_damaged_one_is_set_aside_in_a_cloud(cloud, undisturbed):
  folder = paths.path(cloud()[0])
  there = files.checkpoints(undisturbed)
  for step in ('6', '9'):
    paths.upload(there / step, folder / step, last='commit_success.txt')
  paths.write(folder / '9' / 'state' / '_METADATA', '')
  like = restore.load(undisturbed).trainer.abstract_state()
  saved = []
  checkpoints = Checkpoints(folder, 2, saved=saved.append)
  step, [(state, extra)] = restore_newest([checkpoints], like)
  checkpoints.set_damaged_aside()
  assert step == 6
  # The same step can be saved again.
  state = dataclasses.replace(state, step=np.int32(9))
  checkpoints.save(state, extra)
  checkpoints.close()
  names = {name.split('/')[0].split('-')[0] for name in paths.listing(folder)}
  assert names == {'6', '9', 'damaged'}
  again = Checkpoints(folder, 2)
  assert again.restore(9, like)[1] == extra
  again.close()
  assert saved == [9]
  for step in ('6', '9'):
    assert has_any(folder)
    (folder / step / 'commit_success.txt').unlink()
  assert not has_any(folder)


def test_a_result_is_never_made_of_another_epochs_figures(
  undisturbed, data_dir, tmp_path
):
  folder = copy(undisturbed, tmp_path / 'run')
  path = folder / 'metrics.jsonl'
  path.write_bytes(path.read_bytes()[:-20])  # Of the last epoch's line.
  message = told(train.train_and_evaluate, config(), folder, data_dir)
  assert message == (
    f'{path} lacks the figures of epoch 3: copy it back from elsewhere, or'
    ' remove the checkpoints from that epoch on in'
    f' {files.checkpoints(folder)}, so that they are made again with the same'
    ' command'
  )
  assert not (folder / 'result.json').exists()
