"""All pages: examples are executed, commands parse, links and names exist."""

import dataclasses
import functools
import importlib.util
import inspect
import pathlib
import re
import shutil
import subprocess
import sys
import types
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from configs import digits
from experiments import grid
from experiments.analysis import marks
from experiments.benchmarks import __main__ as benchmarks
from experiments.cli import command_line, common_flags
from experiments.paper import methods as paper_methods
from experiments.paper import registry, scales
from experiments.paper import run as paper_run
from sce_jax import methods, models, noise, train
from sce_jax.config import check
from sce_jax.data import dataset
from sce_jax.exit_codes import ExitCode
from sce_jax.parallel import runners
from sce_jax.runs import files
from tests import pages
from tests.methods import calls
from tests.pages import REPOSITORY

WITH_PYTHON = [name for name in pages.NAMES if pages.blocks(name, 'python')]
# Pages whose examples train networks.
TRAINS = ('sce_jax/README.md', 'sce_jax/runs/README.md')
CONFIGS = set(scales.names())


def check_readme(found):
  """Trains a linear network on digits with the example's own step."""
  wrong = np.mean(found['labels'] != found['clean_labels'])
  assert wrong == pytest.approx(0.4, abs=0.001)
  images = jnp.asarray(found['images'] / 16, jnp.float32)
  params = jnp.zeros((64, 10))
  state = found['optimizer'].init(params)
  losses = []
  for _ in range(20):
    params, state, loss = found['train_step'](
      params, state, images, found['labels']
    )
    losses.append(float(loss))
  # At p = 1/10: 0.1 log 10 + 4 (1 - 1/10).
  assert losses[0] == pytest.approx(3.830259, abs=1e-5)
  assert losses[-1] < losses[0] - 0.02


def check_tour(found):
  wrong = found['labels'] != found['true_labels']
  flagged = found['issues']['is_issue'].to_numpy()
  assert wrong.mean() == pytest.approx(0.2)
  assert wrong[flagged].mean() > 0.7 and flagged[wrong].mean() > 0.7
  assert (
    found['classifier'].score(found['examples'], found['true_labels']) > 0.9
  )
  logits = jnp.log(jnp.array([0.25, 0.75]))
  for label in (jnp.array(1), jnp.array([0.0, 1.0])):
    assert float(found['brier'](logits, label)) == pytest.approx(0.125)
  np.testing.assert_allclose(
    found['neighbours'](4, 0.2)[1], [0.1, 0.8, 0.1, 0], atol=1e-12
  )
  result = found['result']
  names = [result[key] for key in ('dataset', 'loss', 'noise', 'epochs')]
  assert names == ['fashion_mnist', 'brier', 'neighbours', 2]
  # Of each class 4 examples: 0.4 of them are 1.6, the nearest number is 2.
  assert result['realised_rate'] == 0.5


def check_methods(found):
  config = digits.get_config('ce_then_mae,symmetric,0.4,tiny')
  train.train_and_evaluate(config, 'runs/method')
  first, last = files.read_metrics('runs/method')
  # One epoch of each: in ten classes CE begins at log 10, MAE is at most 2.
  assert first['train']['loss'] > 2 >= last['train']['loss']
  # Of three classes nothing is known: p = 1/3 each.
  images, labels, params = calls.arrays()
  for name, values, wanted in (
    ('gce_penalty', {'q': 1, 'penalty': 2}, 2 / 3 - 2 * np.log(3)),
    (
      'clipped_ce_plus_mae',
      {'alpha': 1, 'beta': 2, 'max_norm': 1},
      np.log(3) + 2 * 4 / 3,
    ),
  ):
    method = methods.build(name, methods.complete(name, values))
    batch = calls.batch(images, labels)
    got, *_ = calls.evaluate(method, 0 * params, batch, values, gradient=False)
    np.testing.assert_allclose(got, wanted, rtol=1e-6)


def check_data(found):
  assert found['dataset'].info.class_names == ('A', 'B', 'C')
  assert found['result']['test_accuracy'] > 0.8  # Of 36 wines.
  with np.load('features.npz') as file:
    assert file['x'].shape == (569, 30)
  config = check.check_config(found['config'])
  data = dataset.read(config.data)
  assert (len(data.train), len(data.test)) == (600, 200)
  assert data.info.name == 'my_images' and not data.info.clean_labels
  check.check_fits(config, data.info)


