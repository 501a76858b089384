"""D2L: dimensionality of known points, turning points worked out by hand."""

import copy
import math
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import digits
from sce_jax import train
from sce_jax.methods import d2l
from sce_jax.runs import files, restore


def test_three_points_on_a_line_by_hand():
  # From 0 the others are 1 and 4 away: log(1/4) and log(1), mean -log(4)/2.
  # From 1: 1 and 3. From 4: 3 and 4.
  lids = d2l.local_intrinsic_dimensionality(jnp.array([[0.0], [1.0], [4.0]]), 2)
  expected = [2 / math.log(4), 2 / math.log(3), 2 / math.log(4 / 3)]
  # float32 distances from squares and a product: some 1e-6 of them.
  np.testing.assert_allclose(lids, expected, rtol=1e-5)


def reference(points, k):
  """The estimate in float64, from the distances themselves."""
  points = np.asarray(points, np.float64)
  lids = []
  for i, point in enumerate(points):
    r = np.linalg.norm(np.delete(points, i, 0) - point, axis=1)
    r = np.sort(r)[:k]
    lids.append(-1 / np.mean(np.log(r / r[-1])))
  return np.array(lids)


def test_estimates_are_those_of_an_independent_reference():
  points = np.random.default_rng(0).normal(size=(60, 12)).astype(np.float32)
  lids = d2l.local_intrinsic_dimensionality(jnp.asarray(points), 20)
  # Nearly equal r_i / r_k make the estimate as ill-conditioned as 1e-4.
  np.testing.assert_allclose(lids, reference(points, 20), rtol=1e-4)


@pytest.mark.parametrize('dimension', [1, 2, 4])
def test_points_of_a_flat_have_about_its_dimension(dimension):
  rng = np.random.default_rng(dimension)
  inside = rng.uniform(size=(1000, dimension))
  turned = inside @ rng.normal(size=(dimension, 30))
  lids = d2l.local_intrinsic_dimensionality(
    jnp.asarray(turned, jnp.float32), 20
  )
  # The estimator's spread is dimension / sqrt(20) a point, and edges lower it.
  assert abs(float(lids.mean()) - dimension) < 0.25 * dimension


def test_equal_points_say_nothing():
  lids = d2l.local_intrinsic_dimensionality(jnp.ones((30, 4)), 20)
  np.testing.assert_array_equal(lids, np.zeros(30))


def test_the_mean_is_over_groups():
  points = np.random.default_rng(1).normal(size=(256, 8)).astype(np.float32)
  expected = np.mean([reference(half, 20) for half in np.split(points, 2)])
  assert float(d2l.mean_lid(jnp.asarray(points), 20)) == pytest.approx(
    expected, rel=1e-4
  )


def test_an_epoch_s_is_over_all_groups_that_are_whole():
  rng = np.random.default_rng(2)
  # Of one and of six dimensions, and the first of a third group.
  points = rng.normal(size=(300, 6))
  points[:128, 1:] = 0
  method = d2l.d2l(3, 20)
  _, figures = method.end_epoch(
    method.init(jax.random.key(0), 300, 10),
    lambda count: jnp.asarray(points[:count], jnp.float32),
    {'weight': jnp.float32(1.0), 'warm_up': jnp.float32(0)},
    types.SimpleNamespace(num_epochs=10, num_examples=300),
  )
  first, second = reference(points[:128], 20), reference(points[128:256], 20)
  assert second.mean() > 2 * first.mean()
  # Nearly equal distances make float32's estimates as wrong as that.
  assert float(figures['lid']) == pytest.approx(
    (first.mean() + second.mean()) / 2, rel=2e-3
  )


def label_weight(lids, num_epochs, *, window, warm_up):
  """The weight of the given labels in the next epoch, by the paper's rule."""
  if d2l.turning_point(lids, window=window, warm_up=warm_up) is None:
    return 1.0
  lowest = min(lids)
  expansion = lids[-1] / lowest if lowest > 0 else 1.0
  return math.exp(-len(lids) / num_epochs * expansion)


# A window of 3 after a warm-up of 1: mean 5, standard deviation sqrt(2/3), so
# that what follows must exceed 6.63.
FLAT = [9.0, 4.0, 5.0, 6.0]


def test_the_turning_point_is_where_the_dimensionality_rises():
  options = {'window': 3, 'warm_up': 1}
  assert d2l.turning_point([*FLAT, 6.6], **options) is None
  assert d2l.turning_point([*FLAT, 6.7], **options) == 4
  assert d2l.turning_point([*FLAT, 6.7, 1.0], **options) == 4  # It stays.
  assert d2l.turning_point(FLAT, **options) is None  # Too early.


