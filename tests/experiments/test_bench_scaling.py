"""The scaling benchmark: its variants, its table, its bad input."""

import functools
import os
import subprocess
import sys

import jax
import pytest

from experiments.benchmarks import harness, scaling, workload
from sce_jax import models
from tests.conftest import REPOSITORY

COLUMNS = [
  'kind',
  'runner',
  'devices',
  'images/s',
  'efficiency',
  "of one device's rate",
]


@pytest.fixture
def simple_network(monkeypatch):
  """Digits' network without its convolutions, which take long to compile."""
  network = functools.partial(
    models.cnn.CNN, stages=(), pooled=(), hidden=8, batch_norm=False
  )
  monkeypatch.setitem(models.MODELS, 'digits_cnn', network)


def test_rows_agree_with_themselves(simple_network):
  # 16 devices are not there.
  rows = scaling.measure('digits_cnn', rounds=1, steps=1, counts=(1, 2, 16))
  assert [(row['kind'], row['runner'], row['devices']) for row in rows] == [
    ('data-parallel', 'pmap', 1),
    ('data-parallel', 'pmap', 2),
    ('data-parallel', 'jit', 1),
    ('data-parallel', 'jit', 2),
    ('trial-parallel', 'pmap', 1),
    ('trial-parallel', 'spread', 2),
  ]
  for single, double in zip(rows[::2], rows[1::2], strict=True):
    for row in (single, double):
      assert list(row) == COLUMNS
      assert row['images/s'] > 0
      share = row['images/s'] / single['images/s']
      assert row["of one device's rate"] == pytest.approx(share)
      assert row['efficiency'] == pytest.approx(share / row['devices'])


def test_all_variants_take_turns(monkeypatch):
  turns, made = [], []

  class Training:
    images = 10

    def __init__(self, settings):
      made.append(settings)

    def __call__(self):
      turns.append(self)

  monkeypatch.setattr(workload, 'Training', Training)
  rows = scaling.measure('digits_cnn', rounds=2)
  assert [row['devices'] for row in rows] == [1, 2, 4, 8] * 3
  # To warm up, and two rounds.
  assert len(turns) == 36
  assert turns == turns[:12] * 3
  assert all(settings.batch == 128 for settings in made)
  assert [settings.runs for settings in made] == [1] * 8 + [8] * 4


def test_a_cpu_shows_eight_devices():
  # In a process where no backend has started, and nothing else asks for them.
  code = (
    'import jax\n'
    'from experiments.benchmarks import scaling\n'
    'scaling.measure = lambda network, *_: [\n'
    '  {"network": network, "devices": jax.device_count()}\n'
    ']\n'
    'scaling.main([])\n'
  )
  environment = os.environ | {'JAX_PLATFORMS': 'cpu'}
  environment.pop('XLA_FLAGS')
  child = subprocess.run(
    [sys.executable, '-c', code],
    env=environment,
    cwd=REPOSITORY,
    capture_output=True,
    text=True,
    check=True,
    timeout=60,
  )
  lines = child.stdout.splitlines()
  assert lines[0] == 'scaling --rounds=5 --steps=8 --network=digits_cnn'
  assert lines[-1] == '| digits_cnn | 8 |'


def test_a_started_backend_keeps_its_devices(monkeypatch, capsys):
  devices = jax.devices()
  monkeypatch.setattr(
    scaling, 'measure', lambda *_: [{'devices': jax.device_count()}]
  )
  scaling.main(['--network=mnist_cnn'])
  assert capsys.readouterr().out.endswith(f'| {len(devices)} |\n')


@pytest.mark.parametrize(
  ('flag', 'message'),
  [
    ('--rounds=0', "--rounds: '0' is not a whole number of at least 1"),
    ('--steps=1.5', "--steps: '1.5' is not a whole number of at least 1"),
    ('--network=vgg', "--network: invalid choice: 'vgg'"),
    ('more', 'unrecognized arguments: more'),
    ('--json=no/such/file', '--json=no/such/file cannot be written'),
  ],
)
def test_bad_flags_are_refused(flag, message, capsys):
  with pytest.raises(SystemExit) as exit_:
    scaling.main([flag])
  assert exit_.value.code == harness.BAD_INPUT
  out, err = capsys.readouterr()
  assert not out
  (line,) = err.splitlines()
  assert line.startswith('error: ')
  assert message in line
