"""The table of compared runs, by hand, and where their losses come from."""

import pytest

from configs import digits
from experiments import compare
from sce_jax import train
from tests.data.reading import told


def result(accuracy, memorised=0.25, classes=(0.5, 0.75), seconds=2.0):
  return {
    'test_accuracy': accuracy,
    'memorised': memorised,
    'test': None if classes is None else {'class_accuracy': list(classes)},
    'train_seconds': seconds,
  }


def rows(results):
  """The cells below the headings and their line."""
  lines = compare.table(results).splitlines()[2:]
  return [[cell for cell in x.split('  ') if cell.strip()] for x in lines]


def cells(results):
  return [[cell.strip() for cell in row] for row in rows(results)]


def test_means_and_spreads_by_hand():
  runs = [
    result(0.5, 0.1, (0.4, 0.6), 1.0),
    result(0.7, 0.3, (0.8, None, 0.6), 4.0),
  ]
  assert cells({'ce': runs, 'seed=1': [result(0.5)]}) == [
    # The worst classes are 0.4 and 0.6; deviations are those of a sample.
    [
      'cross entropy (CE)',
      '60.0 % +- 14.1',
      '50.0 % +- 14.1',
      '20.0 % +- 14.1',
      '2.5',
    ],
    ['seed=1', '50.0 %', '50.0 %', '25.0 %', '2.0'],
  ]


def test_what_is_not_known_is_left_out():
  assert cells({'sl': [result(None, classes=None)]}) == [
    ['symmetric learning (SL)', '-', '-', '25.0 %', '2.0']
  ]
  assert cells({'sl': [result(0.5, memorised=None)]}) == [
    ['symmetric learning (SL)', '50.0 %', '50.0 %', '-', '2.0']
  ]


def test_runs_that_failed_do_not_count():
  failed = {'run': 'a', 'failed': 'the loss is not finite'}
  assert cells({'ce': [failed], 'sl': [failed, result(0.5)]}) == [
    ['cross entropy (CE)', 'failed'],
    ['symmetric learning (SL)', '50.0 %', '50.0 %', '25.0 %', '2.0'],
  ]
  with pytest.raises(train.NonFiniteLoss, match='the loss is not finite'):
    compare.check_finite({'ce': [failed], 'sl': [result(0.5)]})
  compare.check_finite({'sl': [result(0.5)]})


def compared(config, losses, monkeypatch, file='configs/digits.py'):
  """The configs that would be trained."""
  trained = []

  class Stop(Exception):
    pass

  def train_many(configs, folders, data_dir):
    trained.extend(configs)
    raise Stop

  monkeypatch.setattr(train, 'train_many', train_many)
  with pytest.raises(Stop):
    compare.compare(config, losses, 2, None, None, config_file=file)
  return trained


def test_losses_have_the_parameters_of_the_config_file(monkeypatch, tmp_path):
  config = digits.get_config('sl,pair_flip,0.3,seed=4')
  config.loss.alpha = 7.0
  config.optim.momentum = 0.1
  runs = compared(config, ['sl', 'rce', 'co_teaching'], monkeypatch)
  assert [(c.loss.name, c.seed) for c in runs] == [
    (name, seed) for name in ('sl', 'rce', 'co_teaching') for seed in (4, 5)
  ]
  # The config's own loss keeps what was changed; digits have A = -4.
  assert runs[0].loss.alpha == 7.0
  assert runs[2].loss.to_dict() == {'name': 'rce', 'log_zero': -4.0}
  assert runs[4].loss.forget_rate == 0.3
  assert all(c.optim.momentum == 0.1 for c in runs)
  own = tmp_path / 'own.py'
  own.write_text(
    'from configs import digits\n'
    'def get_config(argument=None):\n'
    '  c = digits.get_config(argument)\n'
    "  if c.loss.name == 'rce':\n"
    '    c.loss.log_zero = -2.5\n'
    '  return c\n'
  )
  runs = compared(config, ['rce'], monkeypatch, str(own))
  assert runs[0].loss.log_zero == -2.5


def test_losses_that_are_not_there_are_refused():
  message = told(
    compare.compare,
    digits.get_config(),
    ['ce', 'nope'],
    1,
    None,
    None,
    config_file='configs/digits.py',
  )
  assert message.startswith("loss 'nope' is not known: use some of ce, rce, sl")
