"""Uses an exported network, without its run and its data.

An export is a folder, written by export.py:

model.jax_export   the program: uint8 images, or float32 feature vectors, of any
                   batch size to probabilities, with the parameters in it, for
                   CPUs, NVIDIA GPUs and TPUs
model.safetensors  parameters, batch norm's statistics and the mean image,
                   float32, by flat names
model.onnx         the program for ONNX Runtime; only if asked for, onnx.py
model.json         classes, input, network, figures, versions, and checksums
README.md          how it is used

jax reads such programs for six months. An older one, and one that this machine
cannot run, is replaced by the same network built from the parameters.
"""

from collections.abc import Callable
import dataclasses
import hashlib
import json
import os
from typing import Any

from flax import traverse_util
import jax
from jax import export as jax_export
from jaxtyping import Float, Int32, Shaped
import numpy as np
from safetensors import flax as safetensors

from sce_jax.data import decode
from sce_jax.data import info as info_lib
from sce_jax.data.unlabelled import Images
from sce_jax.errors import UserError, reason_of
from sce_jax.runs import kinds, progress
from sce_jax.runs.files import DESCRIPTION, PARAMETERS, PIXEL_MEAN
from sce_jax.storage import digests, paths, typed

# Of the layout of the folder. A folder of another version is refused.
FORMAT = 1
PROGRAM = 'model.jax_export'
ONNX = 'model.onnx'
README = 'README.md'
FORMAT_KEY = 'sce_jax_format'
_KEYS = ('classes', 'input', 'network', 'normalization', 'versions', 'sha256')
_BATCH = 256


@dataclasses.dataclass(frozen=True)
class Model:
  """An exported network.

  Attributes:
    classes: a title for each class, in the order of the probabilities.
    info: the content of model.json.
  """

  classes: tuple[str, ...]
  info: dict[str, Any]
  _call: Callable[[np.ndarray], jax.Array] = dataclasses.field(repr=False)

  def predict_proba(
    self, images: Shaped[np.ndarray, 'N ...']
  ) -> Float[np.ndarray, 'N K']:
    """The probabilities of the classes.

    Args:
      images: uint8 pixels, of the size and range that it was trained on; or
        feature vectors [N, D], of any type of number.

    Raises:
      UserError: the images are not of the size or type that the network takes.
    """
    images = info_lib.check_input(
      np.asarray(images), self.info['input']['shape']
    )
    found = [np.zeros((0, len(self.classes)), np.float32)]
    for start in range(0, len(images), _BATCH):
      some = images[start : start + _BATCH]
      # A program is compiled for each batch size: these are nine at most.
      size = 1 << (len(some) - 1).bit_length()
      filled = np.zeros((size, *some.shape[1:]), some.dtype)
      filled[: len(some)] = some
      found.append(np.asarray(self._call(filled))[: len(some)])
    return np.concatenate(found)

  def predict(
    self, images: Shaped[np.ndarray, 'N ...']
  ) -> Int32[np.ndarray, ' N']:
    """The most probable class of each image, as a number.

    Args:
      images: as in `predict_proba`.

    Raises:
      UserError: as in `predict_proba`.
    """
    return self.predict_proba(images).argmax(axis=1).astype(np.int32)

  def images(self, path: str | os.PathLike) -> Images:
    """Image files, read as those that the network was trained on.

      for names, images in model.images('photos').chunks(256):
        print(names, model.predict_proba(images))

    Args:
      path: an image, a folder with images in it or below, .npy or .npz.

    Raises:
      UserError: there are none, or the network takes other ones.
    """
    decoding = self.info['input'].get('decoding')
    told = decoding or _decoding_before(self.info)
    found = Images(path, tuple(self.info['input']['shape']), told)
    if found.key != 'file_name':
      return found
    if decoding is None:
      progress.log(
        'the network was exported by an earlier version of sce_jax, which did'
        ' not record how its images were read: they are read as today, '
        + ('resized' if told['resize'] else 'of the size that it takes')
      )
    elif decoding['version'] != decode.VERSION:
      progress.log(
        "the network's images were decoded by version"
        f' {decoding["version"]} of the decoder, this is {decode.VERSION}: some'
        ' pixels may differ; to be exact use sce_jax'
        f' {self.info["versions"].get("sce_jax", "of then")}'
      )
    return found


def _decoding_before(info: dict[str, Any]) -> dict[str, Any]:
  """How images were read, of an export that does not say so."""
  source = info.get('data', {}).get('source')
  return decode.description(is_resized=source in ('path', 'folder', 'table'))


def load(folder: str | os.PathLike) -> Model:
  """Loads an exported network.

  Args:
    folder: what `export.export` or `launch.py export` has written.

  Raises:
    UserError: there is no export, or one of another version, or it is damaged.
  """
  folder = paths.path(folder)
  info = read_description(folder)
  parameters = read_file(folder, info, PARAMETERS)
  try:
    call = _load_program(folder, info)
  # Of many types, for jax does not check what it is given.
  except Exception as error:  # noqa: BLE001
    reason = reason_of(error)
    progress.log(
      f'{folder / PROGRAM} cannot be used here ({reason}): the network is'
      f' built from {PARAMETERS} instead'
    )
    try:
      return build(info, parameters)
    except UserError as missing:
      raise UserError(f'{folder}: {missing}') from None
  return Model(tuple(info['classes']), info, call)


