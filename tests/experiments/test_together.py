"""Trials: which runs a command line means, and that each is that run."""

import json

import numpy as np
import pytest

from configs import digits
from experiments import together
from sce_jax import errors, train
from sce_jax.runs import files


def config():
  c = digits.get_config('sl,symmetric,0.4,tiny')
  c.train.epochs = 3
  return c


def test_all_combinations_with_the_seed_last():
  configs = together.read(config(), ['seed=3..5', 'loss.alpha=0.5,2'])
  assert list(configs) == [
    f'loss.alpha={alpha},seed={seed}'
    for alpha in (0.5, 2.0)
    for seed in (3, 4, 5)
  ]
  last = configs['loss.alpha=2.0,seed=5']
  assert (last.loss.alpha, last.seed) == (2.0, 5)
  assert last.loss.beta == config().loss.beta


@pytest.mark.parametrize(
  ('field', 'expected'),
  [
    ('noise.seed=1,7', [1, 7]),
    ('noise.rate=0,0.5', [0.0, 0.5]),
    ('noise.mode=iid,exact', ['iid', 'exact']),
    ('data.augment.flip=true,False', [True, False]),
  ],
)
def test_values_have_the_type_of_their_field(field, expected):
  path = field.partition('=')[0].split('.')
  values = []
  for section in together.read(config(), [field]).values():
    for part in path:
      section = section[part]
    values.append(section)
  assert values == expected
  assert [type(v) for v in values] == [type(v) for v in expected]


def test_a_hyper_parameter_that_the_config_leaves_to_its_default():
  configs = together.read(
    digits.get_config('gce,symmetric,0.4'), ['loss.q=0.5,1']
  )
  assert [c.loss.q for c in configs.values()] == [0.5, 1.0]


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
    (['loss=1'], "the config has no field 'loss'"),
    (['loss.alpha.x=1'], "the config has no field 'loss.alpha.x'"),
    (['optim.boundaries=1,2'], 'its values must be of type tuple'),
    (['loss.name=ce,sl'], 'use --mode=compare --losses=ce,sl'),
    (['noise.rate=0.1,1'], 'config.noise.rate is 1.0'),
    (['loss.q=0.5'], "loss 'sl' has no hyper-parameter 'q'"),
  ],
)
def test_what_cannot_be_is_refused_before_any_work(fields, message, tmp_path):
  with pytest.raises(errors.UserError) as caught:
    together.train_values(config(), fields, str(tmp_path / 'runs'), '/no/data')
  assert message in str(caught.value)
  assert len(str(caught.value).splitlines()) == 1
  assert not (tmp_path / 'runs').exists()


def test_each_trial_is_its_own_run_and_a_bad_one_stops_alone(
  data_dir, tmp_path, capsys
):
  fields = ['loss.alpha=0.01,1e30', 'seed=0,1']
  group = tmp_path / 'together'
  with pytest.raises(train.NonFiniteLoss, match=r'loss.alpha=1e\+30,seed=0'):
    together.train_values(config(), fields, str(group), data_dir)
  out = capsys.readouterr().out
  assert 'failed' in out and 'loss.alpha=0.01' in out
  for name, c in together.read(
    config(), ['loss.alpha=0.01', 'seed=0,1']
  ).items():
    alone = train.train_and_evaluate(c, tmp_path / name, data_dir)
    result = json.loads((group / name / 'result.json').read_text())
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


def test_trials_of_several_programs(data_dir, tmp_path):
  """Trained after each other, as each would be alone."""
  fields = ['optim.momentum=0.5,0.9', 'model.use_bias=true,false']
  group = tmp_path / 'together'
  results = together.train_values(config(), fields, str(group), data_dir)
  names = list(together.read(config(), fields))
  assert list(results) == names
  assert names[2] == 'model.use_bias=False,optim.momentum=0.5'
  alone = train.train_and_evaluate(
    together.read(config(), fields)[names[2]], tmp_path / 'alone', data_dir
  )
  ((result,),) = (results[names[2]],)
  check_equal(result, alone)
  assert files.read_config(group / names[2])['optim']['momentum'] == 0.5
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
