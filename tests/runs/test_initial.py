"""Runs that begin from a file's parameters."""

import dataclasses
import functools
import hashlib
import json
import pathlib
import shutil
import sys
import types

from flax import traverse_util
import jax
import numpy as np
import pytest
from safetensors import numpy as safetensors

from experiments import grid
from sce_jax import export, models, train
from sce_jax.config.check import check_config
from sce_jax.engine.trainer import Trainer
from sce_jax.errors import UserError
from sce_jax.models.resnet import ResNet
from sce_jax.runs import files, initial, read, restore
from tests import synthetic

EPSILON = 1e-5


@pytest.fixture(autouse=True, scope='module')
def networks():
  """ResNet-50's kind, with a block of four channels; one of dense layers."""
  small = functools.partial(
    ResNet,
    blocks=(1,),
    widths=(4,),
    pre_activation=False,
    bottleneck=True,
    imagenet=True,
  )
  dense = functools.partial(models.cnn.CNN, stages=(), pooled=(), hidden=16)
  with pytest.MonkeyPatch.context() as patch:
    patch.setitem(models.MODELS, 'imagenet_resnet50', small)
    patch.setitem(models.MODELS, 'mnist_cnn', dense)
    yield


def config(**model):
  c = synthetic.config('ce,clean,0')
  c.train.epochs = 1
  c.model.batch_norm_epsilon = EPSILON
  c.model.update(model)
  return c


def resnet(init_from=None, **model):
  return config(
    name='imagenet_resnet50', use_bias=False, init_from=init_from, **model
  )


def torch_tensors(num_classes=1000, channels=1):
  """A state_dict of the small network, of random numbers."""
  rng = np.random.default_rng(0)

  def norm(name, n):
    return {
      f'{name}.{leaf}': rng.uniform(0.5, 2, n).astype(np.float32)
      for leaf in ('weight', 'bias', 'running_mean', 'running_var')
    } | {f'{name}.num_batches_tracked': np.array(3)}

  found = {}
  for name, shape in {
    'conv1': (4, channels, 7, 7),
    'layer1.0.conv1': (4, 4, 1, 1),
    'layer1.0.conv2': (4, 4, 3, 3),
    'layer1.0.conv3': (16, 4, 1, 1),
    'layer1.0.downsample.0': (16, 4, 1, 1),
    'fc': (num_classes, 16),
  }.items():
    found[f'{name}.weight'] = rng.normal(size=shape).astype(np.float32)
  for name, n in (
    ('bn1', 4),
    ('layer1.0.bn1', 4),
    ('layer1.0.bn2', 4),
    ('layer1.0.bn3', 16),
    ('layer1.0.downsample.1', 16),
  ):
    found |= norm(name, n)
  return found | {'fc.bias': np.ones(num_classes, np.float32)}


def write(path, tensors, metadata=None):
  path.write_bytes(safetensors.save(tensors, metadata))
  return str(path)


@pytest.fixture
def weights(tmp_path):
  return write(tmp_path / 'weights.safetensors', torch_tensors())


def load(c):
  checked = check_config(c)
  trainer = Trainer(checked, synthetic.data().info)
  return initial.load(checked.model, trainer.abstract_variables)


def flat(variables):
  return traverse_util.flatten_dict(variables, sep='.')


def test_all_but_another_head_is_the_files(weights):
  found = load(resnet(weights))
  ours, torch = flat(found.variables), torch_tensors()
  assert not any(name.startswith('params.head') for name in ours)
  assert len(ours) == 25  # Five convolutions, five times four of batch norm.
  np.testing.assert_array_equal(
    ours['params.stem.kernel'], torch['conv1.weight'].transpose(2, 3, 1, 0)
  )
  content = pathlib.Path(weights).read_bytes()
  assert found.record == {
    'init_from': weights,
    'sha256': hashlib.sha256(content).hexdigest(),
    'title': None,
    'head': 'newly drawn',
  }


