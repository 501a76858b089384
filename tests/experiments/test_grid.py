"""Grids: which runs a command line means, their table, each run alone."""

import numpy as np
import pytest

from configs import cifar10, digits
from experiments import grid
from experiments.analysis import pictures
from experiments.grid import Grid
from sce_jax import errors, train
from sce_jax.runs import files

pytestmark = pytest.mark.usefixtures('small_network')


def config():
  c = digits.get_config('sl,symmetric,0.4,tiny')
  c.train.epochs = 3
  return c


def configs(*trials, of=None, **options):
  """The runs' configs by name."""
  groups = Grid(of or config(), trials=trials, **options).configs()
  return {name: c for runs in groups.values() for name, c in runs.items()}


def test_all_combinations_with_the_seed_last():
  found = configs('seed=3..5', 'loss.alpha=0.5,2')
  assert list(found) == [
    f'loss.alpha={alpha}-seed{seed}'
    for alpha in (0.5, 2.0)
    for seed in (3, 4, 5)
  ]
  last = found['loss.alpha=2.0-seed5']
  assert (last.loss.alpha, last.seed) == (2.0, 5)
  assert last.loss.beta == config().loss.beta


def test_losses_and_seeds_are_fields_as_all_others():
  groups = Grid(
    config(), losses=['ce', 'sl'], seeds=2, trials=['noise.rate=0.2,0.6']
  ).configs()
  assert {group: list(runs) for group, runs in groups.items()} == {
    f'{loss},noise.rate={rate}': [
      f'{loss},noise.rate={rate}-seed{seed}' for seed in (0, 1)
    ]
    for loss in ('ce', 'sl')
    for rate in (0.2, 0.6)
  }
  listed = configs('loss.name=ce,sl', 'seed=0,1', 'noise.rate=0.2,0.6')
  assert list(listed) == [name for runs in groups.values() for name in runs]


@pytest.mark.parametrize(
  ('field', 'expected'),
  [
    ('noise.seed=1,7', [1, 7]),
    ('noise.rate=0,0.5', [0.0, 0.5]),
    ('noise.mode=iid,exact', ['iid', 'exact']),
    ('data.augment.flip=true,False', [True, False]),
    ('optim.clip_norm=None,2', [None, 2.0]),
    ('model.layout=none,nhwc', [None, 'nhwc']),
  ],
)
def test_values_have_the_type_of_their_field(field, expected):
  path = field.partition('=')[0].split('.')
  values = []
  for section in configs(field).values():
    for part in path:
      section = section[part]
    values.append(section)
  assert values == expected
  assert [type(v) for v in values] == [type(v) for v in expected]


def test_a_hyper_parameter_that_the_config_leaves_to_its_default():
  found = configs('loss.q=0.5,1', of=digits.get_config('gce,symmetric,0.4'))
  assert [c.loss.q for c in found.values()] == [0.5, 1.0]


def test_a_number_that_the_config_lacked_and_that_was_typed_as_a_whole_one():
  config = digits.get_config('nls,symmetric,0.4')
  config.loss.smoothing = -1  # As --config.loss.smoothing=-1 does.
  found = configs('loss.smoothing=-0.2,-8', 'loss.warm_up=2', of=config)
  values = [(c.loss.smoothing, c.loss.warm_up) for c in found.values()]
  assert values == [(-0.2, 2), (-8.0, 2)]
  assert {(type(a), type(b)) for a, b in values} == {(float, int)}


