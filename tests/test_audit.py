"""Folds, near duplicates, and an audit from its command to its files."""

import dataclasses
import functools
import json
import re

import numpy as np
import pandas as pd
import pytest

from configs import digits
from experiments.audit import files as audit_files
from experiments.cli import audit as audit_command
from experiments.cli import runtime
from sce_jax import audit, label_issues, train
from sce_jax.data import label_files
from sce_jax.exit_codes import ExitCode
from sce_jax.noise import consensus, near_duplicates
from sce_jax.runs import files, read, restore
from tests import synthetic
from tests.data import reading
from tests.faults import inject


@pytest.mark.parametrize('folds', [2, 5, 7])
def test_folds_are_stratified(folds):
  labels = np.random.default_rng(0).choice(4, 103, p=[0.7, 0.2, 0.06, 0.04])
  fold = audit.assign_folds(labels, folds, seed=1)
  for held in [fold, *(fold[labels == k] for k in range(4))]:
    sizes = np.bincount(held, minlength=folds)
    assert sizes.max() - sizes.min() <= 1
  np.testing.assert_array_equal(audit.assign_folds(labels, folds, 1), fold)
  assert (audit.assign_folds(labels, folds, 2) != fold).any()


def test_no_network_is_trained_on_what_it_judges():
  fold = audit.assign_folds(np.arange(103) % 4, 5, seed=0)
  positions = audit.training_positions(fold, 5, seed=0)
  # 103 less the largest fold, of 21, for all: so they share a program.
  assert [len(rows) for rows in positions] == [82] * 5
  for k, rows in enumerate(positions):
    assert len(np.unique(rows)) == 82 and not (fold[rows] == k).any()


def features_of(degrees):
  radians = np.radians(degrees)
  length = 1 + np.arange(len(radians))[:, None]  # It must not matter.
  return length * np.stack([np.cos(radians), np.sin(radians)], axis=1)


@pytest.mark.parametrize('block', [1, 2**24])
def test_near_duplicates_by_hand(block, monkeypatch):
  monkeypatch.setattr(near_duplicates, '_BLOCK', block)
  # Nearest neighbours are 1, 1, 20, 20, 30, 2, 2, 30 and 30 degrees apart: the
  # median distance is 1 - cos 20 = 0.06, and 0.13 of that 1 - cos 7.2.
  degrees = [0, 1, 40, 60, 90, 120, 122, 160, 190]
  labels = np.array([0, 1, 0, 1, 0, 1, 2, 0, 1])
  pairs = near_duplicates.near_duplicates(features_of(degrees), labels)
  assert pairs.tolist() == [[0, 1], [5, 6]]
  # Of the same label they are no contradiction.
  labels[6] = 1
  pairs = near_duplicates.near_duplicates(features_of(degrees), labels)
  assert pairs.tolist() == [[0, 1]]


def test_copies_are_near_duplicates():
  features = features_of([0, 90, 0, 90])
  pairs = near_duplicates.near_duplicates(features, np.array([0, 1, 2, 1]))
  assert pairs.tolist() == [[0, 2]]


def judged(**changes):
  """Four examples of two classes, with probabilities 0.1, 0.2, 0.3 and 0.4."""
  given = np.array([0.1, 0.2, 0.3, 0.4])
  labels = np.array([0, 1, 0, 1])
  probability = np.empty((4, 2))
  probability[np.arange(4), labels] = given
  probability[np.arange(4), 1 - labels] = 1 - given
  return label_issues.judge(labels, probability, **changes)


def test_detection_by_hand():
  issues = judged(clean_label=np.array([1, 1, 1, 1]))
  assert issues.ranking.tolist() == [0, 1, 2, 3]
  flagged = dataclasses.replace(issues, is_issue=np.array([1, 1, 0, 0], bool))
  # Wrong are the first and the third. Pairs in the right order: 3 of 4;
  # precisions at the wrong ones: 1 and 2/3.
  assert label_issues.detection(flagged) == pytest.approx(
    {
      'wrong labels': 2,
      'AUROC': 0.75,
      'AUROC, out of sample': 0.75,
      'average precision': 5 / 6,
      'precision at the true number': 0.5,
      'precision of the issues': 0.5,
      'recall of the issues': 0.5,
    }
  )
  # By AUM the third and the first come first: 4 of 4. In training they come
  # last: none.
  learned = np.array([0.9, 0.4, 0.8, 0.3])
  other = dataclasses.replace(
    issues,
    aum=np.array([1.0, 2.0, -1.0, 3.0]),
    averaged=np.stack([learned, 1 - learned], axis=1),
  )
  found = label_issues.detection(other)
  assert found['AUROC, AUM'] == 1 and found['AUROC, in training'] == 0
  # The fourth is not known.
  some = judged(clean_label=np.array([1, 1, 1, -1]))
  assert label_issues.detection(some)['AUROC'] == 0.5


