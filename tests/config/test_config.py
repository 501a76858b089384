"""Configs: what is refused, that all fields are read, that all configs run."""

import copy
import importlib

from ml_collections import config_dict
import pytest

from configs import common, digits
from sce_jax import errors, losses, models, train
from sce_jax.config import check as config_lib
from sce_jax.config import fields
from sce_jax.engine import optim
from sce_jax.runs import workdir as workdir_lib
from tests.conftest import REPOSITORY

NAMES = sorted(
  path.stem
  for path in (REPOSITORY / 'configs').glob('*.py')
  if path.stem not in ('__init__', 'common')
)
HUMAN = {'cifar10_n': 'worse', 'cifar100_n': 'noisy'}


def get_config(name, argument):
  return importlib.import_module(f'configs.{name}').get_config(argument)


def recipes(name):
  return ['small'] if name == 'digits' else ['paper', 'apl']


VARIANTS = [(name, recipe) for name in NAMES for recipe in recipes(name)]


@pytest.mark.parametrize(('name', 'recipe'), VARIANTS)
@pytest.mark.parametrize('loss', list(losses.LOSSES))
def test_every_config_takes_every_loss(name, recipe, loss):
  config = get_config(name, f'{loss},recipe={recipe}')
  assert config_lib.check_config(config)['loss']['name'] == loss


@pytest.mark.parametrize('name', NAMES)
def test_every_config_says_what_it_is(name):
  text = importlib.import_module(f'configs.{name}').__doc__
  assert f'python launch.py --config=configs/{name}.py:' in text
  assert 'Expected' in text
  assert 'Time:' in text


# The larger networks compile for minutes on two cores, and of the others one
# data set and one recipe show that they run.
QUICK = [('digits', 'small'), ('mnist', 'paper'), ('cifar10', 'paper')]


@pytest.mark.parametrize(('name', 'recipe'), QUICK)
def test_the_tiny_variant_runs(name, recipe, data_dir, tmp_path):
  run_tiny(name, recipe, data_dir, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
  ('name', 'recipe'), [v for v in VARIANTS if v not in QUICK]
)
def test_the_other_tiny_variants_run(name, recipe, data_dir, tmp_path):
  run_tiny(name, recipe, data_dir, tmp_path)


def run_tiny(name, recipe, data_dir, tmp_path):
  config = get_config(name, f'sl,recipe={recipe},tiny')
  result = train.train_and_evaluate(config, tmp_path / 'run', data_dir)
  assert result['epochs'] == 2
  assert result['test']['examples'] == 40


class Recorder(dict):
  """A dict that notes which of its entries are read."""

  def __init__(self, values, path, read):
    super().__init__(
      {
        key: Recorder(value, f'{path}{key}.', read)
        if isinstance(value, dict)
        else value
        for key, value in values.items()
      }
    )
    self._path, self._read = path, read

  def __getitem__(self, key):
    self._read.add(self._path + key)
    return super().__getitem__(key)

  def items(self):
    self._read.update(self._path + key for key in self)
    return super().items()


def test_every_field_is_read(data_dir, tmp_path, monkeypatch):
  read = set()
  config = digits.get_config('sl,symmetric,0.4,tiny')
  checked = config_lib.check_config(config)
  # All that only goes through all fields would hide one that nothing uses.
  monkeypatch.setattr(
    config_lib, 'check_config', lambda _: Recorder(checked, '', read)
  )
  monkeypatch.setattr(workdir_lib, 'Workdir', _without_config(checked))
  train.train_and_evaluate(config, tmp_path / 'run', data_dir)
  step = config.to_dict()['optim'] | {'schedule': 'step', 'l2': 1.0}
  step |= {'clip_norm': 1.0, 'weight_decay': 1.0}
  optim.make_optimizer(Recorder(step, 'optim.', read), 2, 1)
  paths = set(fields.flatten(config))
  unread = {
    field for field in paths if field not in read and 'loss.' not in field
  }
  assert not unread


def _without_config(checked):
  original = workdir_lib.Workdir
  return lambda path, _: original(path, checked)


