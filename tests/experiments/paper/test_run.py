"""Experiments from their runs to their pages.

Two experiments are trained, once for all tests here. The pages of the others
are made of copies of one of these runs with figures of a test's own.
"""

import contextlib
import csv
import dataclasses
import io
import json
import shutil
import statistics

import numpy as np
from PIL import Image
import pytest
import threadpoolctl

from configs import cifar10
from experiments.paper import methods, parameters, published, registry, scales
from experiments.paper import run as paper_run
from sce_jax import errors, train
from sce_jax import methods as all_methods
from sce_jax import noise as noise_lib
from sce_jax.config import check as config_lib
from sce_jax.config import fields
from sce_jax.data import label_files
from sce_jax.runs import files, read
from sce_jax.storage import digests
from tests.data.reading import told

NOT_TRAINED = ('gradients', 'losses', 'theory')
TRAINED = [n for n in registry.NAMES if n not in NOT_TRAINED]


@pytest.fixture(scope='module')
def trained(tmp_path_factory, data_dir, small_network):
  """A folder with the runs of two experiments: its path, what was printed.

  They are CE and SL on clean and on noisy labels, of one seed, and two runs of
  SL whose beta and A have one product. Both losses are compiled once.
  """
  folder = tmp_path_factory.mktemp('trained')
  module = registry.load('embeddings')
  equal = [
    spec
    for spec in parameters.sweep('digits', 'tiny')
    if spec.labels['part'] == 'equal'
  ]
  printed = io.StringIO()
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(methods, 'seeds', lambda *_: range(1))
    planned = module.sweep('digits', 'tiny') + equal
    patch.setattr(module, 'sweep', lambda *_: planned)
    # On a busy machine t-SNE's threads mostly wait for each other.
    with (
      contextlib.redirect_stdout(printed),
      threadpoolctl.threadpool_limits(1),
    ):
      paper_run.run('embeddings', 'digits', 'tiny', folder, data_dir)
  return folder, printed.getvalue()


@pytest.fixture
def report(trained, tmp_path, data_dir, monkeypatch):
  """Makes an experiment's page, training nothing; what its tables show.

  Runs that are not there are copies of a trained one, whose results and last
  epochs have figures drawn at random.
  """
  monkeypatch.setattr(train, 'train_many', lambda *_: pytest.fail('trained'))
  (template, *_) = trained[0].glob('digits-ce-symmetric-0.4-seed0-*')
  rng = np.random.default_rng(0)

  def make(name, dataset='digits', choice=registry.EVERYTHING, scale='tiny'):
    specs = registry.plan(name, dataset, scale, choice)
    for spec in specs:
      folder = tmp_path / read.run_name(spec.config)
      if not folder.exists():
        _copy(template, folder, spec, rng)
    written = paper_run.run(
      name, dataset, scale, tmp_path, data_dir, choice=choice
    )
    return Tables(tmp_path, specs, written.markdown.parent)

  return make


def _copy(template, folder, spec, rng):
  shutil.copytree(template, folder, ignore=shutil.ignore_patterns('ck*', 'ev*'))
  description = json.loads((folder / 'config.json').read_text())
  description['config'] = config_lib.check_config(spec.config).to_dict()
  (folder / 'config.json').write_text(digests.dumps(description))
  records = files.read_metrics(folder)
  for record in records:
    record['test']['accuracy'] = rng.random()
    record['test']['class_accuracy'] = rng.random(10).tolist()
    if spec.config.loss.name == 'd2l':
      record['method'] = {'lid': rng.random(), 'label_weight': rng.random()}
  text = ''.join(map(digests.dumps, records))
  (folder / 'metrics.jsonl').write_text(text)
  result = json.loads((folder / 'result.json').read_text())
  result['test'] = records[-1]['test']
  result['test_accuracy'] = records[-1]['test']['accuracy']
  clean = spec.config.noise.name == 'clean'
  result['memorised'] = None if clean else rng.random()
  (folder / 'result.json').write_text(digests.dumps(result))
  if spec.config.loss.name == 'forward':
    matrix = {'transition_matrix': np.eye(10).tolist()}
    (folder / 'prepared.json').write_text(digests.dumps(matrix))