def test_averages_rank_and_what_is_out_of_sample_suggests():
  # Thresholds 0.65 and 0.9: the third seems to be of class 1.
  labels = np.array([0, 0, 0, 1])
  first = np.array([0.9, 0.95, 0.1, 0.1])
  averaged = np.array([0.2, 0.6, 0.5, 0.1])
  issues = label_issues.judge(
    labels,
    np.stack([first, 1 - first], axis=1),
    np.stack([averaged, 1 - averaged], axis=1),
  )
  np.testing.assert_allclose(issues.joint, [[2, 1], [0, 1]])
  # (0.9 + 0.2) / 2 and so on; of class 1 (0.9 + 0.9) / 2.
  np.testing.assert_allclose(issues.score, [0.55, 0.775, 0.3, 0.9])
  # One of class 0: that with the smallest average. As it is an issue, not the
  # given label is suggested.
  assert issues.is_issue.tolist() == [True, False, False, False]
  assert issues.suggested.tolist() == [1, 0, 1, 1]


def test_clusterability_by_hand():
  # The true class of the last, which is at 2.5 degrees, is not known.
  features = features_of([0, 1, 2, 3, 90, 91, 92, 2.5])
  clean = np.array([0, 0, 1, 0, 1, 1, 1, -1])
  probability = np.full((8, 2), 0.5)
  issues = label_issues.judge(
    np.array([0, 1] * 4), probability, features=features, clean_label=clean
  )
  # Of 0 to 3 each has the other class among its two neighbours.
  assert issues.clusterability == pytest.approx(3 / 7)
  assert judged(clean_label=np.array([0, 1, 0, 1])).clusterability is None


def test_a_thousand_classes_are_judged_without_hoc():
  """Its counts alone would take 8 GB, its fit hours."""
  size = 1000
  labels = np.array([3, 3, 3, 1, size - 1, size - 1])
  issues = label_issues.judge(
    labels,
    np.eye(size)[labels],
    features=features_of([0, 1, 2, 90, 91, 92]),
    clean_label=labels,
  )
  assert set(issues.transitions) == {'anchors', 'dual_t', 'confident'}
  # Only the first three have two neighbours of their class.
  assert issues.clusterability == pytest.approx(3 / 6)


@pytest.mark.parametrize('most', [9, 10])
def test_an_estimate_that_is_left_out_is_told(most, monkeypatch):
  monkeypatch.setattr(consensus, 'MOST_CLASSES', most)
  dataset = synthetic.data()
  labels = dataset.train.label
  issues = label_issues.judge(
    labels,
    np.eye(10)[labels],
    features=np.random.default_rng(0).normal(size=(len(labels), 2)),
    example_id=dataset.train.example_id,
  )
  said = audit_command.summary(issues, dataset)
  line = (
    'The transition matrix was not estimated by hoc, which takes 3 to 100,000'
    f' examples of at most {most} classes'
  )
  assert (line in said.splitlines()) == (most == 9)


@pytest.mark.parametrize('clean', [None, [0, 1, 0, 1], [-1, -1, -1, -1]])
def test_nothing_to_detect(clean):
  clean = clean and np.array(clean)
  assert label_issues.detection(judged(clean_label=clean)) is None


def test_confused_classes_come_by_their_number():
  issues = dataclasses.replace(
    judged(),
    joint=np.array([[9, 2, 0.2], [3, 8, 0], [0, 2, 7]]),
    probability=np.full((4, 3), 1 / 3),
    transitions={},
  )
  assert issues.confused == [(1, 0, 3), (0, 1, 2), (2, 1, 2)]


def command(folder, data_dir, *more):
  return [
    'launch.py',
    'audit',
    '--config=configs/digits.py:ce,symmetric,0.2',
    '--config.train.epochs=6',
    '--config.eval.train_every=None',
    '--folds=2',
    f'--workdir={folder}',
    f'--data_dir={data_dir}',
    *more,
  ]


