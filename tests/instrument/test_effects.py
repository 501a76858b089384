"""Planted effects are found, and none where there is none."""

import dataclasses

import jax
import numpy as np
import pandas as pd
import pytest

from experiments.analysis import frame, statistics
from sce_jax import losses, methods, train
from sce_jax.engine import metrics
from sce_jax.parallel import multirun
from sce_jax.runs import read
from tests import synthetic

PAIRS, SEEDS = 100, 3


def config(loss, noise, rate, seed):
  made = synthetic.config(f'{loss},{noise},{rate},seed={seed}')
  made.model.name = 'digits_cnn'
  return made


@pytest.fixture
def spec(monkeypatch):
  """Adds a row to the table of methods for a test."""

  def add(name, row):
    monkeypatch.setitem(methods.SPECS, name, row)

  return add


@pytest.mark.landing
def test_a_loss_that_is_better_by_construction_wins(
  small_network, spec, data_dir, tmp_path
):
  """Six tenths of the labels are one class too high, which it takes back."""

  def turned_back(logits, label):
    return losses.cross_entropy(logits, (label - 1) % 10)

  spec('planted', methods.loss_spec(turned_back, 'planted', 'planted'))
  configs = [
    config(loss, 'pair_flip', 0.6, seed)
    for loss in ('ce', 'planted')
    for seed in range(SEEDS)
  ]
  for made in configs:
    made.train.epochs = 6
    made.data.limit = 400
  folders = [tmp_path / str(i) for i in range(len(configs))]
  train.train_many(configs, folders, data_dir)
  scores = frame.scores(read.frame(tmp_path), 'method')
  cells = statistics.mark_best(scores)
  (better,) = (cell for row, cell in cells.items() if 'planted' in str(row))
  (worse,) = (cell for row, cell in cells.items() if 'planted' not in str(row))
  assert better.bold and not worse.tied
  assert better.value > worse.value + 10  # Per cent.


@pytest.mark.slow  # Two programs of 300 runs.
def test_a_method_under_two_names_is_not_told_apart(small_network, spec):
  """In about 95 of 100 pairs, at the level of 5 % at which tables mark.

  With the same seeds the two would be equal to the bit, so each has its own.
  """
  spec('again', dataclasses.replace(methods.SPECS['ce'], title='again'))
  data = synthetic.data(120, 200)
  scores = {}
  for name, first in (('ce', 0), ('again', PAIRS * SEEDS)):
    seeds = range(first, first + PAIRS * SEEDS)
    configs = [config(name, 'symmetric', 0.4, seed) for seed in seeds]
    trainer, inputs, _ = synthetic.program(configs, data)
    state, _ = synthetic.run_epochs(trainer, inputs, 2)
    sums = jax.device_get(trainer.evaluate(state, inputs, 'test'))
    accuracies = [
      metrics.summarise(own)['accuracy']
      for own in multirun.unstack(sums, len(configs))
    ]
    scores[name] = np.reshape(accuracies, (PAIRS, SEEDS))
  assert scores['ce'].std(axis=1).min() > 0  # There is a spread.
  told_apart = 0
  for pair in range(PAIRS):
    cells = statistics.mark_best(
      {name: pd.Series(values[pair]) for name, values in scores.items()}
    )
    told_apart += not any(cell.tied for cell in cells.values())
  # Of 100 with a chance of 5 % each: at most 11 in 996 of 1,000 such tests.
  assert told_apart <= 11
