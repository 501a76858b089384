"""Runs of seconds on synthetic data."""

import contextlib

import jax
import pytest

from sce_jax import train
from sce_jax.runs import restore
from sce_jax.runs.run import TrainingRun
from tests import synthetic


def config(epochs=2):
  made = synthetic.config()
  made.model.name = 'digits_cnn'
  made.train.epochs = epochs
  return made


def run(folder, epochs=2, allow=(), **changes):
  made = config(epochs)
  made.update_from_flattened_dict(changes)
  return train.train_and_evaluate(
    made, folder, dataset=synthetic.data(), allow_config_change=allow
  )


def final(folder):
  return jax.device_get(restore.load(folder).state)


@contextlib.contextmanager
def stopped_after(saves):
  """Inside, a job that has saved so many times is stopped at the next."""
  save, saved = TrainingRun.save, []

  def stop(self, state, seconds):
    if len(saved) == saves:
      raise KeyboardInterrupt
    saved.append(self)
    save(self, state, seconds)

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(TrainingRun, 'save', stop)
    with pytest.raises(KeyboardInterrupt):
      yield
