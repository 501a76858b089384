"""Where the figures of every epoch are shown: TensorBoard, Weights & Biases."""

from collections.abc import Iterator, Mapping
import importlib
import os
import pathlib
import tempfile
from typing import Any, Protocol, runtime_checkable
import zlib

import tensorboardX

from sce_jax.errors import UserError
from sce_jax.storage import paths

# Those beside TensorBoard, which is always there.
NAMES = ('wandb',)
# The trackers of all runs of this process, see `enable`.
_enabled: list[str] = []


@runtime_checkable
class Tracker(Protocol):
  """Shows the figures of one run."""

  def write(self, record: Mapping[str, Any]) -> None:
    """Adds an epoch's figures, a line of metrics.jsonl."""

  def flush(self) -> None:
    """Shows what was written so far."""

  def close(self) -> None:
    """Ends, and keeps all that was written."""


def enable(names: list[str]) -> None:
  """Makes all runs of this process write to these trackers, too.

  Args:
    names: of NAMES.

  Raises:
    UserError: one is not known, not installed, or wants a login.
  """
  for name in names:
    if name not in NAMES:
      raise UserError(
        f'--tracker={name} is not known: use {" or ".join(NAMES)};'
        ' TensorBoard is always there'
      )
  if 'wandb' in names:
    _check_wandb()
  _enabled[:] = names


def start(folder: paths.Path, config: Any, step: int) -> list[Tracker]:
  """Starts the trackers of a run.

  Args:
    folder: the run's.
    config: its config.
    step: how many steps it has behind it; later figures are forgotten.
  """
  started: list[Tracker] = [TensorBoard(folder, step)]
  if 'wandb' in _enabled:
    started.append(WeightsAndBiases(folder, config))
  return started


class TensorBoard:
  """Event files in the run's folder; into a cloud they are copied up."""

  def __init__(self, folder: paths.Path, step: int):
    self._folder = folder
    self._local: tempfile.TemporaryDirectory | None = None
    if paths.is_cloud(folder):
      self._local = tempfile.TemporaryDirectory(prefix='sce_jax_events')
    self._writer = tensorboardX.SummaryWriter(
      self._local.name if self._local else str(folder),
      # Also at step 0: a run may have been killed before it saved anything.
      purge_step=step + 1,
    )

  def write(self, record: Mapping[str, Any]) -> None:
    """Adds an epoch's figures."""
    for name, value in _scalars(record):
      self._writer.add_scalar(name, value, record['step'])

  def flush(self) -> None:
    """Copies the file up, if it belongs into a cloud."""
    if self._local is not None:
      self._writer.flush()
      for file in pathlib.Path(self._local.name).iterdir():
        paths.write(self._folder / file.name, file.read_bytes())

  def close(self) -> None:
    """Ends the file."""
    self._writer.close()
    if self._local is not None:
      self._local.cleanup()


class WeightsAndBiases:
  """A run at Weights & Biases, project sce_jax or $WANDB_PROJECT.

  Its id comes from the folder, so that a resumed run is one run there. wandb
  ignores a figure of a step that it already has: trained again it is the same.
  """

  def __init__(self, folder: paths.Path, config: Any):
    wandb = importlib.import_module('wandb')
    try:
      self._run = wandb.init(
        project=os.environ.get('WANDB_PROJECT', 'sce_jax'),
        id=f'{folder.name}-{zlib.crc32(str(folder).encode()):08x}',
        name=folder.name,
        # Its own files are this machine's.
        dir=os.environ.get(
          'WANDB_DIR', None if paths.is_cloud(folder) else str(folder)
        ),
        config=config,
        resume='allow',
        # Runs that train together are in one process.
        reinit='create_new',
        # Its lines would break ours; it would take over standard output.
        settings=wandb.Settings(silent=True, console='off'),
      )
    except wandb.Error as error:
      raise UserError(
        f'Weights & Biases has not taken the run ({error}): mend that, or set'
        ' WANDB_MODE=offline'
      ) from None

  def write(self, record: Mapping[str, Any]) -> None:
    """Adds an epoch's figures."""
    self._run.log(dict(_scalars(record)), step=record['step'])

  def flush(self) -> None:
    """Nothing: wandb sends automatically."""

  def close(self) -> None:
    """Ends the run there; waits until it is sent."""
    self._run.finish()


def _check_wandb() -> None:
  try:
    wandb = importlib.import_module('wandb')
  except ModuleNotFoundError:
    raise UserError(
      '--tracker=wandb needs Weights & Biases: pip install "wandb>=0.31,<0.32"'
    ) from None
  if os.environ.get('WANDB_MODE', 'online') != 'online':
    return
  try:
    ready = wandb.login(prompt=False)
  except wandb.Error:
    ready = False
  if not ready:
    raise UserError(
      '--tracker=wandb: nobody is logged in: run `wandb login` first, or set'
      ' WANDB_MODE=offline'
    )


def _scalars(record: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
  """The figures of a record, by names such as 'test/accuracy'."""
  for group, figures in record.items():
    pairs = figures.items() if isinstance(figures, dict) else [('', figures)]
    for name, value in pairs:
      if isinstance(value, int | float):
        yield (f'{group}/{name}' if name else group), value
