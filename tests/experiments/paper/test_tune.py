"""A search of settings that sees noisy labels alone."""

import dataclasses
import hashlib
import importlib.util
import types

import numpy as np
import pytest

from experiments.paper import noisy_search, registry, search_space, tune
from experiments.paper.noisy_search import Search
from experiments.report.page import Text
from sce_jax import errors, train
from sce_jax.data import dataset as dataset_lib
from sce_jax.data import label_files
from sce_jax.data import labels as labels_lib
from sce_jax.runs import read
from sce_jax.storage import digests
from tests.data.reading import told

pytest.importorskip('optuna')

REQUEST = Search('digits', 'tiny', 'sl', 'symmetric 0.4', trials=5)
SPACE = {'loss.alpha': search_space.Range(0.01, 1.0, is_log=True)}
OWN = {'loss.alpha': 0.01}


@pytest.fixture(scope='module')
def digits(data_dir):
  return dataset_lib.read(REQUEST.config(0, {}).data, data_dir)


@pytest.fixture(scope='module')
def other_truth(digits):
  """The same noisy labels with other true labels and another test split."""
  config = REQUEST.config(0, {})
  noisy = labels_lib.apply_label_noise(digits, config.noise, 0).labels
  rng = np.random.default_rng(0)
  return dataclasses.replace(
    digits,
    train=dataclasses.replace(
      digits.train, label=noisy, clean_label=rng.permutation(noisy)
    ),
    test=dataclasses.replace(
      digits.test,
      image=rng.permutation(digits.test.image),
      label=rng.permutation(digits.test.label),
    ),
    info=dataclasses.replace(digits.info, clean_labels=False),
  )


@pytest.fixture
def trained(monkeypatch):
  """Stands in for training: the accuracy depends on all that it was given."""
  calls = []

  def train_many(configs, workdirs, data_dir=None, dataset=None):
    seen = hashlib.sha256()
    for split in (dataset.train, dataset.test):
      for array in dataclasses.astuple(split):
        seen.update(b'none' if array is None else array.tobytes())
    seen.update(repr(dataset.info).encode())
    calls.append((configs, seen.hexdigest()))
    peak = 0.1 * (1 + int(seen.hexdigest(), 16) % 5)
    alphas = [config.loss.hparams['alpha'] for config in configs]
    return [{'test_accuracy': 1 / (1 + abs(a - peak))} for a in alphas]

  monkeypatch.setattr(train, 'train_many', train_many)
  return calls


def hidden(dataset, config=None, folds=1):
  return noisy_search.hide(dataset, config or REQUEST.config(0, {}), 0.2, folds)


def test_noisy_labels_are_held_out_and_nothing_else_is_left(digits):
  config = REQUEST.config(0, {})
  labels = labels_lib.apply_label_noise(digits, config.noise, 0).labels
  (data,) = hidden(digits)
  assert (len(data.train), len(data.test)) == (77, 19)  # A fifth of 96.
  assert data.train.clean_label is None and not data.info.clean_labels
  assert data.info.noisy_test
  assert (data.info.num_train, data.info.num_test) == (77, 19)
  by_id = dict(zip(digits.train.example_id.tolist(), labels, strict=True))
  found = {}
  for split in (data.train, data.test):
    found |= dict(zip(split.example_id.tolist(), split.label, strict=True))
  assert found == by_id
  assert (labels != digits.train.label).any()  # Noisy ones indeed.


def test_each_example_is_held_out_in_one_of_five_folds(digits):
  config = REQUEST.config(0, {})
  labels = labels_lib.apply_label_noise(digits, config.noise, 0).labels
  data = hidden(digits, folds=5)
  assert [len(part.test) for part in data] == [19, 19, 20, 19, 19]
  assert [part.info.num_test for part in data] == [19, 19, 20, 19, 19]
  held = np.concatenate([part.test.example_id for part in data])
  assert sorted(held) == sorted(digits.train.example_id)
  by_id = dict(zip(digits.train.example_id.tolist(), labels, strict=True))
  for part in data:
    ids = {*part.train.example_id.tolist(), *part.test.example_id.tolist()}
    assert len(part.train) + len(part.test) == len(ids) == 96
    assert part.info.num_train == len(part.train)
    assert [by_id[i] for i in part.test.example_id] == list(part.test.label)
  # What was held out alone is the first of them.
  (alone,) = hidden(digits)
  assert (alone.test.example_id == data[0].test.example_id).all()


