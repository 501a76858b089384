"""Experiments from the command line to the page, on a few digits."""

import csv
import dataclasses
import json
import subprocess
import sys

from PIL import Image
import pytest

from configs import cifar10, mnist
from experiments import commands
from experiments.paper import registry, scales
from experiments.report import page
from sce_jax import train
from sce_jax.config import check as config_lib
from sce_jax.config import fields
from sce_jax.runs import files, read
from tests import conftest

TRAINED = [n for n in registry.NAMES if n not in ('gradients', 'theory')]


def run(name, **changes):
  arguments = {
    'config': None,
    'workdir': None,
    'data_dir': None,
    'losses': [],
    'seeds': 1,
    'trials': [],
    'experiment_name': name,
    'scale': 'tiny',
  }
  mode = changes.pop('mode', 'train')
  return commands.run(mode, **(arguments | changes))


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'name': 'nope'}, '--experiment=nope is not known: use one of comparison'),
    ({'name': 'ablation', 'dataset': 'nope'}, '--dataset=nope is not known'),
    ({'name': 'ablation', 'scale': 'nope'}, '--scale=nope is not known'),
    ({'name': 'recipe'}, "recipe 'paper' is not known here"),
    ({'name': 'ablation', 'mode': 'compare'}, 'not with --mode=compare'),
    ({'name': 'ablation', 'config': mnist.get_config()}, 'leave --config out'),
    ({'name': 'ablation', 'trials': ['seed=0,1']}, 'leave --trials out'),
  ],
)
def test_what_cannot_be_is_refused_in_a_line(
  changes, message, tmp_path, capsys
):
  folder = tmp_path / 'runs'
  assert run(**changes, workdir=str(folder)) == commands.BAD_INPUT
  (line,) = capsys.readouterr().err.splitlines()
  assert message in line
  assert not folder.exists()


def test_help_has_a_line_each():
  out = registry.describe()
  for name in registry.NAMES:
    (line,) = [x for x in out.splitlines() if x.split()[:1] == [name]]
    title = registry.load(name).__doc__.partition('\n')[0]
    assert line.split(maxsplit=1) == [name, title]
  assert '--scale=full|short|tiny' in out


@pytest.fixture(scope='module')
def store(tmp_path_factory):
  return tmp_path_factory.mktemp('store')