def read_description(folder: paths.Path) -> dict[str, Any]:
  """The content of an export's model.json.

  Raises:
    UserError: there is none, or it is another version's, or damaged.
  """
  file = folder / DESCRIPTION
  try:
    found = json.loads(paths.read(file))
  except (FileNotFoundError, NotADirectoryError):
    raise UserError(
      f'{folder} holds no exported network (no {DESCRIPTION}): make one with'
      ' python launch.py export --workdir=RUN --out=FOLDER'
    ) from None
  except OSError as error:
    raise UserError(
      f'{file} cannot be read ({error.strerror or error})'
    ) from None
  except (ValueError, RecursionError) as error:
    raise UserError(
      f'{file} is damaged ({error}): export the run again'
    ) from None
  if not isinstance(found, dict) or FORMAT_KEY not in found:
    raise UserError(f'{file} is not of an exported network of sce_jax')
  if found[FORMAT_KEY] != FORMAT:
    raise UserError(
      f'{folder} was exported by another version of sce_jax (format'
      f' {found[FORMAT_KEY]}, this version reads {FORMAT}): export the run'
      ' again, or use the version that it was exported with'
    )
  try:
    missing = [key for key in _KEYS if key not in found]
    if missing:
      raise ValueError(f'it lacks {missing[0]!r}')
    if digests.is_sealed(found):  # Those of earlier versions are not.
      found = digests.unseal(found)
    _check(found)
  except ValueError as error:
    raise UserError(
      f'{file} is damaged ({error}): export the run again'
    ) from None
  return found


def _check(found: dict[str, Any]) -> None:
  """Checks what is used of a description.

  Raises:
    ValueError: it is not what was written.
  """
  typed.check(found, kinds.Exported)
  shape = found['input']['shape']
  if len(shape) not in (1, 3):
    raise ValueError(f'its input.shape is {shape}')
  if found['input']['dtype'] != ('float32' if len(shape) == 1 else 'uint8'):
    raise ValueError(f'its input.dtype is {found["input"]["dtype"]!r}')


def checksum(content: bytes) -> str:
  """By which a damaged file is found out."""
  return hashlib.sha256(content).hexdigest()


def read_file(folder: paths.Path, info: dict[str, Any], name: str) -> bytes:
  """A file of an export, whole.

  Raises:
    UserError: it is not what was exported.
  """
  try:
    content = paths.read(folder / name)
  except OSError as error:
    raise UserError(
      f'{folder / name} cannot be read ({error.strerror or error}): copy the'
      ' folder again, or export the run again'
    ) from None
  if checksum(content) != info['sha256'].get(name):
    raise UserError(
      f'{folder / name} is not the file that was exported ({len(content)}'
      ' bytes): copy the folder again, or export the run again'
    )
  return content


def _load_program(
  folder: paths.Path, info: dict[str, Any]
) -> Callable[[np.ndarray], jax.Array]:
  """The exported program; any error if it cannot run here."""
  program = jax_export.deserialize(bytearray(read_file(folder, info, PROGRAM)))
  call = jax.jit(program.call)
  # What is inside is read, and its platforms compared, only now.
  shape = (1, *info['input']['shape'])
  lowered = call.lower(jax.ShapeDtypeStruct(shape, info['input']['dtype']))
  _check_classes(lowered.out_info, info)
  return call


def _check_classes(found: Any, info: dict[str, Any]) -> None:
  """Checks that there is a probability of each class.

  Raises:
    ValueError: there is not.
  """
  if tuple(found.shape) != (1, len(info['classes'])):
    raise ValueError(
      f'it gives {list(found.shape)} for one image of'
      f' {len(info["classes"])} classes'
    )


def build(info: dict[str, Any], parameters: bytes) -> Model:
  """A network, built from its parameters.

  Args:
    info: the classes, the network and its input, as model.json has them.
    parameters: the content of model.safetensors.

  Raises:
    UserError: this version has no such network.
  """
  call = jax.jit(function(info, parameters))
  return Model(tuple(info['classes']), info, call)


def function(
  info: dict[str, Any], parameters: bytes
) -> Callable[[Any], jax.Array]:
  """The probabilities as a function of images, not compiled; see `build`.

  Raises:
    UserError: this version has no such network.
  """
  # Only here: what serves a program needs neither networks nor data sets.
  from sce_jax import models  # noqa: PLC0415
  from sce_jax.data import batches  # noqa: PLC0415
  from sce_jax.engine import predict  # noqa: PLC0415

  scaling = info['normalization']
  try:
    typed.check(info['network'], models.ModelConfig)
    typed.check(scaling, batches.Normalization)
    module = models.build(
      models.ModelConfig(**info['network']),
      len(info['classes']),
      # Where what calls it runs; an export names its layout.
      platform=jax.default_backend(),
    )
    normalization = batches.Normalization(
      **scaling | {key: tuple(scaling[key]) for key in ('mean', 'std')}
    )
  except (KeyError, TypeError, ValueError) as error:
    raise UserError(
      f'a network that this version of sce_jax lacks ({error}): use version'
      f' {info["versions"].get("sce_jax", "of then")}'
    ) from None

  try:
    tensors = safetensors.load(parameters)
    pixel_mean = tensors.pop(PIXEL_MEAN)
    variables = traverse_util.unflatten_dict(tensors, sep='.')

    def probabilities(images):
      return predict.class_probabilities(
        variables,
        images,
        pixel_mean,
        module=module,
        normalization=normalization,
      )

    shape = (1, *info['input']['shape'])
    images = jax.ShapeDtypeStruct(shape, info['input']['dtype'])
    _check_classes(jax.eval_shape(probabilities, images), info)
  # Of many types: of safetensors, flax and jax.
  except Exception as error:  # noqa: BLE001
    reason = reason_of(error)
    raise UserError(
      f'{PARAMETERS} is not of the network that {DESCRIPTION} describes'
      f' ({reason}): export the run again'
    ) from None
  return probabilities
