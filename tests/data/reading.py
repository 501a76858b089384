"""Data sections of configs, what is read by them, and what a refusal says."""

import dataclasses
import importlib

import numpy as np
import pytest

from sce_jax.config.check import check_config
from sce_jax.data import dataset as dataset_lib
from sce_jax.data.dataset import DataConfig, Dataset
from sce_jax.data.sources.columns import Columns, Part
from sce_jax.errors import UserError

NAMES = ('digits', 'mnist', 'cifar10', 'cifar100', 'cifar10_n', 'cifar100_n')


def data_config(name: str = 'digits', /, **changes) -> DataConfig:
  """The `data` section of configs/NAME.py, with some fields changed."""
  config = importlib.import_module(f'configs.{name}').get_config()
  if config.model.init_from == 'required':
    config.model.init_from = 'random'
  checked = check_config(config)
  return dataclasses.replace(checked.data, **changes)


def read(name: str, data_dir: str | None = None, /, **changes) -> Dataset:
  """Reads a data set as its config says, with some fields changed."""
  return dataset_lib.read(data_config(name, **changes), data_dir)


def made(labels, num_classes=3, class_names=(), label_sets=None, **changes):
  """A data set of these training labels, on images of one pixel."""
  label_sets = {
    name: np.array(values, np.int32)
    for name, values in (label_sets or {}).items()
  }
  columns = Columns(
    part(labels), part([0, 1]), num_classes, class_names, label_sets
  )
  return dataset_lib.from_columns(columns, data_config(**changes))


def part(labels) -> Part:
  """Examples with these labels, whose ids are 10, 20, 30, ..."""
  number = np.arange(len(labels))
  return Part(
    number.astype(np.uint8).reshape(-1, 1, 1, 1),
    np.array(labels, np.int32),
    (10 * number + 10).astype(np.int32),
  )


def told(function, *args, **kwargs) -> str:
  """The one line of the UserError that a call ends in."""
  with pytest.raises(UserError) as caught:
    function(*args, **kwargs)
  message = str(caught.value)
  assert '\n' not in message
  return message
