"""Configs: what is refused, that all fields are read, that all configs run."""

import copy
import dataclasses
import importlib

import numpy as np
import pytest

from configs import common, digits, own
from experiments.paper import scales
from sce_jax import errors, methods, models, noise, train
from sce_jax.config import caveats, fields
from sce_jax.config import check as config_lib
from sce_jax.data import labels
from sce_jax.data.info import DatasetInfo
from sce_jax.engine import optim
from sce_jax.runs import read

NAMES = scales.names()
WEB = ('clothing1m', 'animal10n', 'food101n', 'webvision_mini')
HUMAN = {'cifar10_n': 'worse', 'cifar100_n': 'noisy'}


def get_config(name, argument):
  return importlib.import_module(f'configs.{name}').get_config(argument)


def recipes(name):
  few = {
    'digits': ['small'],
    'own': ['own'],
    'clothing1m': ['paper', 'eps_softmax', 'dividemix'],
    'animal10n': ['plc'],
    'food101n': ['plc'],
    'webvision_mini': ['apl'],
  }
  return few.get(name, ['paper', 'apl'])


VARIANTS = [(name, recipe) for name in NAMES for recipe in recipes(name)]


@pytest.mark.parametrize(('name', 'recipe'), VARIANTS)
def test_every_config_passes_its_check(name, recipe):
  config = get_config(name, f'sl,recipe={recipe}')
  if config.model.init_from == 'required':
    config.model.init_from = 'random'
  checked = config_lib.check_config(config)
  assert checked.model.name in (*models.MODELS, *[None] * (name == 'own'))
  assert dataclasses.is_dataclass(checked.optim)
  # Frozen: nobody changes it on the way.
  with pytest.raises(dataclasses.FrozenInstanceError):
    checked.optim.momentum = 0.5


@pytest.mark.parametrize('loss', list(methods.SPECS))
def test_every_config_takes_every_method(loss):
  for name in NAMES:
    config = get_config(name, loss)
    if 'forget_rate' in methods.SPECS[loss].hparams:
      is_known = name not in ('own', *WEB)  # Of labels as they are given.
      assert ('forget_rate' in config.loss) == is_known
      if not is_known:
        with pytest.raises(errors.UserError, match="needs 'forget_rate'"):
          config_lib.check_config(config)
        with config.unlocked():
          config.loss.forget_rate = 0.2
    if config.model.init_from == 'required':
      config.model.init_from = 'random'
    if loss == 'nls':  # No paper says which smoothing.
      with pytest.raises(errors.UserError, match="needs 'smoothing'"):
        config_lib.check_config(config)
      with config.unlocked():
        config.loss.smoothing = -1.0
    if loss == 'gjs':  # It needs two augmentations.
      config.data.augment.flip = True
    if loss == 'd2l':  # It needs all images on the device.
      config.data.feed, config.data.augment.crop = 'resident', 'center'
    checked = config_lib.check_config(config)
    assert checked.loss.name == loss
    assert set(checked.loss.hparams) <= set(methods.SPECS[loss].hparams)


@pytest.mark.parametrize('name', NAMES)
def test_every_config_says_what_it_is(name):
  text = importlib.import_module(f'configs.{name}').__doc__
  assert f'python launch.py --config=configs/{name}.py:' in text
  assert 'Expected' in text
  assert 'Time:' in text


@pytest.mark.slow  # The larger networks compile for minutes on two cores.
@pytest.mark.parametrize(
  ('name', 'recipe'),
  # Those that read files are run in data/sources, test_folder.py and web/.
  [v for v in VARIANTS if v[0] not in ('own', *WEB)],
)
def test_the_tiny_variant_runs(name, recipe, data_dir, tmp_path):
  config = get_config(name, f'sl,recipe={recipe},tiny')
  result = train.train_and_evaluate(config, tmp_path / 'run', data_dir)
  assert result['epochs'] == 2
  assert result['test']['examples'] == 40


