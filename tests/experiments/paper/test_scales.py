"""What a scale means for a data set, and for a config file of one's own."""

import os
import pathlib

import pytest

from configs import cifar10, common, digits
from experiments.paper import scales
from sce_jax.config import fields
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
  ('name', 'recipe', 'epochs', 'boundaries'),
  [
    ('cifar10', 'paper', 30, (10, 20)),  # 120, (41, 81)
    ('cifar10_n', 'apl', 30, None),  # 120, a cosine.
    ('mnist', 'paper', 12, (3, 8)),  # 50, (11, 31)
    ('food101n', 'plc', 8, (2, 5)),  # 30, (10, 20); halves go to even numbers.
  ],
)
def test_a_quarter_has_a_quarter_of_the_epochs(
  name, recipe, epochs, boundaries
):
  quarter = scales.config(name, 'quarter', recipe=recipe)
  assert quarter.train.epochs == epochs
  if boundaries:
    assert quarter.optim.boundaries == boundaries
  longer = scales.config(name, 'quarter', changes={'train.epochs': 40})
  assert longer.train.epochs == 40
  full = scales.config(name, 'full', recipe=recipe)
  changed = {line.split(':')[0] for line in fields.differences(full, quarter)}
  assert changed <= {'train.epochs', 'optim.boundaries', 'eval.train_every'}


@pytest.mark.parametrize('name', sorted({*scales.names()} - {'digits', 'own'}))
@pytest.mark.parametrize('scale', ['quarter', 'short'])
def test_what_is_not_the_published_protocol_is_said(name, scale):
  full, shorter = (scales.config(name, s) for s in ('full', scale))
  assert shorter.train.epochs < full.train.epochs
  assert not scales.scale_of(name, 'full').note
  note = scales.scale_of(name, scale).note
  said = {'quarter': 'a quarter', 'short': f'{shorter.train.epochs}'}[scale]
  assert f'{said} epochs' in note or f'{said} of the epochs' in note


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
