"""Who looks how in pictures, and who can tell it apart."""

import itertools

import numpy as np
import pytest

from experiments.analysis import style
from sce_jax import methods

# Machado, Oliveira and Fernandes, 2009, table 1, severity 1.0; in linear RGB.
SIGHTS = {
  'normal': np.eye(3),
  'protanopia': np.array(
    [
      [0.152286, 1.052583, -0.204868],
      [0.114503, 0.786281, 0.099216],
      [-0.003882, -0.048116, 1.051998],
    ]
  ),
  'deuteranopia': np.array(
    [
      [0.367322, 0.860646, -0.227968],
      [0.280085, 0.672501, 0.047413],
      [-0.011820, 0.042940, 0.968881],
    ]
  ),
}
# From sRGB's linear light to XYZ, white at D65.
XYZ = np.array(
  [
    [0.4124564, 0.3575761, 0.1804375],
    [0.2126729, 0.7151522, 0.0721750],
    [0.0193339, 0.1191920, 0.9503041],
  ]
)
WHITE = np.array([0.95047, 1.0, 1.08883])


def linear(colour):
  c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
  return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(colour, sight):
  seen = np.clip(SIGHTS[sight] @ linear(colour), 0, 1)
  x = XYZ @ seen / WHITE
  f = np.where(x > 216 / 24389, np.cbrt(x), (24389 / 27 * x + 16) / 116)
  return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def difference(first, second, sight):
  """CIE 1976: 2.3 is just seen side by side."""
  return float(np.linalg.norm(lab(first, sight) - lab(second, sight)))


def test_the_simulation_is_that_of_the_colour_blind():
  # Red and green of one lightness, which nobody else mistakes.
  red, green = '#C04040', '#607A20'
  assert difference(red, green, 'normal') > 70
  assert difference(red, green, 'deuteranopia') < 25
  # White is white, and Lab's ends are 0 and 100.
  for sight in SIGHTS:
    assert lab('#FFFFFF', sight) == pytest.approx([100, 0, 0], abs=0.1)
    assert lab('#000000', sight) == pytest.approx([0, 0, 0], abs=0.1)


@pytest.mark.parametrize('sight', SIGHTS)
def test_ten_classes_are_told_apart(sight):
  looks = [style.of_class(k) for k in range(10)]
  assert len({look['marker'] for look in looks}) == 10
  for first, second in itertools.combinations(looks, 2):
    assert difference(first['color'], second['color'], sight) > 25


@pytest.mark.parametrize('sight', SIGHTS)
def test_methods_are_told_apart(sight):
  looks = {name: style.method(name) for name in style.METHODS}
  for first, second in itertools.combinations(looks.values(), 2):
    apart = difference(first['color'], second['color'], sight) > 20
    assert apart or first['linestyle'] != second['linestyle']


def test_lines_are_dark_enough_for_white_paper():
  for colour in style.COLOURS:
    luminance = XYZ[1] @ linear(colour)
    # WCAG 2 asks for 3. One colour is lighter, so that those who see few
    # colours can tell all of them apart; every line has a style, too.
    assert 1.05 / (luminance + 0.05) >= 2.5, colour


def test_every_method_has_a_look():
  assert {spec.short for spec in methods.SPECS.values()} <= set(style.METHODS)
  assert len(set(style.METHODS)) == len(style.METHODS)
  looks = [style.method(name) for name in style.METHODS]
  assert len({(x['color'], str(x['linestyle'])) for x in looks}) == len(looks)


@pytest.mark.parametrize(
  'names',
  [
    ['SL', 'CE', 'GCE'],
    ['GCE', 'nobody', 'SL', 'CE'],
    ['CE, symmetric 0.4', 'SL, loss.alpha=1', 'GCE, symmetric 0.2'],
  ],
)
def test_a_method_looks_alike_whatever_it_stands_beside(names):
  looks = dict(zip(names, style.looks(names), strict=True))
  for name in names:
    method = style.method_of(name)
    if method is not None:
      assert looks[name] == style.method(method)
  assert len({look['color'] for look in looks.values()}) == len(names)


def test_sl_is_above_and_thicker():
  others = [style.method(name) for name in style.METHODS if name != 'SL']
  sl = style.method('SL')
  assert sl['linewidth'] > max(x['linewidth'] for x in others)
  assert sl['zorder'] > max(x['zorder'] for x in others)
  assert sl['linestyle'] == '-'
  assert style.CROWD['linewidth'] < min(x['linewidth'] for x in others)


def test_lines_of_one_method_share_its_colour_and_differ():
  looks = style.looks(['CE', '2 CE', '5 CE', 'SL, a=1', 'SL, a=2'])
  assert len({look['color'] for look in looks[:3]}) == 1
  assert len({str(look['linestyle']) for look in looks[:3]}) == 3
  assert looks[3]['color'] == looks[4]['color'] != looks[0]['color']
  assert looks[3]['linestyle'] != looks[4]['linestyle']


@pytest.mark.parametrize(
  ('name', 'method'),
  [
    ('CE', 'CE'),
    ('CE+SR, symmetric 0.4', 'CE+SR'),
    ('5 RCE', 'RCE'),
    ('Peer loss†', 'Peer loss'),
    ('Forward, true T', 'Forward, true T'),
    ('Forward, loss.transition=anchors', 'Forward'),
    ('CES', None),
    ('seed=3', None),
  ],
)
def test_the_method_of_a_name(name, method):
  assert style.method_of(name) == method