def test_losses_have_the_parameters_of_the_config_file(tmp_path):
  config = digits.get_config('sl,pair_flip,0.3,seed=4')
  config.loss.alpha = 7.0
  config.optim.momentum = 0.1
  found = configs(
    of=config,
    losses=['sl', 'rce', 'co_teaching'],
    seeds=2,
    config_file='configs/digits.py',
  )
  assert [(c.loss.name, c.seed) for c in found.values()] == [
    (name, seed) for name in ('sl', 'rce', 'co_teaching') for seed in (4, 5)
  ]
  # The config's own loss keeps what was changed; digits have A = -4.
  assert found['sl-seed4'].loss.alpha == 7.0
  assert found['rce-seed5'].loss.to_dict() == {'name': 'rce', 'log_zero': -4.0}
  assert found['co_teaching-seed4'].loss.forget_rate == 0.3
  assert all(c.optim.momentum == 0.1 for c in found.values())
  own = tmp_path / 'own.py'
  own.write_text(
    'from configs import digits\n'
    'def get_config(argument=None):\n'
    '  c = digits.get_config(argument)\n'
    "  if c.loss.name == 'rce':\n"
    '    c.loss.log_zero = -2.5\n'
    '  return c\n'
  )
  (rce,) = configs(of=config, losses=['rce'], config_file=str(own)).values()
  assert rce.loss.log_zero == -2.5


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    (['seed'], "--trials='seed': give FIELD=VALUES"),
    (['seed='], "--trials='seed=': give FIELD=VALUES"),
    (['seed=0,x'], 'its values must be of type int'),
    (['seed=2..1'], '2..1 is empty, write it 1..2'),
    (['seed=0,0..1'], 'a value is given twice'),
    (['seed=0', 'seed=1'], 'seed is given twice'),
    (['nope=1'], "the config has no field 'nope'"),
    (['optim.lr=1'], 'is optim.learning_rate meant?'),
    (['loss.name=SLL'], '(is sl meant?)'),
    (['loss=1'], "the config has no field 'loss'"),
    (['loss.alpha.x=1'], "the config has no field 'loss.alpha.x'"),
    (['optim.boundaries=1,2'], 'its values must be of type tuple'),
    (['loss.name=ce,nope'], "loss 'nope' is not known"),
    (['noise.rate=0.1,1'], 'config.noise.rate is 1.0'),
    (['loss.q=0.5'], "loss 'sl' has no hyper-parameter 'q'"),
    (['loss.name=sl,ce', 'loss.alpha=1'], "'ce' has no hyper-parameter"),
  ],
)
def test_what_cannot_be_is_refused_before_any_work(fields, message, tmp_path):
  with pytest.raises(errors.UserError) as caught:
    grid.run(Grid(config(), trials=fields), tmp_path / 'runs', '/no/data')
  assert message in str(caught.value)
  assert len(str(caught.value).splitlines()) == 1
  assert not (tmp_path / 'runs').exists()


def test_a_run_s_folder_is_one_level_whatever_the_value():
  folders = configs('data.relabel=None,../a/choices.csv')
  assert list(folders) == [
    'data.relabel=None-seed0',
    'data.relabel=.._a_choices.csv-seed0',
  ]


def test_the_folder_of_a_run_is_refused(tmp_path):
  (tmp_path / 'config.json').write_text('{}')
  with pytest.raises(errors.UserError, match='holds a run, whose'):
    grid.run(Grid(config()), tmp_path, '/no/data')
  assert [path.name for path in tmp_path.iterdir()] == ['config.json']


def result(accuracy, memorised=0.25, classes=(0.5, 0.75), seconds=2.0):
  return {
    'test_accuracy': accuracy,
    'memorised': memorised,
    'test': None if classes is None else {'class_accuracy': list(classes)},
    'train_seconds': seconds,
  }


def cells(results):
  """The table's cells below the headings and their line."""
  lines = grid.table(results).splitlines()[3:]
  return [[x.strip() for x in y.split('  ') if x.strip()] for y in lines]


def test_means_and_spreads_by_hand():
  runs = [
    result(0.5, 0.1, (0.4, 0.6), 1.0),
    result(0.7, 0.3, (0.8, None, 0.6), 4.0),
  ]
  assert cells({'ce': runs, 'loss.alpha=1': [result(0.5)]}) == [
    # The worst classes are 0.4 and 0.6; deviations are those of a sample.
    [
      'cross entropy (CE)',
      '60.0 % ± 14.1',
      '50.0 % ± 14.1',
      '20.0 % ± 14.1',
      '2.5',
    ],
    ['loss.alpha=1', '50.0 %', '50.0 %', '25.0 %', '2.0'],
  ]