@dataclasses.dataclass
class Tables:
  """A page's tables, and the results of the runs that it is on."""

  root: object
  specs: list
  folder: object

  def rows(self, name, *keys):
    """A table's rows, by what is in some of its columns."""
    with open(self.folder / f'{name}.csv') as file:
      rows = list(csv.DictReader(file))
    return {tuple(row[key] for key in keys): row for row in rows}

  def results(self, **labels):
    """The result.json of all runs that have these labels, by seed."""
    return [
      json.loads(
        (self.root / read.run_name(s.config) / 'result.json').read_text()
      )
      for s in self.specs
      if labels.items() <= s.labels.items()
    ]

  def shown(self, figure='test_accuracy', **labels):
    """A figure of these runs as a page has it."""
    return shown([result[figure] for result in self.results(**labels)])


def shown(values, scale=100, digits=1):
  text = f'{scale * statistics.fmean(values):.{digits}f}'
  if len(values) > 1:
    text += f' ± {scale * statistics.stdev(values):.{digits}f}'
  return text


def tables(folder, name, seeds=2):
  specs = registry.load(name).sweep('digits', 'tiny')
  specs = [spec for spec in specs if int(spec.labels['seed']) < seeds]
  return Tables(folder, specs, folder / f'{name}-digits-tiny')


@pytest.mark.parametrize(
  ('name', 'dataset', 'scale', 'message'),
  [
    ('nope', 'digits', 'tiny', "experiment 'nope' is not known: use one of"),
    ('ablation', 'nope', 'tiny', '--dataset=nope is not known'),
    ('ablation', 'digits', 'nope', '--scale=nope is not known'),
    ('recipe', 'digits', 'tiny', "recipe 'paper' is not known here"),
  ],
)
def test_what_cannot_be_is_refused_in_a_line(
  name, dataset, scale, message, tmp_path
):
  folder = tmp_path / 'runs'
  assert message in told(paper_run.run, name, dataset, scale, folder)
  assert not folder.exists()


def test_a_class_is_only_for_experiments_that_show_one(tmp_path):
  message = told(
    paper_run.run, 'ablation', 'digits', 'tiny', tmp_path, named_class=3
  )
  assert message == 'experiment ablation shows no chosen class: omit --class'
  assert not list(tmp_path.iterdir())


def test_an_experiment_itself_says_whether_it_takes_a_class(
  launch_here, monkeypatch, tmp_path
):
  asked = 'experiment', 'ablation', '--scale=tiny', '--class=3', '--dry_run'
  refused = launch_here(*asked, f'--workdir={tmp_path}')
  assert refused.returncode == 2
  assert 'experiment ablation shows no chosen class' in refused.stderr
  module = registry.load('ablation')
  monkeypatch.setattr(module, 'TAKES_CLASS', True, raising=False)
  assert launch_here(*asked, f'--workdir={tmp_path}').returncode == 0


def test_help_has_a_line_each():
  out = registry.describe()
  for name in (*registry.NAMES, *registry.SEARCHES):
    (line,) = [x for x in out.splitlines() if x.split()[:1] == [name]]
    title = registry.load(name).__doc__.partition('\n')[0]
    assert line.split(maxsplit=1) == [name, title]
  assert '--scale=full|quarter|short|tiny' in out


