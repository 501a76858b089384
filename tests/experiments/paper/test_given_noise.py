"""Experiments on data whose labels come with wrong ones."""

import dataclasses

from configs.common import GIVEN
from experiments.paper import classwise, comparison, published
from experiments.paper.methods import noise_of
from sce_jax import methods


def test_no_noise_is_added():
  for module in (comparison, classwise):
    planned = module.sweep('clothing1m', 'full')
    assert {spec.labels['noise'] for spec in planned} == {GIVEN}
    for spec in planned:
      assert spec.config.noise.name == 'clean' and spec.config.noise.rate == 0
  # Eight methods and three, of three seeds; images that are streamed are not
  # looked at after an epoch.
  assert len(comparison.sweep('clothing1m', 'full')) == 24
  assert len(classwise.sweep('clothing1m', 'full')) == 9
  labels = {spec.labels['noise'] for spec in comparison.sweep('mnist', 'full')}
  assert GIVEN not in labels and 'symmetric 0.4' in labels


def test_who_looks_at_training_images_is_not_trained_on_streamed_ones(
  monkeypatch,
):
  gce = methods.SPECS['gce']
  looking = gce.make()._replace(uses_features=True)
  row = dataclasses.replace(gce, make=lambda: looking)
  monkeypatch.setitem(methods.SPECS, 'gce', row)
  planned = comparison.sweep('clothing1m', 'full')
  trained = {spec.labels['method'] for spec in planned}
  assert {*comparison.METHODS} - trained == {'D2L', 'GCE'}


def test_published_figures_of_all_recipes_are_marked():
  """facts: CE 68.80 recalled, 67.38 verified, 68.94 secondary; SL 71.02."""
  given = noise_of('clothing1m', GIVEN)
  found = published.find('clothing1m', 'CE', given)
  assert [(x.accuracy, x.mark) for x in found] == [
    (68.80, 'recalled'),
    (67.38, 'verified'),
    (68.94, 'secondary'),
  ]
  (claimed, verified) = published.find('clothing1m', 'SL', given)
  assert (claimed.accuracy, claimed.mark) == (71.02, 'claimed')
  assert (verified.accuracy, verified.mark) == (67.40, 'verified')
  (only,) = published.find('clothing1m', 'Forward, true T', given)
  assert only.accuracy == 69.84
  others = published.others('clothing1m', comparison.METHODS)
  assert [(name, x.accuracy) for name, x in others] == [
    ('CE_eps+MAE', 69.85),
    ('ANL-CE', 69.93),
    ('NCE+RCE', 69.07),
    ('CE with RRM', 71.48),
  ]
  assert published.others('mnist', comparison.METHODS) == []