BAD = [
  ('seed', -1, 'seed'),
  ('data.name', 'nope', 'data.name is .*one of digits, mnist'),
  ('data.normalization', 'nope', 'normalization'),
  ('data.limit', 0, 'data.limit'),
  ('data.augment.shift', 1.5, 'shift'),
  ('data.augment.fill', 'red', 'black, nearest'),
  ('noise.name', 'nope', 'nope.*symmetric'),
  ('noise.name', 'worse', "human label of data set 'cifar10_n'"),
  ('noise.name', 'asymmetric_cifar100', '100 classes, not 10'),
  ('noise.rate', 1.0, r'noise.rate is 1.0.*\[0, 1\)'),
  ('noise.rate', -0.1, 'noise.rate'),
  ('noise.rate', float('nan'), 'noise.rate'),
  ('noise.mode', 'nope', 'exact, iid'),
  ('loss.name', 'nope', 'one of ce, rce, sl'),
  ('loss.alpha', -0.1, 'alpha'),
  ('loss.log_zero', 1.0, 'log_zero'),
  ('model.name', 'nope', 'one of digits_cnn'),
  ('model.dtype', 'float16', 'float32, bfloat16'),
  ('model.layout', 'nope', 'nhwc, chwn'),
  ('optim.learning_rate', 0.0, 'learning_rate'),
  ('optim.learning_rate', float('inf'), 'learning_rate'),
  ('optim.schedule', 'nope', 'constant, step, cosine'),
  ('optim.boundaries', (3, 2), 'increasing'),
  ('optim.l2_names', '(', 'regular expression'),
  ('optim.clip_norm', -1.0, 'clip_norm'),
  ('train.epochs', 0, 'epochs'),
  ('train.last_batch', 'nope', 'train, drop'),
  ('train.runner', 'nope', 'pmap, jit'),
  ('checkpoint.every', 0, 'every'),
]


@pytest.mark.parametrize(('field', 'value', 'message'), BAD)
def test_bad_values_get_one_line(field, value, message, tmp_path):
  config = digits.get_config('sl,symmetric,0.4')
  with config.ignore_type():
    config.update_from_flattened_dict({field: value})
  with pytest.raises(errors.UserError, match=message) as caught:
    train.train_and_evaluate(config, tmp_path / 'run', 'no/data/needed')
  assert '\n' not in str(caught.value)
  assert not (tmp_path / 'run').exists()


def test_too_large_a_batch_is_refused(data_dir, tmp_path):
  config = digits.get_config('sl')
  config.train.batch_size = 1200
  with pytest.raises(errors.UserError, match='has 1198 examples'):
    train.train_and_evaluate(config, tmp_path / 'run', data_dir)
  assert not (tmp_path / 'run').exists()


def test_a_batch_that_devices_cannot_share_is_refused(data_dir, tmp_path):
  config = digits.get_config('sl')
  config.train.batch_size = 60
  with pytest.raises(errors.UserError, match='8 devices cannot share'):
    train.train_and_evaluate(config, tmp_path / 'run', data_dir)


@pytest.mark.parametrize(
  ('argument', 'message'),
  [
    ('sl,symmetric,x', 'rate'),
    ('sl,symmetric,0.4,0.5', 'not understood'),
    ('sl,colour=red', 'not understood'),
    ('sl,recipe=nope', "recipe 'nope' is not known here: use one of small"),
    ('seed=x', 'whole number'),
    ('tiny=maybe', 'true or false'),
  ],
)
def test_bad_arguments_get_one_line(argument, message):
  with pytest.raises(ValueError, match=message) as caught:
    digits.get_config(argument)
  assert '\n' not in str(caught.value)


def test_an_argument_says_all():
  config = digits.get_config('gce,pair_flip,0.2,seed=7,tiny')
  assert config.loss.to_dict() == {'name': 'gce', 'q': 0.7}
  assert (config.noise.name, config.noise.rate) == ('pair_flip', 0.2)
  assert (config.seed, config.data.limit) == (7, 40)


def test_the_losses_values_have_their_names():
  for dataset in common._SL:
    for name in losses.LOSSES:
      values = common.loss_section(name, dataset).to_dict()
      config = {'loss': values}
      assert set(config_lib.loss_parameters(config)) <= set(
        losses.hyper_parameters(name)
      )


def test_differences_and_fingerprints():
  first = digits.get_config('sl')
  second = copy.deepcopy(first)
  second.optim.momentum = 0.5
  assert fields.differences(first, first) == []
  assert fields.differences(first, second) == ['optim.momentum: 0.9 -> 0.5']
  assert fields.fingerprint(first) != fields.fingerprint(second)
  assert fields.fingerprint(first) == fields.fingerprint(first.to_dict())


def test_models_of_all_configs_are_known():
  for name, recipe in VARIANTS:
    config = get_config(name, f'sl,recipe={recipe}')
    assert isinstance(config, config_dict.ConfigDict)
    assert config.model.name in models.MODELS