def test_embeddings(trained):
  folder, out = trained
  page = tables(folder, 'embeddings', seeds=1)
  assert f'report:   {page.folder / "report.html"}' in out
  row = page.rows('separability', 'labels trained on')[('SL, symmetric 0.4',)]
  assert row["the network's test accuracy (%)"] == page.shown(
    method='SL', noise='symmetric 0.4'
  )
  text = (page.folder / 'report.md').read_text()
  assert 'read no figure' in text and '6 finished' in text
  (run,) = folder.glob('digits-sl-symmetric-0.4-seed0-*')
  digest = noise_lib.fingerprint(*label_files.read(run / 'noise.npz'))
  assert f'symmetric 0.4: {digest[:16]}' in text
  with Image.open(page.folder / 'tsne.png') as picture:
    assert picture.width > picture.height


def test_confidence_needs_no_run_of_its_own(trained, data_dir, monkeypatch):
  folder, _ = trained
  monkeypatch.setattr(train, 'train_many', lambda *_: pytest.fail('trained'))
  monkeypatch.setattr(methods, 'seeds', lambda *_: range(1))
  paper_run.run('confidence', 'digits', 'tiny', folder, data_dir, named_class=3)
  page = tables(folder, 'confidence', seeds=1)
  row = page.rows('confidence-3', 'method')[('SL',)]
  results = page.results(method='SL')
  assert row['test accuracy of the class'] == shown(
    [result['test']['class_accuracy'][3] for result in results]
  )
  given = [
    result['train_eval']['class_confidence']['wrong_given'][3]
    for result in results
  ]
  assert row['wrongly labelled: in the given label'] == shown(given)
  message = told(
    paper_run.run,
    'confidence',
    'digits',
    'tiny',
    folder,
    data_dir,
    named_class=10,
  )
  assert message == '--class=10: digits has classes 0 to 9'


def test_confidence_shows_a_class_once(trained, data_dir, monkeypatch):
  folder, _ = trained
  monkeypatch.setattr(train, 'train_many', lambda *_: pytest.fail('trained'))
  monkeypatch.setattr(methods, 'seeds', lambda *_: range(1))
  page = tables(folder, 'confidence', seeds=1)
  (result,) = page.results(method='CE')
  accuracy = result['test']['class_accuracy']
  hardest = accuracy.index(min(accuracy))
  written = paper_run.run(
    'confidence', 'digits', 'tiny', folder, data_dir, named_class=hardest
  )
  assert [path.name for path in written.tables] == [
    f'confidence-{hardest}.csv',
    'runs.csv',
  ]


@pytest.mark.landing
def test_parameters(trained, report, tmp_path):
  folder, _ = trained
  for path in folder.glob('digits-sl-symmetric-0.6-*'):
    shutil.copytree(path, tmp_path / path.name)
  page = report('parameters')
  row = page.rows('sweep-A', 'alpha', 'A')['0.1', '-6']
  chosen = {'part': 'A', 'alpha': '0.1', 'A': '-6'}
  assert row['test accuracy, last epoch'] == page.shown(**chosen)
  assert row['wrong labels memorised'] == page.shown('memorised', **chosen)
  # Really trained: runs with one product of beta and A are equal to the bit.
  text = (page.folder / 'report.md').read_text()
  assert 'of any epoch, is 0; their test accuracies are equal' in text


def test_ablation(report, tmp_path):
  page = report('ablation')
  row = page.rows('ablation', 'loss')[('5 CE',)]
  assert row['test accuracy, last epoch'] == page.shown(method='5 CE')
  assert row['wrong labels memorised'] == page.shown('memorised', method='5 CE')
  overfitted = []
  for spec in page.specs:
    if spec.labels['method'] == '5 CE':
      metrics = files.read_metrics(tmp_path / read.run_name(spec.config))
      accuracy = [record['test']['accuracy'] for record in metrics]
      overfitted.append(max(accuracy) - accuracy[-1])
  assert row['lost since its best epoch'] == shown(overfitted)


