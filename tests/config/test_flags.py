"""Fields of a config changed by flags, as launch.py reads them."""

import copy
import re

from absl import flags
import pytest

from experiments.cli import common_flags
from sce_jax.config.check import check_config
from tests.conftest import REPOSITORY
from tests.data.reading import told


def parse(config, *changes):
  """The config that `--config=configs/CONFIG --config.CHANGE ...` means."""
  argv = ['launch.py', f'--config={REPOSITORY}/configs/{config}']
  argv += [f'--config.{change}' for change in changes]
  values = flags.FlagValues()
  common_flags.define_config(values, argv)
  values(argv)
  return values['config'].value


def checked(config, *changes):
  return check_config(parse(config, *changes))


@pytest.mark.parametrize('none', ['None', 'none'])
def test_fields_that_may_be_none_are_set_back(none):
  apl = 'cifar10.py:sl,recipe=apl,tiny'
  before = checked(apl)
  assert before.optim.clip_norm and before.data.limit and before.data.mean
  names = (
    'optim.clip_norm',
    'data.limit',
    'data.mean',
    'data.std',
    'train.steps_per_dispatch',
    'eval.train_every',
    'model.layout',
    'noise.seed',
    'noise.path',
  )
  after = checked(apl, *(f'{name}={none}' for name in names))
  for name in names:
    section, field = name.split('.')
    assert getattr(getattr(after, section), field) is None


def test_fields_are_set_as_before():
  made = checked(
    'digits.py:sl',
    'optim.clip_norm=2',
    'data.limit=40',
    'data.mean=(0.5,)',
    'optim.boundaries=3',
    'optim.boundaries=5',
    'model.layout=nhwc',
    'data.augment.flip=true',
  )
  assert (made.optim.clip_norm, made.data.limit) == (2.0, 40)
  assert made.data.mean == (0.5,)
  assert made.optim.boundaries == (3, 5)
  assert made.model.layout == 'nhwc'
  assert made.data.augment.flip is True
  with pytest.raises(flags.IllegalFlagValueError):
    parse('digits.py:sl', 'data.limit=many')


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    (
      'checkpoint.keep=None',
      'checkpoint.keep is None: it must be a whole number',
    ),
    ('optim.momentum=none', 'optim.momentum is None: it must be a number in'),
    ('data.name=None', 'config.data.name is None: it must be a text'),
    ('loss.name=None', 'config.loss.name is None: it must be one of ce, rce'),
    ('optim.boundaries=None', 'config.optim.boundaries is (None,): it must be'),
  ],
)
def test_other_fields_cannot_be_none(change, message):
  assert message in told(checked, 'digits.py:sl', change)


@pytest.mark.parametrize(
  ('changes', 'expected'),
  [
    (['loss.name=ce'], {}),
    # Its own defaults; and the data set's own, as digits.py:rce has them.
    (['loss.name=gce'], {'q': 0.7}),
    (['loss.name=rce'], {'log_zero': -4.0}),
    # The rate of the argument, which this method is told.
    (['loss.name=co_teaching'], {'forget_rate': 0.3, 'warm_up': 10}),
    # What is given stays, in any order.
    (['loss.name=gce', 'loss.q=0.5'], {'q': 0.5}),
    (['loss.q=0.5', 'loss.name=gce'], {'q': 0.5}),
    (['loss.log_zero=-7', 'loss.name=rce'], {'log_zero': -7.0}),
    (
      ['loss.name=ce', 'loss.name=sl'],
      {'alpha': 0.01, 'beta': 1.0, 'log_zero': -4.0},
    ),
    (
      ['loss.name=sl', 'loss.alpha=0.5'],
      {'alpha': 0.5, 'beta': 1.0, 'log_zero': -4.0},
    ),
  ],
)
def test_another_loss_takes_its_own_values(changes, expected):
  config = parse('digits.py:sl,symmetric,0.3', *changes)
  for made in (config, copy.deepcopy(config)):
    assert check_config(made).loss.hparams == expected


def test_copies_of_a_config_change_alone():
  first = parse('digits.py:sl', 'loss.alpha=0.5')
  second = copy.deepcopy(first)
  del second.loss.alpha
  second.loss.name = 'ce'
  assert second.loss.to_dict() == {'name': 'ce'}
  assert first.loss.to_dict() == {
    'name': 'sl',
    'alpha': 0.5,
    'beta': 1.0,
    'log_zero': -4.0,
  }


@pytest.mark.parametrize(
  'changes',
  [
    ['loss.alpha=0.5', 'loss.name=ce'],
    ['loss.name=ce', 'loss.alpha=0.5'],
    ['loss.alpha=0.01', 'loss.name=ce'],  # As digits.py has it.
  ],
)
def test_what_is_given_and_the_loss_does_not_have_is_refused(changes):
  assert told(checked, 'digits.py:sl', *changes) == (
    "loss 'ce' has no hyper-parameter 'alpha'; remove it (it has: none)"
  )


@pytest.mark.parametrize(
  ('changes', 'expected'),
  [
    ([], 1e-4),
    (['loss.name=anl_ce'], 0.0),  # It has an L1 penalty.
    (['loss.name=anl_ce', 'loss.name=gce'], 1e-4),
    (['loss.name=anl_ce', 'loss.l1=0.0'], 1e-4),
    # What is given stays, in any order.
    (['loss.name=jal_ce', 'optim.weight_decay=0.001'], 1e-3),
    (['optim.weight_decay=0.001', 'loss.name=jal_ce'], 1e-3),
  ],
)
def test_methods_with_a_penalty_have_no_weight_decay(changes, expected):
  config = parse('cifar10.py:ce,symmetric,0.4,recipe=apl', *changes)
  for made in (config, copy.deepcopy(config)):
    assert check_config(made).optim.weight_decay == expected
    assert made.to_dict()['optim']['weight_decay'] == expected


@pytest.mark.parametrize(
  ('config', 'field'),
  [
    ('webvision_mini.py:anl_ce', 'weight_decay'),
    ('animal10n.py:jal_ce', 'weight_decay'),
    ('food101n.py:anl_ce', 'weight_decay'),
    ('cifar10.py:anl_ce,recipe=paper', 'l2'),
    ('cifar100.py:anl_ce,recipe=paper', 'l2'),
  ],
)
def test_nothing_is_penalised_twice(config, field):
  def value(name):
    made = parse(name)
    made.model.init_from = None
    return check_config(made).to_dict()['optim'][field]

  assert value(config) == 0.0
  other = re.sub('anl_ce|jal_ce', 'gce', config)
  assert value(other) > 0
  # Published with weight decay there, and without an L1 penalty.
  if config.startswith('webvision'):
    assert value('webvision_mini.py:jal_ce') == 3e-5


def test_a_copy_s_weight_decay_follows_its_own_loss():
  first = parse('cifar10.py:ce,recipe=apl')
  second = copy.deepcopy(first)
  second.loss.name = 'anl_ce'
  assert (first.optim.weight_decay, second.optim.weight_decay) == (1e-4, 0.0)
