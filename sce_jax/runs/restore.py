"""A saved run's network: its figures, and what it says of examples."""

import dataclasses
import os
from typing import Any

import jax
from jaxtyping import Float
import numpy as np

from sce_jax.config import fields
from sce_jax.data import dataset as dataset_lib
from sce_jax.engine import metrics
from sce_jax.engine.train_state import TrainState
from sce_jax.engine.trainer import Trainer
from sce_jax.errors import UserError
from sce_jax.parallel import processes
from sce_jax.runs import workdir as workdir_lib
from sce_jax.runs.checkpointing import Checkpoints
from sce_jax.runs.run import loss_parameters


@dataclasses.dataclass(frozen=True)
class Predictions:
  """What a run's network says of a split, in the split's order.

  Attributes:
    epoch: of the checkpoint that it comes from.
    split: the examples with their labels.
    probability: softmax outputs.
    hidden: the last hidden layer's activations.
  """

  epoch: int
  split: dataset_lib.Split
  probability: Float[np.ndarray, 'N K']
  hidden: Float[np.ndarray, 'N D']


def predict_run(
  workdir: str | os.PathLike,
  split: str = 'train',
  data_dir: str | None = None,
) -> Predictions:
  """What a run's network says of a split, from its last checkpoint.

  Args:
    workdir: the run's folder; nothing in it is changed.
    split: 'train', with the run's noisy labels, or 'test'.
    data_dir: as in train_and_evaluate.

  Raises:
    UserError: there is no such run, or it has no checkpoint.
  """
  config = processes.on_primary(lambda: workdir_lib.read_config(workdir))
  data = dataset_lib.load_on_all_processes(config, data_dir)
  program = Trainer(config, data)
  state, step = last_state(workdir, program)
  outputs = jax.device_get(program.predict(state, split))
  return Predictions(
    step // program.plan.steps,
    dataset_lib.apply_label_noise(data, config['noise'], config['seed'])
    if split == 'train'
    else data.test,
    np.asarray(jax.nn.softmax(outputs.logits)),
    outputs.hidden,
  )


def last_state(
  workdir: str | os.PathLike, program: Trainer
) -> tuple[TrainState, int]:
  """A run's last checkpoint, on the devices, and the step it was saved at."""
  folder = workdir_lib.checkpoints(workdir)
  there = processes.on_primary(folder.exists)
  checkpoints = Checkpoints(folder, None) if there else None
  steps = checkpoints.steps() if checkpoints else []
  if checkpoints is None or not steps:
    raise UserError(f'{workdir} has no checkpoint yet: train it further first')
  step = steps[-1]
  state, _ = checkpoints.restore(step, program.abstract_state())
  checkpoints.close()
  return program.place(state), step


def evaluate_run(
  workdir: str | os.PathLike,
  data_dir: str | None = None,
  expected: fields.Config | None = None,
) -> dict[str, Any]:
  """Evaluates a run from its last checkpoint; changes nothing in its folder.

  Args:
    workdir: the run's folder.
    data_dir: as in train_and_evaluate.
    expected: the config that the run is expected to have, if any.

  Returns:
    Its epoch and step, and the figures of 'test' and 'train_eval'.

  Raises:
    UserError: there is no such run, or it has no checkpoint.
  """
  config = processes.on_primary(lambda: workdir_lib.read_config(workdir))
  changes = fields.differences(config, expected) if expected else None
  if changes:
    raise UserError(
      f'{workdir} holds a run of another config ({"; ".join(changes)}): leave'
      ' --config out, or name the folder of this one'
    )
  data = dataset_lib.load_on_all_processes(config, data_dir)
  program = Trainer(config, data)
  state, step = last_state(workdir, program)
  train = dataset_lib.apply_label_noise(data, config['noise'], config['seed'])
  transition = processes.on_primary(
    lambda: workdir_lib.read_transition(workdir)
  )
  own = program.own(
    [config['seed']], [train], [loss_parameters(config, train, transition)]
  )
  return {
    'epoch': step // program.plan.steps,
    'step': step,
    'test': metrics.summarise(program.evaluate(state, own, 'test')),
    'train_eval': metrics.summarise(program.evaluate(state, own, 'train')),
  }
