"""A small data set in memory, and a config and a program for it."""

import dataclasses

from ml_collections import config_dict
import numpy as np

from configs import digits
from sce_jax import methods
from sce_jax.config.check import check_config
from sce_jax.data import dataset as dataset_lib
from sce_jax.data import labels
from sce_jax.data.dataset import Dataset
from sce_jax.data.sources.columns import Columns, Part
from sce_jax.engine.trainer import Trainer


def data(train: int = 44, test: int = 30, clean_labels: bool = True) -> Dataset:
  """Random images of digits' shape, with balanced labels."""
  rng = np.random.default_rng(0)
  columns = Columns(_part(rng, train), _part(rng, test) if test else None, 10)
  data_config = check_config(config()).data
  return dataset_lib.from_columns(
    columns, dataclasses.replace(data_config, clean_labels=clean_labels)
  )


def _part(rng, size):
  label = rng.permutation(np.arange(size, dtype=np.int32) % 10)
  # Each class has a mean image of its own, so that there is much to learn.
  image = rng.integers(0, 9, (size, 8, 8, 1)) + label[:, None, None, None] % 8
  return Part(image.astype(np.uint8), label, np.arange(size, dtype=np.int32))


def config(argument: str = 'sl,symmetric,0.4') -> config_dict.ConfigDict:
  """The digits config on a network with batch norm, two short epochs."""
  c = digits.get_config(argument)
  c.model.name = 'mnist_cnn'
  c.model.layout = 'chwn'
  c.optim.schedule = 'constant'
  c.train.epochs = 2
  c.train.batch_size = 16
  c.eval.batch_size = 16
  c.eval.train_every = 1
  c.checkpoint.every = 1
  return c


def program(configs, dataset=None, **options):
  """A trainer that has its data, the runs' inputs, and their noisy labels.

  Args:
    configs: of the runs.
    dataset: the data set; None for `data`.
    **options: of the trainer.
  """
  checked = [check_config(c) for c in configs]
  dataset = data() if dataset is None else dataset
  trainer = Trainer(checked[0], dataset.info, len(checked), **options)
  trainer.load(dataset)
  noisy = [
    labels.apply_label_noise(dataset, c.noise, c.seed).labels for c in checked
  ]
  inputs = trainer.make_inputs(
    [c.seed for c in checked], noisy, [_hparams(c, dataset) for c in checked]
  )
  return trainer, inputs, noisy


def _hparams(config, dataset):
  """The traced hyper-parameters; a matrix that is computed is the true one."""
  prepare = methods.build(config.loss.name, config.loss.hparams).prepare
  if prepare is None:
    return config.traced_hparams
  true = labels.transition_matrix(config.noise, dataset.info)
  context = methods.PrepareContext(config.loss.hparams, true)
  return {**config.traced_hparams, **prepare(lambda *_: (), [context])[0]}


def run_epochs(trainer, inputs, num_epochs=1, state=None, step=0):
  """Trains some epochs: the state, and what the last one counted."""
  report = None
  state = trainer.init(inputs) if state is None else state
  while step < num_epochs * trainer.plan.steps:
    state, report = trainer.train(state, inputs, step)
    step = trainer.plan.next_boundary(step)
  return state, report