def test_a_table_fits_a_terminal_of_80_columns(monkeypatch):
  monkeypatch.setenv('COLUMNS', '80')
  wide = {'normalized_generalized': [result(0.5)] * 2}
  names = ('sl', 'ngce', 'eps_fl_mae', 'truncated_gce', 'gmm_selection')
  shown = grid.table(wide | {name: [result(0.5)] * 2 for name in names})
  table = shown.splitlines()[: 4 + len(names)]
  assert max(map(len, table)) <= 80
  assert any(line.startswith('NGCE') for line in table)


def test_what_is_not_known_is_left_out():
  assert cells({'sl': [result(None, classes=None)]}) == [
    ['symmetric learning (SL)', '-', '-', '25.0 %', '2.0']
  ]
  assert cells({'sl': [result(0.5, memorised=None)]}) == [
    ['symmetric learning (SL)', '50.0 %', '50.0 %', '-', '2.0']
  ]


def test_what_depends_on_the_loss_follows_it():
  ce, anl_ce = configs(
    of=cifar10.get_config('ce,symmetric,0.4,recipe=apl'),
    losses=['ce', 'anl_ce'],
    config_file='configs/cifar10.py',
  ).values()
  # With an L1 penalty there is no weight decay.
  assert (ce.optim.weight_decay, anl_ce.optim.weight_decay) == (1e-4, 0.0)
  assert anl_ce.loss.l1 == 5e-5


def test_methods_that_know_of_the_noise_rate_are_marked(monkeypatch):
  monkeypatch.setenv('COLUMNS', '120')  # Room for their titles.
  runs = [result(0.5)]
  names = ('ce', 'gjs', 'co_teaching', 'forward')
  lines = grid.table(dict.fromkeys(names, runs))
  *_, ce, gjs, co_teaching, forward, note = lines.splitlines()
  assert ce.startswith('cross entropy (CE) ')
  assert '(GJS)‡ ' in gjs
  assert '(Co-teaching)† ' in co_teaching
  assert '(Forward)§ ' in forward
  assert note == (
    '‡: has settings that were tuned for each noise rate; †: is told the noise'
    " rate; §: is told the noise's transition matrix, unless it is estimated;"
    ' of real data nobody knows them.'
  )
  # Rows of --trials are called by their settings.
  row = {'loss.forget_rate=0.1': [result(0.5) | {'loss': 'co_teaching'}]}
  assert 'forget_rate=0.1†' in grid.table(row)
  # Where no method is marked there is no note.
  assert '†' not in grid.table({'ce': runs})


@pytest.mark.parametrize(
  ('source', 'mark', 'note'),
  [
    ('true', '§', "is told the noise's transition matrix"),
    ('measured', '¶', 'measured on examples that have a true label'),
    ('anchors', '', ''),
  ],
)
def test_where_the_transition_matrix_is_from(source, mark, note, monkeypatch):
  monkeypatch.setenv('COLUMNS', '120')
  shown = grid.table({'forward': [result(0.5) | {'transition': source}]})
  assert f'(Forward){mark} ' in shown
  assert note in shown
  assert ('nobody knows' in shown) == (source == 'true')


def test_runs_that_diverged_are_counted_apart(monkeypatch):
  monkeypatch.setenv('COLUMNS', '120')  # Room for their titles.
  failed = {'run': 'a', 'failed': 'the loss is not finite'}
  runs = {'ce': [failed], 'sl': [failed, result(0.5)], 'mae': [result(0.5)]}
  assert cells(runs) == [
    ['cross entropy (CE)', 'failed', '1 of 1'],
    ['symmetric learning (SL)', '50.0 %', '50.0 %', '25.0 %', '2.0', '1 of 2'],
    ['mean absolute error (MAE)', '50.0 %', '50.0 %', '25.0 %', '2.0'],
  ]
  assert 'diverged' in grid.table(runs)
  assert 'diverged' not in grid.table({'mae': runs['mae']})