def test_a_head_of_as_many_classes_is_kept_and_one_may_lack(tmp_path):
  same = write(tmp_path / 'same', torch_tensors(10))
  found = load(resnet(same))
  assert found.record['head'] == 'of the file'
  np.testing.assert_array_equal(
    found.variables['params']['head']['kernel'],
    torch_tensors(10)['fc.weight'].T,
  )
  none = torch_tensors()
  del none['fc.weight'], none['fc.bias']
  found = load(resnet(write(tmp_path / 'none', none)))
  assert found.record['head'] == 'newly drawn'


def test_the_first_state_has_them_in_all_runs_and_networks(weights):
  c = resnet(weights)
  c.loss.name = 'co_teaching'
  trainer, inputs, _ = synthetic.program([c, c])
  given = load(c).variables
  drawn, state = (trainer.init(inputs, x) for x in (None, given))
  assert state.params['stem']['kernel'].shape == (2, 2, 7, 7, 1, 4)
  for name in ('params', 'batch_stats'):
    for layer, leaves in given[name].items():
      for leaf, value in leaves.items():
        actual = getattr(state, name)[layer][leaf]
        assert (np.asarray(actual) == value).all(), (layer, leaf)
  # All else is what it is without.
  jax.tree.map(
    np.testing.assert_array_equal, state.params['head'], drawn.params['head']
  )


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  """A run from a file, which learns nothing, so that it ends with it."""
  folder = tmp_path_factory.mktemp('trained')
  file = write(folder / 'weights.safetensors', torch_tensors())
  c = resnet(file)
  c.optim.learning_rate = 1e-30
  result = train.train_and_evaluate(c, folder / 'run', dataset=synthetic.data())
  return c, folder, result


def test_a_run_begins_from_it_and_says_so(trained):
  c, folder, result = trained
  run = restore.load(folder / 'run')
  stem = torch_tensors()['conv1.weight'].transpose(2, 3, 1, 0)
  actual = run.trainer.variables(run.state)['params']['stem']['kernel']
  np.testing.assert_array_equal(actual, stem)
  sha = hashlib.sha256(pathlib.Path(c.model.init_from).read_bytes()).hexdigest()
  assert (result['init_from'], result['init_sha256']) == (
    c.model.init_from,
    sha,
  )
  assert sha in (folder / 'run' / 'results.csv').read_text()
  assert sha[:16] in read.find(folder / 'run')[0].initial


def test_a_run_with_a_checkpoint_does_not_need_the_file(trained, tmp_path):
  c, folder, result = trained
  run = tmp_path / 'run'
  shutil.copytree(folder / 'run', run)
  (run / 'result.json').unlink()
  moved = folder / 'away'
  file = folder / 'weights.safetensors'
  file.rename(moved)
  try:
    again = train.train_and_evaluate(c, run, dataset=synthetic.data())
    assert again['init_sha256'] == result['init_sha256']
    assert again['test'] == result['test']
    # One that is begun needs it, and leaves no folder behind.
    with pytest.raises(UserError, match=r'weights\.safetensors cannot be read'):
      train.train_and_evaluate(c, tmp_path / 'new', dataset=synthetic.data())
    assert not (tmp_path / 'new').exists()
  finally:
    moved.rename(file)


def test_a_run_without_a_checkpoint_wants_the_same_file(trained, tmp_path):
  c, folder, _ = trained
  run = tmp_path / 'run'
  shutil.copytree(folder / 'run', run)
  (run / 'result.json').unlink()
  shutil.rmtree(run / 'checkpoints')
  (run / 'saved.json').unlink()  # As one that was killed before it saved any.
  file = folder / 'weights.safetensors'
  before = file.read_bytes()
  try:
    write(file, torch_tensors(7))
    with pytest.raises(UserError, match='has changed since the run'):
      train.train_and_evaluate(c, run, dataset=synthetic.data())
  finally:
    file.write_bytes(before)


