"""What experiments work out of runs: by hand, or by construction."""

import numpy as np
import pandas as pd
import pytest

from configs import cifar10
from experiments.paper import (
  ablation,
  by_noise,
  comparison,
  easy_hard,
  embeddings,
  methods,
  parameters,
  published,
  recipe,
  scales,
)
from sce_jax.config import fields


def test_what_a_class_loses_has_two_causes():
  # Two classes; under noise the mean is highest in the second epoch.
  clean = np.array([[50.0, 50.0], [80.0, 70.0], [90.0, 80.0]])
  noisy = np.array([[50.0, 40.0], [85.0, 50.0], [60.0, 55.0]])
  found = easy_hard.causes(clean, noisy)
  assert found['peak'] == 2
  np.testing.assert_array_equal(found['lost'], [30, 25])
  np.testing.assert_array_equal(found['under_learned'], [5, 30])
  np.testing.assert_array_equal(found['overfitted'], [25, -5])


def test_separability_of_what_is_known():
  rng = np.random.default_rng(0)
  classes = np.repeat(np.arange(4), 30)
  centres = 100 * np.eye(4)
  silhouette, accuracy = embeddings.separability(
    centres[classes] + rng.normal(size=(120, 4)), classes, seed=0
  )
  assert silhouette > 0.9 and accuracy == 1.0
  noise = rng.normal(size=(120, 4))
  silhouette, accuracy = embeddings.separability(noise, classes, seed=0)
  # Nothing to be told: about 0, and a chance of a quarter (0.04 a deviation).
  assert abs(silhouette) < 0.1 and abs(accuracy - 0.25) < 0.16
  # Other folds: those of another seed.
  other = embeddings.separability(noise, classes, seed=1)
  assert other[0] == silhouette and other[1] != accuracy


@pytest.mark.parametrize('dataset', ['mnist', 'cifar10'])
@pytest.mark.parametrize('base', ['paper', 'apl'])
def test_all_parts_of_the_other_recipe_make_the_other_recipe(dataset, base):
  other = {'paper': 'apl', 'apl': 'paper'}[base]
  config = scales.config(dataset, 'full', recipe=base)
  for values in recipe.parts(dataset, 'full').values():
    scales.change(config, values[other])
  expected = scales.config(dataset, 'full', recipe=other)
  assert fields.differences(config, expected) == []


def test_the_parts_of_cifars_recipes_are_named():
  assert set(recipe.parts('cifar10', 'full')) == {
    'L2 of fc1',
    'weight decay',
    'schedule',
    'time decay',
    'clipping',
    'augmentation',
    'normalization',
    'batch-norm constants',
    'initialisers',
  }


def test_published_figures_are_marked():
  found = published.lookup('cifar100', 'SL', 'symmetric 0.6')
  assert (found.accuracy, found.mark) == (41.47, 'verified')
  found = published.lookup('cifar10', 'SL', 'symmetric 0.6')
  assert (found.accuracy, found.mark) == (80.07, 'recalled')
  found = published.lookup('cifar10', 'SL', 'symmetric 0.6', recipe='apl')
  assert (found.accuracy, found.mark) == (59.14, 'verified')
  # The paper's one row for two of ours; a cell that nobody recalls.
  for row in ('Bootstrap soft', 'Bootstrap hard'):
    assert published.lookup('cifar10', row, 'clean').accuracy == 88.77
  assert published.lookup('cifar10', 'D2L', 'symmetric 0.8') is None
  assert published.lookup('mnist', 'SL', 'clean') is None


@pytest.mark.parametrize(
  ('dataset', 'method', 'noise', 'accuracy'),
  [
    ('cifar10', 'CE', 'asymmetric_cifar10 0.4', 78.51),
    ('cifar10', 'CE', 'asymmetric 0.40', 78.51),
    ('cifar10', 'SL', 'symmetric 0.60', 80.07),
    ('cifar10', 'SL', 'symmetric 6e-1', 80.07),
    ('cifar100', 'SL', 'asymmetric_cifar100_block_pair .2', 65.58),
    ('cifar10_n', 'NLS', 'worse', 82.99),
  ],
)
def test_a_noise_may_be_written_in_another_way(
  dataset, method, noise, accuracy
):
  noise = methods.noise_of(dataset, noise)
  found = published.find(dataset, method, noise)
  assert accuracy in [x.accuracy for x in found]


def test_every_noise_of_the_published_tables_is_known():
  for (dataset, _), _, _, noises, _ in published._TABLES:
    found = [methods.noise_of(dataset, noise) for noise in noises]
    assert len(set(found)) == len(noises)


def test_the_ablation_scales_parts_of_sl():
  planned = ablation.sweep('cifar10', 'full')
  loss = {
    t.labels['method']: t.config.loss.to_dict()
    for t in planned
    if t.labels['seed'] == '0'
  }
  sl = cifar10.get_config('sl').loss
  assert loss['SL'] == sl.to_dict()
  assert (loss['5 CE']['alpha'], loss['5 CE']['beta']) == (5.0, 0.0)
  assert (loss['5 RCE']['alpha'], loss['5 RCE']['beta']) == (0.0, 5.0)
  assert loss['RCE']['log_zero'] == sl.log_zero


def test_tables_say_which_seeds_diverged():
  runs = pd.DataFrame(
    [
      ('CE', 0, 'finished', 0.70, 0.2),
      ('CE', 1, 'finished', 0.71, 0.3),
      ('CE', 2, 'finished', 0.72, 0.4),
      ('SL', 0, 'finished', 0.95, 0.1),
      ('SL', 1, 'failed', np.nan, np.nan),
      ('SL', 2, 'failed', np.nan, np.nan),
      ('GCE', 0, 'failed', np.nan, np.nan),
      ('MAE', 0, 'missing', np.nan, np.nan),
    ],
    columns=['method', 'seed', 'status', 'test_accuracy', 'memorised'],
  ).assign(noise='symmetric 0.4')
  names = {name: name for name in ('CE', 'SL', 'GCE', 'MAE')}
  accuracy = comparison.accuracy(runs, list(names))
  assert [cell.text for _, cell in accuracy.rows] == [
    '71.0 ± 1.0',
    '95.0, 2 diverged',
    'diverged',
    '-',
  ]
  # The highest mean, but of one seed of three.
  assert [cell.bold for _, cell in accuracy.rows] == [True, *[False] * 3]
  assert 'highest mean of those with all seeds' in accuracy.note
  memorised = by_noise.memorised(runs, names)
  assert [cell.text for _, cell in memorised.rows] == [
    '30.0 ± 10.0',
    '10.0, 2 diverged',
    'diverged',
    '-',
  ]


def test_the_equal_pair_has_one_product():
  pair = [
    t.config.loss
    for t in parameters.sweep('mnist', 'full')
    if t.labels['part'] == 'equal'
  ]
  assert len(pair) == 2
  assert pair[0].beta * pair[0].log_zero == pair[1].beta * pair[1].log_zero
  assert pair[0].beta != pair[1].beta
