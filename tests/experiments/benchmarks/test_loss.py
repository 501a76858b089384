"""The loss benchmark: what it evaluates, its table, its bad input."""

import json

import jax
import jax.numpy as jnp
import pytest

from experiments.benchmarks import loss, workload
from tests.experiments.refusals import refusal

COLUMNS = [
  'K',
  'N',
  'SL ms',
  'optax CE ms',
  'SL over CE',
  'SL: share of copy bandwidth',
]


@pytest.fixture
def bandwidth(monkeypatch):
  """A copy's bytes a second, without the large copy."""
  value = 1e9
  monkeypatch.setattr(
    workload, 'measure_roofline', lambda dtypes: workload.Roofline({}, value)
  )
  return value


def test_rows_agree_with_themselves(bandwidth):
  rows = loss.measure([3, 50, 1000], rounds=1, size=2000)
  # At least 16 rows.
  assert [(row['K'], row['N']) for row in rows] == [
    (3, 666),
    (50, 40),
    (1000, 16),
  ]
  for row in rows:
    assert list(row) == COLUMNS
    assert min(row.values()) > 0
    assert row['SL over CE'] == pytest.approx(row['SL ms'] / row['optax CE ms'])
    moved = 2 * 4 * row['N'] * row['K']
    assert row['SL: share of copy bandwidth'] == pytest.approx(
      1e3 * moved / row['SL ms'] / bandwidth
    )


def test_both_losses_are_evaluated_again_and_again():
  # p = 1/4, 3/4 and labels 0, 0, after which come 1, 1.
  logits = jnp.log(jnp.array([[1.0, 3.0], [1.0, 3.0]]))
  labels = jnp.array([0, 0])
  p, zero = jnp.array([0.25, 0.75]), loss.losses.LOG_ZERO_PUBLIC_CODES
  # The gradient is p - onehot, which SL scales by alpha - beta A p_y.
  expected = {
    'optax CE': (-jnp.log(p[0]), 1.0),
    'SL': (-0.1 * jnp.log(p[0]) - zero * 0.75, 0.1 - zero * 0.25),
  }
  for name, (value, scale) in expected.items():
    once, total = loss.descend(loss.LOSSES[name], 1)(logits, labels)
    assert total == pytest.approx(float(value), rel=1e-5)
    step = loss.LEARNING_RATE * scale * (p - jnp.array([1.0, 0.0])) / 2
    assert jnp.allclose(once, logits - step, atol=1e-6)
    twice, sum_ = loss.descend(loss.LOSSES[name], 2)(logits, labels)
    again, second = loss.descend(loss.LOSSES[name], 1)(once, labels + 1)
    assert jnp.allclose(twice, again, atol=1e-6)
    assert sum_ == pytest.approx(float(total + second), rel=1e-5)


def test_the_command_prints_a_table_and_writes_the_figures(
  bandwidth, monkeypatch, tmp_path, capsys
):
  monkeypatch.setattr(loss, 'MIN_ROWS', 2)
  monkeypatch.setattr(
    loss, 'measure', _with(loss.measure, size=100), raising=True
  )
  file = tmp_path / 'figures.json'
  loss.main(['--classes=4,5', '--rounds=1', f'--json={file}'])
  out = capsys.readouterr().out.splitlines()
  assert out[0] == 'loss --rounds=1 --classes=4,5'
  assert out[3] == '| ' + ' | '.join(COLUMNS) + ' |'
  assert len(out) == 7
  figures = json.loads(file.read_text())
  assert [row['K'] for row in figures['rows']] == [4, 5]
  assert figures['machine']['jax'] == jax.__version__


def _with(measure, **changes):
  return lambda *args: measure(*args, **changes)


@pytest.mark.parametrize(
  ('flag', 'message'),
  [
    ('--rounds=0', "--rounds: '0' is not a whole number of at least 1"),
    ('--classes=', '--classes= is not a list'),
    ('--classes=10,', '--classes=10, is not a list'),
    ('--classes=10,x', '--classes=10,x is not a list'),
    ('--classes=1', '--classes=1 is not a list'),
    ('--classes=100000000', 'from 2 to 10000000'),
    ('--nope', 'unrecognized arguments: --nope'),
    ('--json=no/such/file', '--json=no/such/file cannot be written'),
  ],
)
def test_bad_flags_are_refused(flag, message, capsys):
  assert message in refusal(capsys, loss.main, flag)