def test_every_field_is_read(data_dir, tmp_path, monkeypatch):
  seen = set()
  config = digits.get_config('sl,symmetric,0.4,tiny')
  config.data.augment.pad_crop = 1
  config.train.record_averages = True
  config.noise.second, config.noise.second_rate = 'pair_flip', 0.1
  config.noise.imbalance, config.noise.imbalance_ratio = 'step', 2.0
  others = tmp_path / 'others.npz'
  images = (np.arange(40 * 64) % 256).reshape(40, 8, 8).astype(np.uint8)
  np.savez(others, images=images, labels=np.arange(40) % 2)
  config.noise.open_set_from, config.noise.open_set_rate = str(others), 0.2
  checked = config_lib.check_config(config)
  original = object.__getattribute__
  # All that only goes through all fields would hide one that nothing uses.
  plain = checked.to_dict()
  monkeypatch.setattr(config_lib.Config, 'to_dict', lambda self: plain)
  monkeypatch.setattr(config_lib.Config, 'compile_key', 'one')
  monkeypatch.setattr(train, '_data_key', lambda config: 'one')

  def note(self, name):
    seen.add((type(self).__name__, name))
    return original(self, name)

  sections = {'Config': checked}
  for field in dataclasses.fields(checked):
    value = getattr(checked, field.name)
    if dataclasses.is_dataclass(value):
      sections[type(value).__name__] = value
  sections['AugmentConfig'] = checked.data.augment
  for value in sections.values():
    monkeypatch.setattr(type(value), '__getattribute__', note)
  train.train_and_evaluate(checked, tmp_path / 'run', data_dir)
  step = dataclasses.replace(
    checked.optim, schedule='step', l2=1.0, clip_norm=1.0, weight_decay=1.0
  )
  optim.make_optimizer(step, 2, 1)
  optim.make_schedule(
    dataclasses.replace(checked.optim, schedule='cosine'), 2, 1
  )
  # Read where the noise is made from a file only, of a user's own data, and
  # where data are streamed.
  seen |= {('NoiseConfig', 'path')} | {
    ('DataConfig', name)
    for name in ('path', 'image_size', 'max_unreadable', 'workers')
  }
  unread = {
    (name, field.name)
    for name, value in sections.items()
    for field in dataclasses.fields(value)
    if (name, field.name) not in seen
  }
  assert not unread


