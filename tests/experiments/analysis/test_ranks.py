"""Average ranks and critical differences, against published ones."""

import math

from matplotlib import pyplot as plt
import numpy as np
import pandas as pd
import pytest

from experiments.analysis import ranks, style

SCORES = pd.DataFrame(
  [(0.9, 0.8, 0.7), (0.5, 0.6, 0.4), (0.9, 0.9, 0.1)], columns=['a', 'b', 'c']
)


def test_average_ranks_by_hand():
  found = ranks.rank(SCORES)
  # a: 1, 2 and, shared, 1.5; b: 2, 1, 1.5; c is always the third.
  assert found.average.to_dict() == {'a': 1.5, 'b': 1.5, 'c': 3}
  assert found.blocks == 3
  # q sqrt(k (k + 1) / (6 N)) with q = 2.343 of three methods.
  assert found.difference == pytest.approx(2.343 * (12 / 18) ** 0.5, abs=1e-3)
  assert found.tied == ['a', 'b', 'c']
  # Friedman: ranks sum to 4.5, 4.5 and 9; 12 * 121.5 / 36 - 36 = 4.5, over
  # 1 - 6 / 72 for the tie: 4.909 of two degrees of freedom, p = exp(-x / 2).
  assert found.pvalue == pytest.approx(math.exp(-4.5 / (11 / 12) / 2))


def test_demsars_example():
  """Four methods on 14 data sets (JMLR 2006, section 3.2.3)."""
  assert ranks.critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)


@pytest.mark.parametrize(
  # His table 5: critical values of Nemenyi's test, which are CD at
  # k (k + 1) = 6 N.
  ('methods', 'blocks', 'value'),
  [(2, 1, 1.960), (3, 2, 2.343), (5, 5, 2.728), (9, 15, 3.102)],
)
def test_critical_values(methods, blocks, value):
  found = ranks.critical_difference(methods, blocks)
  assert found == pytest.approx(value, abs=0.001)


def test_a_run_that_diverged_is_the_last():
  found = ranks.rank(SCORES.assign(a=-math.inf))
  assert found.average.index[-1] == 'a' and found.average['a'] == 3


def test_the_picture_names_all_and_marks_the_tied():
  scores = pd.DataFrame(
    np.tile([0.9, 0.5, 0.1, 0.0], (40, 1)), columns=['CE', 'SL†', 'c', 'd']
  )
  found = ranks.rank(scores)
  assert found.tied == ['CE']
  figure = ranks.plot(found, wide=2.5)
  ax = figure.axes[0]
  names = [x.get_text() for x in ax.get_yticklabels()]
  assert names == ['CE', 'SL†', 'c', 'd']
  assert '2.5' in ax.texts[0].get_text()
  assert list(ax.get_xticks()) == [1, 2, 3, 4]  # There is no rank 0.
  points = [line for line in ax.lines if len(line.get_xdata()) == 1]
  for name, point in zip(('CE', 'SL'), points, strict=False):
    look = style.method(name)
    assert (point.get_color(), point.get_marker()) == (
      look['color'],
      look['marker'],
    )
  # Filled where a method is not told apart from the best.
  fills = [point.get_markerfacecolor() for point in points]
  assert fills[0] == points[0].get_color() and set(fills[1:]) == {'white'}
  # Half the difference to either side, so that SL's line misses CE's.
  ends = [line.get_xdata() for line in ax.lines if len(line.get_xdata()) == 2]
  assert ends[0][1] < ends[1][0]
  plt.close(figure)


def test_of_a_crowd_sl_and_ce_stand_out():
  methods = ['SL', *style.METHODS[2:20], 'CE']
  scores = pd.DataFrame(np.tile(np.linspace(1, 0, 20), (3, 1)), columns=methods)
  figure = ranks.plot(ranks.rank(scores), wide=9.0)
  ax = figure.axes[0]
  points = [line for line in ax.lines if len(line.get_xdata()) == 1]
  colours = [point.get_color() for point in points]
  assert colours[0] == style.method('SL')['color']
  assert colours[-1] == style.method('CE')['color']
  assert len({*colours[1:-1]} | {colours[0], colours[-1]}) == 3
  bars = [line for line in ax.lines if len(line.get_xdata()) == 2]
  assert bars[0].get_linewidth() > bars[1].get_linewidth()
  plt.close(figure)
