"""README's examples of additions, each done for real."""

import re
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import common, digits
from experiments.paper import registry
from experiments.paper import run as paper_run
from sce_jax import errors, losses, noise, train
from sce_jax.config import check as config_lib
from sce_jax.data import dataset as dataset_lib
from sce_jax.data import datasets
from tests.conftest import REPOSITORY

README = (REPOSITORY / 'README.md').read_text()


@pytest.fixture
def example():
  """The python block of README that defines a name, executed."""

  def execute(name):
    blocks = re.findall(r'```python\n(.*?)```', README, re.DOTALL)
    (block,) = (b for b in blocks if re.search(rf'^(def )?{name}\b', b, re.M))
    scope = {}
    exec(block, scope)
    return scope[name]

  return execute


def test_a_loss_can_be_added(example, data_dir, tmp_path, monkeypatch):
  unhinged = example('unhinged')
  logits, label = jnp.log(jnp.array([0.25, 0.75])), jnp.array(1)
  assert float(unhinged(logits, label)) == pytest.approx(0.25)
  one_hot = jax.nn.one_hot(1, 2)
  assert float(unhinged(logits, one_hot)) == pytest.approx(0.25)
  monkeypatch.setitem(losses.LOSSES, 'unhinged', unhinged)
  config = digits.get_config('unhinged,symmetric,0.4,tiny')
  result = train.train_and_evaluate(config, tmp_path / 'run', data_dir)
  assert result['loss'] == 'unhinged'


def test_a_noise_model_can_be_added(example, data_dir, tmp_path, monkeypatch):
  neighbours = example('neighbours')
  np.testing.assert_allclose(
    neighbours(4, 0.2)[1], [0.1, 0.8, 0.1, 0], atol=1e-12
  )
  monkeypatch.setitem(noise.NOISE, 'neighbours', neighbours)
  config = digits.get_config('sl,neighbours,0.2')
  config.data.limit = 200
  config.train.epochs = 1
  result = train.train_and_evaluate(config, tmp_path / 'run', data_dir)
  assert result['realised_rate'] == pytest.approx(0.2, abs=0.02)


def test_a_data_set_can_be_added(example, tmp_path, monkeypatch):
  monkeypatch.setitem(datasets.DATASETS, 'fashion_mnist', example('FASHION'))
  monkeypatch.setitem(common._SL, 'fashion_mnist', (0.01, 1.0, -4.0))
  config = common.base_config(
    common.ConfigArgs('sl', 'symmetric', 0.4, recipe='paper'), 'fashion_mnist'
  )
  config.model.name = 'mnist_cnn'
  assert config_lib.check_config(config)['data']['name'] == 'fashion_mnist'
  # tfds knows it by that name, and it is looked for where it should be.
  monkeypatch.setattr(
    dataset_lib.prepare,
    'prepare',
    lambda *_: (_ for _ in ()).throw(LookupError(_[0])),
  )
  with pytest.raises(LookupError, match='fashion_mnist'):
    train.train_and_evaluate(config, tmp_path / 'run', str(tmp_path))


def test_an_experiment_can_be_added(example, data_dir, tmp_path, monkeypatch):
  module = types.ModuleType('experiments.paper.alphas', 'SL at several alphas.')
  module.sweep, module.report = (example(x) for x in ('sweep', 'report'))
  monkeypatch.setattr(registry, 'NAMES', (*registry.NAMES, 'alphas'))
  monkeypatch.setitem(sys.modules, module.__name__, module)
  written = paper_run.run('alphas', 'digits', 'tiny', tmp_path, data_dir)
  assert '| alpha 0.01 |' in written.markdown.read_text()
  assert 'alphas' in registry.describe('digits')


def test_the_names_in_the_table_are_those_of_the_code():
  (row,) = re.findall(r'\| losses \| (.*) \|', README)
  assert re.findall(r'`(\w+)`', row) and set(
    re.findall(r'`(\w+)`', row)
  ) == set(losses.LOSSES)
  (row,) = re.findall(r'\| noise \| (.*) \|', README)
  assert set(re.findall(r'`(\w+)`', row)) == set(noise.NOISE)
  (row,) = re.findall(r"\| people's labels \| (.*) \|", README)
  human = {n for d in datasets.DATASETS.values() for n in d.human_labels}
  assert {n for n in re.findall(r'`(\w+)`', row) if '/' not in n} == human


def test_the_links_lead_somewhere():
  links = re.findall(r'\]\((?!http)([^)]+)\)', README)
  assert links
  assert [link for link in links if not (REPOSITORY / link).exists()] == []


def test_the_commands_take_flags_that_exist():
  with pytest.raises(errors.UserError):
    config_lib.check_config(digits.get_config('nope'))
  configs = re.findall(r'--config=configs/(\w+)\.py', README)
  assert set(configs) <= {p.stem for p in (REPOSITORY / 'configs').glob('*.py')}
