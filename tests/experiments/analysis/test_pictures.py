"""Titles, legends, ticks and the shapes of pictures."""

import copy

from matplotlib import pyplot as plt
import numpy as np
import pandas as pd
import pytest

from experiments.analysis import pictures, plots
from experiments.paper import parameters

CONFIG = {
  'data': {'name': 'digits'},
  'noise': {'name': 'symmetric', 'rate': 0.4},
  'seed': 0,
}


def config(**changes):
  made = copy.deepcopy(CONFIG)
  for key, value in changes.items():
    made[key] = value
  return made


def run(count, start=0.5, every=None):
  """A run's epochs: accuracy rises by a point in each."""
  return [
    {'epoch': e, 'test': {'accuracy': start + 0.01 * e}}
    for e in range(1, count + 1)
  ]


@pytest.mark.parametrize(
  ('configs', 'title'),
  [
    ([config()], 'digits; symmetric 0.4; seed 0 (n = 1)'),
    (
      [config(seed=s) for s in (2, 0, 1)],
      'digits; symmetric 0.4; seeds 0 to 2 (n = 3); line: mean over seeds,'
      ' band: ± 1 standard deviation',
    ),
    (
      [config(seed=s, noise={'name': 'clean', 'rate': 0.0}) for s in (0, 5)],
      'digits; labels as they are; seeds 0, 5 (n = 2); line: mean over seeds,'
      ' band: ± 1 standard deviation',
    ),
  ],
)
def test_titles_say_what_is_shown(configs, title):
  assert pictures.about(configs) == title


def drawn(groups, width=6.0, columns=1):
  figure, axes = plt.subplots(
    1, columns, figsize=(width, 3.5), layout='constrained', squeeze=False
  )
  for ax in axes.flat:
    plots.curves(ax, groups, ('test', 'accuracy'))
  plots.finish(axes.flat, epochs=True)
  pictures.add_legend(figure)
  pictures.add_title(figure, 'a title of many words ' * 9)
  return figure


def boxes(figure):
  figure.canvas.draw()
  renderer = figure.canvas.get_renderer()
  found = [x.get_window_extent(renderer) for x in figure.legends]
  return [*found, figure._suptitle.get_window_extent(renderer)]


@pytest.mark.parametrize('is_stacked', [False, True])
def test_legends_and_titles_are_never_cut_nor_over_data(is_stacked):
  names = [f'SL, loss.alpha={i}, optim.learning_rate=0.0{i}' for i in range(8)]
  figure = drawn({name: [run(12)] for name in names}, columns=2)
  if is_stacked:
    pictures.stack(figure)
  for box in boxes(figure):
    assert box.x0 >= 0 and box.x1 <= figure.bbox.width
    assert box.y0 >= 0 and box.y1 <= figure.bbox.height
    for ax in figure.axes:
      assert not box.overlaps(ax.get_window_extent())
  [legend] = figure.legends
  assert [text.get_text().replace('\n', ' ') for text in legend.texts] == names


def test_more_lines_than_can_be_told_apart_are_grey():
  names = ['SL', 'CE', 'GCE', 'RCE', 'MAE', 'LSR', 'D2L', 'ELR', 'SOP', 'NCE']
  figure = drawn({name: [run(3)] for name in names})
  lines = figure.axes[0].get_lines()
  assert [line.get_color() for line in lines[8:]] == ['#9A9A9A'] * 2
  [legend] = figure.legends
  assert [x.get_text() for x in legend.texts] == [*names[:8], '2 more']


@pytest.mark.parametrize('count', [1, 2, 3])
def test_short_runs(count):
  [ax] = drawn({'SL': [run(count)], 'CE': [run(count, 0.501)]}).axes
  # Each epoch is a tick and has a marker, with room on both sides.
  assert list(ax.get_xticks()) == list(range(1, count + 1))
  assert ax.get_xlim() == pytest.approx((0.6, count + 0.4))
  assert all(line.get_marker() not in (None, 'None') for line in ax.lines)
  # A tenth of a point does not fill the height.
  low, high = ax.get_ylim()
  assert high - low >= 10 and low + 2 >= 0 and high <= 102


@pytest.mark.parametrize('count', [11, 20, 60, 97, 120])
def test_the_last_epoch_has_a_tick(count):
  [ax] = drawn({'SL': [run(count, 0)]}).axes
  ticks = ax.get_xticks()
  assert ticks[-1] == count
  assert 4 <= len(ticks) <= 13
  assert np.diff(ticks).min() >= 0.5 * np.diff(ticks).max()


def test_one_seed_has_no_band():
  [ax] = drawn({'SL': [run(12)]}).axes
  assert not ax.collections
  [ax] = drawn({'SL': [run(12), run(12, 0.6)]}).axes
  assert len(ax.collections) == 1


def test_bands_and_bars_are_the_deviations_of_tables():
  # 60 and 70 %: mean 65, deviation 10 / sqrt(2), as that of a sample.
  low, high = 65 - np.sqrt(50), 65 + np.sqrt(50)
  runs = [
    [{'epoch': 1, 'test': {'accuracy': x, 'class_accuracy': [x]}}]
    for x in (0.6, 0.7)
  ]
  [ax] = drawn({'SL': runs}).axes
  [band] = ax.collections
  ends = band.get_paths()[0].vertices[:, 1]
  assert [ends.min(), ends.max()] == pytest.approx([low, high])
  _, ax = plt.subplots()
  plots.classes(ax, runs, 0, {'label': 'SL', 'color': 'black'})
  [bars] = ax.containers[0].lines[2]
  assert bars.get_segments()[0][:, 1] == pytest.approx([low, high])


