"""Runs of a network of two convolutions, and what is exported of them."""

import functools
from unittest import mock

import jax
import numpy as np
import pytest

from sce_jax import export, models, train
from sce_jax.config.check import check_config
from sce_jax.models import conv3x3
from sce_jax.runs import restore
from sce_jax.runs.run import TrainingRun
from tests import synthetic
from tests.export.exported import IMAGES, Exported


def config(argument: str):
  found = synthetic.config(argument)
  found.model.name = 'two_convolutions'
  found.model.layout = None
  return found


@pytest.fixture(scope='package')
def network():
  """Quickly compiled, under a name of its own."""
  built = functools.partial(
    models.cnn.CNN, stages=((4, 8),), pooled=(True,), hidden=16
  )
  with pytest.MonkeyPatch.context() as patch:
    patch.setitem(models.MODELS, 'two_convolutions', built)
    yield


@pytest.fixture(scope='package')
def plain(network, tmp_path_factory, data_dir):
  """A run that has ended."""
  folder = tmp_path_factory.mktemp('plain')
  changed = config('sl,symmetric,0.4')
  changed.data.normalization = 'mean_std'
  changed.data.limit = 64
  changed.train.epochs = 2
  train.train_and_evaluate(changed, folder / 'run', data_dir)
  made = export.export(folder / 'run', folder / 'model')
  expected, _ = restore.load(folder / 'run').predict(IMAGES)
  return Exported(folder / 'run', made, expected)


@pytest.fixture(scope='package')
def several(network, tmp_path_factory):
  """A run of two networks that has not ended; its products are Winograd's.

  They have not been trained, but have random statistics.
  """
  folder = tmp_path_factory.mktemp('several')
  changed = config('co_teaching,symmetric,0.4')
  changed.data.normalization = 'pixel_mean'
  trainer, inputs, _ = synthetic.program([changed])
  rng = np.random.default_rng(0)
  state = trainer.init(inputs)
  state = state.replace(
    batch_stats=jax.tree.map(
      lambda x: x + rng.uniform(-0.2, 0.2, x.shape).astype(np.float32),
      state.batch_stats,
    )
  )
  run = TrainingRun.open(
    check_config(changed), folder / 'run', synthetic.data()
  )
  run.save(trainer.device_put(state), 0.0)
  run.close()
  with mock.patch.object(conv3x3, '_WINOGRAD_WORK', 0):
    made = export.export(folder / 'run', folder / 'model')
    expected, _ = restore.load(folder / 'run').predict(IMAGES)
  return Exported(folder / 'run', made, expected)
