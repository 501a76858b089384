"""Where a run is shown: TensorBoard, Weights & Biases.

Both get the config, the figures of every epoch, each class among them, and at
the end the matrix of the actual noise; W&B also the run's files. train/ is of
the batches while they were trained on, train_eval/ of the training split at the
end of an epoch.
"""

from collections.abc import Iterator, Mapping
import importlib
import io
import os
import pathlib
import tempfile
from typing import Any, Protocol, runtime_checkable
import zlib

from jaxtyping import UInt8
import numpy as np
from PIL import Image
import tensorboardX
from tensorboardX import summary

from sce_jax.config import fields
from sce_jax.errors import UserError
from sce_jax.runs import files
from sce_jax.storage import paths

# Those beside TensorBoard, which is always there.
NAMES = ('wandb',)
# In no curve: what only counts the epochs.
_COUNTERS = ('epoch', 'step', 'seconds')
# What runs are compared by in TensorBoard's HParams.
_COMPARED = (
  'loss.',
  'noise.name',
  'noise.rate',
  'seed',
  'optim.',
  'model.name',
)
_COMPARED_BY = ('test/accuracy', 'test/worst_class', 'train_eval/memorised')
# Kept as an artefact.
_FILES = (
  'config.json',
  'metrics.jsonl',
  'noise.json',
  'noise.npz',
  'result.json',
  'results.csv',
)
# About the height of the picture of a matrix.
_PIXELS = 320
# The trackers of all runs of this process, see `enable`.
_enabled: list[str] = []


@runtime_checkable
class Tracker(Protocol):
  """Shows the figures of one run."""

  def write(self, record: Mapping[str, Any]) -> None:
    """Adds an epoch's figures, a line of metrics.jsonl."""

  def flush(self) -> None:
    """Shows what was written so far."""

  def finish(self, record: Mapping[str, Any]) -> None:
    """Shows what there is at the end; the run's files are written.

    Args:
      record: the last epoch's figures.
    """

  def picture(self, name: str, png: bytes, step: int) -> None:
    """Shows a picture."""

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
  started: list[Tracker] = [TensorBoard(folder, config, step)]
  if 'wandb' in _enabled:
    started.append(WeightsAndBiases(folder, config))
  return started


class TensorBoard:
  """Event files in the run's folder; into a cloud they are copied up."""

  def __init__(
    self, folder: paths.Path, config: Any, step: int, suffix: str = ''
  ):
    self._folder = folder
    self._local: tempfile.TemporaryDirectory | None = None
    if paths.is_cloud(folder):
      self._local = tempfile.TemporaryDirectory(prefix='sce_jax_events')
    self._writer = tensorboardX.SummaryWriter(
      self._local.name if self._local else str(folder),
      # Also at step 0: a run may have been killed before it saved anything.
      purge_step=step + 1,
      filename_suffix=suffix,
    )
    if config and not step:
      flat = fields.flatten(config)
      rows = [f'| {path} | {value} |' for path, value in sorted(flat.items())]
      table = '\n'.join(['| field | value |', '|---|---|', *rows])
      self._writer.add_text('config', table)
      given = {
        path: value if isinstance(value, int | float | str) else str(value)
        for path, value in flat.items()
        if path.startswith(_COMPARED)
      }
      for part in summary.hparams(given, dict.fromkeys(_COMPARED_BY, 0.0)):
        self._writer.file_writer.add_summary(part)

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

  def finish(self, record: Mapping[str, Any]) -> None:
    """Adds the matrix of the noise."""
    image = _matrix_image(self._folder)
    if image is not None:
      self._writer.add_image(
        'noise/matrix', image, record['step'], dataformats='HW'
      )

  def picture(self, name: str, png: bytes, step: int) -> None:
    """Adds a picture."""
    with Image.open(io.BytesIO(png)) as image:
      pixels = np.asarray(image.convert('RGB'))
    self._writer.add_image(name, pixels, step, dataformats='HWC')

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
    self._wandb = wandb = importlib.import_module('wandb')
    self._folder = folder
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

  def finish(self, record: Mapping[str, Any]) -> None:
    """Adds the matrix of the noise, and the run's files as an artefact."""
    image = _matrix_image(self._folder)
    if image is not None:
      self._run.summary['noise/matrix'] = self._wandb.Image(image)
    artifact = self._wandb.Artifact(f'run-{self._run.id}', type='run')
    for name in _FILES:
      path = self._folder / name
      if path.exists():
        with artifact.new_file(name, mode='wb') as file:
          file.write(path.read_bytes())
    self._run.log_artifact(artifact)

  def picture(self, name: str, png: bytes, step: int) -> None:
    """Adds a picture."""
    with Image.open(io.BytesIO(png)) as image:
      self._run.summary[name] = self._wandb.Image(image.convert('RGB'))

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


def add_picture(folder: paths.Path, config: Any, name: str, png: bytes) -> None:
  """Adds a picture to a run that has ended, wherever it is shown.

  Args:
    folder: the run's.
    config: its config.
    name: what the picture is called.
    png: the picture.
  """
  records = files.read_metrics(folder)
  step = records[-1]['step'] if records else 0
  # Files of one second have one name, and the first would be lost.
  shown: list[Tracker] = [TensorBoard(folder, {}, step, '.pictures')]
  if 'wandb' in _enabled:
    shown.append(WeightsAndBiases(folder, config))
  for tracker in shown:
    tracker.picture(name, png, step)
    tracker.flush()
    tracker.close()


def _matrix_image(folder: paths.Path) -> UInt8[np.ndarray, 'H W'] | None:
  """The matrix of a run's noise as an image: white is 1; None: not known."""
  noise = files.read_noise(folder)
  if noise is None:
    return None
  matrix = np.asarray(noise['matrix'], float)
  size = max(1, _PIXELS // len(matrix))
  return np.kron(255 * matrix, np.ones((size, size))).round().astype(np.uint8)


def _scalars(record: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
  """The figures of a record, by names such as 'test/accuracy'.

  Without what is the same in every epoch or only counts them.
  """
  for group, figures in record.items():
    if not isinstance(figures, Mapping):
      if group not in _COUNTERS and _is_number(figures):
        yield group, figures
      continue
    # Test labels are the true ones, unless it is said: the same figure twice.
    twice = group == 'test' and not record.get('noisy_test')
    for name, value in figures.items():
      if name == 'class_accuracy':
        known = [x for x in value if x is not None]
        if known:
          yield f'{group}/worst_class', min(known)
        for k, accuracy in enumerate(value):
          if accuracy is not None:
            yield f'{group}_class/{k:02}', accuracy
      elif name == 'examples' or (twice and name == 'accuracy_noisy'):
        continue
      elif _is_number(value):
        yield f'{group}/{name}', value


def _is_number(value: Any) -> bool:
  return isinstance(value, int | float) and not isinstance(value, bool)