def test_fine_tuning_from_an_exported_network(trained, tmp_path):
  _, folder, result = trained
  made = export.export(folder / 'run', tmp_path / 'model')
  told = json.loads((made / 'model.json').read_text())
  assert told['run']['initial']['sha256'] == result['init_sha256']
  assert 'init_from' not in told['network']
  run = restore.load(folder / 'run')
  expected = flat(run.trainer.variables(run.state))
  for given in (made, made / 'model.safetensors'):
    found = load(resnet(str(given)))
    assert found.record['head'] == 'of the file'
    jax.tree.map(
      np.testing.assert_array_equal, flat(found.variables), dict(expected)
    )
  with pytest.raises(UserError, match=r'export --workdir=.*run --out'):
    load(resnet(str(folder / 'run')))
  with pytest.raises(UserError, match=r'epsilon is 0\.5: set it to 1e-05'):
    load(resnet(str(made), batch_norm_epsilon=0.5))
  (made / 'model.safetensors').write_bytes(b'x')
  with pytest.raises(UserError, match='not the file that was exported'):
    load(resnet(str(made)))


def test_random_is_said_everywhere(tmp_path, capsys):
  c = config(init_from='random')
  result = train.train_and_evaluate(
    c, tmp_path / 'run', dataset=synthetic.data()
  )
  assert 'initial weights: random: not pretrained' in capsys.readouterr().out
  assert result['init_from'] == 'random'
  assert ',random,' in (tmp_path / 'run' / 'results.csv').read_text()
  assert 'not pretrained' in grid.table({'ce': [result]})
  assert 'not pretrained' in read.find(tmp_path)[0].initial
  del result['init_from']
  assert 'pretrained' not in grid.table({'ce': [result]})
  # It is what no init_from draws, in the same folder's name but for that.
  plain = config()
  assert files.read_initial(tmp_path) is None
  assert load(plain).record is None
  assert read.run_name(plain) != read.run_name(c)


def test_a_config_of_before_has_the_fingerprint_of_before():
  c = config().to_dict()
  before = json.loads(json.dumps(c))
  del before['model']['init_from']
  assert read.run_name(before) == read.run_name(c)
  assert check_config(before).model.init_from is None


def test_what_must_be_given_is_asked_for():
  with pytest.raises(UserError, match=r'resnet50-0676ba61\.pth and give it'):
    check_config(config(init_from='required'))


def changed(change):
  tensors = torch_tensors()
  change(tensors)
  return tensors


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    (
      lambda t: t.update({'conv1.weight': t['conv1.weight'][:3]}),
      r'its params.stem.kernel is \(7, 7, 1, 3\), not \(7, 7, 1, 4\)',
    ),
    (lambda t: t.pop('bn1.bias'), 'it lacks params.stem_bn.bias'),
    (
      lambda t: t.update({'layer1.1.conv1.weight': t['layer1.0.conv1.weight']}),
      'it has params.stage1_block2_conv1.kernel, which the network has not',
    ),
    (
      lambda t: t.update({'features.0.weight': t['bn1.bias']}),
      'it has features.0.weight',
    ),
    (
      lambda t: t['bn1.running_var'].fill(np.nan),
      'its batch_stats.stem_bn.var holds no finite numbers',
    ),
    (
      lambda t: t.update({'bn1.weight': np.ones(4, np.int8)}),
      'its params.stem_bn.scale holds no finite numbers',
    ),
    # A head of another width is another network's.
    (
      lambda t: t.update({'fc.weight': np.ones((10, 15), np.float32)}),
      'params.head',
    ),
  ],
)
def test_what_does_not_fit_is_refused(tmp_path, change, message):
  file = write(tmp_path / 'weights', changed(change))
  with pytest.raises(UserError, match=message):
    load(resnet(file))


@pytest.mark.parametrize(
  ('model', 'message'),
  [
    ({'use_bias': True}, 'set --config.model.use_bias=False'),
    ({'batch_norm_epsilon': 1e-3}, 'set it to 1e-05'),
    ({'name': 'mnist_cnn'}, '--config.model.name=imagenet_resnet50'),
  ],
)
def test_settings_that_do_not_fit_are_named(weights, model, message):
  c = resnet(weights)
  c.model.update(model)
  with pytest.raises(UserError, match=message):
    load(c)


