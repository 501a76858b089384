"""Where a search looks."""

import pytest

from experiments.paper import search_space
from experiments.paper.search_space import Range
from tests.data.reading import told

CONFIG = {
  'loss.name': 'sl',
  'loss.alpha': 0.1,
  'loss.log_zero': -4.0,
  'train.epochs': 60,
  'noise.rate': 0.4,
  'optim.nesterov': False,
}


def test_a_factor_of_ten_to_either_side():
  values = {'alpha': 0.1, 'beta': 0.0, 'log_zero': -4.0}
  assert search_space.default('sl', values) == {
    'loss.alpha': Range(0.01, 1.0, is_log=True),
    'loss.beta': Range(0.0, 1.0),
    'loss.log_zero': Range(-40.0, -0.4, is_log=True),
  }


@pytest.mark.parametrize(
  ('loss', 'values', 'expected'),
  [
    # q is in (0, 1]; a of AUL is above 1; warm-up is a number of epochs.
    ('gce', {'q': 0.7}, {'loss.q': Range(0.01, 1.0)}),
    (
      'aul',
      {'a': 5.5, 'q': 3.0},
      {
        'loss.a': Range(1.1, 55.0, is_log=True),
        'loss.q': Range(0.3, 30.0, is_log=True),
      },
    ),
    (
      'co_teaching',
      {'forget_rate': 0.4, 'warm_up': 10},
      {
        'loss.forget_rate': Range(0.0, 0.99),
        'loss.warm_up': Range(3, 30, is_whole=True),
      },
    ),
    # 1 to 2, and at least 1, are no whole numbers.
    (
      'bi_tempered',
      {'t1': 0.8, 't2': 1.5},
      {
        'loss.t1': Range(0.0, 1.0),
        'loss.t2': Range(1.0, 1.5 * 1.2, is_log=True),
      },
    ),
    # So small a share lies below 0.01, and one near 1 above 0.99.
    (
      'truncated_gce',
      {'threshold': 0.005},
      {'loss.threshold': Range(0.0005, 0.99, is_log=True)},
    ),
    ('elr', {'decay': 0.998}, {'loss.decay': Range(0.0, 0.999)}),
    ('amse', {'a': 30.0}, {'loss.a': Range(3.0, 300.0, is_log=True)}),
  ],
)
def test_as_far_as_the_method_takes_it(loss, values, expected):
  assert search_space.default(loss, values) == expected


def test_what_a_command_line_gives():
  given = ['loss.alpha=0.001..10', 'loss.log_zero=-10..-1', 'train.epochs=5..9']
  assert search_space.parse(given, CONFIG) == {
    'loss.alpha': Range(0.001, 10.0, is_log=True),
    'loss.log_zero': Range(-10.0, -1.0, is_log=True),
    'train.epochs': Range(5.0, 9.0, is_whole=True),
  }
  (range_,) = search_space.parse(['loss.alpha=0..1'], CONFIG).values()
  assert range_ == Range(0.0, 1.0) and 0.5 in range_ and 2 not in range_


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('loss.alpha', 'give FIELD=LOW..HIGH, as in --search=loss.alpha=0.001..10'),
    ('loss.alpha=1', 'give FIELD=LOW..HIGH'),
    ('loss.alpha=2..1', 'give FIELD=LOW..HIGH'),
    ('loss.alpha=1..inf', 'give FIELD=LOW..HIGH'),
    (
      'loss.gamma=1..2',
      "no number 'loss.gamma'; it has loss.alpha, loss.log_zero",
    ),
    ('loss.name=1..2', "no number 'loss.name'"),
    ('optim.nesterov=0..1', "no number 'optim.nesterov'"),
    ('noise.rate=0..0.5', 'noise.rate is no setting of training'),
  ],
)
def test_what_cannot_be_searched_is_refused_in_a_line(text, message):
  assert message in told(search_space.parse, [text], CONFIG)


def test_a_method_without_numbers_is_refused():
  assert "loss 'ce' has no numbers" in told(search_space.default, 'ce', {})


def test_what_the_config_lacks_has_the_low_end_until_it_is_searched():
  def stand_ins(loss, *given, **values):
    return search_space.stand_ins(given, loss, values)

  assert stand_ins('nls', 'loss.smoothing=-8..-1', 'optim.momentum=0..1') == {
    'loss.smoothing': -8.0
  }
  assert stand_ins('nls', 'loss.smoothing=-8..-1', smoothing=-2.0) == {}
  assert stand_ins('gce', 'loss.q=0.1..1') == {}  # It has a default.
  assert stand_ins('forward', transition=True) == {}  # T is computed.
  message = told(stand_ins, 'nls', 'optim.momentum=0..1')
  assert message.startswith("loss 'nls' needs 'smoothing', which the config do")