BAD = [
  ('seed', -1, 'seed'),
  ('data.source', 'nope', 'one of tfds'),
  ('data.name', 3, 'data.name is 3: it must be a text'),
  ('data.pixel_max', 0.0, 'above 0'),
  ('data.std', (0.0,), 'must be finite numbers above 0$'),
  ('data.std', (float('inf'),), 'must be finite numbers above 0$'),
  ('data.mean', ('a',), r"\('a',\): it must be a list of finite numbers$"),
  ('data.mean', 0.5, 'mean is 0.5: it must be a list of finite numbers$'),
  ('data.normalization', 'nope', 'normalization'),
  ('data.limit', 0, 'data.limit'),
  ('data.image_size', 7, r'image_size is 7: .* in \[8, 1024\]'),
  ('data.held_out', 1.0, r'in \[0, 1\)'),
  # The sources of which digits are one do not read these.
  ('data.path', 'own.npz', 'source=tfds does not read it.*or use configs/own'),
  ('data.image_size', 16, 'source=tfds does not read it: leave it out'),
  ('data.per_class', 5, 'source=tfds does not read it'),
  ('data.train_split', 'clean_train', 'source=tfds does not read it'),
  ('data.max_unreadable', 1.5, r'in \[0, 1\]'),
  ('data.augment.shift', 1.5, 'shift'),
  ('data.augment.fill', 'red', 'black, nearest'),
  ('noise.name', 'nope', 'nope.*symmetric'),
  ('noise.name', 'worse', "noise 'worse' is not known"),
  ('noise.name', 'file', 'give both or neither'),
  ('noise.path', 'labels.csv', 'give both or neither'),
  ('noise.rate', 1.0, r'noise.rate is 1.0.*\[0, 1\)'),
  ('noise.rate', -0.1, 'noise.rate'),
  ('noise.rate', float('nan'), 'noise.rate'),
  ('noise.mode', 'nope', 'exact, iid'),
  ('noise.seed', -1, r'must be a whole number in \[0, 2\^64\)$'),
  ('noise.seed', 2**64, r'must be a whole number in \[0, 2\^64\)$'),
  ('seed', 2**64, r'must be a whole number in \[0, 2\^32\)$'),
  ('train.epochs', 2**64, 'must be a whole number of at most 64 bits$'),
  ('loss.name', 'nope', 'one of ce, rce, sl'),
  ('loss.q', 0.5, "loss 'sl' has no hyper-parameter 'q'"),
  ('loss.window', 7.0, "loss 'sl' has no hyper-parameter 'window'"),
  ('loss.alpha', 'x', "alpha is 'x'; give a number"),
  ('loss.alpha', -0.1, 'alpha'),
  ('loss.log_zero', 1.0, 'log_zero'),
  ('model.name', 'nope', 'one of digits_cnn'),
  ('model.dtype', 'float16', 'float32, bfloat16'),
  ('model.layout', 'nope', 'nhwc, chwn'),
  ('optim.learning_rate', 0.0, 'learning_rate'),
  ('optim.learning_rate', float('inf'), 'must be a number that is finite$'),
  ('optim.learning_rate', float('nan'), 'must be a number above 0$'),
  ('optim.boundaries', (1.5, 2), 'be epochs: whole numbers above 0 in incr'),
  ('optim.schedule', 'nope', 'constant, step, exponential, cosine'),
  ('optim.boundaries', (3, 2), 'increasing'),
  ('optim.l2_names', '(', 'regular expression'),
  ('optim.clip_norm', -1.0, 'clip_norm'),
  ('train.epochs', 0, 'epochs'),
  ('train.epochs', 2.5, 'train.epochs is 2.5: it must be a whole number'),
  ('train.epochs', '3', 'whole number'),
  ('train.epochs', True, 'whole number'),
  ('train.drop_remainder', 'drop', 'true or false'),
  ('train.last_batch', 'train', 'no field config.train.last_batch'),
  ('optim.lr', 0.1, 'no field config.optim.lr'),
  ('optim', 3, 'must be a section of fields'),
  ('train.runner', 'nope', 'pmap, jit'),
  ('checkpoint.every', 0, 'every'),
  ('train.record_margins', True, 'nothing without config.train.record_av'),
  ('loss', {'name': 'gmm_selection', 'warm_up': 60}, 'only 60 epochs, so that'),
]


@pytest.mark.parametrize(('field', 'value', 'message'), BAD)
def test_bad_values_get_one_line(field, value, message, tmp_path):
  config = digits.get_config('sl,symmetric,0.4')
  with config.ignore_type(), config.unlocked():
    *sections, name = field.split('.')
    section = config
    for part in sections:
      section = section[part]
    section[name] = value
  with pytest.raises(errors.UserError, match=message) as caught:
    train.train_and_evaluate(config, tmp_path / 'run', 'no/data/needed')
  assert '\n' not in str(caught.value)
  assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
  ('argument', 'found'),
  [
    ('', ('sl', 'symmetric', 0.4, 0)),
    ('gce', ('gce', 'symmetric', 0.4, 0)),
    ('gce,pair_flip', ('gce', 'pair_flip', 0.4, 0)),
    ('gce,pair_flip,0.2', ('gce', 'pair_flip', 0.2, 0)),
    ('seed=3', ('sl', 'symmetric', 0.4, 3)),
    # The first part is the loss, even if it is a noise's name.
    ('pair_flip,0.2', ('pair_flip', '0.2', 0.4, 0)),
  ],
)
def test_trailing_parts_of_the_argument_may_be_left_out(argument, found):
  choice = common.parse(argument, digits.DEFAULT, ('small',))
  assert (choice.loss, choice.noise, choice.rate, choice.seed) == found


