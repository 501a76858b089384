"""README's examples of additions, each done for real."""

import re
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import cifar10_n, cifar100_n, digits, mnist
from experiments.paper import registry
from experiments.paper import run as paper_run
from sce_jax import errors, methods, noise, train
from sce_jax.config import check as config_lib
from sce_jax.methods import table
from sce_jax.noise import NoiseSpec, from_transition
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
  spec = table.loss_spec(unhinged, 'unhinged loss', 'Unhinged')
  monkeypatch.setitem(methods.SPECS, 'unhinged', spec)
  config = digits.get_config('unhinged,symmetric,0.4,tiny')
  result = train.train_and_evaluate(config, tmp_path / 'run', data_dir)
  assert result['loss'] == 'unhinged'


def test_a_noise_model_can_be_added(example, data_dir, tmp_path, monkeypatch):
  neighbours = example('neighbours')
  np.testing.assert_allclose(
    neighbours(4, 0.2)[1], [0.1, 0.8, 0.1, 0], atol=1e-12
  )
  spec = NoiseSpec(from_transition(neighbours), neighbours)
  monkeypatch.setitem(noise.NOISE, 'neighbours', spec)
  config = digits.get_config('sl,neighbours,0.2')
  config.data.limit = 200
  config.train.epochs = 1
  result = train.train_and_evaluate(config, tmp_path / 'run', data_dir)
  assert result['realised_rate'] == pytest.approx(0.2, abs=0.02)


def test_a_data_set_needs_nothing(data_dir, tmp_path):
  assert '--config=configs/mnist.py:sl,symmetric,0.4 --config.data.name=' in (
    README
  )
  # Any tfds name does; here a folder holds fakes of a few.
  config = mnist.get_config('sl,pair_flip,0.4,tiny')
  config.data.name = 'cifar100'
  config.data.mean = config.data.std = None
  config.model.name = 'digits_cnn'
  result = train.train_and_evaluate(config, tmp_path / 'run', data_dir)
  assert result['dataset'] == 'cifar100'
  assert len(result['test']['class_accuracy']) == 100


def test_an_experiment_can_be_added(example, data_dir, tmp_path, monkeypatch):
  module = types.ModuleType('experiments.paper.alphas', 'SL at several alphas.')
  module.sweep, module.report = (example(x) for x in ('sweep', 'report'))
  monkeypatch.setattr(registry, 'NAMES', (*registry.NAMES, 'alphas'))
  monkeypatch.setitem(sys.modules, module.__name__, module)
  written = paper_run.run('alphas', 'digits', 'tiny', tmp_path, data_dir)
  assert '| alpha 0.01 ' in written.markdown.read_text()
  assert 'alphas' in registry.describe()


def test_the_names_in_the_table_are_those_of_the_code():
  (row,) = re.findall(r'\| methods \| (.*) \|', README)
  assert re.findall(r'`(\w+)`', row) and set(
    re.findall(r'`(\w+)`', row)
  ) == set(methods.SPECS)
  (row,) = re.findall(r'\| noise \| (.*) \|', README)
  assert set(re.findall(r'`(\w+)`', row)) == {*noise.NOISE, 'file'}
  (row,) = re.findall(r'\| human labels \| (.*) \|', README)
  human = {
    name
    for module in (cifar10_n, cifar100_n)
    for name in module.get_config().data.label_sets
  }
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