def test_bars_over_settings_are_the_deviations_of_tables():
  runs = pd.DataFrame(
    {
      'alpha': [0.1, 0.1, 1.0, 5.0],
      # Of one seed there is no deviation; one setting has diverged.
      'test_accuracy': [0.6, 0.7, 0.5, np.nan],
    }
  )
  figure, ax = plt.subplots()
  groups = runs.groupby('alpha').test_accuracy
  parameters.draw_line(ax, groups, {'color': 'black'}, 'SL')
  figure.canvas.draw()
  points = ax.containers[0].lines[0]
  assert points.get_ydata()[:2] == pytest.approx([65, 50])
  [bars] = ax.containers[0].lines[2]
  first = bars.get_segments()[0][:, 1]
  assert first == pytest.approx([65 - np.sqrt(50), 65 + np.sqrt(50)])


def test_a_line_is_the_mean_of_runs_and_its_band_one_deviation():
  runs = [[0.5, 0.6, 0.9], [0.7, 0.6, None], [0.3, 0.9]]  # The last has failed.
  records = [
    [
      {'epoch': e, 'test': {'accuracy': value}}
      for e, value in enumerate(values, 1)
    ]
    for values in runs
  ]
  _, ax = plt.subplots()
  plots.curves(ax, {'SL': records}, ('test', 'accuracy'))
  (line,) = ax.lines
  # The epochs that all have. Deviations are those of a sample: sqrt(0.08 / 2)
  # and sqrt(0.06 / 2).
  np.testing.assert_allclose(line.get_xydata(), [[1, 50], [2, 70]])
  (band,) = ax.collections
  (path,) = band.get_paths()
  low = 100 * np.sqrt([0.08 / 2, 0.06 / 2])
  for e, mean, deviation in zip((1, 2), (50, 70), low, strict=True):
    ends = path.vertices[path.vertices[:, 0] == e, 1]
    assert (ends.min(), ends.max()) == pytest.approx(
      (mean - deviation, mean + deviation)
    )


def test_points_are_the_accuracies_of_classes_in_the_last_epoch():
  def ended(*classes):
    first = {'test': {'class_accuracy': [0.0] * 3}}
    return [first, {'test': {'class_accuracy': classes}}]

  _, ax = plt.subplots()
  look = {'color': 'black', 'marker': 'o', 'label': 'SL'}
  plots.classes(ax, [ended(0.5, 0.8, None), ended(0.7, 0.8, None)], 1, look)
  (drawn_bars,) = ax.containers
  points, _, (bars,) = drawn_bars
  np.testing.assert_allclose(points.get_xdata(), [0.15, 1.15, 2.15])
  np.testing.assert_allclose(points.get_ydata(), [60, 80, np.nan])
  np.testing.assert_allclose(
    [[y for _, y in ends] for ends in bars.get_segments()[:2]],
    [[60 - 200**0.5, 60 + 200**0.5], [80, 80]],
  )


def test_panels_are_stacked_for_phones():
  figure, axes = plt.subplots(
    2, 2, figsize=(12, 6), layout='constrained', sharex=True, sharey=True
  )
  axes[0, 0].set(title='left', ylabel='above')
  axes[1, 0].set(xlabel='x')
  axes[1, 1].set_axis_off()
  for ax in axes.flat[:3]:
    ax.plot([0, 1], label='line')
  pictures.add_legend(figure)
  pictures.stack(figure)
  figure.canvas.draw()
  first, second, third = [ax.get_window_extent() for ax in figure.axes]
  assert first.y0 > second.y1 and second.y0 > third.y1
  assert first.x0 == pytest.approx(third.x0, abs=1)
  assert figure.get_size_inches()[0] == pytest.approx(4.2)
  # What the first had from its neighbours each has for itself.
  assert axes[0, 1].get_ylabel() == 'above' and axes[0, 0].get_xlabel() == 'x'
  assert axes[1, 0].get_title() == 'left'


def test_values_are_where_the_lines_are():
  figure, ax = plt.subplots(figsize=(5, 4))
  ax.plot([1, 2, 4], [10, np.nan, 30], label='SL')
  ax.plot([1, 4], [7.12345, 8], label='CE')
  ax.plot([1, 4], [0, 0], label='_hidden')
  ax.set(xlim=(0, 5), title='a')
  figure.canvas.draw()
  [panel] = pictures.values(figure)
  assert panel['title'] == 'a'
  assert panel['x'] == [1, 2, 4]
  assert panel['lines'] == [
    {'label': 'SL', 'y': [10, None, 30]},
    {'label': 'CE', 'y': [7.123, None, 8]},
  ]
  left, top, right, bottom = panel['box']
  assert 0 < left < right < 1 and 0 < top < bottom < 1
  # A fifth, two fifths and four fifths along the axis.
  shares = (np.array(panel['at']) - left) / (right - left)
  assert shares == pytest.approx([0.2, 0.4, 0.8], abs=1e-3)


def test_pdf_and_svg_stand_beside_png(tmp_path):
  contents = []
  for _ in range(2):
    pictures.save(drawn({'SL': [run(3)]}), tmp_path / 'a.png')
    contents.append(
      [(tmp_path / f'a.{kind}').read_bytes() for kind in ('png', 'pdf', 'svg')]
    )
  assert not plt.get_fignums()
  png, pdf, svg = contents[0]
  assert png.startswith(b'\x89PNG') and pdf.startswith(b'%PDF-')
  assert b'<svg' in svg
  # The same picture is the same file.
  assert contents[0] == contents[1]
  # Journals take no Type 3 fonts.
  assert b'/Type3' not in pdf