@pytest.mark.landing
def test_classwise(report):
  page = report('classwise')
  found = page.results(method='SL', noise='symmetric 0.4')
  accuracy = [result['test']['class_accuracy'] for result in found]
  row = page.rows('classes-symmetric-0.4', 'runs')[('SL, symmetric 0.4',)]
  (mean, _, _) = shown([values[3] for values in accuracy]).split()
  assert row['3'] == mean
  assert row['worst'] == shown([min(x) for x in accuracy]).split()[0]
  assert row['gap'] == shown([max(x) - min(x) for x in accuracy]).split()[0]
  row = page.rows('hardest-symmetric-0.4', '')[('mean of all classes',)]
  assert row['SL'] == shown([statistics.fmean(x) for x in accuracy]).split()[0]


def test_easy_hard(report):
  page = report('easy_hard')
  row = page.rows('causes-ce', 'class')[('mean',)]
  clean, noisy = (
    100
    * statistics.fmean(
      value
      for result in page.results(method='CE', noise=noise)
      for value in result['test']['class_accuracy']
    )
    for noise in ('clean', 'symmetric 0.4')
  )
  assert row['lost'] == f'{clean - noisy:.1f}'
  parts = float(row['under-learned']) + float(row['overfitted'])
  assert parts == pytest.approx(clean - noisy, abs=0.11)


@pytest.mark.landing
def test_comparison(report):
  page = report('comparison', 'cifar10')
  noise = 'symmetric 0.4'
  row = page.rows('accuracy', 'method')[('SL',)]
  assert row[noise] == page.shown(method='SL', noise=noise)
  assert page.rows('memorised', 'method')[('SL',)].keys() == {
    *('method', noise, 'symmetric 0.6', 'asymmetric 0.4'),
    *(f'{n} (value)' for n in (noise, 'symmetric 0.6', 'asymmetric 0.4')),
  }
  (result,) = page.results(method='CE', noise='clean')
  row = page.rows('published', 'method', 'noise')['CE', 'clean']
  expected = 100 * result['test_accuracy'] - 89.26
  assert row['difference'] == f'{expected:+.2f}'
  assert published.lookup('cifar10', 'CE', 'clean').accuracy == 89.26
  # An estimate that is the identity is off by the noise rate.
  row = page.rows('transition', 'noise')[(noise,)]
  assert row['distance of a row (total variation)'] == '0.400'
  assert row['mean diagonal, estimated'] == '1.000'
  assert row['mean diagonal, true'] == '0.600'
  (spec,) = (
    s
    for s in page.specs
    if (s.labels['method'], s.labels['noise']) == ('D2L', noise)
  )
  metrics = files.read_metrics(page.root / read.run_name(spec.config))
  weight = metrics[-1]['method']['label_weight']
  row = page.rows('d2l', 'noise')[(noise,)]
  assert row['weight at the end'] == f'{weight:.3f}'
  assert row['runs that turn'] == '0 of 1'


CHOICE = registry.Choice(
  losses=('ce', 'sl', 'js', 'co_teaching'),
  noises=('symmetric 0.4', 'symmetric 0.8'),
  seeds=2,
)