@pytest.mark.parametrize('rate', ['40', '20', '1', '-5', 'inf', '-inf', 'nan'])
@pytest.mark.parametrize('loss', ['sl', 'co_teaching'])
def test_a_rate_that_is_no_share_is_refused_for_every_noise(loss, rate):
  """Such as one in per cent; settings are looked up before the check."""
  for name in noise.NOISE:
    config = digits.get_config(f'{loss},{name},{rate}')
    said = f'config.noise.rate is {float(rate)}: it must be a number in [0, 1)'
    with pytest.raises(errors.UserError) as caught:
      config_lib.check_config(config)
    assert str(caught.value) == said


def test_what_the_data_choose_is_checked_too():
  """Of so few examples there are 60 epochs."""
  config = own.get_config('gmm_selection')
  config.loss.warm_up = 60
  checked = config_lib.check_config(config)
  info = DatasetInfo('mine', 10, (8, 8, 1), (), 16.0, (0.3,), (0.4,), 1198, 599)
  with pytest.raises(errors.UserError, match='there are only 60 epochs'):
    config_lib.check_fits(checked, info)


@pytest.mark.parametrize('classes', [100, 101])
def test_too_many_classes_for_an_estimator_are_refused(classes):
  config = digits.get_config('forward')
  config.loss.transition = 'hoc'
  info = DatasetInfo(
    'mine', classes, (8, 8, 1), (), 16.0, (0.3,), (0.4,), 1198, 599
  )
  said = (
    "config.loss.transition=hoc is for at most 100 classes, and 'mine' has 101:"
    ' use another estimator, such as dual_t'
  )
  try:
    config_lib.check_fits(config_lib.check_config(config), info)
  except errors.UserError as error:
    assert (classes, str(error)) == (101, said)
  else:
    assert classes == 100


@pytest.mark.parametrize(
  ('loss', 'epochs', 'needed'),
  [
    # A turning point needs a window after the warm-up, and an epoch after it.
    ('d2l', 11, 12),
    ('d2l', 12, None),
    ('co_teaching', 9, 10),
    ('co_teaching', 10, None),
    ('sl', 1, None),
  ],
)
def test_too_few_epochs_for_a_method_are_told(loss, epochs, needed):
  config = digits.get_config(f'{loss},symmetric,0.4')
  config.train.epochs = epochs
  info = DatasetInfo(
    'digits', 10, (8, 8, 1), (), 16.0, (0.3,), (0.4,), 1198, 599
  )
  said = caveats.of(config_lib.check_config(config), info)
  assert len(said) == (needed is not None)
  assert not said or f'{loss} needs {needed} epochs' in said[0]


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
  assert config.loss.to_dict() == {'name': 'gce'}  # q has its default.
  assert (config.noise.name, config.noise.rate) == ('pair_flip', 0.2)
  assert (config.seed, config.data.limit) == (7, 40)


def test_a_config_of_the_old_layout_is_refused():
  config = digits.get_config('sl').to_dict()
  del config['train']['drop_remainder']
  with pytest.raises(errors.UserError, match='drop_remainder is missing') as e:
    config_lib.check_config(config)
  assert '\n' not in str(e.value)


def test_checking_twice_changes_nothing():
  checked = config_lib.check_config(digits.get_config('gce'))
  assert config_lib.check_config(checked) is checked
  again = config_lib.check_config(checked.to_dict())
  assert again == checked
  assert checked.to_dict()['loss'] == {'name': 'gce', 'q': 0.7}