def check_configs(found):
  config = check.check_config(found['get_config']('sl,symmetric,0.6,seed=1'))
  assert config.loss.hparams == {'alpha': 0.01, 'beta': 1.0, 'log_zero': -4.0}
  assert config.train.epochs == 20
  runs = list(found['sweep']())
  assert len(runs) == 12
  for run in runs:
    check.check_config(found['get_config'](run['argument']))


def check_runs(found):
  (run,) = found['runs'].to_dict('records')
  assert run['seed'] == 0
  ((mean, _, count),) = found['table'].to_numpy()
  assert (mean, count) == (run['test_accuracy'], 1)
  assert found['probabilities'].shape == (5, 10)
  np.testing.assert_allclose(found['probabilities'].sum(axis=1), 1, rtol=1e-5)
  assert len(found['names']) == 5 and set(found['names']) <= {*'0123456789'}
  assert len(set(found['suspicious'].tolist())) == 20


CHECKS = {
  'README.md': check_readme,
  'configs/README.md': check_configs,
  'sce_jax/README.md': check_tour,
  'sce_jax/data/README.md': check_data,
  'sce_jax/methods/README.md': check_methods,
  'sce_jax/runs/README.md': check_runs,
}


def execute(name):
  """Executes a page's Python examples; returns what they define."""
  page = Sybil([PythonCodeBlockParser()]).parse(REPOSITORY / name)
  for example in page.examples():
    example.evaluate()
  return page.namespace


@pytest.fixture(scope='module')
def experiment(data_dir, tmp_path_factory):
  """The experiment of its page, added and run at a tiny scale."""
  found = execute('experiments/README.md')
  name = 'experiments.paper.alphas'
  module = types.ModuleType(name, found['__doc__'])
  module.sweep, module.report = found['sweep'], found['report']
  root = tmp_path_factory.mktemp('runs')
  # Not mock.patch.dict: it would take away what is imported meanwhile.
  sys.modules[name] = module
  try:
    with mock.patch.object(registry, 'NAMES', (*registry.NAMES, 'alphas')):
      return (
        paper_run.run('alphas', 'digits', 'tiny', root, data_dir),
        registry.describe(),
      )
  finally:
    del sys.modules[name]


@pytest.mark.landing
def test_the_experiment_can_be_added(experiment):
  written, described = experiment
  page = written.markdown.read_text()
  assert '| alpha 0.01 |' in page and '6 finished' in page
  assert '  alphas      SL at several alphas.' in described


@pytest.mark.parametrize(
  'name',
  [
    pytest.param(x, marks=[pytest.mark.landing] if x in TRAINS else [])
    for x in WITH_PYTHON
  ],
)
def test_the_examples_run(name, data_dir, request, tmp_path, monkeypatch):
  if name == 'sce_jax/runs/README.md':  # Reads runs that are there already.
    written, _ = request.getfixturevalue('experiment')
    one = next(written.markdown.parent.parent.glob('*seed0*'))
    shutil.copytree(one, tmp_path / 'runs' / 'example')
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv('TFDS_DATA_DIR', data_dir)
  # What the examples add is there for the time of the test. One device, as a
  # reader has.
  with (
    mock.patch.object(runners, 'all_devices', lambda: jax.devices()[:1]),
    mock.patch.dict(methods.SPECS),
    mock.patch.dict(noise.NOISE),
    mock.patch.dict(dataset.SOURCES),
  ):
    CHECKS.get(name, lambda found: None)(execute(name))


@pytest.mark.parametrize('name', pages.NAMES)
def test_the_links_lead_somewhere(name):
  folder = (REPOSITORY / name).parent
  local = [link for link in pages.links(name) if '://' not in link]
  for link in local:
    path, _, anchor = link.partition('#')
    assert (folder / path).exists(), link
    if anchor:
      page = folder / path if path else REPOSITORY / name
      assert anchor in pages.anchors(page.read_text()), link
  assert [link for link in pages.links(name) if 'OWNER' in link] == []