@pytest.mark.landing
def test_each_trial_is_its_own_run_and_a_bad_one_stops_alone(
  data_dir, tmp_path, capsys
):
  fields = ['loss.alpha=0.01,1e30', 'seed=0,1']
  group = tmp_path / 'together'
  with pytest.raises(train.NonFiniteLoss, match=r'loss.alpha=1e\+30-seed0'):
    grid.run(Grid(config(), trials=fields), group, data_dir)
  out = capsys.readouterr().out
  assert 'failed' in out and 'loss.alpha=0.01' in out
  for name, c in configs('loss.alpha=0.01', 'seed=0,1').items():
    alone = train.train_and_evaluate(c, tmp_path / name, data_dir)
    result = files.read_result(group / name)
    check_equal(result, alone)
    for record, expected in zip(
      files.read_metrics(group / name),
      files.read_metrics(tmp_path / name),
      strict=True,
    ):
      check_equal(record, expected)
    checkpoints = [
      sorted(p.name for p in files.checkpoints(folder / name).iterdir())
      for folder in (group, tmp_path)
    ]
    assert checkpoints[0] == checkpoints[1]
  header, *lines = (group / 'results.csv').read_text().splitlines()
  assert header.startswith('run,dataset')
  assert len(lines) == 2  # Of the runs that ended.


@pytest.mark.slow
def test_trials_of_several_programs(data_dir, tmp_path, capsys):
  """Trained after each other, as each would be alone."""
  fields = ['noise.rate=0.2,0.6', 'model.initializer=he_normal,apl']
  group = tmp_path / 'together'
  results = grid.run(Grid(config(), trials=fields), group, data_dir)
  names = list(configs(*fields))
  assert [f'{group}-seed0' for group in results] == names
  # Not the config's own rate, which no run has.
  assert 'symmetric 0.2 or symmetric 0.6 label noise' in capsys.readouterr().out
  assert names[1] == 'noise.rate=0.2,model.initializer=apl-seed0'
  alone = train.train_and_evaluate(
    configs(*fields)[names[1]], tmp_path / 'alone', data_dir
  )
  (result,) = results[names[1].removesuffix('-seed0')]
  check_equal(result, alone)
  assert files.read_config(group / names[1])['noise']['rate'] == 0.2
  assert len({r['test']['loss'] for (r,) in results.values()}) == 4


def check_equal(record, expected):
  """All but times; batched products round differently, in the 6th digit."""
  assert record.keys() == expected.keys()
  for key, value in expected.items():
    if key in ('seconds', 'images_per_second', 'train_seconds', 'run'):
      continue
    if isinstance(value, dict):
      check_equal(record[key], value)
    elif isinstance(value, str) or value is None:
      assert record[key] == value
    else:
      # Confidences may be next to 0: an absolute tolerance of their rounding.
      np.testing.assert_allclose(
        np.array(record[key], float), np.array(value, float), 1e-4, 1e-6
      )


@pytest.mark.parametrize(
  ('name', 'rate', 'more', 'title', 'changes'),
  [
    ('symmetric', 0.4, {}, 'symmetric 0.4', []),
    ('worse', 0.0, {'second': ''}, 'worse', []),
    ('clean', 0.0, {}, '', []),
    (
      'pmd_type1',
      0.35,
      {
        'second': 'symmetric',
        'second_rate': 0.3,
        'imbalance': 'step',
        'imbalance_ratio': 10.0,
      },
      'pmd_type1 0.35 + symmetric 0.3',
      ['step imbalance 10'],
    ),
    (
      'clean',
      0.0,
      {'open_set_from': 'cifar100', 'open_set_rate': 0.2},
      '',
      ['open-set images of cifar100 0.2'],
    ),
  ],
)
def test_what_a_noise_is_called(name, rate, more, title, changes):
  noise = {'name': name, 'rate': rate, **more}
  assert pictures.noise_title(noise) == title
  assert pictures.changes_of_examples(noise) == changes