def test_one_fold_has_nobody_to_judge_it(tmp_path):
  config = digits.get_config('ce,symmetric,0.4')
  message = reading.told(audit.audit, config, tmp_path / 'audit', folds=1)
  assert 'folds=1: give at least 2' in message


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.usefixtures('small_network')
def test_dropped_examples_are_neither_trained_on_nor_judged(
  data_dir, tmp_path, capsys
):
  # Each third of 60 is dropped, the others are labelled 1.
  data = reading.read('digits', data_dir, limit=60).train
  labels = ['drop' if row % 3 == 0 else '1' for row in range(60)]
  lines = [
    f'{i},{label}' for i, label in zip(data.example_id, labels, strict=True)
  ]
  path = tmp_path / 'choices.csv'
  path.write_text('\n'.join(['example_id,label', *lines]))
  config = digits.get_config('ce,symmetric,0.4')
  config.data.limit, config.data.relabel = 60, str(path)
  config.train.epochs, config.train.batch_size = 2, 16
  config.checkpoint.every = 1
  issues = audit.audit(config, tmp_path / 'audit', data_dir, folds=3)
  rows = [row for row in range(60) if row % 3]
  assert issues.index.tolist() == rows
  assert issues.example_id.tolist() == data.example_id[rows].tolist()
  assert issues.label.tolist() == [1] * 40
  assert issues.clean_label.tolist() == data.label[rows].tolist()
  # 40 less the largest fold, of 14.
  for k in range(3):
    ids, given = files.read_labels(tmp_path / 'audit' / f'fold-{k}')
    assert len(ids) == 26 and set(ids) <= set(data.example_id[rows])
    assert set(given) == {1}
  # Folds of different epochs are not mixed.
  fold = tmp_path / 'audit' / 'fold-1'
  newest = max(fold.glob('checkpoints/[0-9]*'), key=lambda x: int(x.name))
  inject.damage(newest / 'extra' / 'metadata', 'flipped bit')
  again = functools.partial(
    audit.audit, config, tmp_path / 'audit', data_dir, folds=3
  )
  message = reading.told(again)
  assert f'remove {fold / "result.json"}' in message
  (fold / 'result.json').unlink()
  np.testing.assert_allclose(again().probability, issues.probability, rtol=1e-4)

  train.train_and_evaluate(config, tmp_path / 'run', data_dir)
  ids, _ = files.read_labels(tmp_path / 'run')
  assert ids.tolist() == data.example_id[rows].tolist()
  assert restore.evaluate_run(tmp_path / 'run', data_dir)['epoch'] == 2


@pytest.mark.slow
@pytest.mark.usefixtures('small_network')
@pytest.mark.parametrize(
  ('name', 'diagonal'),
  [
    # As it is begun: 1 / (1 + 9 sigmoid(-2)).
    ('vol_min_net', 0.48243),
    # It is told the matrix; its slack stays 0.
    ('t_revision', 0.6),
  ],
)
def test_a_learned_matrix_is_among_the_estimates(
  name, diagonal, data_dir, tmp_path
):
  config = digits.get_config(f'{name},symmetric,0.4')
  config.data.limit = 60
  config.train.epochs, config.train.batch_size = 2, 16
  config.loss.rate = 1e-9  # Nothing is learned, so that it is known.
  if name == 't_revision':
    config.loss.update(transition='true', start=0.0, revision=0.0)
  issues = audit.audit(config, tmp_path / 'audit', data_dir, folds=2)
  expected = np.full((10, 10), (1 - diagonal) / 9)
  np.fill_diagonal(expected, diagonal)
  learned = issues.transitions['learned']
  np.testing.assert_allclose(learned, expected, atol=1e-5)
  # Of 60 labels the counted matrix is not quite the one drawn from.
  off = np.abs(expected - issues.true_transition).sum(axis=1) / 2
  np.testing.assert_allclose(
    issues.transition_errors['learned'], off, atol=1e-5
  )