def test_the_commands_are_shell():
  every = '\n'.join(
    b for name in pages.NAMES for b in pages.blocks(name, 'bash')
  )
  done = subprocess.run(
    ['bash', '-n'], input=every, capture_output=True, text=True, check=False
  )
  assert (done.returncode, done.stderr) == (0, '')


def test_what_the_commands_name_exists():
  missing = []
  for name in pages.NAMES:
    for command in pages.commands(name):
      if 'python' in command and '-m' in command:
        module = command[command.index('-m') + 1]
        if importlib.util.find_spec(module) is None:
          missing.append((name, module))
      for word in command:
        path = pathlib.Path(word.rpartition('=')[2].partition(':')[0])
        is_ours = len(path.parts) > 1 and path.parts[0] in (
          'configs',
          'experiments',
          'tests',
        )
        if is_ours and not (REPOSITORY / path).exists():
          missing.append((name, word))
  assert set(missing) <= {
    # What the reader is told to write.
    ('configs/README.md', 'configs/fashion.py'),
    # The name that a command had when its figures were measured.
    ('experiments/benchmarks/NOTES.md', 'experiments.benchmarks.step'),
  }


def launches():
  """The command lines of launch.py on all pages, less placeholders."""
  found = []
  for name in pages.NAMES:
    for command in pages.commands(name):
      if 'launch.py' not in command:
        continue
      arguments = command[command.index('launch.py') + 1 :]
      if not {'...', 'COMMAND', 'EXPERIMENT'} & set(arguments):
        found.append((name, arguments))
  return found


# Pages repeat commands.
planned = functools.cache(registry.plan)


@pytest.mark.parametrize(('name', 'arguments'), launches(), ids=repr)
def test_launch_understands_the_command(name, arguments, monkeypatch):
  monkeypatch.chdir(REPOSITORY)
  # Raises an error for unknown flags and values that cannot be read.
  module, values, left = command_line.parse(arguments)
  command = module.__name__.rpartition('.')[2]
  config = values.config if 'config' in values else None
  if config is not None:
    check.check_config(config)
  if command == 'experiment':
    known = {*registry.NAMES, *registry.SEARCHES}
    known |= {'alphas'} & set(left)
    assert set(left) <= known
    scales.scale_of(values.dataset, values.scale)
    choice = common_flags.choice(values)
    for noise_name in choice.noises:
      paper_methods.noise_of(values.dataset, noise_name)
    if 'benchmark' in left:  # One seed is planned as all are.
      choice = dataclasses.replace(choice, seeds=1)
    if set(left) & set(registry.NAMES):
      planned(left[0], values.dataset, values.scale, choice)
  else:
    assert left == []
  if command == 'compare' and config is not None:
    grid.Grid(
      config,
      command_line.config_file(values),
      values.losses or (),
      values.seeds,
      values.trials,
    ).configs()
  if command == 'sweep':
    assert f'{values.executor}:' in values['executor'].help
    if values.experiment:
      assert values.experiment in registry.NAMES
      scales.scale_of(values.dataset, values.scale)
    elif config is not None:
      module = scales.load_module(command_line.config_file(values))
      assert hasattr(module, 'sweep')


def test_the_benchmarks_take_these_flags():
  found = [
    command[command.index('experiments.benchmarks') + 1 :]
    for name in pages.NAMES
    for command in pages.commands(name)
    if 'experiments.benchmarks' in command
  ]
  assert len(found) > 5
  for arguments in found:
    # Without a command: all of them, of which only --out is asked.
    if arguments and not arguments[0].startswith('--'):
      name, *rest = arguments
      known = inspect.signature(benchmarks.COMMANDS[name]).parameters
      given = {word.lstrip('-').partition('=')[0] for word in rest}
      assert given <= {*known, 'out'}


def codes(name, heading):
  """The code spans of a table's row, by the text of its first cell."""
  (row,) = (row for row in pages.rows(name) if row[0].text == heading)
  return [code for cell in row[1:] for code in cell.codes]