# A shortened run is of no published protocol.
@pytest.mark.parametrize(
  ('scale', 'protocol'), [('tiny', 'apl'), ('full', 'the same')]
)
def test_benchmark(scale, protocol, report):
  page = report('benchmark', 'cifar10', CHOICE, scale)
  assert {spec.config.optim.schedule for spec in page.specs} == {'cosine'}
  noise = 'symmetric 0.8'
  rows = page.rows('accuracy', 'method')
  assert {*rows} == {('CE',), ('SL',), ('JS‡',), ('Co-teaching†',)}
  assert rows['JS‡',][noise] == page.shown(method='js', noise=noise)
  ours = [
    100 * result['test_accuracy']
    for result in page.results(method='sl', noise=noise)
  ]
  row = page.rows('published', 'method', 'noise', 'protocol')
  assert {(m, p) for m, _, p in row} >= {('SL', 'paper'), ('SL', protocol)}
  row = row['SL', noise, protocol]
  assert row['published'] == '25.88' and row['mark'] == 'verified'
  off = statistics.fmean(ours) - 25.88
  assert row['difference'] == f'{off:+.2f}'
  assert row['in standard deviations'] == f'{off / statistics.stdev(ours):+.1f}'
  assert page.rows('memorised', 'method')['SL',][noise] == page.shown(
    'memorised', method='sl', noise=noise
  )
  chosen = [x for x in page.specs if x.labels['method'] == 'js']
  epochs = [
    [record['test'] for record in files.read_metrics(page.root / name)]
    for name in (read.run_name(x.config) for x in chosen)
    if 'symmetric-0.8' in name
  ]
  assert page.rows('worst_class', 'method')['JS‡',][noise] == shown(
    [min(x[-1]['class_accuracy']) for x in epochs]
  )
  accuracy = [[one['accuracy'] for one in x] for x in epochs]
  assert page.rows('lost', 'method')['JS‡',][noise] == shown(
    [max(x) - x[-1] for x in accuracy]
  )
  # Four blocks: two noises, two seeds.
  blocks = [
    {
      method: page.results(method=method, noise=noise, seed=seed)[0]
      for method in CHOICE.losses
    }
    for noise in CHOICE.noises
    for seed in '01'
  ]
  places = [
    sorted(block, key=lambda m: -block[m]['test_accuracy']).index('sl') + 1
    for block in blocks
  ]
  average = statistics.fmean(places)
  assert float(rows['SL',]['average rank']) == pytest.approx(average, abs=0.051)
  text = (page.folder / 'report.md').read_text()
  assert '†: is told the noise rate' in text
  assert ', each noise and seed a block. Other methods' in text
  assert 'over 4 draws of labels under 2 noises, ' in text
  assert (page.folder / 'ranks.png').exists()


def test_a_benchmark_says_what_diverged_and_what_cannot_be_trained(
  report, tmp_path, data_dir
):
  choice = registry.Choice(('ce', 'sl', 'gjs'), ('symmetric 0.4',), 2)
  page = report('benchmark', choice=choice)
  assert {spec.labels['method'] for spec in page.specs} == {'ce', 'sl'}
  for spec in page.specs:
    folder = tmp_path / read.run_name(spec.config)
    result = files.read_result(folder)
    result['test_accuracy'] = 0.1 if spec.config.seed else 0.9
    (folder / 'result.json').write_text(digests.dumps(result))
    if spec.labels['method'] == 'ce':
      (folder / 'result.json').unlink()
      failed = digests.dumps({'failed': 'it is not finite'})
      (folder / 'failed.json').write_text(failed)
  with pytest.raises(errors.NonFiniteLoss):
    paper_run.run(
      'benchmark', 'digits', 'tiny', tmp_path, data_dir, choice=choice
    )
  rows = page.rows('accuracy', 'method')
  assert rows['CE',]['symmetric 0.4'] == 'diverged'
  assert rows['CE',]['average rank'] == '2.0'
  assert rows['GJS‡',]['symmetric 0.4'] == 'not trained'
  text = (page.folder / 'report.md').read_text()
  assert 'GJS‡: loss' in text
  assert 'below 15 %: SL: 1 of 2.' in text
  assert 'over 2 draws of labels under 1 noise, ' in text
  assert "Friedman's test needs three methods" in text
  choice = dataclasses.replace(choice, seeds=1)
  with pytest.raises(errors.NonFiniteLoss):
    paper_run.run(
      'benchmark',
      'digits',
      'tiny',
      tmp_path,
      data_dir,
      train_missing=False,
      choice=choice,
    )
  (of_one,) = {*tmp_path.glob('benchmark-*')} - {page.folder}
  text = (of_one / 'report.md').read_text()
  assert 'Ranks of one draw of labels do not' in text
  assert not (of_one / 'ranks.png').exists()