def test_the_labels_weight_by_hand():
  options = {'window': 3, 'warm_up': 1}
  assert label_weight([*FLAT, 6.6], 10, **options) == 1.0
  # 5 of 10 epochs are done, the lowest dimensionality is 4.
  assert label_weight([*FLAT, 8.0], 10, **options) == pytest.approx(
    math.exp(-0.5 * 8 / 4)
  )
  assert label_weight([], 10, **options) == 1.0


def run_method(lids, num_epochs, window, warm_up, monkeypatch):
  """The state after each epoch, the dimensionality being given."""
  monkeypatch.setattr(d2l, 'mean_lid', lambda hidden, neighbours: hidden[0, 0])
  method = d2l.d2l(window, neighbours=20)
  context = types.SimpleNamespace(num_epochs=num_epochs, num_examples=300)
  hparams = {'weight': jnp.float32(1.0), 'warm_up': jnp.float32(warm_up)}
  end_epoch = jax.jit(
    lambda state, lid: method.end_epoch(
      state, lambda size: jnp.full((size, 1), lid), hparams, context
    )
  )
  state = method.init(jax.random.key(0), 300, 10)
  states = []
  for lid in lids:
    state, figures = end_epoch(state, jnp.float32(lid))
    assert float(figures['lid']) == pytest.approx(lid)
    states.append(jax.device_get(state))
  return states


def test_the_method_is_the_rule_in_jax(monkeypatch):
  rng = np.random.default_rng(0)
  turned = set()
  for window, warm_up in ((1, 0), (3, 1), (5, 5)):
    for _ in range(5):
      lids = (6 + rng.normal(size=20).cumsum()).clip(0.5).tolist()
      states = run_method(lids, 20, window, warm_up, monkeypatch)
      for epoch, state in enumerate(states, 1):
        options = {'window': window, 'warm_up': warm_up}
        expected = label_weight(lids[:epoch], 20, **options)
        # An exponential in float32.
        assert float(state.weight) == pytest.approx(expected, rel=1e-5)
      turned.add(bool(states[-1].turned))
  assert turned == {True, False}


@pytest.fixture(scope='module')
def config():
  c = digits.get_config('d2l,symmetric,0.4')
  c.data.limit = 256
  c.train.epochs = 8
  c.train.batch_size = 64
  c.checkpoint.every = 2
  with c.unlocked():
    c.loss.window = 1  # Any rise is a turning point.
    c.loss.warm_up = 0
  return c


@pytest.fixture(scope='module')
def undisturbed(config, data_dir, tmp_path_factory):
  folder = tmp_path_factory.mktemp('d2l') / 'run'
  train.train_and_evaluate(config, folder, data_dir)
  return folder


@pytest.mark.landing
def test_each_epochs_weight_follows_from_those_before(undisturbed):
  records = [r['method'] for r in files.read_metrics(undisturbed)]
  lids = [record['lid'] for record in records]
  assert len(lids) == 8 and min(lids) > 0
  for epoch, record in enumerate(records):
    assert record['label_weight'] == pytest.approx(
      label_weight(lids[:epoch], 8, window=1, warm_up=0), rel=1e-5
    )
  # Else nothing above is put to the test.
  assert records[-1]['label_weight'] < 1


@pytest.mark.landing
def test_it_is_evaluated_with_the_weight_that_it_was_trained_with(
  undisturbed, data_dir
):
  recorded = files.read_result(undisturbed)
  figures = restore.evaluate_run(undisturbed, data_dir)
  for split in ('test', 'train_eval'):
    # The same program on the same state.
    assert figures[split]['loss'] == recorded[split]['loss']


@pytest.mark.slow
def test_together_each_has_its_own_weight(config, data_dir, tmp_path):
  other = copy.deepcopy(config)
  other.seed = 1
  train.train_many([config, other], [tmp_path / 'a', tmp_path / 'b'], data_dir)
  first, second = (
    [record['method']['lid'] for record in files.read_metrics(tmp_path / name)]
    for name in 'ab'
  )
  assert len(first) == len(second) == 8
  assert first != second


@pytest.mark.landing
def test_a_run_of_fewer_examples_than_its_split(data_dir, tmp_path):
  """Some are held back: the groups are those of the others."""
  config = digits.get_config('d2l,symmetric,0.4')
  config.data.limit, config.data.validation = 300, 0.2
  config.train.epochs = 1
  train.train_many([config], [tmp_path / 'run'], data_dir)
  (record,) = files.read_metrics(tmp_path / 'run')
  assert record['method']['lid'] > 0