@pytest.fixture(scope='module')
def classwise(store, data_dir):
  """What launch.py prints and leaves for a user."""
  done = subprocess.run(
    conftest.command(
      '--experiment=classwise', '--scale=tiny', f'--workdir={store}'
    ),
    env=conftest.environment(data_dir, store),
    cwd=conftest.REPOSITORY,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  return done.stdout, store / 'classwise-digits-tiny'


def test_it_says_where_its_page_is(classwise):
  out, folder = classwise
  assert f'report:   {folder / "report.html"}' in out
  assert (folder / 'report.md').exists()


def test_its_figures_are_those_of_the_runs(classwise, store):
  _, folder = classwise
  with open(folder / 'runs.csv') as file:
    rows = list(csv.DictReader(file))
  # CE on clean labels and three methods at two rates, with two seeds.
  assert len(rows) == 14
  for row in rows:
    result = json.loads((store / row['run'] / 'result.json').read_text())
    assert float(row['test accuracy (%)']) == pytest.approx(
      100 * result['test_accuracy'], abs=0.006
    )
    assert row['status'] == 'finished'
  with open(folder / 'classes-symmetric-0.4.csv') as file:
    table = {row['']: row for row in csv.DictReader(file)}
  sl = [
    json.loads((store / row['run'] / 'result.json').read_text())
    for row in rows
    if (row['method'], row['noise']) == ('SL', 'symmetric 0.4')
  ]
  mean = sum(r['test']['class_accuracy'][3] for r in sl) / 2
  assert float(table['SL, symmetric 0.4']['3']) == pytest.approx(
    100 * mean, abs=0.06
  )


def test_it_warns_that_a_tiny_run_shows_nothing(classwise):
  _, folder = classwise
  assert 'read no figure' in (folder / 'report.md').read_text()
  with Image.open(folder / 'curves-symmetric-0.4.png') as picture:
    assert picture.width > picture.height


def ends(store):
  return {
    path: path.stat().st_mtime_ns for path in store.glob('digits-*/result.json')
  }


def test_finished_runs_are_found_again_and_shared(
  classwise, store, data_dir, monkeypatch
):
  before = ends(store)

  def never(*_):
    raise AssertionError('trained although all is there')

  monkeypatch.setattr(train, 'train_many', never)
  for name in ('classwise', 'easy_hard', 'confidence'):
    assert (
      run(name, workdir=str(store), data_dir=data_dir, dataset='digits') == 0
    )
  assert ends(store) == before


def test_a_report_needs_no_run(tmp_path, data_dir):
  assert (
    run('ablation', workdir=str(tmp_path), data_dir=data_dir, mode='report')
    == 0
  )
  text = (tmp_path / 'ablation-digits-tiny' / 'report.md').read_text()
  assert '14 missing' in text
  assert not list(tmp_path.glob('digits-*'))


@pytest.mark.parametrize(
  'name', ['embeddings', 'parameters', 'ablation', 'gradients', 'theory']
)
def test_each_experiment_runs(name, classwise, store, data_dir):
  assert run(name, workdir=str(store), data_dir=data_dir) == 0
  text = (store / f'{name}-digits-tiny' / 'report.md').read_text()
  if name == 'parameters':
    # Two runs with one product of beta and A are equal to the bit.
    assert 'of any epoch, is 0; their test accuracies are equal' in text


def test_a_failed_run_is_shown_and_ends_non_zero(
  store, data_dir, monkeypatch, capsys
):
  module = registry.load('confidence')
  first, *rest = module.sweep('digits', 'tiny')
  bad = scales.change(first.config.copy_and_resolve_references(), {})
  bad.optim.learning_rate = 1e30
  monkeypatch.setattr(
    module,
    'sweep',
    lambda *_: [dataclasses.replace(first, config=bad), *rest],
  )
  code = run('confidence', workdir=str(store), data_dir=data_dir)
  assert code == commands.NON_FINITE
  assert 'not finite' in capsys.readouterr().err
  text = (store / 'confidence-digits-tiny' / 'report.md').read_text()
  assert '3 finished, 1 failed' in text


@pytest.mark.slow
@pytest.mark.parametrize(
  ('name', 'dataset'),
  [('comparison', 'digits'), ('comparison', 'mnist'), ('recipe', 'mnist')],
)
def test_the_large_ones_run(name, dataset, tmp_path, data_dir):
  assert (
    run(name, workdir=str(tmp_path), data_dir=data_dir, dataset=dataset) == 0
  )


@pytest.mark.parametrize('name', TRAINED)
@pytest.mark.parametrize('scale', scales.SCALES)
@pytest.mark.parametrize('dataset', ('digits', 'mnist', 'cifar10', 'cifar100'))
def test_all_configs_can_be(name, scale, dataset):
  """No run of any experiment is refused once hours have gone into others."""
  if name == 'recipe' and dataset not in ('mnist', 'cifar10'):
    pytest.skip('this data set has no two recipes')
  planned = registry.load(name).sweep(dataset, scale)
  checked = {read.run_name(t.config): t.config for t in planned}
  for config in checked.values():
    config_lib.check_config(config)
  keys = [json.dumps(dict(t.labels), sort_keys=True) for t in planned]
  assert len(set(keys)) == len(keys)


def test_full_is_the_configs_own_protocol():
  config = scales.config('cifar10', 'full', loss='sl', rate=0.6)
  expected = cifar10.get_config('sl,symmetric,0.6')
  assert fields.differences(expected, config) == [
    'eval.train_every: None -> 10'
  ]


def test_blocks_are_what_a_page_is_made_of(classwise, store, data_dir):
  module = registry.load('classwise')
  planned = [
    read.Run(store / read.run_name(t.config), t.labels, t.config.to_dict())
    for t in module.sweep('digits', 'tiny')
  ]
  context = registry.Context('digits', 'tiny', data_dir)
  blocks = module.report(context, planned)
  tables = [b for b in blocks if isinstance(b, page.Table)]
  assert len({t.name for t in tables}) == len(tables)
  for table in tables:
    assert all(len(row) == len(table.columns) for row in table.rows)
  assert files.read_metrics(planned[0].folder)[-1]['epoch'] == 3
  assert sys.modules['experiments.paper.classwise'] is module