def test_a_setting_is_judged_by_all_folds(digits, monkeypatch, tmp_path):
  # The trials of each fold; 19, 19 and 20 examples.
  accuracies = iter([0.5, 0.25, 0, 0.5, None, 0, 1, 0.5, 0])

  def train_many(configs, workdirs, data_dir=None, dataset=None):
    found = [next(accuracies) for _ in workdirs]
    return [
      {'failed': 'nan'} if x is None else {'test_accuracy': x} for x in found
    ]

  monkeypatch.setattr(train, 'train_many', train_many)
  data = hidden(digits, folds=3)
  request = dataclasses.replace(REQUEST, trials=3, folds=3)
  found = noisy_search.search(request, SPACE, OWN, data, tmp_path)
  assert [t.number for t in found] == [0, 2, 1]
  right = 0.5 * 19 + 0.5 * 19 + 1.0 * 20
  assert [t.accuracy for t in found[:2]] == [pytest.approx(right / 58), 0]
  assert [t.diverged for t in found] == [False, False, True]


def test_examples_that_were_dropped_are_in_no_part(digits):
  choices = np.full(96, dataset_lib.UNDECIDED, np.int32)
  choices[:20], choices[20:25] = label_files.DROP, 7
  decided = dataclasses.replace(digits, choices=choices)
  (data,) = hidden(decided)
  assert (len(data.train), len(data.test)) == (61, 15)  # A fifth of 76.
  found = {}
  for split in (data.train, data.test):
    found |= dict(zip(split.example_id.tolist(), split.label, strict=True))
  assert set(found) == set(digits.train.example_id[20:].tolist())
  assert [found[i] for i in digits.train.example_id[20:25]] == [7] * 5


def test_the_standard_error_by_hand(tmp_path):
  data = [
    types.SimpleNamespace(info=types.SimpleNamespace(num_test=count))
    for count in (60, 40)
  ]
  trials = [
    noisy_search.Trial(0, {'loss.alpha': 0.1}, 0.5),
    noisy_search.Trial(1, {'loss.alpha': 0.2}, 0.4),
  ]
  page = tune._page(REQUEST, SPACE, OWN, data, trials, [], tmp_path)
  said = ' '.join(b.text for b in page.blocks if isinstance(b, Text))
  # The root of 0.5 * 0.5 / 100.
  assert 'by the noisy labels of 100 training examples' in said
  assert 'A standard error of such an accuracy is 5.0 points;' in said


IMBALANCED = """
from configs import common, digits

def get_config(argument=None):
  c = digits.get_config(argument)
  c.noise.imbalance, c.noise.imbalance_ratio = 'exponential', 4.0
  c.noise.second, c.noise.second_rate = 'pair_flip', 0.2
  return c
"""


def test_nothing_of_the_noise_is_left_for_the_search(digits, trained, tmp_path):
  file = tmp_path / 'imbalanced.py'
  file.write_text(IMBALANCED)
  request = dataclasses.replace(REQUEST, dataset=str(file))
  config = request.config(0, {})
  rows = labels_lib.used_rows(digits, config.noise, 0)
  assert len(rows) < 70  # Of 96; the others have no noise, so they would tell.
  data = hidden(digits, config)
  ids = [i for part in (data[0].train, data[0].test) for i in part.example_id]
  assert sorted(ids) == sorted(digits.train.example_id[rows])
  noisy = labels_lib.apply_label_noise(digits, config.noise, 0).labels
  by_id = dict(zip(digits.train.example_id.tolist(), noisy, strict=True))
  assert all(
    by_id[i] == label
    for part in (data[0].train, data[0].test)
    for i, label in zip(part.example_id.tolist(), part.label, strict=True)
  )
  noisy_search.search(request, SPACE, OWN, data, tmp_path)
  for configs, _ in trained:
    for c in configs:
      assert (c.noise.name, c.noise.second, c.noise.imbalance) == (
        'clean',
        '',
        '',
      )


def test_the_choice_sees_neither_true_labels_nor_the_test_split(
  digits, other_truth, trained, tmp_path
):
  as_given = dataclasses.replace(
    REQUEST.config(0, {}),
    noise=dataclasses.replace(REQUEST.config(0, {}).noise, name='clean'),
  )
  results = [
    noisy_search.search(REQUEST, SPACE, OWN, data, tmp_path / name)
    for name, data in (
      ('a', hidden(digits)),
      ('b', hidden(other_truth, as_given)),
    )
  ]
  assert results[0] == results[1]
  half = len(trained) // 2
  assert trained[:half] == trained[half:]
  # It would have seen other noisy labels.
  noisier = dataclasses.replace(REQUEST, noise='symmetric 0.6')
  hidden_noisier = hidden(digits, noisier.config(0, {}))
  noisy_search.search(REQUEST, SPACE, OWN, hidden_noisier, tmp_path / 'c')
  assert trained[-1][1] != trained[0][1]


