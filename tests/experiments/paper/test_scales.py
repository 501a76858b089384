"""What a scale means for a data set, and for a config file of one's own."""

import os
import pathlib

import pytest

from configs import cifar10, common, digits
from experiments.paper import scales
from sce_jax.config import check, fields
from sce_jax.engine import optim
from tests.data.reading import told

OWN = """
from configs import common, digits

def get_config(argument=None):
  c = digits.get_config(argument)
  c.optim.learning_rate = 0.03
  return c
"""


@pytest.fixture
def own(tmp_path):
  """A config file that says nothing of scales."""
  path = tmp_path / 'own.py'
  path.write_text(OWN)
  return str(path)


@pytest.mark.parametrize('name', ['digits', 'mnist', 'cifar10', 'cifar100'])
def test_a_data_set_is_a_config_file(name):
  file = scales.config_file(name)
  # Relative to the working folder, as it is typed.
  assert file == os.path.join('configs', f'{name}.py')
  assert scales.config_file(file) == file
  assert scales.title(name) == scales.title(file) == name
  assert scales.module(name) is scales.module(file)


@pytest.mark.parametrize(
  'name', ['nope', 'common', 'configs/nope.py', 'configs/common.py', '']
)
def test_what_is_no_config_file_is_refused(name):
  message = told(scales.config_file, name)
  assert message == (
    f'--dataset={name} is not known: use one of animal10n, cifar10, cifar100,'
    ' cifar100_n, cifar10_n, clothing1m, digits, food101n, mnist, own,'
    ' webvision_mini, or a config file'
  )


def test_a_file_elsewhere_keeps_its_path(own, monkeypatch, tmp_path):
  assert scales.config_file(own) == own
  assert scales.title(own) == 'own'
  monkeypatch.chdir(tmp_path)
  assert scales.config_file('own.py') == 'own.py'
  assert pathlib.Path(scales.config_file('digits')).is_absolute()
  # As it is typed in the folder of launch.py.
  assert scales.config_file('configs/mnist.py') == scales.config_file('mnist')
  monkeypatch.setenv('HOME', str(tmp_path))
  assert scales.config_file('~/own.py') == 'own.py'


def test_what_a_file_does_not_say_is_the_common_value(own):
  for scale in scales.SCALES:
    assert scales.scale_of(own, scale) == common.SCALES[scale]
  assert scales.asymmetric(own) == 'pair_flip'
  assert scales.runs_per_program(own) == common.RUNS_PER_PROGRAM
  # A file need not say all of them.
  assert 'tiny' not in cifar10.SCALES
  assert scales.scale_of('cifar10', 'tiny') == common.SCALES['tiny']


def test_what_a_file_says():
  assert scales.asymmetric('cifar10') == 'asymmetric_cifar10'
  assert scales.runs_per_program('digits') == digits.RUNS_PER_PROGRAM
  assert scales.scale_of('digits', 'full').seeds == 5
  assert 'is not known: use one of full, quarter, short, tiny' in told(
    scales.scale_of, 'digits', 'large'
  )


def test_a_scales_fields_are_changed_and_then_those_that_are_asked_for(own):
  plain = scales.config(own, 'full', loss='ce', noise='pair_flip', rate=0.2)
  expected = digits.get_config('ce,pair_flip,0.2')
  assert fields.differences(expected, plain) == [
    'optim.learning_rate: 0.05 -> 0.03'
  ]
  tiny = scales.config(
    own, 'tiny', seed=3, changes={'train.epochs': 7, 'loss.alpha': 2.0}
  )
  flat = fields.flatten(tiny)
  assert flat['seed'] == 3
  changed = {**common.TINY, 'train.epochs': 7, 'loss.alpha': 2.0}
  assert {path: flat[path] for path in changed} == changed


@pytest.mark.parametrize(
  ('name', 'epochs', 'boundaries'),
  [
    ('cifar10', 30, (10, 20)),  # 120, (41, 81)
    ('mnist', 12, (3, 8)),  # 50, (11, 31)
    ('food101n', 8, (2, 5)),  # 30, (10, 20); halves go to even numbers.
  ],
)
def test_a_quarter_has_a_quarter_of_the_epochs(name, epochs, boundaries):
  quarter = scales.config(name, 'quarter')
  assert quarter.train.epochs == epochs
  assert quarter.optim.boundaries == boundaries
  longer = scales.config(name, 'quarter', changes={'train.epochs': 40})
  assert longer.train.epochs == 40


@pytest.mark.parametrize(
  ('name', 'recipe', 'tolerance'),
  [
    ('cifar10', 'paper', 1e-6),  # Steps and time decay.
    ('cifar10', 'apl', 1e-6),  # A cosine.
    # Exponential: an epoch of a quarter is four, in which it falls by 11 %.
    ('webvision_mini', 'apl', 0.2),
  ],
)
def test_the_learning_rate_falls_as_much_earlier(name, recipe, tolerance):
  def rates(scale):
    config = scales.config(name, scale, recipe=recipe)
    epochs = config.train.epochs
    schedule = optim.make_schedule(
      check.check_config(config).optim, epochs, steps_per_epoch=100
    )
    return [float(schedule(100 * (x * epochs // 10))) for x in (0, 2, 5, 9)]

  full = rates('full')
  assert full[-1] < full[0] / 5
  assert rates('quarter') == pytest.approx(full, rel=tolerance)


@pytest.mark.parametrize('name', sorted({*scales.names()} - {'digits', 'own'}))
def test_what_is_not_the_published_protocol_is_said(name):
  assert not scales.scale_of(name, 'full').note
  assert 'quarter of the epochs' in scales.scale_of(name, 'quarter').note
  epochs = scales.config(name, 'short').train.epochs
  assert f'{epochs} epochs' in scales.scale_of(name, 'short').note
  assert epochs < scales.config(name, 'full').train.epochs


def test_fields_that_are_not_there_are_refused():
  message = told(scales.config, 'digits', 'tiny', changes={'optim.nope': 1})
  assert message == (
    "the config has no field 'optim.nope'; all fields: sce_jax/config/base.py"
  )
  assert "'nope.alpha'" in told(
    scales.change, digits.get_config(), {'nope.alpha': 1}
  )
  # A method's hyper-parameters have defaults, which a config need not name.
  changed = scales.change(digits.get_config('gce'), {'loss.q': 0.5})
  assert changed.loss.q == 0.5
  message = told(scales.config, 'own', 'quarter')
  assert 'configs/own.py leaves the epochs to the data' in message
  message = told(scales.config, 'digits', 'tiny', recipe='nope')
  assert message == (
    "configs/digits.py: recipe 'nope' is not known here: use one of small"
  )