def test_what_breaks_a_group_of_runs_does_not_stop_the_others(
  tmp_path, data_dir, monkeypatch, capfd
):
  trained = []

  def train_many(configs, *_, **__):
    trained.append(configs[0]['loss']['name'])
    if trained[-1] == 'ce':
      raise RuntimeError('out of memory')

  monkeypatch.setattr(train, 'train_many', train_many)
  choice = registry.Choice(('ce', 'sl', 'gce'), ('symmetric 0.4',), 1)
  with pytest.raises(RuntimeError, match='out of memory'):
    paper_run.run(
      'benchmark', 'digits', 'tiny', tmp_path, data_dir, choice=choice
    )
  assert trained == ['ce', 'sl', 'gce']
  (page,) = tmp_path.glob('benchmark-*/report.md')
  text = page.read_text()
  # Seeds are those that something is known of.
  assert '3 missing' in text and '- seeds: none\n' in text
  # Nor is there a folder to be led to.
  assert '](../' not in text
  assert 'group 2 of 3, 1 run; about' in capfd.readouterr().out


@pytest.mark.parametrize(
  ('name', 'choice', 'message'),
  [
    ('benchmark', {'losses': ['nope']}, "config.loss.name is 'nope'"),
    ('benchmark', {'noises': ['nope 0.4']}, "noise 'nope' is not known"),
    ('benchmark', {'noises': ['symmetric x']}, 'give a name and a rate'),
    ('benchmark', {'recipe': 'apl'}, "recipe 'apl' is not known here"),
    ('benchmark', {'losses': ['gjs', 'nls']}, 'two augmentations of each'),
    ('ablation', {'seeds': 2}, 'experiment ablation takes no --seeds'),
  ],
)
def test_a_choice_that_cannot_be_is_refused_in_a_line(
  name, choice, message, tmp_path
):
  chosen = registry.Choice(**choice)
  assert message in told(
    paper_run.run, name, 'digits', 'tiny', tmp_path, choice=chosen
  )
  assert not list(tmp_path.iterdir())


def test_a_benchmark_has_all_methods_that_there_are(monkeypatch):
  monkeypatch.setitem(all_methods.SPECS, 'new', all_methods.SPECS['mae'])
  planned = registry.plan('benchmark', 'digits', 'tiny')
  found = {spec.labels['method'] for spec in planned}
  # Digits have one view only; a tiny run ends before the second begins; no
  # paper says with which smoothing the third is trained.
  assert {*all_methods.SPECS} - found == {'gjs', 'gmm_selection', 'nls'}


def test_a_noise_under_two_names_is_one():
  noises = ('asymmetric 0.4', 'asymmetric_mnist 0.4', 'asymmetric 0.40')
  choice = registry.Choice(('ce', 'sl'), noises, 1)
  planned = registry.plan('benchmark', 'digits', 'tiny', choice)
  assert [x.labels['noise'] for x in planned] == ['asymmetric 0.4'] * 2


def test_recipe(report):
  page = report('recipe', 'mnist')
  row = page.rows('parts-of-paper', '')[('with schedule of apl',)]
  own = {'method': 'SL', 'recipe': 'paper'}
  (changed,) = page.results(**own, part='schedule')
  (plain,) = page.results(**own, part='-')
  change = 100 * (changed['test_accuracy'] - plain['test_accuracy'])
  assert row['SL'] == page.shown(**own, part='schedule')
  assert row['SL, change'] == f'{change:+.1f}'


def test_a_report_needs_no_run(tmp_path, data_dir):
  for _ in range(2):  # A report may be made again.
    paper_run.run(
      'ablation', 'digits', 'tiny', tmp_path, data_dir, train_missing=False
    )
  text = (tmp_path / 'ablation-digits-tiny' / 'report.md').read_text()
  assert '14 missing' in text
  assert not list(tmp_path.glob('digits-*'))