@pytest.mark.faults
@pytest.mark.parametrize(
  ('content', 'message'),
  [
    (None, 'cannot be read'),
    (b'', 'neither safetensors nor a PyTorch checkpoint'),
    (b'<!DOCTYPE html>', 'neither safetensors nor a PyTorch checkpoint'),
    (b'version https://git-lfs.github.com/spec/v1\n', 'pointer of Git LFS'),
    (b'\x10\x00\x00\x00\x00\x00\x00\x00{"a', 'is damaged'),
  ],
)
def test_other_files_are_refused(tmp_path, content, message):
  file = tmp_path / 'weights'
  if content is not None:
    file.write_bytes(content)
  with pytest.raises(UserError, match=message):
    load(resnet(str(file)))
  with pytest.raises(UserError, match=r'folder without model\.safetensors'):
    load(resnet(str(tmp_path if content is not None else tmp_path.parent)))


def test_known_weights_are_named(tmp_path):
  made_of = {'source': 'a.pth', 'source_sha256': '11ad3fa6' + '0' * 56}
  file = write(tmp_path / 'weights', torch_tensors(), made_of)
  record = load(resnet(file)).record
  assert 'IMAGENET1K_V2' in record['title']
  assert record | made_of == record
  assert 'IMAGENET1K_V2' in files.initial_title(record)


def test_the_hub(tmp_path, weights, monkeypatch):
  asked = []

  def download(repository, name):
    asked.append((repository, name))
    return weights

  hub = types.SimpleNamespace(hf_hub_download=download)
  monkeypatch.setitem(sys.modules, 'huggingface_hub', hub)
  given = 'hf://timm/resnet50.tv2_in1k/sub/model.safetensors'
  record = load(resnet(given)).record
  assert asked == [('timm/resnet50.tv2_in1k', 'sub/model.safetensors')]
  assert record['init_from'] == given
  with pytest.raises(UserError, match='write hf://OWNER/REPOSITORY/FILE'):
    load(resnet('hf://timm/model.safetensors'))

  def offline(repository, name):
    raise OSError('outgoing traffic\nis disabled')

  hub.hf_hub_download = offline
  monkeypatch.setenv('HF_HUB_OFFLINE', '1')
  message = r'HF_HUB_OFFLINE is set\) \(OSError: outgoing traffic is disabled'
  with pytest.raises(UserError, match=message):
    load(resnet(given))
  monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
  with pytest.raises(UserError, match='pip install huggingface_hub'):
    load(resnet(given))


def test_a_pytorch_checkpoint_without_torch(tmp_path, monkeypatch):
  monkeypatch.setenv('PYTHONPATH', str(tmp_path))
  (tmp_path / 'torch.py').write_text("raise ModuleNotFoundError(name='torch')")
  file = tmp_path / 'weights.pth'
  file.write_bytes(b'PK\x03\x04')
  message = r'pip install torch; .*convert\.py .*weights\.pth OUT\.safetensors'
  with pytest.raises(UserError, match=message):
    load(resnet(str(file)))


def test_a_pytorch_checkpoint(tmp_path):
  torch = pytest.importorskip('torch', reason='PyTorch is not installed')
  tensors = torch_tensors()
  state = {f'module.{n}': torch.tensor(x) for n, x in tensors.items()}
  state['module.conv1.weight'] = state['module.conv1.weight'].half()
  file = tmp_path / 'weights.pth'
  torch.save({'state_dict': state, 'epoch': 3}, file)
  found = load(resnet(str(file)))
  assert found.record['source'] == 'weights.pth'
  sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
  assert {found.record[x] for x in ('sha256', 'source_sha256')} == {sha256}
  np.testing.assert_array_equal(
    found.variables['params']['stage1_block1_conv2']['kernel'],
    tensors['layer1.0.conv2.weight'].transpose(2, 3, 1, 0),
  )
  np.testing.assert_allclose(
    found.variables['params']['stem']['kernel'],
    tensors['conv1.weight'].transpose(2, 3, 1, 0),
    rtol=1e-3,
  )
  # A whole pickled network could execute anything.
  torch.save(types.SimpleNamespace(fc=state), file)
  with pytest.raises(UserError, match=r'cannot be converted: .*state_dict'):
    load(resnet(str(file)))


def test_init_from_is_checked_with_the_other_fields():
  with pytest.raises(UserError, match=r'model\.init_from is .* a file'):
    check_config(config(init_from=' '))
  network = check_config(config(init_from='random')).model
  assert 'init_from' not in network.architecture
  assert models.ModelConfig(**network.architecture) == dataclasses.replace(
    network, init_from=None
  )