def test_which_runs_share_a_program():
  first = digits.get_config('d2l,symmetric,0.4')
  key = config_lib.check_config(first).compile_key

  def changed(path, value):
    other = copy.deepcopy(first)
    with other.unlocked():
      *sections, name = path.split('.')
      section = other
      for part in sections:
        section = section[part]
      section[name] = value
    return config_lib.check_config(other).compile_key

  for path, value in (
    ('seed', 3),
    ('noise.rate', 0.2),
    ('loss.weight', 0.5),
    ('loss.warm_up', 2),
  ):
    assert changed(path, value) == key
  for path, value in (
    ('loss.neighbours', 10),  # Static: compiled in.
    ('optim.momentum', 0.5),
    ('loss', {'name': 'ce'}),
    ('data.limit', 40),
  ):
    assert changed(path, value) != key


def test_runs_of_earlier_versions_are_the_same_runs():
  config = digits.get_config('sl,symmetric,0.4')
  # A golden: as it was named before configs had the fields of LATER.
  name = 'digits-sl-symmetric-0.4-seed0-6991b0fc'
  assert read.run_name(config) == name
  checked = config_lib.check_config(config)
  assert read.run_name(checked.to_dict()) == name
  for path, value in fields.LATER.items():
    assert fields.flatten(config)[path] == value
  before = config.to_dict()
  for path in fields.LATER:
    *sections, field = path.split('.')
    section = before
    for name_of_section in sections:
      section = section[name_of_section]
    section.pop(field, None)  # Of some methods only.
  assert config_lib.check_config(before) == checked
  assert fields.differences(before, config) == []
  config.data.workers = 3  # Another machine: the same run.
  assert fields.differences(before, config) == []
  assert read.run_name(config) == name
  config.data.held_out = 0.2
  assert fields.differences(before, config) == ['data.held_out: 0.0 -> 0.2']
  assert read.run_name(config) != name


def test_differences_and_fingerprints():
  first = digits.get_config('sl')
  second = copy.deepcopy(first)
  second.optim.momentum = 0.5
  assert fields.differences(first, first) == []
  assert fields.differences(first, second) == ['optim.momentum: 0.9 -> 0.5']
  assert fields.fingerprint(first) != fields.fingerprint(second)
  assert fields.fingerprint(first) == fields.fingerprint(first.to_dict())


@pytest.mark.parametrize(
  ('loss', 'changes', 'share'),
  [
    ('co_teaching', {}, None),
    ('co_teaching', {'rate': 0.6}, '0.6'),
    ('jocor', {'name': 'clean', 'rate': 0.0}, '0'),
    ('jocor', {'name': 'pair_flip'}, None),
    # 0.8 * 0.7 + 0.2 * 0.3 / 9 of the labels are right.
    ('co_teaching', {'second': 'symmetric', 'second_rate': 0.3}, '0.433'),
    ('co_teaching', {'open_set_rate': 0.5}, '0.6'),
    # Classes 2, 3, 5, 6 and 7, of which 10^(-2 k / 9) is kept: 0.4 of 0.726 of
    # 2.482.
    (
      'co_teaching',
      {
        'name': 'asymmetric_mnist',
        'rate': 0.4,
        'imbalance': 'exponential',
        'imbalance_ratio': 100.0,
      },
      '0.117',
    ),
    ('co_teaching', {'name': 'part_dependent', 'rate': 0.4}, '0.4'),
    ('co_teaching', {'name': 'file'}, None),  # Nobody knows.
    ('sl', {'rate': 0.6}, None),
  ],
)
def test_a_method_that_is_told_another_rate_than_there_is(loss, changes, share):
  config = config_lib.check_config(digits.get_config(f'{loss},symmetric,0.2'))
  noise = labels.NoiseConfig(
    **{'name': 'symmetric', 'rate': 0.2, 'mode': 'exact', **changes},
    seed=None,
    path=None,
  )
  info = DatasetInfo(
    'digits', 10, (8, 8, 1), (), 16.0, (0.3,), (0.4,), 1198, 599
  )
  said = caveats.of(dataclasses.replace(config, noise=noise), info)
  if share is None:
    assert not said
  else:
    (line,) = said
    assert f"under the config's noise it is {share}" in line
    assert 'config.loss.forget_rate=0.2' in line
