"""The scaling benchmark: its variants, its table, its bad input."""

import functools
import os
import subprocess
import sys
from typing import ClassVar

import jax
import pytest

from experiments.benchmarks import scaling, workload
from sce_jax import models
from tests.conftest import REPOSITORY
from tests.experiments.refusals import refusal

COLUMNS = [
  'kind',
  'runner',
  'devices',
  'images/s',
  'efficiency',
  "of one device's rate",
]


class Instant:
  """Stands in for a training: notes its turn."""

  images = 1000
  turns: ClassVar[list['Instant']] = []

  def __init__(self, settings):
    self.settings = settings

  def __call__(self):
    self.turns.append(self)


@pytest.fixture
def instant(monkeypatch):
  monkeypatch.setattr(workload, 'Training', Instant)
  monkeypatch.setattr(Instant, 'turns', [])
  return Instant


def test_rows_agree_with_themselves(instant):
  # 16 devices are not there.
  rows = scaling.measure('digits_cnn', rounds=1, counts=(1, 2, 8, 16))
  assert [(row['kind'], row['runner'], row['devices']) for row in rows] == [
    ('data-parallel', 'pmap', 1),
    ('data-parallel', 'pmap', 2),
    ('data-parallel', 'pmap', 8),
    ('data-parallel', 'jit', 1),
    ('data-parallel', 'jit', 2),
    ('data-parallel', 'jit', 8),
    ('trial-parallel', 'pmap', 1),
    ('trial-parallel', 'spread', 2),
    ('trial-parallel', 'spread', 8),
  ]
  for i, row in enumerate(rows):
    assert list(row) == COLUMNS
    assert row['images/s'] > 0
    # Of the same kind on one device.
    share = row['images/s'] / rows[i // 3 * 3]['images/s']
    assert row["of one device's rate"] == pytest.approx(share)
    assert row['efficiency'] == pytest.approx(share / row['devices'])


def test_all_variants_take_turns(instant):
  rows = scaling.measure('digits_cnn', rounds=2)
  assert [row['devices'] for row in rows] == [1, 2, 4, 8] * 3
  # To warm up, and two rounds.
  assert len(instant.turns) == 36
  assert instant.turns == instant.turns[:12] * 3


def test_each_kind_trains_on_several_devices(monkeypatch):
  # Digits' network without its convolutions, which take long to compile.
  network = functools.partial(
    models.cnn.CNN, stages=(), pooled=(), hidden=8, batch_norm=False
  )
  monkeypatch.setitem(models.MODELS, 'digits_cnn', network)
  variants = scaling.make_variants('digits_cnn', 1, [2])
  assert list(variants) == [
    ('data-parallel', 'pmap', 2),
    ('data-parallel', 'jit', 2),
    ('trial-parallel', 'spread', 2),
  ]
  images = []
  for settings in variants.values():
    training = workload.Training(settings)
    training()
    images.append(training.images)
  # One batch for one run, one each for 8.
  assert images == [128, 128, 1024]


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
  assert message in refusal(capsys, scaling.main, flag)