def test_a_failed_run_is_shown_and_raised(report, tmp_path, data_dir):
  page = report('ablation')
  failed = tmp_path / read.run_name(page.specs[0].config)
  (failed / 'result.json').unlink()
  (failed / 'failed.json').write_text(
    digests.dumps({'failed': 'the loss is not finite'})
  )
  with pytest.raises(errors.NonFiniteLoss, match='the loss is not finite'):
    paper_run.run('ablation', 'digits', 'tiny', tmp_path, data_dir)
  text = (page.folder / 'report.md').read_text()
  assert '13 finished, 1 failed' in text
  assert '1 of 14 runs diverged: means' in text
  (other,) = page.results(method='CE', seed='1')
  row = page.rows('ablation', 'loss')[('CE',)]
  assert row['wrong labels memorised'] == (
    f'{100 * other["memorised"]:.1f}, 1 diverged'
  )


def test_a_folder_of_something_else_is_refused_before_training(
  tmp_path, data_dir, monkeypatch
):
  monkeypatch.setattr(train, 'train_many', lambda *_: pytest.fail('trained'))
  taken = tmp_path / 'ablation-digits-tiny' / 'ablation.csv'
  taken.parent.mkdir()
  taken.write_text('mine')
  run = paper_run.run, 'ablation', 'digits', 'tiny', tmp_path, data_dir
  assert 'holds other files (ablation.csv)' in told(*run)
  assert taken.read_text() == 'mine'
  assert len(list(taken.parent.iterdir())) == 1


def test_config_files_of_one_name_do_not_share_a_report(tmp_path, data_dir):
  text = 'from configs.digits import *\n'
  for name in ('a', 'b'):
    (tmp_path / name).mkdir()
    (tmp_path / name / 'own.py').write_text(text)
  root = tmp_path / 'runs'

  def run(name):
    file = str(tmp_path / name / 'own.py')
    return paper_run.run(
      'ablation', file, 'tiny', root, data_dir, train_missing=False
    )

  page = run('a').markdown
  before = page.read_bytes()
  assert f'experiment ablation on {tmp_path}/a/own.py, tiny' in told(run, 'b')
  assert page.read_bytes() == before


@pytest.mark.slow
def test_comparison_is_trained(tmp_path, data_dir):
  paper_run.run('comparison', 'digits', 'tiny', tmp_path, data_dir)
  page = tables(tmp_path, 'comparison')
  for method in ('D2L', 'Forward, estimated T', 'SL'):
    row = page.rows('accuracy', 'method')[(method,)]
    for noise in ('clean', 'symmetric 0.4', 'asymmetric 0.4'):
      assert row[noise] == page.shown(method=method, noise=noise)
  assert len(page.rows('transition', 'noise')) == 4
  assert len(page.rows('d2l', 'noise')) == 4


@pytest.mark.parametrize('name', TRAINED)
@pytest.mark.parametrize(
  ('dataset', 'scale'),
  [
    ('digits', 'tiny'),
    pytest.param('mnist', 'short', marks=pytest.mark.landing),
    pytest.param('cifar10', 'full', marks=pytest.mark.landing),
    pytest.param('cifar100', 'full', marks=pytest.mark.slow),
  ],
)
def test_all_configs_can_be(name, dataset, scale):
  """No run of any experiment is refused once hours have gone into others."""
  if name == 'recipe' and dataset not in ('mnist', 'cifar10'):
    pytest.skip('this data set has no two recipes')
  planned = registry.load(name).sweep(dataset, scale)
  seed = planned[0].labels['seed']  # The others differ in nothing else.
  first = [t.config for t in planned if t.labels['seed'] == seed]
  for config in {read.run_name(config): config for config in first}.values():
    config_lib.check_config(config)
  keys = [json.dumps(dict(t.labels), sort_keys=True) for t in planned]
  assert len(set(keys)) == len(keys)


def test_full_is_the_configs_own_protocol():
  config = scales.config('cifar10', 'full', loss='sl', rate=0.6)
  expected = cifar10.get_config('sl,symmetric,0.6')
  assert fields.differences(expected, config) == [
    'eval.train_every: None -> 10'
  ]
