"""Adds an ONNX program to an exported network, see inference.py.

Its input `images` are uint8 [N, H, W, C], or float32 feature vectors [N, D], of
any N, its output `probabilities` float32 [N, K]. It computes in float32,
whatever the network was trained in.

jax2onnx makes it, which needs an older orbax than checkpoints do. So it has an
environment of its own, of requirements-onnx.txt, in which no run is restored:
all that is read here is an exported network.
"""

from collections.abc import Iterator
import contextlib
import importlib
import logging
import os
from typing import Any

import jax
from jaxtyping import Float, Shaped
import numpy as np

from sce_jax import inference
from sce_jax.errors import UserError, reason_of
from sce_jax.inference import DESCRIPTION, ONNX, PARAMETERS, README
from sce_jax.storage import digests, paths

# Batch sizes at which the two programs are compared.
_SIZES = (1, 2, 5)
# Their largest difference in log p, as a share of 1 + |log p|. Rounding makes
# 1e-5 of it, for they sum in another order.
_TOLERANCE = 1e-3
# Smaller probabilities are as good as zero.
_SMALLEST = 1e-30

_USE = f"""
With ONNX Runtime alone:

```python
import onnxruntime

session = onnxruntime.InferenceSession('{ONNX}')
(probabilities,) = session.run(None, {{'images': images}})
```
"""


def check_installed() -> None:
  """Checks that there is what makes and runs an ONNX program.

  Raises:
    UserError: there is not.
  """
  for name in ('jax2onnx', 'onnxruntime'):
    try:
      importlib.import_module(name)
    except ImportError as error:
      reason = reason_of(error)
      raise UserError(
        f'an ONNX program needs {name} ({reason}), in an environment of its'
        ' own: export without --format=onnx, then python -m venv onnx &&'
        ' onnx/bin/pip install -r sce_jax/requirements-onnx.txt &&'
        ' onnx/bin/python launch.py export --model=FOLDER --format=onnx'
      ) from None


def add(folder: str | os.PathLike) -> paths.Path:
  """Adds model.onnx to an exported network, or replaces it.

  It is written once ONNX Runtime gives the network's probabilities with it, on
  random images.

  Args:
    folder: what `export.export` has written, here or in a cloud.

  Returns:
    The file.

  Raises:
    UserError: jax2onnx or ONNX Runtime is missing, there is no export, or its
      network cannot be had as such a program. Nothing has been written.
  """
  check_installed()
  folder = paths.absolute(paths.path(folder))
  info = inference.read_description(folder)
  parameters = inference.read_file(folder, info, PARAMETERS)
  network = info['network'] | {'dtype': 'float32'}
  try:
    function = inference.function(info | {'network': network}, parameters)
  except UserError as missing:
    raise UserError(f'{folder}: {missing}') from None
  name, batches = network['name'], list(_images(info))
  try:
    content, found = _convert(function, name, batches)
  # Of many types: what a library cannot do shows anywhere in it.
  except Exception as error:  # noqa: BLE001
    reason = reason_of(error)
    raise UserError(
      f'{name} cannot be had as an ONNX program ({reason}): use'
      f' {inference.PROGRAM}, or try another version of jax2onnx'
    ) from None
  # GPUs would round factors to fewer digits.
  with jax.default_matmul_precision('highest'):
    expected = [np.asarray(jax.jit(function)(images)) for images in batches]
  difference = max(map(_difference, found, expected))
  if not difference <= _TOLERANCE:
    raise UserError(
      f'ONNX Runtime gives other probabilities for {name} (log p differs by'
      f' {difference:.2g}): use {inference.PROGRAM}, or try another version of'
      ' jax2onnx'
    )
  info['sha256'][ONNX] = inference.checksum(content)
  _write(folder, info, content)
  return folder / ONNX


def _convert(
  function: Any, name: str, batches: list[Shaped[np.ndarray, '_ ...']]
) -> tuple[bytes, list[Float[np.ndarray, '_ K']]]:
  """The program, and what ONNX Runtime computes with it."""
  # Only here: they are no part of the package's own environment.
  import jax2onnx  # noqa: PLC0415
  import onnxruntime  # noqa: PLC0415

  _, *shape = batches[0].shape
  with _without_warnings():
    program = jax2onnx.to_onnx(
      function,
      [jax.ShapeDtypeStruct(('N', *shape), batches[0].dtype)],
      model_name=name,
      input_names=['images'],
      output_names=['probabilities'],
    )
  content = program.SerializeToString()
  session = onnxruntime.InferenceSession(
    content, providers=['CPUExecutionProvider']
  )
  return content, [session.run(None, {'images': x})[0] for x in batches]


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
  """Without what onnx_ir says of shapes that nobody reads."""
  logger = logging.getLogger('onnx_ir')
  before = logger.level
  logger.setLevel(logging.ERROR)
  try:
    yield
  finally:
    logger.setLevel(before)


def _images(info: dict[str, Any]) -> Iterator[Shaped[np.ndarray, 'N ...']]:
  """Random images, dark and bright."""
  rng = np.random.default_rng(0)
  shape, top = info['input']['shape'], info['normalization']['pixel_max']
  for size in _SIZES:
    brightest = rng.uniform(0, top, (size, *(1 for _ in shape)))
    images = brightest * rng.uniform(size=(size, *shape))
    yield images.astype(info['input']['dtype'])


def _difference(
  found: Float[np.ndarray, 'N K'], expected: Float[np.ndarray, 'N K']
) -> float:
  """Of log p, as a share of 1 + |log p|; NaN if a probability is."""
  a, b = (np.log(np.maximum(p, _SMALLEST)) for p in (found, expected))
  return float(np.max(np.abs(a - b) / (1 + np.abs(b))))


def _write(folder: paths.Path, info: dict[str, Any], content: bytes) -> None:
  readme = paths.read(folder / README).decode()
  if _USE not in readme:
    readme += _USE
  description = digests.dumps(info, indent=2)
  try:
    # What model.json names is there.
    paths.write_all(
      {
        folder / ONNX: content,
        folder / README: readme,
        folder / DESCRIPTION: description,
      }
    )
  except OSError as error:
    raise UserError(
      f'{folder} cannot be written ({error.strerror or error}): make room, or'
      ' copy it to another place'
    ) from None