@pytest.mark.landing
# How ml_collections reads a config file.
@pytest.mark.filterwarnings('ignore:the load_module:DeprecationWarning')
def test_audit(data_dir, tmp_path, capsys):
  folder = tmp_path / 'audit'
  assert runtime.run(command(folder, data_dir)) == 0
  said = capsys.readouterr().out
  auroc = re.search(r'AUROC +(\S+)', said)
  assert auroc and float(auroc[1]) > 0.8
  assert re.search(r'wrong labels +239\n', said)

  table = pd.read_csv(folder / 'label_issues.csv')
  assert table['rank'].tolist() == list(range(1, 1199))
  assert table.score.is_monotonic_increasing
  data = reading.read('digits', data_dir).train
  in_order = table.sort_values('index')
  assert (in_order.example_id == data.example_id).all()
  folds = [files.read_labels(folder / f'fold-{k}') for k in range(2)]
  labels = {}
  for fold in folds:
    labels |= dict(zip(*map(np.ndarray.tolist, fold), strict=True))
  assert in_order.given_label.tolist() == [
    labels[i] for i in data.example_id.tolist()
  ]
  # Each is judged by the network that was not trained on it.
  assert not set(folds[0][0].tolist()) & set(folds[1][0].tolist())
  # What it was trained on it saw once an epoch.
  run = restore.load(folder / 'fold-0')
  seen = np.isin(data.example_id, folds[0][0])
  recorded = run.state.method
  np.testing.assert_array_equal(recorded.count, 6 * seen)
  np.testing.assert_allclose(
    recorded.probability.sum(axis=1), 6 * seen, rtol=1e-5
  )
  held = ~np.isin(data.example_id, folds[0][0])
  probability, _ = run.predict(data.image[held])
  for name in ('given', 'suggested'):
    label = in_order[f'{name}_label'][held]
    np.testing.assert_allclose(
      in_order[f'{name}_probability'][held],
      probability[np.arange(len(label)), label],
      atol=1e-5,
    )
  kept = np.load(folder / 'probabilities.npz', allow_pickle=False)
  np.testing.assert_allclose(kept['probability'][held], probability, atol=1e-6)
  assert kept['label'].tolist() == in_order.given_label.tolist()
  # With two folds the other network was trained on an example, six times.
  np.testing.assert_allclose(
    kept['aum'][seen], recorded.margin[seen] / 6, rtol=1e-5
  )
  assert kept['clean_label'].tolist() == data.clean_label.tolist()
  no_issue = ~in_order.is_issue[held].astype(bool)
  np.testing.assert_array_equal(
    in_order.suggested_label[held][no_issue],
    probability.argmax(axis=1)[no_issue],
  )

  record = json.loads((folder / 'transition.json').read_text())
  low, high = record['noise_rate_interval']
  assert low <= record['noise_rate'] <= high
  np.testing.assert_allclose(np.sum(record['joint']), 1198, atol=1)
  np.testing.assert_allclose(np.sum(record['transition'], axis=1), 1, atol=1e-5)
  assert f'{100 * record["clusterability"]:.1f} %' in said
  estimates = record['estimates']
  assert set(estimates) == {'anchors', 'dual_t', 'confident', 'hoc'}
  assert estimates['confident']['transition'] == record['transition']
  # Counted from the labels: 0.2 of each class are wrong, but for rounding.
  np.testing.assert_allclose(np.diag(record['true_transition']), 0.8, atol=0.01)
  for estimate in estimates.values():
    off = np.subtract(estimate['transition'], record['true_transition'])
    np.testing.assert_allclose(
      estimate['total_variation'], np.abs(off).sum(axis=1) / 2, atol=1e-4
    )

  # What it suggests can be trained with.
  ids, suggested = label_files.read_choices(folder / 'suggestions.csv')
  issues = table[table.is_issue == 1]
  assert ids.tolist() == issues.example_id.tolist()
  assert suggested.tolist() == issues.suggested_label.tolist()

  # The same command reads the folds back, and finds the same.
  before = (folder / 'label_issues.csv').read_text()
  assert runtime.run(command(folder, data_dir)) == 0
  assert 'already ended' in capsys.readouterr().out
  assert (folder / 'label_issues.csv').read_text() == before
  # Reports on runs leave folds out.
  assert 'holds no runs' in reading.told(read.find, tmp_path)
  # Other folds would need other networks.
  more = command(folder, data_dir, '--folds=3')
  assert runtime.run(more) == ExitCode.BAD_INPUT
  assert 'other training examples' in capsys.readouterr().err


@pytest.mark.filterwarnings('ignore:the load_module:DeprecationWarning')
@pytest.mark.parametrize(
  ('more', 'message'),
  [
    ('--folds=1', '--folds=1: 1 is not integer >= 2'),
    ('--folds=2000', 'folds=2000: there are only 1198 examples'),
    ('--config.noise.name=nope', "noise 'nope' is not known"),
  ],
)
def test_bad_input_gets_one_line(more, message, data_dir, tmp_path, capsys):
  folder = tmp_path / 'audit'
  code = runtime.run(command(folder, data_dir, more))
  (line,) = capsys.readouterr().err.splitlines()
  assert (code, message in line) == (ExitCode.BAD_INPUT, True), line
  assert not folder.exists()


@pytest.mark.filterwarnings('ignore:the load_module:DeprecationWarning')
def test_the_page_has_the_images_that_the_networks_see(
  data_dir, tmp_path, monkeypatch
):
  bright = np.full((400, 8, 8, 1), 255, np.uint8)
  np.savez(tmp_path / 'bright.npz', images=bright, labels=np.arange(400) % 2)
  shown = {}
  # The page is made of what the command hands on to both.
  monkeypatch.setattr(audit, 'audit', lambda *args: None)
  monkeypatch.setattr(
    audit_files,
    'write',
    lambda folder, issues, dataset, title: shown.update(
      images=dataset.train.image, replaced=dataset.replaced
    ),
  )
  monkeypatch.setattr(audit_command, 'summary', lambda *args: '')
  more = [
    f'--config.noise.open_set_from={tmp_path / "bright.npz"}',
    '--config.noise.open_set_rate=0.25',
  ]
  assert runtime.run(command(tmp_path / 'audit', data_dir, *more)) == 0
  is_bright = (shown['images'] == 255).all(axis=(1, 2, 3))
  assert is_bright.sum() == len(shown['replaced'].ids) == 300  # Of 1,198.