def test_an_interrupted_search_resumes_to_the_same_settings(
  digits, trained, tmp_path, monkeypatch
):
  monkeypatch.setattr(noisy_search, '_MOST_TOGETHER', 2)
  data = hidden(digits)
  whole = noisy_search.search(REQUEST, SPACE, OWN, data, tmp_path / 'whole')
  assert [len(configs) for configs, _ in trained] == [2, 2, 1]
  assert sorted(t.number for t in whole) == [0, 1, 2, 3, 4]
  # The config's own settings are the first to be tried.
  (own,) = [t for t in whole if t.number == 0]
  assert own.settings == {'loss.alpha': pytest.approx(0.01)}

  def killed(configs, workdirs, data_dir=None, dataset=None):
    if 'trial-002' in str(workdirs[0]):
      raise KeyboardInterrupt
    return stand_in(configs, workdirs, data_dir, dataset)

  stand_in = train.train_many
  monkeypatch.setattr(train, 'train_many', killed)
  folder = tmp_path / 'killed'
  with pytest.raises(KeyboardInterrupt):
    noisy_search.search(REQUEST, SPACE, OWN, data, folder)
  monkeypatch.setattr(train, 'train_many', stand_in)
  done = len(trained)
  assert noisy_search.search(REQUEST, SPACE, OWN, data, folder) == whole
  assert [len(configs) for configs, _ in trained[done:]] == [2, 1]
  # What has been tried is not tried again.
  assert noisy_search.search(REQUEST, SPACE, OWN, data, folder) == whole
  assert len(trained) == done + 2


def test_values_below_0_are_searched_by_their_size(digits, trained, tmp_path):
  space = {**SPACE, 'loss.log_zero': search_space.Range(-10.0, -1.0, True)}
  found = noisy_search.search(
    REQUEST, space, {**OWN, 'loss.log_zero': -4.0}, hidden(digits), tmp_path
  )
  values = [t.settings['loss.log_zero'] for t in found]
  assert all(-10 <= x <= -1 for x in values) and -4.0 in values
  given = [
    c.loss.hparams['log_zero'] for configs, _ in trained for c in configs
  ]
  assert sorted(given) == pytest.approx(sorted(values))


@pytest.mark.parametrize(
  ('folds', 'said'),
  [
    pytest.param(
      1,
      '19 training examples that the runs were not trained on. A',
      marks=pytest.mark.landing,
    ),
    pytest.param(
      2,
      '38 training examples that the runs were not trained on, in 2 parts:',
      marks=pytest.mark.slow,
    ),
  ],
)
def test_the_page(folds, said, small_network, tmp_path, data_dir, capsys):
  """Trained: two settings, then the chosen one on all examples."""
  request = dataclasses.replace(
    REQUEST,
    trials=2,
    seeds=1,
    ranges=['loss.alpha=0.001..0.1'],
    folds=folds,
  )
  written = tune.run(request, str(tmp_path), data_dir)
  page = written.markdown.read_text()
  assert f'noisy labels of {said}' in ' '.join(page.split())
  assert '| own |' in page and '2 settings' in page
  (line,) = [x for x in page.splitlines() if x.startswith('Settings: ')]
  alpha = float(line.rpartition('=')[2])
  # The only run that has seen a true label has the chosen settings.
  (folder,) = tmp_path.glob('digits-sl-symmetric-0.4-seed0-*')
  run = read.Run(folder, {}, {})
  assert run.description['config']['loss']['alpha'] == pytest.approx(
    alpha, rel=1e-3
  )
  assert not run.noisy_test
  trials = [x.parent for x in tmp_path.glob('tune-*-trials/**/config.json')]
  assert len(trials) == 2 * folds
  # Reports on all runs hold the tested one alone.
  assert [x.folder for x in read.find(tmp_path)] == [folder]
  for trial in trials:
    assert read.Run(trial, {}, {}).noisy_test
    assert read.Run(trial, {}, {}).result['memorised'] is None
  shown = f'{100 * run.result["test_accuracy"]:.1f}'
  assert shown in capsys.readouterr().out


OWN_DATA = """
from configs import common, own

def get_config(argument=None):
  c = own.get_config(argument)
  c.data.path = {path!r}
  return c
"""


@pytest.mark.landing
def test_what_own_data_choose_is_searched_around(
  digits, small_network, tmp_path
):
  split = digits.train
  np.savez(tmp_path / 'mine.npz', images=split.image, labels=split.label)
  file = tmp_path / 'mine.py'
  file.write_text(OWN_DATA.format(path=str(tmp_path / 'mine.npz')))
  request = dataclasses.replace(REQUEST, dataset=str(file), trials=2, seeds=1)
  page = tune.run(request, str(tmp_path / 'runs')).markdown.read_text()
  # For small grey images; a factor of ten to either side.
  assert 'loss.alpha from 0.001 to 0.1, by logarithm' in page
  assert '| own |' in page