def first_column(name):
  """The names that stand alone, as code, in first cells of a page's tables."""
  return [
    row[0].codes[0] for row in pages.rows(name) if row[0].codes == [row[0].text]
  ]


def test_the_names_are_those_of_the_code():
  assert set(codes('README.md', 'methods')) == set(methods.SPECS)
  noises = [*noise.NOISE, *noise.FROM_PROBABILITIES]
  assert set(codes('README.md', 'noise')) == {*noises, 'file'}
  assert set(codes('README.md', 'data sets')) == CONFIGS
  assert set(codes('README.md', 'networks')) == set(models.MODELS)
  assert first_column('sce_jax/noise/README.md') == noises
  names = [*registry.NAMES, *registry.SEARCHES]
  assert first_column('experiments/README.md') == names
  page = (REPOSITORY / 'sce_jax/noise/README.md').read_text()
  for name in CONFIGS:
    for label_set in scales.module(name).get_config().data.label_sets:
      assert f'`{label_set}`' in page


def test_the_exit_codes_are_those_of_the_code():
  first = [row[0].text for row in pages.rows('sce_jax/runs/README.md')]
  assert [int(x) for x in first if x.isdigit()] == list(ExitCode)


def test_the_table_of_methods_is_that_of_the_code():
  def hparam(name, default):
    shown = f'{default:g}' if type(default) in (int, float) else default
    return f'`{name}`' + ('' if default is None else f' ({shown})')

  def line(name, spec):
    hparams = ', '.join(
      hparam(key, value.default)
      for key, value in spec.hparams.items()
      if value.kind != 'computed'
    )
    paper = spec.paper
    if paper[:1].isdigit():  # An arXiv identifier.
      paper = f'[{paper}](https://arxiv.org/abs/{paper})'
    tolerant = spec.tolerant or '-'
    known = marks.mark(name) or ('?' if spec.tuned_per_rate is None else '-')
    cells = (f'`{name}`', spec.title, hparams, tolerant, known, paper)
    return f'| {" | ".join(cells)} |'

  page = (REPOSITORY / 'sce_jax/methods/README.md').read_text()
  assert '\n'.join(line(*item) for item in methods.SPECS.items()) in page


def test_the_recipes_and_noises_of_each_config_exist():
  shown = [row for row in pages.rows('configs/README.md') if len(row) == 4]
  assert {row[0].text for row in shown[1:]} == CONFIGS
  for config, _, recipes, noises in shown[1:]:
    get_config = scales.module(config.text).get_config
    default = get_config()
    for recipe in recipes.codes:
      c = get_config(f'recipe={recipe}')
      if c.model.init_from == 'required':
        c.model.init_from = 'random'
      check.check_config(c)
    first = get_config(f'recipe={recipes.codes[0]}')
    assert first.to_dict() == default.to_dict()
    for name in noises.codes:
      check.check_config(get_config(f'sl,{name},0.4'))


def test_the_headline_figures_are_those_of_their_pages():
  shown = [row for row in pages.rows('README.md') if len(row) == 6]
  assert len(shown) > 3
  for *cells, seeds, source in shown[1:]:
    page = (REPOSITORY / source.links[0]).read_text()
    for cell in cells[1:]:
      assert not cell.text or cell.text in page
    (line,) = (x for x in page.splitlines() if x.startswith('- seeds: '))
    # On a page of more seeds some noises may have one: then nothing spreads.
    spreads = any('±' in cell.text for cell in cells)
    assert int(seeds.text) == (len(line.split(',')) if spreads else 1)


def test_the_first_page_is_short():
  assert len((REPOSITORY / 'README.md').read_text().splitlines()) <= 200


@pytest.mark.parametrize('name', pages.NAMES)
def test_a_long_page_begins_with_its_contents(name):
  text = (REPOSITORY / name).read_text()
  parts = re.findall('^## ', text, re.MULTILINE)
  # Of two parts there is nothing to choose.
  if len(text.splitlines()) <= 150 or len(parts) <= 2:
    return
  above = text.partition('\n## ')[0]
  linked = re.findall(r'\]\(#([^)]+)\)', above)
  assert len(linked) >= 3 and set(linked) <= pages.anchors(text)
