"""The benchmarks' common frame, and those of whole training programs."""

import argparse
import functools
import importlib
import json

import jax
import pytest

from experiments.benchmarks import (
  __main__,
  harness,
  run,
  step,
  trials,
  workload,
)
from sce_jax import models
from tests.experiments.refusals import refusal


def test_tables_show_three_digits():
  rows = [
    {'name': 'a', 'ms': 0.012345, 'images/s': 123456.7, 'runs': 1000},
    {'name': 'b', 'ms': 12.345, 'images/s': None, 'runs': 2},
  ]
  assert harness.table(rows).splitlines() == [
    '| name | ms | images/s | runs |',
    '| --- | --- | --- | --- |',
    '| a | 0.0123 | 123,457 | 1,000 |',
    '| b | 12.3 |  | 2 |',
  ]


def test_calls_take_turns_after_warming_up():
  turns = []
  calls = {name: functools.partial(turns.append, name) for name in 'ab'}
  seconds = harness.interleave(calls, rounds=3)
  assert turns == ['a', 'b'] * 4
  assert {name: len(values) for name, values in seconds.items()} == {
    'a': 3,
    'b': 3,
  }
  assert harness.medians({'a': [3.0, 1.0, 2.0]}) == {'a': 2.0}


def test_a_report_is_a_table_and_a_file(tmp_path, capsys):
  machine = harness.machine('Some GPU') | {'torch': '9'}
  args = argparse.Namespace(
    rounds=2, losses=True, network=None, json=str(tmp_path / 'x.json')
  )
  harness.report('step', [{'ms': 1.5}], args, machine)
  lines = capsys.readouterr().out.splitlines()
  assert lines[0] == 'step --rounds=2 --losses'
  assert lines[1].startswith('Some GPU, ') and 'torch 9' in lines[1]
  assert lines[3:] == ['| ms |', '| --- |', '| 1.5 |']
  figures = json.loads((tmp_path / 'x.json').read_text())
  assert figures['rows'] == [{'ms': 1.5}]
  assert figures['machine']['device'] == 'Some GPU'


@pytest.mark.parametrize('name', __main__.NAMES)
def test_bad_flags_get_one_line(name, capsys):
  main = importlib.import_module(f'experiments.benchmarks.{name}').main
  assert 'unrecognized arguments: --nope' in refusal(capsys, main, '--nope')


@pytest.mark.parametrize(
  ('main', 'argument', 'message'),
  [
    (__main__.main, 'nope', "no benchmark 'nope': use some of run, step"),
    (__main__.main, '--nope', 'unrecognized arguments: --nope'),
    (__main__.main, '--out=/dev/null/x', '--out=/dev/null/x cannot be made'),
    (step.main, '--networks=x', "'x' is not known: use some of digits_cnn"),
    (trials.main, '--network=x', "invalid choice: 'x'"),
    (trials.main, '--runs=1,0', "'0' is not a whole number"),
    (run.main, '--epochs=0', "'0' is not a whole number"),
    (run.main, '--json=/', '--json=/ cannot be written'),
  ],
)
def test_bad_values_get_one_line(main, argument, message, capsys):
  assert message in refusal(capsys, main, argument)


def test_all_that_are_asked_for_run_and_a_failure_is_told(
  tmp_path, monkeypatch, capsys
):
  commands = []

  def fake(command, **_):
    commands.append(command)
    failed = 'run' in command[2]
    return argparse.Namespace(stdout='table\n', returncode=int(failed))

  monkeypatch.setattr(__main__.subprocess, 'run', fake)
  assert __main__.main(['step', 'run', f'--out={tmp_path}']) == 1
  assert [command[2].rpartition('.')[2] for command in commands] == [
    'step',
    'run',
  ]
  assert 'failed: run' in capsys.readouterr().err
  assert (tmp_path / 'step.md').read_text() == 'table\n'
  assert not (tmp_path / 'run.md').exists()


@pytest.fixture
def small_network(monkeypatch):
  """digits_cnn without convolutions, which compiles at once."""
  network = functools.partial(
    models.cnn.CNN, stages=(), pooled=(), hidden=8, batch_norm=False
  )
  monkeypatch.setitem(models.MODELS, 'digits_cnn', network)
  return 'digits_cnn'


def test_a_steps_share_of_the_floor(small_network):
  ceilings = workload.Roofline({'float32': 1e9}, bandwidth=1e9)
  variants = [
    workload.Workload(small_network, batch=16, steps=2, devices=1, loss=loss)
    for loss in ('sl', 'ce')
  ]
  rows = step.measure(variants, 1, ceilings)
  assert [row['loss'] for row in rows] == ['sl', 'ce']
  for row in rows:
    seconds = row['ms a step'] / 1e3
    assert row['images/s'] == pytest.approx(16 / seconds)
    floor = max(row['GFLOP'], row['GB moved'])  # At 1e9 of each a second.
    assert row['share of the floor'] == pytest.approx(floor / seconds)
    # 64 pixels to 8 and 10 outputs, forward and twice backward, a step.
    assert row['GFLOP'] > 3 * 2 * 16 * (8 * 10 + 64 * 8) / 1e9 * 0.6


def test_ceilings_are_rates():
  ceilings = workload.measure_roofline(('float32',))
  assert ceilings.flops['float32'] > 1e9
  assert ceilings.bandwidth > 1e8
  assert ceilings.min_seconds('float32', 0.0, ceilings.bandwidth) == 1.0


def test_trials_are_compared_with_runs_in_sequence(small_network):
  single = workload.Workload(small_network, batch=16, steps=2, devices=1)
  rows = trials.measure(single, 2, 1)
  assert [row['carried by'] for row in rows] == [
    'sequence',
    'vmap',
    'map',
    'unrolled',
  ]
  alone, *together = rows
  assert alone['cost over sequence'] == 1
  for row in together:
    assert row['cost over sequence'] == pytest.approx(
      row['ms a step and run'] / alone['ms a step and run']
    )
    # Two runs' parameters are more than one's.
    assert row['program MiB'] > alone['program MiB']


@pytest.mark.parametrize('epochs', [None, 2])
def test_a_run_is_its_phases(small_network, epochs):
  config = workload.Workload(small_network, batch=16, steps=2).config()
  rows = run.measure(config, epochs, train=72, test=20)
  values = {row['what']: row['value'] for row in rows}
  # 2 of 2 * 36 images in a dispatch of two steps, or both epochs whole.
  seen = 32 if epochs is None else 2 * 72
  assert values['measured of the run'] == pytest.approx(seen / (120 * 72))
  an_epoch = values['an epoch of training'] + values['an evaluation']
  assert values['120 epochs after compilation'] == pytest.approx(120 * an_epoch)
  assert values['an epoch of training'] == pytest.approx(
    72 / values['training, steady']
  )
  assert (
    values['until the first dispatch is done'] < values['120 epochs in all']
  )


def test_random_data_have_the_networks_shape():
  config = workload.Workload('digits_cnn').config()
  split = workload.random_dataset('digits_cnn', config, 7, 3).train
  assert split.image.shape == (7, 8, 8, 1)
  assert split.image.max() <= 16
  assert split.label.dtype == jax.numpy.int32