@pytest.mark.landing
def test_a_number_that_the_config_lacks_can_be_searched(
  small_network, tmp_path, data_dir
):
  # Negative label smoothing's paper does not say which one it chose.
  request = dataclasses.replace(
    REQUEST,
    loss='nls',
    trials=2,
    seeds=1,
    ranges=['loss.smoothing=-8..-0.1'],
  )
  page = tune.run(request, str(tmp_path), data_dir).markdown.read_text()
  assert '2 settings' in page and '| own |' not in page
  assert 'own: ' not in page
  (folder,) = tmp_path.glob('digits-nls-symmetric-0.4-seed0-*')
  chosen = read.Run(folder, {}, {}).description['config']['loss']['smoothing']
  assert -8 < chosen < -0.1  # The low end only stood in for a value.


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'loss': 'nls'}, 'search it, --search=loss.smoothing=LOW..HIGH'),
    ({'loss': 'nope'}, "config.loss.name is 'nope'"),
    ({'noise': 'symmetric x'}, "noise 'symmetric x': give a name and a rate"),
    ({'noise': 'nope 0.4'}, "noise 'nope' is not known"),
    ({'loss': 'ce'}, "loss 'ce' has no numbers to search"),
    ({'held_out': 0.001}, '--held_out=0.001 of 96 examples leaves nothing'),
    ({'folds': 6}, '--folds=6, each with --held_out=0.2 of the examples'),
    ({'noise': 'symmetric'}, "noise 'symmetric': give a name and a rate"),
    ({'noise': 'clean 0.4'}, "noise 'clean 0.4': clean has no rate, leave it"),
    ({'ranges': ['loss.q=0..1']}, "the config has no number 'loss.q'"),
    ({'ranges': ['loss.detach=0..1']}, "no number 'loss.detach'"),
    ({'ranges': ['loss.alpha=-1..1']}, 'alpha is -1.0; give a number of at le'),
    ({'ranges': ['train.epochs=0..9']}, 'train.epochs'),
  ],
)
def test_what_cannot_be_is_refused_in_a_line(
  changes, message, tmp_path, data_dir, trained
):
  request = dataclasses.replace(REQUEST, **changes)
  assert message in told(tune.run, request, str(tmp_path), data_dir)
  assert not list(tmp_path.iterdir()) and not trained


def test_without_optuna_it_says_how_to_install_it(monkeypatch, tmp_path):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
  message = told(tune.run, REQUEST, str(tmp_path))
  assert message == 'experiment tune needs optuna: pip install "optuna>=5.0,<6"'


def test_its_runs_cannot_be_planned():
  assert 'cannot be planned' in told(registry.plan, 'tune', 'digits', 'tiny')


def test_if_all_settings_diverge_it_says_so(monkeypatch, tmp_path, data_dir):
  failed = {'run': 'x', 'failed': 'the loss is not finite'}
  monkeypatch.setattr(
    train, 'train_many', lambda configs, *_, **__: [failed] * len(configs)
  )
  with pytest.raises(errors.NonFiniteLoss, match='all settings'):
    tune.run(REQUEST, str(tmp_path), data_dir)


def test_chosen_settings_that_diverge_are_shown_and_raised(
  monkeypatch, tmp_path, data_dir
):
  request = dataclasses.replace(
    REQUEST, seeds=3, ranges=['loss.alpha=0.001..0.1']
  )
  chosen = noisy_search.Trial(0, {'loss.alpha': 0.01}, 0.5)
  monkeypatch.setattr(tune, 'search', lambda *_: [chosen])

  def train_many(configs, folders, dataset=None):
    for seed, folder in enumerate(folders):
      folder.mkdir()
      record = {'epoch': 1, 'step': 1, 'test': {'accuracy': 0.25}}
      (folder / 'metrics.jsonl').write_text(digests.dumps(record))
      result = {'test_accuracy': 0.25, 'test': None}
      (folder / 'result.json').write_text(digests.dumps(result))
      if seed:
        (folder / 'result.json').unlink()
        failed = digests.dumps({'failed': f'seed {seed} is not finite'})
        (folder / 'failed.json').write_text(failed)

  monkeypatch.setattr(train, 'train_many', train_many)
  with pytest.raises(errors.NonFiniteLoss, match=r'seed 1 is .*; seed 2 is'):
    tune.run(request, str(tmp_path), data_dir)
  (page,) = tmp_path.glob('tune-*/report.md')
  text = page.read_text()
  assert '25.0, 2 diverged' in text and '1 finished, 2 failed' in text
